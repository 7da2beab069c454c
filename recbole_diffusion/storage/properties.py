"""YAML files with the defaults of all options: ``properties/overall.yaml`` and those of the models.

The five methods have a file each, ``properties/model/<Model>.yaml``; all other models of a family stand
together in ``<family>.yaml``, each below its name. Presets are laid out in the same way.
"""

from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.registry.models import MODELS
from recbole_diffusion.storage import yaml_io

PAIRS = "pairs"  # of two domains each, together in one file
RECBOLE = "recbole"  # family of RecBole's own models


def properties_path() -> Path:
    """Return the folder of our YAML files: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "properties", package.parent / "properties"):
        if (folder / "overall.yaml").is_file():
            return folder
    raise UsageError(f"the properties folder is missing beside {package}; install the package again")


def default_values(model: str | None = None) -> dict[str, Any]:
    """Return the default of each option by name: those of every run, then those of a model of ours."""
    own = model_values(model) if model else {}
    return yaml_io.load_yaml(properties_path() / "overall.yaml", packaged=True) | own


def dataset_values(dataset: str) -> dict[str, Any]:
    """Return the options of a data set in our properties: of its file, or of its part of ``pairs.yaml``."""
    folder = properties_path() / "dataset"
    if (file := folder / f"{dataset}.yaml").is_file() and dataset != PAIRS:
        return yaml_io.load_yaml(file, packaged=True)
    pairs = folder / f"{PAIRS}.yaml"
    return yaml_io.load_yaml(pairs, packaged=True).get(dataset, {}) if pairs.is_file() else {}


def pairwise_values() -> dict[str, Any]:
    """Return the defaults of the options of negatives, which pairwise models of RecBole have."""
    file = properties_path() / "model" / f"{RECBOLE}.yaml"
    return yaml_io.load_yaml(file, packaged=True)["pairwise"]


def model_values(model: str) -> dict[str, Any]:
    """Return the defaults of a model in our properties, empty for one that has none there."""
    return own_part("model", model)[0]


def own_part(folder: str, model: str) -> tuple[dict[str, Any], Path]:
    """Return what a folder of our properties has of a model, and the file that has it.

    Args:
        folder: ``model`` or ``preset``.
        model: the model's name.

    Returns:
        The content of ``<Model>.yaml``, or the part below the model's name in ``<family>.yaml``; empty where
        neither has the model.
    """
    file = properties_path() / folder / f"{model}.yaml"
    if file.is_file():
        return yaml_io.load_yaml(file, packaged=True), file
    family = MODELS[model].family if model in MODELS else RECBOLE
    file = properties_path() / folder / f"{family}.yaml"
    return (yaml_io.load_yaml(file, packaged=True).get(model, {}) if file.is_file() else {}), file
