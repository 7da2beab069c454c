"""Files that appear whole or not at all; what a process says of itself."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.storage import atomic, memory
from recbole_diffusion.storage.atomic import (
    output_file,
    output_folder,
    whole,
    whole_set,
    write_text,
    write_whole,
)
from recbole_diffusion.storage.memory import peak_memory_mib
from recbole_diffusion.storage.slow_step import told_if_slow


def full(*_):
    raise OSError(28, "No space left on device")


def content(folder):
    return {file.relative_to(folder).as_posix(): file.read_text() for file in sorted(folder.rglob("*.*"))}


# Files.


def test_a_file_is_written_and_nothing_is_left_beside_it(tmp_path):
    write_text(tmp_path / "a.txt", "one ±")
    write_text(tmp_path / "a.txt", "two")
    write_whole(tmp_path / "b.bin", lambda file: file.write(b"\0"))
    assert content(tmp_path) == {"a.txt": "two", "b.bin": "\0"}


@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError("PytorchStreamWriter failed")])
def test_a_failed_write_leaves_the_version_before_it(tmp_path, error):
    write_text(tmp_path / "a.txt", "one")

    def stop(file):
        file.write(b"half of it")
        raise error

    with pytest.raises(
        RunError, match=r"cannot write .*a.txt: .*; the version before it is untouched. Then cry"
    ):
        write_whole(tmp_path / "a.txt", stop, "Then cry")
    assert content(tmp_path) == {"a.txt": "one"}


def test_a_failed_first_write_leaves_nothing(tmp_path):
    with pytest.raises(RunError, match=r"No space left on device; nothing was kept. Free some space"):
        write_whole(tmp_path / "a.txt", full)
    assert content(tmp_path) == {}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RunError, UsageError])
def test_other_errors_pass_through_and_leave_the_version_before_it(tmp_path, error):
    write_text(tmp_path / "a.txt", "one")

    def stop(file):
        file.write(b"half of it")
        raise error("as it was")

    with pytest.raises(error, match=r"^as it was$"):
        write_whole(tmp_path / "a.txt", stop)
    assert content(tmp_path) == {"a.txt": "one"}


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        "os.fsync", lambda number: synced.append(sorted(path.name for path in tmp_path.iterdir()))
    )
    write_text(tmp_path / "a.txt", "one")
    assert synced == [[f".a.txt.{os.getpid()}.part"]]


KILLED = """
import os, signal, sys
from pathlib import Path
from recbole_diffusion.storage.atomic import whole
with whole(Path(sys.argv[1])) as draft:
    draft.write_text("half") if sys.argv[2] == "file" else draft.mkdir()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="a kill that cannot be caught")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_process_leaves_the_version_before_it(tmp_path, kind):
    path = tmp_path / "a.txt"
    if kind == "file":
        path.write_text("one")
    else:
        path.mkdir()
        (path / "b.txt").write_text("one")
    before = content(path) if kind == "folder" else path.read_text()
    done = subprocess.run([sys.executable, "-c", KILLED, path, kind])
    assert done.returncode == -signal.SIGKILL
    assert (content(path) if kind == "folder" else path.read_text()) == before


# Folders.


def test_a_folder_replaces_the_one_before_it_as_a_whole(tmp_path):
    for names in (("a", "b"), ("c",)):
        with whole(tmp_path / "set") as draft:
            draft.mkdir()
            for name in names:
                (draft / f"{name}.txt").write_text(name)
            assert not (tmp_path / "set" / f"{names[0]}.txt").exists()
    assert content(tmp_path) == {"set/c.txt": "c"}


@pytest.mark.parametrize("moment", ["while it is filled", "while it is synced", "while it is renamed"])
def test_a_folder_that_fails_leaves_the_one_before_it(tmp_path, monkeypatch, moment):
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.txt").write_text("a")
    if moment == "while it is synced":
        monkeypatch.setattr("os.fsync", full)
    if moment == "while it is renamed":
        rename = type(tmp_path).rename

        def broken(self, target):
            return full() if self.name.endswith(".part") else rename(self, target)

        monkeypatch.setattr(type(tmp_path), "rename", broken)
    with (
        pytest.raises(RunError, match="No space left on device; the version before it"),
        whole(tmp_path / "set") as draft,
    ):
        draft.mkdir()
        (draft / "b.txt").write_text("b")
        if moment == "while it is filled":
            full()
    assert content(tmp_path) == {"set/a.txt": "a"}
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


# Sets of files in a folder that holds others.


def write_set(folder, names, obsolete=()):
    with whole_set(folder, obsolete=obsolete) as draft:
        for name in names:
            (draft / f"{name}.txt").write_text("new")


@pytest.fixture(params=["in one step", "by two renames"])
def way(request, monkeypatch):
    """Both ways in which a folder takes the place of another."""
    if request.param == "by two renames":
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    return request.param


@pytest.mark.parametrize("links", [True, False], ids=["linked", "copied"])
def test_a_set_joins_other_files(tmp_path, monkeypatch, way, links):
    if not links:
        monkeypatch.setattr("os.link", lambda *_, **__: full())
    folder = tmp_path / "set"
    (folder / "source/deep").mkdir(parents=True)
    for name in ("kept", "old_1", "mark", "source/deep/large"):
        (folder / f"{name}.txt").write_text("of before")
    (folder / "kept.txt").chmod(0o444)
    (folder / "way.txt").symlink_to("kept.txt")
    before = (folder / "source/deep/large.txt").stat().st_ino
    write_set(folder, ["mark", "a"], obsolete=("old_*",))
    assert content(folder) == {
        "a.txt": "new",
        "kept.txt": "of before",
        "mark.txt": "new",
        "source/deep/large.txt": "of before",
        "way.txt": "of before",
    }
    assert (folder / "way.txt").is_symlink()
    assert ((folder / "source/deep/large.txt").stat().st_ino == before) is links
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_set_comes_into_the_folder_that_a_link_leads_to(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/kept.txt").write_text("kept")
    (tmp_path / "link").symlink_to("real")
    write_set(tmp_path / "link", ["a"])
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "real") == {"a.txt": "new", "kept.txt": "kept"}


STOPPED = """
import os, signal, sys
from pathlib import Path
from recbole_diffusion.storage.atomic import whole_set
folder, steps = Path(sys.argv[1]), int(sys.argv[2])

def counted(event, arguments):
    global steps
    if event in ("os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "ctypes.dlsym", "os.chmod"):
        steps -= 1
        if steps < 0:
            os.kill(os.getpid(), signal.SIGKILL)

with whole_set(folder) as draft:
    for part in ("train", "valid", "test"):
        (draft / f"{part}.txt").write_text("new")
    sys.addaudithook(counted)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere two folders do not change places in one step")
@pytest.mark.parametrize("way", ["set", "file", "folder"])
def test_what_a_killed_process_has_left_is_removed_by_the_next(tmp_path, way, caplog):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = [tmp_path / f".mine.{number}.part" for number in (dead.pid, os.getppid())]
    other = tmp_path / f".mine.{dead.pid}.old.part"
    for one in (*left, other):
        one.mkdir()
        (one / "rows").write_text("half of them")
    if way == "set":
        with whole_set(tmp_path / "mine") as draft:
            (draft / "rows").write_text("all")
    elif way == "file":
        output_file(tmp_path / "mine", False)
    else:
        output_folder(tmp_path / "mine", False, "mark")
    assert not left[0].exists()
    assert left[1].exists()  # of a process that is alive
    assert other.exists()
    assert f"{left[0]} is removed, which a process that was killed has left" in caplog.text


def test_a_kill_at_any_step_leaves_one_set_and_never_a_mixture(tmp_path):
    seen, step = [], 0
    while not seen or seen[-1] != "done":
        folder = tmp_path / str(step) / "set"
        folder.mkdir(parents=True)
        for part in ("train", "valid", "test", "other"):
            (folder / f"{part}.txt").write_text("old")
        done = subprocess.run([sys.executable, "-c", STOPPED, folder, str(step)])
        parts = {(folder / f"{part}.txt").read_text() for part in ("train", "valid", "test")}
        assert len(parts) == 1
        assert (folder / "other.txt").read_text() == "old"
        seen.append("done" if done.returncode == 0 else parts.pop())
        step += 1
    assert {"old", "new"} < set(seen)


def test_a_set_that_fails_leaves_the_one_before_it_and_no_empty_folder(tmp_path):
    for there in (True, False):
        folder = tmp_path / str(there)
        if there:
            folder.mkdir()
            (folder / "mark.txt").write_text("old")
        with pytest.raises(RunError, match=r"cannot write .*No space left"), whole_set(folder) as draft:
            (draft / "mark.txt").write_text("new")
            full()
    assert content(tmp_path) == {"True/mark.txt": "old"}
    assert not (tmp_path / "False").exists()


# Where a command may write.


def test_an_output_file_is_new_or_asked_to_be_replaced(tmp_path):
    assert output_file(tmp_path / "a.txt", False) == tmp_path / "a.txt"
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(
        UsageError, match="is there already; replace it with --overwrite, or name another file"
    ):
        output_file(tmp_path / "a.txt", False)
    assert output_file(str(tmp_path / "a.txt"), True) == tmp_path / "a.txt"
    with pytest.raises(UsageError, match="is a folder; name a file in it"):
        output_file(tmp_path, True)
    with pytest.raises(UsageError, match="there is no folder"):
        output_file(tmp_path / "no/a.txt", True)


def test_an_output_folder_is_replaced_only_if_the_command_made_it(tmp_path):
    folder = tmp_path / "set"
    assert output_folder(folder, False, "mark") == folder
    folder.mkdir()
    assert output_folder(folder, False, "mark") == folder
    (folder / "mine").write_text("")
    with pytest.raises(UsageError, match=r"holds other files \(no mark\) and is not replaced"):
        output_folder(folder, True, "mark")
    (folder / "mark").write_text("")
    with pytest.raises(UsageError, match="is there already; replace it with --overwrite"):
        output_folder(folder, False, "mark")
    assert output_folder(folder, True, "mark") == folder
    with pytest.raises(UsageError, match="is a file; name a folder"):
        output_folder(folder / "mine", True, "mark")


def test_a_slow_step_is_told_again_and_again_until_it_ends():
    lines = []
    with told_if_slow("digging", lines.append, first=0.02, later=0.03):
        deadline = time.monotonic() + 20
        while len(lines) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    told = len(lines)
    assert told >= 3
    assert all(line.startswith("digging: ") and line.endswith(" s so far") for line in lines)
    time.sleep(0.1)
    assert len(lines) == told


def test_a_quick_step_is_silent_and_its_error_comes_through():
    lines = []
    with pytest.raises(ZeroDivisionError), told_if_slow("digging", lines.append, first=60):
        raise ZeroDivisionError
    assert lines == []


def test_a_closed_terminal_does_not_stop_the_step(monkeypatch):
    class Closed:
        tried = 0

        def write(self, text):
            self.tried += 1
            raise ValueError("closed")

    closed = Closed()
    monkeypatch.setattr("sys.stderr", closed)
    with told_if_slow("digging", first=0.01, later=0.01):
        deadline = time.monotonic() + 20
        while closed.tried < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert closed.tried >= 2


def test_a_step_with_units_says_how_far_it_is():
    lines = []
    with told_if_slow("digging", lines.append, first=0.02, later=0.03, total=4000, unit="holes") as progress:
        progress.done += 1500
        deadline = time.monotonic() + 20
        while not lines and time.monotonic() < deadline:
            time.sleep(0.01)
    assert lines[0].startswith("digging: 1,500 of 4,000 holes, ")


ASK = "from recbole_diffusion.storage.memory import peak_memory_mib; print(peak_memory_mib())"


def test_the_peak_stays_when_the_memory_is_given_back():
    before = peak_memory_mib()
    block = bytearray(200 * 2**20)
    del block
    now = psutil.Process().memory_info().rss / 2**20
    assert peak_memory_mib() >= before
    assert peak_memory_mib() > now + 100


def test_a_small_process_does_not_take_over_the_peak_of_the_one_that_starts_it():
    block = bytearray(300 * 2**20)
    small = float(
        subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout
    )
    del block
    assert 5 < small < 200


@pytest.mark.parametrize(("system", "unit"), [("darwin", 2**20), ("freebsd14", 2**10)])
def test_other_systems_count_in_their_own_units(monkeypatch, system, unit):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(memory.sys, "platform", system)
    expected = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    assert peak_memory_mib() == pytest.approx(expected, rel=0.01)


def test_windows_is_asked_for_its_peak_working_set(monkeypatch):
    class Process:
        def memory_info(self):
            return type("pmem", (), {"rss": 2**20, "peak_wset": 3 * 2**20})

    monkeypatch.setattr(memory.sys, "platform", "win32")
    monkeypatch.setattr(memory.psutil, "Process", Process)
    assert peak_memory_mib() == 3
