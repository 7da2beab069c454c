"""Options of cross-domain models that have no effect, alone or beside the others' values."""

import pytest

from recbole_diffusion.config import Config


def told(model, **given):
    lines = [note for note in Config(model, "ml-100k", [], given).notes if note.startswith("no effect of")]
    return lines[0] if lines else ""


@pytest.mark.parametrize(
    ("model", "given", "why"),
    [
        ("GlobalMean", {"mf_epochs": 3, "min_updates": 5}, "mf_epochs, min_updates (means are computed"),
        ("SourceOffset", {"embedding_size": 4}, "embedding_size (means are computed"),
        ("ItemMean", {"learning_rate": 0.1}, "learning_rate (no gradient steps are taken)"),
        (
            "CMF",
            {"mf_learning_rate": 0.1, "stage_cache": "x"},
            "mf_learning_rate, stage_cache (CMF trains both",
        ),
        (
            "TGT",
            {"learning_rate": 0.1, "min_updates": 5},
            "learning_rate, min_updates (TGT has no stage after",
        ),
        ("LACDR", {"calibration_learning_rate": 0.1}, "calibration_learning_rate (task_absolute is null)"),
        ("SourceRegression", {"profile_reg_weight": 9.0}, "profile_reg_weight (profile is False)"),
    ],
)
def test_options_that_a_model_does_not_read_are_told(model, given, why):
    assert why in told(model, **given)


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("CMF", {"mf_std": 0.1, "mf_reg_weight": 0.2, "learning_rate": 0.1, "min_updates": 5}),
        ("TGT", {"mf_epochs": 3, "mf_learning_rate": 0.1}),
        ("EMCDR", {"task_absolute": 0.5, "calibration_learning_rate": 0.1, "mf_epochs": 3}),
        ("SourceRegression", {"profile": True, "profile_reg_weight": 9.0, "min_updates": 5}),
    ],
)
def test_those_that_it_reads_are_not(model, given):
    assert told(model, **given) == ""
