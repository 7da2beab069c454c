"""The lock by which one process keeps others out."""

import signal
import subprocess
import sys
import time

import pytest

from recbole_diffusion.storage import lock as module
from recbole_diffusion.storage.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from recbole_diffusion.storage.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_by_one_and_then_free(tmp_path):
    with locked(tmp_path / "lock"), pytest.raises(TimeoutError), locked(tmp_path / "lock"):
        pass
    with locked(tmp_path / "lock"), locked(tmp_path / "other"):
        pass


def test_an_error_frees_it(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock"):
        1 / 0  # noqa: B018
    with locked(tmp_path / "lock"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="a kill that cannot be caught")
def test_another_process_keeps_it_until_it_is_killed(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "lock"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        start = time.monotonic()
        with pytest.raises(TimeoutError), locked(tmp_path / "lock", patience=0.3):
            pass
        assert time.monotonic() - start >= 0.3
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        other.stdout.close()
    with locked(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), NotImplementedError("no flock")])
def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, caplog, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(module.FileLock, "acquire", refuse)
    ran = []
    with locked(tmp_path / "lock"):
        ran.append(1)
    assert ran == [1]
    assert "cannot be locked" in caplog.text
