"""A model with its configuration and loaders, untrained."""

from typing import Any

import torch

from recbole_diffusion.compat import Interaction, init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data


class Built:
    """One model with its configuration and loaders.

    Attributes:
        config: its configuration.
        dataset: the whole data set.
        train: the training loader.
        valid: the loader of the validation part.
        test: the loader of the first test part.
        model: the model, on the configuration's device.

    Args:
        model: its name or class.
        dataset: name of the data set.
        overrides: options.
    """

    def __init__(self, model: str | type, dataset: str, overrides: dict[str, Any]) -> None:
        self.config = Config(model, dataset, overrides=overrides)
        init_seed(self.config.general.seed, True)
        self.dataset = create_dataset(self.config)
        self.train, self.valid, tests = prepare_data(self.config, self.dataset)
        self.test = next(iter(tests.values()))
        init_seed(self.config.general.seed, True)
        self.model = self.config.model_class(self.config, self.train._dataset).to(self.config["device"])

    def batch(self) -> Any:
        """Return the first training batch."""
        return next(iter(self.train)).to(self.config["device"])

    def users(self, ids: list[int]) -> Interaction:
        """Return an interaction that asks for some users."""
        return Interaction({self.model.USER_ID: torch.tensor(ids, device=self.config["device"])})

    def loss(self) -> torch.Tensor:
        """Return the total loss of the first batch."""
        parts = self.model.calculate_loss(self.batch())
        return torch.stack(parts).sum() if isinstance(parts, tuple) else parts


class StagedBuilt(Built):
    """A model that trains in stages."""

    def loss(self) -> torch.Tensor:
        """Return the total loss of some rows of the last stage that trains."""
        stage = [stage for stage in self.model.stages() if stage.steps][-1]
        if stage.begin:
            stage.begin()
        rows = stage.rows[:64].to(self.config["device"])
        return torch.stack([step.loss(rows) for step in stage.steps]).sum()
