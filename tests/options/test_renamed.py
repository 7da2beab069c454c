"""Renamed options: an old name is answered with the new one, and older configurations are translated."""

import pytest

from recbole_diffusion import registry
from recbole_diffusion.config import Config
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.renamed import RENAMED, translated
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.tuning.record import SweepRecord, Trial


def test_each_new_name_is_an_option_and_no_old_one_is():
    options = set(SplitOptions.__dataclass_fields__)
    for name in registry.MODELS:
        options |= set(registry.options_class(name).__dataclass_fields__)
    assert set(RENAMED.values()) <= options
    assert not set(RENAMED) & options
    assert len(set(RENAMED.values())) == len(RENAMED)


@pytest.mark.parametrize(
    ("model", "old", "new"),
    [
        ("DiffCDR", "average", "ema_decay"),
        ("TVDiff", "shift_share", "shift_ratio"),
        ("CCDRec", "false_share", "false_ratio"),
    ],
)
def test_an_old_name_is_answered_with_the_new_one(model, old, new):
    with pytest.raises(UsageError, match=f"^option '{old}' is called '{new}' now; write that name$"):
        Config(model, "ml-100k", overrides={old: 0.5})


def test_an_old_name_of_another_models_option_is_unknown():
    with pytest.raises(
        UsageError, match=r"unknown option 'average'.*--model=TVDiff --help lists the options"
    ):
        Config("TVDiff", "ml-100k", overrides={"average": 0.5})


def test_what_an_earlier_version_wrote_is_read_in_its_order():
    old = {"epochs": 3, "shift_reg_weight": None, "topk": [5], "factor_std": 0.1}
    assert list(translated(old).items()) == [
        ("epochs", 3),
        ("item_offset_reg_weight", None),
        ("topk", [5]),
        ("mf_std", 0.1),
    ]
    assert translated(translated(old)) == translated(old)


def test_the_record_of_an_older_sweep_is_read_under_todays_names():
    new = SweepRecord(
        "DiffCDR",
        "ml-100k",
        {"mf_epochs": 2, "seed": 1},
        {"item_offset_reg_weight": {"choice": [4.0, 8.0], "when": {"ema_decay": [0.0, 0.99]}}},
        *("space.yaml", {}, "rated_mae", False, 10, 1, "tune"),
        trials=[Trial(0, "trials/000", {"ema_decay": 0.99}, 1)],
        final=[Trial(1, "final/000", {"ema_decay": 0.0}, 1)],
    )
    old = new.to_json()
    old["options"] = {"factor_epochs": 2, "seed": 1}
    old["space"] = {"shift_reg_weight": {"choice": [4.0, 8.0], "when": {"average": [0.0, 0.99]}}}
    old["trials"][0]["options"] = {"average": 0.99}
    old["final"][0]["options"] = {"average": 0.0}
    assert SweepRecord.from_json(old) == new
