"""What is told of a sweep that has ended."""

import pytest

from recbole_diffusion.tuning.driver import sweep
from recbole_diffusion.tuning.outcome import notes_on_outcome
from recbole_diffusion.tuning.record import SweepRecord, Trial


def ended(space, scores, *, bigger=True, final=()):
    """Return the record of a sweep whose trials have these options and scores."""
    trials = [
        Trial(number, f"trials/{number:03}", options, number, state="finished", score=score)
        for number, (options, score) in enumerate(scores)
    ]
    runs = [
        Trial(0, f"final/{seed}", {}, seed, state="finished", metrics=metrics, test=True)
        for seed, metrics in enumerate(final)
    ]
    record = SweepRecord("EASE", "toy", {}, space, "space.yaml", {}, "recall@20", bigger, 1, 0, "")
    record.trials, record.final = trials, runs
    return record


WEIGHTS = {"reg_weight": {"choice": [10.0, 100.0, 1000.0, 5000.0]}}


def by(name, values, scores):
    return [({name: value}, score) for value, score in zip(values, scores, strict=True)]


@pytest.mark.parametrize(
    ("scores", "bigger", "said"),
    [
        ([0.1, 0.2, 0.3, 0.4], True, "5000.0, the largest of the 4 values of the space; a larger one"),
        ([0.1, 0.2, 0.3, 0.4], False, "10.0, the smallest of the 4 values of the space; a smaller one"),
        ([0.1, 0.2, 0.3, 0.25], True, None),
        ([0.4, 0.2, 0.3, 0.4], True, None),  # both ends are equally good: no direction
        ([None, 0.2, 0.3, 0.4], True, None),  # three values say little
    ],
)
def test_a_best_value_at_an_end_of_the_space_is_told(scores, bigger, said):
    notes = notes_on_outcome(
        ended(WEIGHTS, by("reg_weight", WEIGHTS["reg_weight"]["choice"], scores), bigger=bigger)
    )
    assert len(notes) == (said is not None)
    if said:
        assert f"reg_weight: the best trial has {said} may be better" in notes[0]


@pytest.mark.parametrize(
    ("space", "values", "told"),
    [
        ({"dropout_prob": {"uniform": [0, 0.8], "step": 0.2}}, [0.0, 0.2, 0.4, 0.8], False),
        ({"dropout_prob": {"uniform": [0.2, 0.8], "step": 0.2}}, [0.2, 0.4, 0.6, 0.8], True),
        ({"n_layers": {"choice": [1, 2, 3, 4]}}, [1, 2, 3, 4], False),
        ({"sampler": {"choice": ["a", "b", "c", "d"]}}, ["a", "b", "c", "d"], False),
        ({"learning_rate": {"loguniform": [0.001, 0.1]}}, [0.001, 0.01, 0.02, 0.1], False),
    ],
)
def test_an_end_that_is_natural_or_none_of_a_list_is_not_told(space, values, told):
    found = ended(space, by(next(iter(space)), values, [0.9, 0.3, 0.2, 0.1]))
    assert bool(notes_on_outcome(found)) == told


def test_final_runs_that_their_seeds_do_not_change_are_told():
    one, other = ({"test": {"recall@20": value}} for value in (0.5, 0.6))
    assert (
        "the 3 final runs have the same numbers: the seed changes nothing of EASE"
        in (notes_on_outcome(ended({}, [], final=[one] * 3))[0])
    )
    assert notes_on_outcome(ended({}, [], final=[one, other])) == []
    assert notes_on_outcome(ended({}, [], final=[one])) == []


def test_the_notes_of_a_sweep_follow_what_it_has_found(checkerboard, tmp_path):
    overrides = {**checkerboard.overrides}
    overrides.pop("runs_path", None)
    settings = {"space": {"reg_weight": {"choice": [1.0, 2.0]}}, "search": "grid", "max_concurrent": 0}
    options = {**settings, "final_seeds": 2, "sweep_dir": str(tmp_path / "sweep")}
    found = sweep("EASE", dataset=overrides.pop("dataset"), overrides=overrides, settings=options)
    said = "the 2 final runs have the same numbers: the seed changes nothing of EASE"
    assert next(note for note in found["notes"] if "same numbers" in note).startswith(said)
    again = sweep(resume=found["sweep_dir"], settings={"final_seeds": 3})
    told = [note for note in again["notes"] if "same numbers" in note]
    assert len(told) == 1 and told[0].startswith("the 3 final runs")
