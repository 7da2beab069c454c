"""Memory that training frees stays in the process, on glibc, unless the user has decided otherwise."""

import ctypes
import os
import subprocess
import sys

import pytest

from recbole_diffusion.storage import heap

# As a batch does: 8 MB are asked for, written and freed, fifty times.
BATCHES = """
import ctypes, resource
from recbole_diffusion.storage.heap import freed_memory_kept
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.memset.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes, faults = [ctypes.c_void_p], lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def batches():
    begun = faults()
    for _ in range(50):
        blocks = [libc.malloc(2**21) for _ in range(4)]
        for block in blocks:
            libc.memset(block, 1, 2**21)
        for block in blocks:
            libc.free(block)
    return faults() - begun
with freed_memory_kept():
    first, inside = batches(), batches()
print(inside, batches())
"""


def counted(**variables: str) -> tuple[int, int]:
    """Return the pages that the system had to map, inside the block and in the first round after it."""
    free = {name: value for name, value in os.environ.items() if name not in heap.SET_BY_USERS}
    free.pop("GLIBC_TUNABLES", None)
    done = subprocess.run(
        [sys.executable, "-c", BATCHES], capture_output=True, text=True, check=True, env={**free, **variables}
    )
    inside, after = map(int, done.stdout.split())
    return inside, after


@pytest.mark.skipif(heap._glibc() is None, reason="another C library than glibc")
def test_freed_memory_stays_for_the_next_batch_and_is_given_back_at_the_end():
    inside, after = counted()
    assert inside < 100  # 102,400 pages of 4 KB were written
    assert after > 1000  # those of one round at least: they had been given back
    assert counted(MALLOC_MMAP_THRESHOLD_="100000")[0] > 10_000  # what the user has set stays


def test_where_there_is_no_glibc_nothing_is_done(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    opened: list[object] = []
    monkeypatch.setattr(ctypes, "CDLL", opened.append)
    with heap.freed_memory_kept():
        assert opened == []
    assert opened == []
