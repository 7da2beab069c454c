"""From a configuration to a data set and its three loaders; only what differs from RecBole's own preparation."""

from typing import Any

import recbole.data
from recbole.data.utils import create_samplers, get_dataloader
from recbole.utils import ModelType

from recbole_diffusion import registry
from recbole_diffusion.data.dataset import InteractionDataset, require_files


def create_dataset(config: Any) -> Any:
    """Return the data set of a run: the model's own class, our fast one, or RecBole's for sequential and knowledge models."""
    spec = registry.MODELS.get(config["model"])
    if spec is not None:
        return registry.resolve(spec.dataset)(config)
    if config["MODEL_TYPE"] in (ModelType.GENERAL, ModelType.TRADITIONAL):
        return InteractionDataset(config)
    require_files(config)
    return recbole.data.create_dataset(config)


def prepare_data(config: Any, dataset: Any) -> tuple[Any, Any, Any]:
    """Return the loaders of train, valid and test; the model's own training loader where its registry line names one."""
    spec = registry.MODELS.get(config["model"])
    if spec is None or spec.train_loader is None:
        return recbole.data.data_preparation(config, dataset)
    parts = dataset.build()
    samplers = create_samplers(config, dataset, parts)
    train = registry.resolve(spec.train_loader)(config, parts[0], samplers[0], shuffle=config["shuffle"])
    valid, test = (get_dataloader(config, phase)(config, part, sampler, shuffle=False)
                   for phase, part, sampler in zip(("valid", "test"), parts[1:], samplers[1:], strict=True))
    return train, valid, test
