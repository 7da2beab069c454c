"""A trained model from its run folder."""

from pathlib import Path
from typing import Any

from recbole_diffusion import yaml_io
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.trainer import checkpoint


def load_run(folder: Path) -> tuple[Config, Any, Any]:
    """Return configuration, training loader and model, with the best weights of the run."""
    config = Config(overrides=yaml_io.load_yaml(folder / "config.yaml"))
    loader = prepare_data(config, create_dataset(config))[0]
    model = config.model_class(config, loader._dataset)
    model.load_state_dict(checkpoint.load(folder / "best.pt")["state_dict"])
    return config, loader, model
