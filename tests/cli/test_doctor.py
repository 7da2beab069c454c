"""The report of an installation."""

import os

import numpy as np
import torch

from recbole_diffusion import __version__
from recbole_diffusion.cli.doctor import report
from recbole_diffusion.config import properties_path


def test_the_report_names_versions_device_threads_and_paths(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    lines = report().splitlines()
    assert f"recbole-diffusion {__version__}" in lines
    assert "recbole 1.2.1" in lines
    assert f"numpy {np.__version__}" in lines
    assert any(line.startswith(f"device: {'cuda' if torch.cuda.is_available() else 'cpu'}") for line in lines)
    assert any(
        line.startswith(f"threads: torch {torch.get_num_threads()},") and "OMP_NUM_THREADS=7" in line
        for line in lines
    )
    assert f"properties: {properties_path()}" in lines


def test_more_threads_than_cores_is_a_warning(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: (os.cpu_count() or 1) + 1)
    assert "warning: more torch threads than cores" in report()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert "warning" not in report()
