"""What a run writes beside its results: lines of progress, TensorBoard's file."""

import contextlib
import errno
import logging

import pytest
from tensorboard.compat.tensorflow_stub.io.gfile import LocalFileSystem

from recbole_diffusion.cli import main as cli
from recbole_diffusion.quick_start import run
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.storage.slow_step import told_if_slow
from recbole_diffusion.trainer import checkpoint, evaluating
from recbole_diffusion.trainer import progress_log as heartbeat
from recbole_diffusion.trainer.event_file import EventFile
from recbole_diffusion.trainer.progress_log import Heartbeat


def test_batches_are_counted_every_few_seconds_and_less_often_later(monkeypatch, caplog):
    clock = iter([0.0, 2.0, 7.0, 300.0, 320.0, 340.0])  # one look before the batches, one after each
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO):
        assert list(Heartbeat("abcde", 7, logging.getLogger())) == list("abcde")
    assert [record.getMessage() for record in caplog.records] == [
        "epoch 7: 2 of 5 batches",
        "epoch 7: 3 of 5 batches",
        "epoch 7: 5 of 5 batches",
    ]


def told(monkeypatch, caplog, seconds, many, counts=False):
    """Return the lines of an epoch whose batches take some seconds each."""
    clock = iter([0.0, *(seconds * (number + 1) for number in range(many)), *[1e6] * 9])
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: next(clock))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        list(Heartbeat(range(many), 0, logging.getLogger(), counts=counts, estimates=True))
    return [record.getMessage() for record in caplog.records]


def test_a_long_epoch_says_once_how_long_it_takes(monkeypatch, caplog):
    assert told(monkeypatch, caplog, 0.5, 400) == ["epoch 0: about 3.3 min (400 batches)"]
    assert told(monkeypatch, caplog, 2.0, 12) == ["epoch 0: about 24 s (12 batches)"]
    assert told(monkeypatch, caplog, 0.5, 39) == []  # 19.5 s are not worth a line


def test_the_first_batch_which_warms_up_is_not_projected(monkeypatch, caplog):
    clock = iter([0.0, 10.0, 11.0, 12.0, 13.0, *[14.0] * 40])
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: next(clock))
    with caplog.at_level(logging.INFO):
        list(Heartbeat(range(31), 2, logging.getLogger(), counts=False, estimates=True))
    # 10 s, and 30 batches of one second
    assert [record.getMessage() for record in caplog.records] == ["epoch 2: about 40 s (31 batches)"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (20, "20 s"),
        (89.6, "90 s"),
        (90, "1.5 min"),
        (1500, "25 min"),
        (9000, "2.5 h"),
        (172_800 * 6, "12.0 days"),
    ],
)
def test_a_length_of_time_is_told_in_its_unit(seconds, text):
    assert heartbeat.duration(seconds) == text


@pytest.mark.parametrize("bar", [True, False])
def test_only_the_first_epoch_of_a_run_is_estimated(checkerboard, tmp_path, monkeypatch, bar):
    monkeypatch.setattr(heartbeat, "WARM", 0.0)
    monkeypatch.setattr(heartbeat, "LONG", 0.0)
    options = {"epochs": 3, "embedding_size": 8, "train_batch_size": 300, "show_progress": bar}
    run("BPR", overrides={**checkerboard.overrides, **options, "run_dir": str(tmp_path / "run")})
    log = (tmp_path / "run/log.txt").read_text()
    assert log.count("epoch 0: about 0 s (4 batches)") == log.count(" about ") == 1


def test_a_run_says_what_it_begins(checkerboard, tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "SECONDS", 0.0)
    options = {"epochs": 1, "embedding_size": 8, "train_batch_size": 300, "run_dir": str(tmp_path / "run")}
    run("BPR", overrides={**checkerboard.overrides, **options})
    log = (tmp_path / "run/log.txt").read_text()
    said = log.index("training: 1,000 rows, 4 batches per epoch, 816 parameters")
    assert log.index("run folder ") < said < log.index("epoch 0: 1 of 4 batches")


@pytest.mark.parametrize(("model", "unit"), [("BPR", "users"), ("NeuMF", "batches")])
def test_a_long_evaluation_says_how_far_it_is(checkerboard, tmp_path, monkeypatch, model, unit):
    seen = []

    @contextlib.contextmanager
    def kept(step, tell, **counted):
        with told_if_slow(step, tell, **counted) as progress:
            yield progress
        seen.append((step, str(progress)))

    monkeypatch.setattr(evaluating, "told_if_slow", kept)
    # 40 items: a batch of scores has 10 users
    options = {"epochs": 1, "eval_batch_size": 400, "run_dir": str(tmp_path / "run")}
    trained = run(model, overrides={**checkerboard.overrides, **options})
    told = [words for step, words in seen if step == "evaluating"]
    assert len(told) == 2 and len(trained["test"]) > 0
    for words in told:
        done, total = words.removesuffix(f" {unit}, ").split(" of ")
        assert done == total and int(total) > 1


@pytest.fixture
def full(monkeypatch):
    """Return a function that lets each later write of an event file fail, as on a full disk."""

    def fill():
        def no_space(self, filename, *arguments):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(LocalFileSystem, "_write", no_space)
        monkeypatch.setattr(LocalFileSystem, "append", no_space)

    return fill


def words(checkerboard, tmp_path, **more):
    return ["--model=BPR", *checkerboard.words(epochs=2, run_dir=str(tmp_path / "run"), **more)]


def test_records_are_written(tmp_path):
    events = EventFile(tmp_path / "events")
    events.add_scalar("loss", 0.5, 1)
    events.add_hparams({"rate": 0.1}, {"best": 0.7})
    events.close()
    contents = [one.read_bytes() for one in (tmp_path / "events").rglob("events.out.*")]
    assert len(contents) == 2
    assert any(b"loss" in content for content in contents)
    assert any(b"best" in content for content in contents)


def test_a_disk_that_is_full_at_the_opening_is_one_line(checkerboard, tmp_path, full, capfd):
    full()
    assert cli.main(words(checkerboard, tmp_path, state="ERROR")) == 1
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert f"cannot write {tmp_path}/run/tensorboard: No space left on device. Free some space, then" in said
    assert RunFolder(tmp_path / "run").read_config()["epochs"] == 2


def test_a_run_goes_on_where_it_could_not_open_the_file(checkerboard, tmp_path, full, monkeypatch):
    full()
    assert cli.main(words(checkerboard, tmp_path)) == 1
    monkeypatch.undo()
    assert cli.main([f"--resume={tmp_path / 'run'}"]) == 0
    assert checkpoint.load(tmp_path / "run/checkpoint.pt")["epoch"] == 1


def test_a_disk_that_is_full_later_costs_the_rest_of_the_events_alone(tmp_path, full, caplog, capfd):
    events = EventFile(tmp_path / "events")
    full()
    with caplog.at_level(logging.WARNING):
        for epoch in range(30):  # more than the queue of the thread holds
            events.add_scalar("loss", 0.5, epoch)
        events.add_hparams({"rate": 0.1}, {"best": 0.7})
        events.close()
    assert caplog.text.count("events cannot be written (No space left on device): the rest is left out") == 1
    assert "Traceback" not in capfd.readouterr().err
