"""The choice of a run's trainer."""

from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.compat import get_trainer
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer.base import RunMixin
from recbole_diffusion.trainer.recbole_patches import FusedSteps


def trainer_class(model_type: Any, name: str, model_class: type[Any]) -> type[Any]:
    """Return the trainer that a model declares, or RecBole's choice, in a form that writes a run folder."""
    trainer = registry.part(model_class, "trainer_class") or get_trainer(model_type, name)
    if not issubclass(trainer, RunMixin):
        trainer = type(f"Run{trainer.__name__}", (RunMixin, FusedSteps, trainer), {})
    return trainer


def trainer_for(config: Any, model: Any, folder: RunFolder) -> Any:
    """Return the trainer of a run."""
    return trainer_class(config["MODEL_TYPE"], config["model"], config.model_class)(config, model, folder)
