"""The peak memory of this process, on every system."""

import sys
from pathlib import Path

import psutil

MIB = 2**20


def peak_memory_mib() -> float:
    """Return the largest resident set of this process so far, in MiB.

    Linux: VmHWM. The ru_maxrss of ``getrusage`` is the same number, except in a process started by a larger
    one, whose value it inherits. Windows: psutil's peak working set. macOS: ru_maxrss, in bytes there.
    """
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(kib) * 1024 / MIB
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / MIB
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB
