"""Small pieces that tests share: options with their defaults, user rows of a dense matrix, item features."""

from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
import torch

from recbole_diffusion.options.declare import read_options
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.storage.properties import default_values
from recbole_diffusion.testing import Built
from recbole_diffusion.testing.checkerboard import write_parts
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


def built_of_rows(tmp_path: Path, model: str, R: np.ndarray, **options: Any) -> tuple[Built, np.ndarray, Any]:
    """Return a model on users u0, ... and items i0, ... of R, its scores of them, and the items' ids."""
    cells = [(f"u{u}", f"i{i}") for u, i in zip(*np.nonzero(R), strict=True)]
    # RecBole wants rows in all parts: pairs that train has already.
    data = write_parts(tmp_path, "cells", {"train": cells, "valid": cells[:1], "test": cells[:1]})
    overrides = {**data.overrides, "allow_overlap": True, "topk": [1], "valid_metric": "Recall@1"}
    built = Built(model, "cells", {**overrides, **options})
    users, items = (
        built.dataset.token2id(field, [f"{letter}{k}" for k in range(size)])
        for field, letter, size in (("user_id", "u", R.shape[0]), ("item_id", "i", R.shape[1]))
    )
    scores = built.model.full_sort_predict(built.users(list(users))).view(len(users), -1)
    return built, scores[:, torch.as_tensor(items)].double().numpy(), items


def with_times(data: Any) -> Any:
    """Give each row of a data set a time: the later, the later in its file."""
    for file in data.folder.glob("*.inter"):
        header, *rows = file.read_text().splitlines()
        lines = [f"{row}\t{number}" for number, row in enumerate(rows)]
        file.write_text("\n".join([f"{header}\ttimestamp:float", *lines]) + "\n")
    return data
