"""Small pieces that tests share: options with their defaults, user rows of a dense matrix, item features."""

from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp

from recbole_diffusion.options.declare import read_options
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.storage.properties import default_values
from recbole_diffusion.testing.features import MODALITIES as WIDTHS
from recbole_diffusion.testing.features import write_features

T = TypeVar("T")


def options_of(cls: type[T], model: str | None = None, **given: Any) -> T:
    """Return the options of a dataclass, ``given`` over the defaults of a model, or of every run."""
    return read_options(cls, {**default_values(model), **given})


def build(dense: np.ndarray) -> InteractionCSR:
    matrix = sp.csr_matrix(dense)
    matrix.sort_indices()
    return InteractionCSR.from_scipy(matrix)


MODALITIES = list(WIDTHS)
OPTIONS = {
    "modalities": MODALITIES,
    "knn_k": 5,
    "embedding_size": 16,
    "train_batch_size": 256,
    "learning_rate": 0.02,
}


def with_features(checkerboard: Any) -> Any:
    """Write the modalities of the checkerboard, each with the tokens of its rows in an order of its own."""
    write_features(checkerboard)
    return checkerboard
