"""``doctor``: versions, device, threads and paths, for a bug report."""

import importlib.util
import os
import runpy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recbole_diffusion.cli.command import Command
from recbole_diffusion.options.whole_number import whole_number
from recbole_diffusion.storage.slow_step import told_if_slow
from recbole_diffusion.storage.versions import __version__

PACKAGES = (
    "recbole",
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "tensorboard",
    "ray",
)


@dataclass(frozen=True)
class DoctorOptions:
    """``doctor`` has no options."""


COMMAND = Command(
    "doctor",
    "",
    "Prints versions, device, threads and paths, for a bug report.",
    DoctorOptions,
    may_be_bare=True,
)


def doctor(argv: Sequence[str]) -> int:
    """Print versions, device, threads and paths; return the exit code.

    Raises:
        UsageError: any argument.
    """
    if COMMAND.read(argv) is not None:
        sys.stdout.write(report())
    return 0


def report() -> str:
    """Return versions, device, threads and paths as lines of text."""
    import platform
    from importlib import metadata

    from recbole_diffusion.storage.properties import properties_path

    lines = [
        f"python {platform.python_version()} on {platform.platform()}",
        f"recbole-diffusion {__version__}",
    ]
    for name in PACKAGES:
        try:
            lines.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{name} not installed")
    lines.append(f"device: {_device()}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS", "unset")
    waits = os.environ.get("OMP_WAIT_POLICY", "unset")
    lines.append(f"threads: cores {cores}, OMP_NUM_THREADS={asked} OMP_WAIT_POLICY={waits}")
    if (whole_number(asked.partition(",")[0].strip()) or 0) > (cores or 1):
        lines.append("warning: more torch threads than cores stalls training; lower OMP_NUM_THREADS")
    lines += [f"properties: {properties_path()}", f"working directory: {os.getcwd()}"]
    return "\n".join(lines) + "\n"


def _device() -> str:
    """Return the device that a run uses by default; torch, slow to load, is asked only if it has GPU code."""
    if not _torch_has_gpu_code():
        return "cpu"
    with told_if_slow("loading PyTorch"):
        import torch
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda ({', '.join(torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count()))})"


def _torch_has_gpu_code() -> bool:
    """Return whether the installed torch was built for GPUs, as its ``version.py`` says."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    built = runpy.run_path(str(Path(found.origin).with_name("version.py")))
    return any(built.get(name) is not None for name in ("cuda", "hip"))
