"""Small options of multimodal models, and the checkerboard with item features."""

from typing import Any

from recbole_diffusion.testing.features import MODALITIES as WIDTHS
from recbole_diffusion.testing.features import write_features

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
