"""What a sweep prints, keeps and draws."""

import io
import json

import pytest

from recbole_diffusion.report import pictures
from recbole_diffusion.tuning.display import SweepDisplay
from recbole_diffusion.tuning.driver import draw_figures
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.record import FAILED, FINISHED, RUNNING, STOPPED, SweepRecord, Trial


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
        "test run 000-seed-1 finished: recall@20 0.3000 after 10 of 10 epochs, 2.0 s; 3 of 5 done"
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
    assert line.endswith(f"; a page with all figures: report {tmp_path} --output=FILE.html")
    assert not (tmp_path / "pictures").exists()


def test_the_figures_of_the_page_are_drawn(record, tmp_path):
    pytest.importorskip("matplotlib")
    write_trials(SweepFolder(tmp_path), record, 3)
    line = draw_figures(SweepFolder(tmp_path))
    assert line.startswith(f"4 pictures in {tmp_path / 'pictures'}; a page with all figures: report")
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
