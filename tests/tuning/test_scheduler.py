"""ASHA's memory over resumes, and Optuna's."""

from types import SimpleNamespace

import pytest

from recbole_diffusion.tuning.driver import read_settings
from recbole_diffusion.tuning.optuna_search import OptunaStudy
from recbole_diffusion.tuning.ray_classes import OptunaSearcher
from recbole_diffusion.tuning.record import FINISHED, SweepRecord, Trial
from recbole_diffusion.tuning.scheduler import grace_period, make_scheduler
from recbole_diffusion.tuning.space_yaml import parse_space

EPOCHS = 30
GOOD = [(epoch, 0.5 + epoch / 100) for epoch in range(1, EPOCHS + 1)]
BAD = [(epoch, epoch / 100) for epoch in range(1, EPOCHS + 1)]


def stopped_after(scheduler, reports, name="new", finished=None):
    trial = SimpleNamespace(trial_id=name)
    scheduler.on_trial_add(None, trial)
    for epoch, score in reports:
        result = {"epoch": epoch, "score": score, "finished": epoch == finished}
        if scheduler.on_trial_result(None, trial, result) == "STOP":
            return epoch
    return None


def test_a_bad_trial_is_stopped_because_of_what_was_before_the_resume():
    options = read_settings({"grace_period": 3})
    assert stopped_after(make_scheduler(options, EPOCHS, "max", []), BAD) is None  # nothing to compare with
    scheduler = make_scheduler(options, EPOCHS, "max", [GOOD, GOOD])
    assert stopped_after(scheduler, BAD) == 3
    assert scheduler.stopped == {"new"}
    assert stopped_after(scheduler, [(epoch, score + 1) for epoch, score in GOOD], "better") is None
    assert (
        stopped_after(make_scheduler(options, EPOCHS, "min", [GOOD, GOOD]), BAD) is None
    )  # smaller is better here


def test_a_trial_that_was_retried_is_judged_at_the_next_rung_by_epochs_not_reports():
    scheduler = make_scheduler(read_settings({"grace_period": 3}), EPOCHS, "max", [GOOD, GOOD])
    assert stopped_after(scheduler, BAD[:2]) is None
    assert stopped_after(scheduler, BAD[7:]) == 8


def test_a_trial_that_has_finished_is_not_stopped():
    scheduler = make_scheduler(read_settings({"grace_period": 3}), EPOCHS, "max", [GOOD, GOOD])
    assert stopped_after(scheduler, [(5, 0.0)], finished=5) is None
    assert (
        stopped_after(
            make_scheduler(read_settings({}), EPOCHS, "max", [GOOD] * 3), [(EPOCHS, 0.0)], finished=EPOCHS
        )
        is None
    )


@pytest.mark.parametrize(
    ("given", "epochs", "grace"), [({}, 300, 25), ({}, 5, 1), ({"grace_period": 7}, 300, 7)]
)
def test_the_grace_period(given, epochs, grace):
    assert grace_period(read_settings(given), epochs) == grace


def test_no_scheduler_for_trials_too_short_to_stop():
    assert make_scheduler(read_settings({}), 1, "max", []) is None
    assert make_scheduler(read_settings({"scheduler": "none"}), 100, "max", []) is None


# Optuna.


def searcher(trials, samples=40):
    content = {
        "a": {"choice": ["x", ["y", 1]]},
        "b": {"uniform": [0, 1], "when": {"a": "x"}},
        "c": {"loguniform": [1e-3, 1]},
        "d": {"int": [2, 8], "step": 2},
    }
    record = SweepRecord(
        "M", "d", {}, content, "file", {"num_samples": samples}, "recall@20", True, 10, 7, "", trials=trials
    )

    def new_trial(options):
        record.trials.append(Trial(len(record.trials), f"trials/{len(record.trials)}", options, 1))
        return record.trials[-1]

    return OptunaSearcher(OptunaStudy(parse_space(content, "file"), {}, record), new_trial), record


def goal(options):
    return options["d"] + (options["b"] if options["a"] == "x" else 0)


def test_optuna_goes_where_scores_are_high():
    search, record = searcher([])
    for number in range(40):
        trial = search.suggest(f"t{number}")["trial"]
        assert set(trial["options"]) == (
            {"a", "b", "c", "d"} if trial["options"]["a"] == "x" else {"a", "c", "d"}
        )
        search.on_trial_complete(f"t{number}", {"score": goal(trial["options"])})
    scores = [goal(trial.options) for trial in record.trials]
    assert sum(scores[20:]) > sum(scores[:20])
    assert max(scores) > 8.5


def test_optuna_takes_up_what_a_resume_finds():
    first, record = searcher([])
    for number in range(15):
        trial = first.suggest(f"t{number}")["trial"]
        record.trials[number].score, record.trials[number].state = goal(trial["options"]), FINISHED
        first.on_trial_complete(f"t{number}", {"score": goal(trial["options"])})
    interrupted = first.suggest("t15")["trial"]
    again, _ = searcher(record.trials)
    assert again.suggest("u0")["trial"] == interrupted  # the open one comes first, as it was
    later = [again.suggest(f"u{number}")["trial"]["options"] for number in range(1, 6)]
    assert sum(map(goal, later)) / 5 > sum(trial.score for trial in record.trials[:15]) / 15


def test_optuna_tries_nothing_twice():
    content = {"a": {"choice": [1, 2, 3]}, "b": {"int": [0, 3]}}
    record = SweepRecord("M", "d", {}, content, "file", {"num_samples": 12}, "recall@20", True, 10, 7, "")

    def new_trial(options):
        record.trials.append(Trial(len(record.trials), "", options, 1))
        return record.trials[-1]

    search = OptunaSearcher(OptunaStudy(parse_space(content, "file"), {}, record), new_trial)
    for number in range(12):
        options = search.suggest(f"t{number}")["trial"]["options"]
        record.trials[number].score = float(options["a"] == 3)
        search.on_trial_complete(f"t{number}", {"score": record.trials[number].score})
    assert {(trial.options["a"], trial.options["b"]) for trial in record.trials} == {
        (a, b) for a in (1, 2, 3) for b in range(4)
    }
