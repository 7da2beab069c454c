"""What this installation is made of, for a bug report."""

import os
import platform
from importlib import metadata

PACKAGES = (
    "recbole-diffusion",
    "recbole",
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "tensorboard",
    "ray",
)


def report() -> str:
    """Return versions, device, threads and paths as lines of text."""
    import torch

    from recbole_diffusion.config import properties_path

    lines = [f"python {platform.python_version()} on {platform.platform()}"]
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
