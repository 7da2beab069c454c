"""Importing is cheap: no RecBole, Ray or torch until needed. Each case is its own process."""

import subprocess
import sys

import pytest

# module -> packages that importing it must not load
FORBIDDEN = {
    "recbole_diffusion": ("recbole", "ray", "torch", "tensorboard"),
    "recbole_diffusion.cli.main": ("recbole", "ray", "torch", "tensorboard"),
    "recbole_diffusion.cli.help": ("recbole", "ray", "torch", "tensorboard"),
    "recbole_diffusion.cli.recommend": ("recbole", "ray", "torch", "tensorboard"),
    "recbole_diffusion.cli.export": ("recbole", "ray", "torch", "tensorboard"),
    "recbole_diffusion.registry": ("recbole", "ray", "torch", "tensorboard"),
    "recbole_diffusion.diffusion": ("recbole", "ray", "tensorboard", "recbole_diffusion.config"),
    "recbole_diffusion.sampler.ar_gsp": ("recbole", "ray", "tensorboard", "recbole_diffusion.config"),
    "recbole_diffusion.quick_start": ("ray", "recbole.quick_start", "wandb"),
}


@pytest.mark.parametrize("module", FORBIDDEN)
def test_an_import_loads_no_more_than_it_needs(module):
    code = f"import sys, {module}; print(*(name for name in {FORBIDDEN[module]!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_names_of_the_package_are_resolved_on_first_use():
    import recbole_diffusion
    from recbole_diffusion.quick_start import run

    assert recbole_diffusion.run is run
    assert recbole_diffusion.load_run.__module__ == "recbole_diffusion.serving.loaded_run"
    with pytest.raises(AttributeError, match="no_such_name"):
        recbole_diffusion.no_such_name  # noqa: B018


def test_importing_seeds_nothing():
    code = (
        "import random, numpy, torch, recbole_diffusion.compat\n"
        "random.seed(1); numpy.random.seed(1); torch.manual_seed(1)\n"
        "import recbole_diffusion.quick_start, recbole_diffusion.model.rows.tvdiff\n"
        "print(random.random(), numpy.random.rand(), torch.rand(1).item())\n"
        "random.seed(1); numpy.random.seed(1); torch.manual_seed(1)\n"
        "print(random.random(), numpy.random.rand(), torch.rand(1).item())"
    )
    first, second = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert first == second
