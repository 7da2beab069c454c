"""Memory that a batch has freed stays in the process for the next one, where the C library is glibc.

glibc gives the end of its heap back to the system as soon as it is free, and blocks beyond a threshold at
once. A training step frees and asks for the same few megabytes of activations and gradients again; each
time the system has to map them page by page, and fill them with zeros: a quarter of the processor time of
LightGCN's epoch on Amazon-Beauty (benchmarks/results/heap.md). No more memory is held at a time than without.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Of malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT = 2**31 - 1  # bytes at the end of the heap, the largest that mallopt takes
LARGEST_IN_HEAP = 32 * 2**20  # bytes, the largest that mallopt takes; what is larger is given back when freed
SET_BY_USERS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TOP_PAD_")


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed memory while the block runs, and give it back to the system at its end.

    Nothing is changed where the user has set glibc's own variables, or where there is no glibc.
    """
    libc = None if _set_by_user() else _glibc()
    if libc is not None:
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_IN_HEAP)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT)
    try:
        yield
    finally:
        if libc is not None:
            # As glibc itself would have adjusted them, after the first block of this size.
            libc.mallopt(M_TRIM_THRESHOLD, 2 * LARGEST_IN_HEAP)
            libc.malloc_trim(0)


def _set_by_user() -> bool:
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    return tuned or any(name in os.environ for name in SET_BY_USERS)


def _glibc() -> Any:
    """Return the C library of this process, None if it is another one."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
