"""What an installation holds: every package, the YAML files, and no pin of torch."""

import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from recbole_diffusion.config import properties_path

ROOT = Path(__file__).resolve().parent.parent


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_every_folder_of_sources_is_a_package():
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "recbole_diffusion").rglob("*.py")}
    assert [folder for folder in folders if not (ROOT / folder / "__init__.py").is_file()] == []


def test_properties_are_found_in_a_checkout():
    assert properties_path() == ROOT / "properties"


def test_the_lock_pins_everything_but_torch():
    lines = (ROOT / "requirements.lock").read_text().split()
    names = {line.partition("==")[0] for line in lines}
    assert all(line.count("==") == 1 for line in lines)
    assert not {name for name in names if name in ("torch", "triton") or name.startswith("nvidia")}
    assert "recbole==1.2.1" in lines
    extras = setup()["options.extras_require"]
    declared = setup()["options"]["install_requires"].split()
    for extra in ("tune", "optuna", "plots", "docs", "dev"):  # those of make lock
        declared += extras[extra].split()
    wanted = {line.split(">")[0].split("=")[0].split("[")[0].lower() for line in declared}
    assert wanted - {"torch"} <= names


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the built wheel installed in it, as a user has it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("recbole_diffusion", "properties"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source], check=True
    )
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


def test_the_wheel_holds_every_yaml_and_the_licence(site):
    installed = {
        path.relative_to(site / "recbole_diffusion/properties")
        for path in (site / "recbole_diffusion/properties").rglob("*.yaml")
    }
    assert installed == {
        path.relative_to(ROOT / "properties") for path in (ROOT / "properties").rglob("*.yaml")
    }
    (wheel,) = site.parent.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "recbole_diffusion").rglob("*.py")}
    assert sources <= set(names)
    assert [name for name in names if name.endswith("LICENSE")]
    assert not [name for name in names if name.startswith("tests")]


def test_the_wheel_holds_what_pages_are_made_of(site):
    names = sorted(path.name for path in (ROOT / "recbole_diffusion/report/assets").iterdir())
    assert names == ["page.css", "page.html", "page.js", "plotly-LICENSE", "plotly-basic.min.js"]
    assert sorted(path.name for path in (site / "recbole_diffusion/report/assets").iterdir()) == names
    of_papers = "recbole_diffusion/report/paper/tvdiff_figures.yaml"
    assert (site / of_papers).read_bytes() == (ROOT / of_papers).read_bytes()


def test_an_installed_package_runs_from_anywhere(site, tmp_path):
    code = (
        "import recbole_diffusion; from recbole_diffusion.config import Config, properties_path\n"
        "print(recbole_diffusion.__file__); print(properties_path())\n"
        "print(Config('TVDiff', 'ml-100k')['entropy_loss'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    package = site / "recbole_diffusion"
    assert done.stdout.split() == [str(package / "__init__.py"), str(package / "properties"), "bpr"]
    assert list(tmp_path.iterdir()) == []
