"""The report of an installation."""

import os
from types import SimpleNamespace

import numpy as np
import torch

from recbole_diffusion import __version__
from recbole_diffusion.cli import doctor
from recbole_diffusion.cli.doctor import report
from recbole_diffusion.config import properties_path


def test_the_report_names_versions_device_threads_and_paths(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    lines = report().splitlines()
    assert f"recbole-diffusion {__version__}" in lines
    assert "recbole 1.2.1" in lines
    assert f"numpy {np.__version__}" in lines
    assert any(line.startswith(f"device: {'cuda' if torch.cuda.is_available() else 'cpu'}") for line in lines)
    assert any(line.startswith("threads: cores ") and "OMP_NUM_THREADS=7" in line for line in lines)
    assert f"properties: {properties_path()}" in lines


def test_more_threads_than_cores_is_a_warning(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", str((os.cpu_count() or 1) + 1))
    assert "warning: more torch threads than cores" in report()
    for given in ("1", "1,2", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert "warning" not in report()


def test_torch_is_asked_for_its_gpus_only_if_it_was_built_for_them(monkeypatch, tmp_path):
    (tmp_path / "version.py").write_text("cuda = None\nhip = None\n")
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: found)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"card {number}")
    assert "device: cpu\n" in report()
    (tmp_path / "version.py").write_text("cuda = '13.0'\nhip = None\n")
    assert "device: cuda (card 0, card 1)\n" in report()
