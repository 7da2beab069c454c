"""What a run says of validations that choose nothing, and of a training that its epochs cut off."""

import logging
from types import SimpleNamespace

import pytest

from recbole_diffusion import run
from recbole_diffusion.quick_start.result import _tell_of_validations


def told(scores, caplog, *, epochs=None, bigger=True, every=1, after=0):
    """Return what is logged after validations with these scores, and some epochs without one."""
    records = []
    for score in scores:
        records += [{}] * (every - 1) + [{"valid": {"recall@5": score}}]
    records += [{}] * after
    trainer = SimpleNamespace(
        model=SimpleNamespace(computed_when_made=False),
        records=records,
        valid_metric_bigger=bigger,
        weight_decay=0.0,
    )
    caplog.clear()
    with caplog.at_level(logging.INFO):
        epochs = len(records) if epochs is None else epochs
        general = {"valid_metric": "Recall@5", "learning_rate": 0.001, "epochs": epochs, "eval_step": every}
        _tell_of_validations(trainer, SimpleNamespace(**general))
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


def test_epochs_after_the_last_validation_are_told(caplog):
    text = told([0.3, 0.2], caplog, every=4, after=3)
    assert "3 epochs after the last validation, with eval_step 4: no number is of them" in text
    assert "1 epoch after the last validation, with eval_step 2: no number is of it" in told(
        [0.3], caplog, every=2, after=1
    )
    assert not told([0.3, 0.2], caplog, every=4)
    assert not told([], caplog, every=4, after=3)  # the trained model is evaluated as it is


def test_a_run_that_learns_nothing_says_so(checkerboard, caplog):
    options = {**checkerboard.overrides, "epochs": 6, "topk": [5], "valid_metric": "Recall@5"}
    dataset = options.pop("dataset", "checkerboard")
    run("BPR", dataset, overrides={**options, "learning_rate": 1e-12})
    assert "in each of 6 validations: it chooses no epoch, and the last is taken" in caplog.text
    assert "(learning_rate 1e-12, weight_decay 0)" in caplog.text
    caplog.clear()
    run("EASE", dataset, overrides=options)
    assert "validations" not in caplog.text
