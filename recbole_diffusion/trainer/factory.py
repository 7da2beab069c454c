"""The choice of a run's trainer."""

from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.compat import get_trainer
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer.base import RunMixin
from recbole_diffusion.trainer.recbole_patches import FusedSteps


def trainer_for(config: Any, model: Any, folder: RunFolder) -> Any:
    """Return the trainer of a run: the one that the model declares, or RecBole's choice, in a run folder."""
    trainer = registry.part(config.model_class, "trainer_class")
    trainer = trainer or get_trainer(config["MODEL_TYPE"], config["model"])
    if not issubclass(trainer, RunMixin):
        trainer = type(f"Run{trainer.__name__}", (RunMixin, FusedSteps, trainer), {})
    return trainer(config, model, folder)
