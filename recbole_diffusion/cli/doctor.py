"""``doctor``: versions, device, threads and paths, for a bug report."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

from recbole_diffusion.cli.command import Command
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
    import torch

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
    if torch.cuda.is_available():
        devices = ", ".join(torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count()))
        lines.append(f"device: cuda ({devices})")
    else:
        lines.append("device: cpu")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    settings = " ".join(
        f"{name}={os.environ.get(name, 'unset')}" for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")
    )
    lines.append(f"threads: torch {torch.get_num_threads()}, cores {cores}, {settings}")
    if torch.get_num_threads() > (cores or 1):
        lines.append("warning: more torch threads than cores stalls training; set OMP_NUM_THREADS")
    lines += [f"properties: {properties_path()}", f"working directory: {os.getcwd()}"]
    return "\n".join(lines) + "\n"
