"""YAML files with the defaults of all options: ``properties/overall.yaml`` and one file for each model."""

from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.storage import yaml_io


def properties_path() -> Path:
    """Return the folder of our YAML files: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "properties", package.parent / "properties"):
        if (folder / "overall.yaml").is_file():
            return folder
    raise UsageError(f"the properties folder is missing beside {package}; install the package again")


def default_values(model: str | None = None) -> dict[str, Any]:
    """Return the default of each option by name: those of every run, then those of a model of ours."""
    folder = properties_path()
    of_model = folder / "model" / f"{model}.yaml"
    own = yaml_io.load_yaml(of_model, packaged=True) if of_model.is_file() else {}
    return yaml_io.load_yaml(folder / "overall.yaml", packaged=True) | own
