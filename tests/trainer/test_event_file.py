"""TensorBoard's file on a full disk: one line at its opening, a warning later, no trace."""

import errno
import logging

import pytest
from tensorboard.compat.tensorflow_stub.io.gfile import LocalFileSystem

from recbole_diffusion.cli import main as cli
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.event_file import EventFile


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
