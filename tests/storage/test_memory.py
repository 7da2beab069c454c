"""The peak memory of a process."""

import subprocess
import sys

import psutil
import pytest

from recbole_diffusion.storage import memory
from recbole_diffusion.storage.memory import peak_memory_mib

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
