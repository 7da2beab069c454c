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
    "recbole_diffusion.cli.convert": ("recbole", "ray", "torch", "numpy", "pandas", "pyarrow"),
    "recbole_diffusion.cli.inspect": ("recbole", "ray", "torch", "numpy", "pandas", "pyarrow"),
    "recbole_diffusion.prepare.own.data": ("recbole", "ray", "torch", "pandas", "pyarrow"),
    "recbole_diffusion.cli.export": ("recbole", "ray", "torch", "tensorboard"),
    "recbole_diffusion.registry": ("recbole", "ray", "torch", "tensorboard"),
    "recbole_diffusion.diffusion": ("recbole", "ray", "tensorboard", "recbole_diffusion.config"),
    "recbole_diffusion.sampler.ar_gsp": ("recbole", "ray", "tensorboard", "recbole_diffusion.config"),
    "recbole_diffusion.quick_start": ("ray", "recbole.quick_start", "wandb", "sklearn", "torch._dynamo"),
}


@pytest.mark.parametrize("module", FORBIDDEN)
def test_an_import_loads_no_more_than_it_needs(module):
    code = f"import sys, {module}; print(*(name for name in {FORBIDDEN[module]!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# What no run needs before its first result, unless it asks for a metric or a model of scikit-learn's.
SLOW = ("sklearn", "scipy.stats", "scipy.optimize", "torch._dynamo", "sympy", "matplotlib", "plotly", "ray")
RUNS = """
import sys
from recbole_diffusion.quick_start import run
from recbole_diffusion.serving.loaded_run import load_run
options = {options!r}
for model in ("TVDiff", "BPR"):
    found = run(model, {name!r}, overrides={{**options, "epochs": 1, "run_dir": {folder!r} + model}})
    assert len(load_run(found["run_dir"]).recommend(k=5)) > 0
print(*(name for name in {slow!r} if name in sys.modules))
"""


def test_a_small_run_and_its_lists_load_no_slow_package(checkerboard, tmp_path):
    options = {name: one for name, one in checkerboard.overrides.items() if name != "dataset"}
    name = checkerboard.overrides["dataset"]
    code = RUNS.format(options=options, name=name, folder=str(tmp_path / "run"), slow=SLOW)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("command", ["--help", "doctor"])
def test_help_and_doctor_load_neither_torch_nor_recbole(command):
    import torch

    if command == "doctor" and (torch.version.cuda or torch.version.hip):
        pytest.skip("torch is asked for its GPUs")
    slow = ("torch", "recbole", "numpy", "ray")
    code = f"import sys\nfrom recbole_diffusion.cli.main import main\nmain([{command!r}])\n"
    code += f"print(*(name for name in {slow!r} if name in sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


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


def test_what_the_package_offers_is_listed_before_it_is_used():
    import recbole_diffusion

    assert set(dir(recbole_diffusion)) >= {"run", "load_run", "enable", "__version__"}
