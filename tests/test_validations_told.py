"""What a run says of validations that choose nothing, and of a training that its epochs cut off."""

import logging
from types import SimpleNamespace

import pytest

from recbole_diffusion import run
from recbole_diffusion.quick_start.result import _tell_of_validations


def told(scores, caplog, *, epochs=None, bigger=True, every=1):
    """Return what is logged after validations with these scores."""
    records = []
    for score in scores:
        records += [{}] * (every - 1) + [{"valid": {"recall@5": score}}]
    trainer = SimpleNamespace(
        model=SimpleNamespace(computed_when_made=False),
        records=records,
        valid_metric_bigger=bigger,
        weight_decay=0.0,
    )
    caplog.clear()
    with caplog.at_level(logging.INFO):
        epochs = len(records) if epochs is None else epochs
        _tell_of_validations(
            trainer, SimpleNamespace(valid_metric="Recall@5", learning_rate=0.001, epochs=epochs)
        )
    return caplog.text


def test_validations_that_are_all_alike_are_told(caplog):
    said = "Recall@5 was 0.25 in each of 6 validations: it chooses no epoch"
    assert said in told([0.25] * 6, caplog)
    assert said in told([0.25] * 6, caplog, every=2)
    assert not told([0.25] * 4, caplog)  # so few may be alike by chance
    assert not told([0.25] * 6 + [0.2], caplog)


@pytest.mark.parametrize(
    ("scores", "more", "bigger", "said"),
    [
        ([0.1, 0.2, 0.3], 0, True, True),
        ([0.1, 0.2, 0.3], 5, True, False),  # stopped before its epochs ended
        ([0.1, 0.3, 0.3], 0, True, False),  # not better than the one before
        ([0.1, 0.3, 0.2], 0, True, False),
        ([0.3, 0.2, 0.1], 0, False, True),  # an error, which falls
        ([0.3], 0, True, False),
    ],
)
def test_a_last_epoch_that_is_the_best_is_told(caplog, scores, more, bigger, said):
    text = told(scores, caplog, epochs=len(scores) + more, bigger=bigger)
    assert ("the best validation was that of the last of 3 epochs" in text) == said


def test_a_run_that_learns_nothing_says_so(checkerboard, caplog):
    options = {**checkerboard.overrides, "epochs": 6, "topk": [5], "valid_metric": "Recall@5"}
    dataset = options.pop("dataset", "checkerboard")
    run("BPR", dataset, overrides={**options, "learning_rate": 1e-12})
    assert "in each of 6 validations: it chooses no epoch, and the last is taken" in caplog.text
    assert "(learning_rate 1e-12, weight_decay 0)" in caplog.text
    caplog.clear()
    run("EASE", dataset, overrides=options)
    assert "validations" not in caplog.text
