"""The models of this package. A model exists because it has its line here; paths are ``module:name`` below this package."""

import importlib
from dataclasses import dataclass
from typing import Any

from recbole_diffusion.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class ModelSpec:
    """Where the parts of one model are.

    Attributes:
        model: the RecBole model class.
        options: the frozen dataclass of its hyper-parameters.
        summary: one line for ``--help``.
        trainer: the trainer class.
        dataset: the data set class.
        train_loader: the training loader, or None for RecBole's choice by input type.
    """

    model: str
    options: str
    summary: str
    trainer: str = "trainer.base:RunTrainer"
    dataset: str = "data.dataset:InteractionDataset"
    train_loader: str | None = None


MODELS: dict[str, ModelSpec] = {
    "TVDiff": ModelSpec(
        model="model.tvdiff:TVDiff",
        options="model.tvdiff_options:TVDiffOptions",
        summary="tri-view diffusion of user rows: free energy, anisotropic denoiser, hard negatives (KDD 2026)",
        train_loader="data.loader:PositiveLoader",
    ),
}


def resolve(path: str) -> Any:
    """Import ``module:name`` below this package and return what the name stands for."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(f"recbole_diffusion.{module}"), name)


def model_class(name: str) -> type:
    """Return the class of a model of ours, or of RecBole's when we have none of that name.

    RecBole's lookup raises three different errors for an unknown name (ValueError, ModuleNotFoundError for lightgbm,
    AttributeError for a wrong case); all of them become one message.

    Raises:
        UsageError: no such model.
    """
    if name in MODELS:
        return resolve(MODELS[name].model)
    from recbole.utils import get_model

    try:
        return get_model(name)
    except (ValueError, ModuleNotFoundError, AttributeError) as error:
        raise unknown_model(name) from error


def unknown_model(name: str) -> UsageError:
    """Return the error that says which models there are."""
    return UsageError(
        f"unknown model {name!r}{did_you_mean(name, [*MODELS, *BASELINES])}; this package has {', '.join(sorted(MODELS))}; "
        f"of RecBole's general models, these are tested here: {', '.join(BASELINES)}"
    )


# RecBole's models that our tests and tables run; any other general model of RecBole can be named too.
BASELINES = ("BPR", "LightGCN", "NeuMF", "MultiVAE", "DiffRec", "ItemKNN", "EASE", "Pop")
