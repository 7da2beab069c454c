"""What a sweep prints, keeps and draws; ASHA's memory over resumes, and Optuna's."""

import io
import json
from types import SimpleNamespace

import pytest

from recbole_diffusion.report import pictures
from recbole_diffusion.tuning.display import SweepDisplay
from recbole_diffusion.tuning.driver import draw_figures, read_settings
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.optuna_search import OptunaStudy
from recbole_diffusion.tuning.ray_classes import OptunaSearcher
from recbole_diffusion.tuning.record import FAILED, FINISHED, RUNNING, STOPPED, SweepRecord, Trial
from recbole_diffusion.tuning.scheduler import grace_period, make_scheduler
from recbole_diffusion.tuning.space_yaml import parse_space


@pytest.fixture
def record():
    trials = [
        Trial(
            0,
            "trials/000",
            {"steps": 5, "kind": "a", "rate": 0.1},
            1,
            state=FINISHED,
            score=0.31,
            epochs=10,
            seconds=2.5,
        ),
        Trial(
            1, "trials/001", {"steps": 50, "kind": "b"}, 2, state=STOPPED, score=0.12, epochs=3, seconds=1.0
        ),
        Trial(
            2, "trials/002", {"steps": 5, "kind": "b"}, 3, state=FAILED, failures=4, error="ValueError: no"
        ),
        Trial(
            3, "trials/003", {"steps": 10, "kind": "a", "rate": 0.2}, 4, state=RUNNING, score=0.2, epochs=4
        ),
        Trial(4, "trials/004", {"steps": 10, "kind": "b"}, 5),
    ]
    return SweepRecord("TVDiff", "toy", {}, {}, "file", {}, "recall@20", True, 10, 0, "", trials=trials)


def test_a_line_for_each_trial_that_ends(record):
    stream = io.StringIO()
    display = SweepDisplay(record, stream)
    for trial in record.trials[:3]:
        display.print_end(trial)
    lines = stream.getvalue().splitlines()
    assert lines == [
        "trial 000 finished: recall@20 0.3100 after 10 of 10 epochs, 2.5 s; 3 of 5 done, 1 stopped early, "
        "1 failed; best 0.3100, trial 000",
        "trial 001 stopped early: recall@20 0.1200 after 3 of 10 epochs, 1.0 s; 3 of 5 done, 1 stopped "
        "early, 1 failed; best 0.3100, trial 000",
        "trial 002 failed: no score after 0 of 10 epochs, 0.0 s; 3 of 5 done, 1 stopped early, 1 failed; "
        "best 0.3100, trial 000; ValueError: no",
    ]


def test_a_line_for_a_retry_and_for_a_final_run(record):
    stream = io.StringIO()
    display = SweepDisplay(record, stream)
    display.print_retry(record.trials[2])
    test_run = Trial(
        0, "final/000-seed-1", {}, 1, test=True, state=FINISHED, score=0.3, epochs=10, seconds=2.0
    )
    display.print_end(test_run)
    retry, final = stream.getvalue().splitlines()
    assert retry == "trial 002 continues from its checkpoint after failure 4: ValueError: no"
    assert final.startswith(
        "test run 000-seed-1 finished: validation recall@20 0.3000 after 10 of 10 epochs, 2.0 s; 3 of 5 done"
    )
    assert "best" not in final


def test_the_winner_is_the_best_by_the_direction_of_the_metric(record):
    assert record.best().number == 0
    record.bigger = False
    assert record.best().number == 1
    record.trials[3].score = 0.12
    assert record.best().number == 1  # of equal ones the first
    record.trials[1].score = float("nan")
    assert record.best().number == 3


def test_the_record_survives_its_file(record, tmp_path):
    folder = SweepFolder(tmp_path)
    folder.write(record)
    assert SweepFolder.existing(tmp_path)[1] == record


# Figures.


def write_trials(folder, record, epochs):
    """Write the record, and for its first two trials some validations and a half written line."""
    folder.write(record)
    for trial in record.trials[:2]:
        (folder.path / trial.folder).mkdir(parents=True)
        lines = [
            {"epoch": epoch, "valid": {"recall@20": trial.score * (epoch + 1) / epochs}}
            for epoch in range(epochs)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder.path / trial.folder / "metrics.jsonl").write_text(text + '{"epoch": 9, "val')


def test_without_matplotlib_a_line_says_how_to_get_it_and_what_else_shows_the_figures(
    record, tmp_path, monkeypatch
):
    monkeypatch.setattr(pictures.util, "find_spec", lambda _: None)
    write_trials(SweepFolder(tmp_path), record, 3)
    line = draw_figures(SweepFolder(tmp_path))
    assert line.startswith(
        "no pictures: pictures need matplotlib, which is not installed: pip install 'recbole-diff"
    )
    assert line.endswith(f" report {tmp_path} --output=FILE.html")
    assert not (tmp_path / "pictures").exists()


def test_the_figures_of_the_page_are_drawn(record, tmp_path):
    pytest.importorskip("matplotlib")
    write_trials(SweepFolder(tmp_path), record, 3)
    line = draw_figures(SweepFolder(tmp_path))
    assert line.startswith(f"4 pictures in {tmp_path / 'pictures'}; a page with all figures: ")
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [
        "01-options-together.png",
        "02-options-one-by-one.png",
        "03-learning-curves.png",
        "04-score-against-time.png",
    ]
    from matplotlib.image import imread

    picture = imread(tmp_path / "pictures/03-learning-curves.png")
    assert len({tuple(pixel) for pixel in picture[::3, ::3, :3].reshape(-1, 3).tolist()}) > 5


def test_a_folder_that_cannot_be_written_is_a_line(record, tmp_path):
    write_trials(SweepFolder(tmp_path), record, 3)
    (tmp_path / "pictures").write_text("in the way")
    assert draw_figures(SweepFolder(tmp_path)).startswith("no pictures: cannot make ")


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


def test_the_mean_of_final_runs_is_of_the_metrics_that_all_of_them_have(record):
    """One that a resume has run with a later version may have more."""
    for seed, metrics in enumerate(({"recall@20": 0.2, "new": 1.0}, {"recall@20": 0.4})):
        parts = {"test": metrics} | ({"valid_iid": {"recall@20": 0.1}} if seed == 0 else {})
        record.final.append(Trial(0, f"final/{seed}", {}, seed, test=True, state=FINISHED, metrics=parts))
    found = record.final_metrics()
    assert {part: list(values) for part, values in found.items()} == {"test": ["recall@20"]}
    assert found["test"]["recall@20"]["runs"] == 2
