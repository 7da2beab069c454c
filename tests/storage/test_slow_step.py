"""What a process says of itself: lines about a slow step, its peak memory."""

import subprocess
import sys
import time

import psutil
import pytest

from recbole_diffusion.storage import memory
from recbole_diffusion.storage.memory import peak_memory_mib
from recbole_diffusion.storage.slow_step import told_if_slow


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
