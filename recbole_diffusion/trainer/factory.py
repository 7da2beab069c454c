"""Which trainer a run gets."""

from typing import Any

from recbole.utils import get_trainer

from recbole_diffusion import registry
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer.base import RunMixin


def trainer_for(config: Any, model: Any, folder: RunFolder) -> Any:
    """Return the trainer of a run: the one that the registry names, or RecBole's for its own models, with our run folder."""
    spec = registry.MODELS.get(config["model"])
    if spec is not None:
        return registry.resolve(spec.trainer)(config, model, folder)
    base = get_trainer(config["MODEL_TYPE"], config["model"])
    return type(f"Run{base.__name__}", (RunMixin, base), {})(config, model, folder)
