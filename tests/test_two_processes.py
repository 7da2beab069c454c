"""A run folder in which another process trains, signals, closed streams, and folders that a kill has left."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from recbole_diffusion.cli import main as cli
from recbole_diffusion.errors import Interrupted, RunError, UsageError
from recbole_diffusion.quick_start import run

SMALL = {"epochs": 2, "embedding_size": 4}


def test_a_second_process_in_a_run_folder_is_refused_and_touches_nothing(checkerboard, tmp_path):
    run("BPR", overrides={**checkerboard.overrides, **SMALL, "run_dir": str(tmp_path / "run")})
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir() if file.is_file()}
    with (
        FileLock(tmp_path / "run/.lock"),
        pytest.raises(UsageError, match="another process is running the run in"),
    ):
        run(resume=tmp_path / "run", overrides={"epochs": 4})
    assert {name: (tmp_path / "run" / name).read_bytes() for name in before} == before
    assert len(run(resume=tmp_path / "run", overrides={"epochs": 4})["epoch_seconds"]) == 4


def test_a_folder_that_a_kill_left_without_a_whole_file_is_taken_again(checkerboard, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".config.yaml.4242.part").write_text("model: B")
    (folder / ".lock").touch()
    run("BPR", overrides={**checkerboard.overrides, **SMALL, "run_dir": str(folder)})
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("made_by_user", [True, False])
def test_a_wrong_request_leaves_the_folder_as_it_found_it(checkerboard, tmp_path, made_by_user):
    folder = tmp_path / "mine"
    if made_by_user:
        folder.mkdir()
    with pytest.raises(UsageError):
        run(
            "BPR",
            overrides={
                **checkerboard.overrides,
                **SMALL,
                "topk": [51],
                "valid_metric": "MRR@51",
                "run_dir": str(folder),
            },
        )
    assert folder.exists() == made_by_user
    assert not folder.exists() or not list(folder.iterdir())


def test_sigterm_is_told_as_ctrl_c_is_and_the_handler_put_back(checkerboard, tmp_path):
    before = signal.getsignal(signal.SIGTERM)

    def stop(epoch, score):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)

    overrides = {**checkerboard.overrides, **SMALL, "run_dir": str(tmp_path / "run")}
    with pytest.raises(Interrupted) as told:
        run("BPR", overrides=overrides, on_epoch=stop)
    assert told.value.folder == tmp_path / "run"
    assert signal.getsignal(signal.SIGTERM) == before


def test_data_that_may_not_be_read_are_told_as_such(checkerboard, tmp_path, monkeypatch):
    file, before = next(checkerboard.folder.glob("*.inter")), Path.read_bytes

    def forbidden(path):
        if path == file:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return before(path)

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(RunError) as told:
        run("BPR", overrides={**checkerboard.overrides, **SMALL, "run_dir": str(tmp_path / "run")})
    assert str(told.value) == (
        f"cannot read or write {file}: Permission denied. Give this user the right to do so, then continue "
        f"with --resume={tmp_path / 'run'}"
    )


def test_an_import_that_ctrl_c_broke_is_told_as_an_interrupt(monkeypatch, capsys):
    def broken(argv):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise ImportError("half a package") from interrupt

    monkeypatch.setattr(cli, "dispatch", broken)
    assert cli.main(["doctor"]) == cli.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_closed_and_full_streams_are_one_line_at_most():
    words = f"{sys.executable} -m recbole_diffusion"
    for command, code, told in (
        (f"{words} --help >&-", 0, ""),
        (f"{words} compare /nowhere 2>&-", 2, ""),
        (f"{words} --help >/dev/full", 1, "error: cannot write the output: No space left on device\n"),
        (f"{words} compare /nowhere 2>/dev/full", 2, ""),
    ):
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (code, told), command
