"""How the process asks for memory."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for the next array instead of returning it to the system each time.

    A training step allocates and frees arrays of 10 to 200 MB; by default each one is a new mapping whose pages the system clears and maps
    again on first touch, which costs as much as the arithmetic. Only for processes that are ours (the command line): a process keeps its
    peak until it ends.

    Returns:
        Whether the C library took the setting; False where it is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
