"""What a sweep shows and paints."""

import io
import json

import pytest
from matplotlib.figure import Figure

from recbole_diffusion.tuning import pictures
from recbole_diffusion.tuning.display import Board
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.record import FAILED, FINISHED, RUNNING, STOPPED, Record, Trial


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
    return Record("TVDiff", "toy", {}, {}, "file", {}, "recall@20", True, 10, 0, "", trials=trials)


def test_lines_where_there_is_no_terminal(record):
    stream = io.StringIO()
    board = Board(record, stream)
    board.reported()
    for trial in record.trials[:3]:
        board.ended(trial)
    lines = stream.getvalue().splitlines()
    assert (
        lines[0]
        == "trial 000 finished: recall@20 0.3100 after 10 of 10 epochs, 2.5 s; 3 of 5 done, 1 stopped early, "
        "1 failed"
    )
    assert lines[1].startswith("trial 001 stopped early: recall@20 0.1200 after 3 of 10 epochs")
    assert lines[2].endswith("ValueError: no")
    assert "\x1b" not in stream.getvalue()
    assert len(lines) == 3


def test_a_table_that_is_redrawn_on_a_terminal(record):
    stream = io.StringIO()
    board = Board(record, stream, live=True)
    board.reported()
    height = stream.getvalue().count("\n")
    assert height == len(board.lines())
    head, _, *rows = board.lines()
    assert "3 of 5 done" in head
    assert "best recall@20 0.3100, trial 000" in head
    assert [row.split()[0] for row in rows] == [
        "003",
        "000",
        "001",
        "002",
    ]  # what runs, then from best to worst
    board.reported()  # too soon: nothing is written
    assert stream.getvalue().count("\n") == height
    board.ended(record.trials[0])
    assert stream.getvalue().count(f"\x1b[{height}F\x1b[J") == 1
    board.say("a line")
    assert stream.getvalue().endswith("\x1b[Ja line\n")


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


def test_without_matplotlib_there_is_a_line_and_no_error(record, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures.util, "find_spec", lambda _: None)
    (line,) = pictures.draw(SweepFolder(tmp_path), record)
    assert "pip install matplotlib" in line
    assert list(tmp_path.iterdir()) == []


def test_two_pictures(record, tmp_path):
    for trial in record.trials[:2]:
        folder = tmp_path / trial.folder
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("valid_metric: Recall@20\n")
        lines = [{"epoch": epoch, "valid": {"recall@20": epoch / 10}} for epoch in range(3)]
        (folder / "metrics.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines) + '{"epoch": 3, "val'
        )
    assert pictures.draw(SweepFolder(tmp_path), record) == []
    from matplotlib.image import imread

    for name in ("parallel_coordinates", "learning_curves"):
        picture = imread(tmp_path / f"{name}.png")
        assert picture.shape == (600, 1200, 4)
        assert len({tuple(pixel) for pixel in picture[::7, ::7, :3].reshape(-1, 3).tolist()}) > 5


def test_places_on_the_axes_follow_the_order_of_the_values(record):
    trials = record.trials
    assert [pictures.place("steps", trial, trials) for trial in trials] == [0.0, 1.0, 0.0, 0.5, 0.5]
    assert pictures.place("rate", trials[1], trials) < 0  # it has none
    assert pictures.labels("kind", trials) == [(0.0, "a"), (1.0, "b")]


def test_curves_need_something_to_paint(record, tmp_path):
    assert pictures.draw(SweepFolder(tmp_path), record) == []
    assert [path.name for path in tmp_path.iterdir()] == ["parallel_coordinates.png"]


def test_models_of_one_step_are_painted_by_trial(record, tmp_path):
    for trial, score in zip(record.trials, (0.3, 0.1, 0.4), strict=False):
        (tmp_path / trial.folder).mkdir(parents=True)
        (tmp_path / trial.folder / "config.yaml").write_text("valid_metric: Recall@20\n")
        (tmp_path / trial.folder / "metrics.jsonl").write_text(
            json.dumps({"epoch": 0, "valid": {"recall@20": score}}) + "\n"
        )
    figure = Figure()
    assert pictures.curves(figure, SweepFolder(tmp_path), record, record.trials[:3])
    dots, steps = figure.axes[0].lines
    assert (list(dots.get_xdata()), list(dots.get_ydata())) == ([0, 1, 2], [0.3, 0.1, 0.4])
    assert list(steps.get_ydata()) == [0.3, 0.3, 0.4]
