"""Item features for the checkerboard: two modalities that tell the parity of an item, under noise."""

from typing import Any

import numpy as np

MODALITIES = ["picture", "words"]
OPTIONS = {
    "modalities": MODALITIES,
    "knn_k": 5,
    "embedding_size": 16,
    "train_batch_size": 128,
    "learning_rate": 0.02,
}


def features(seed: int, width: int, items: int = 50) -> np.ndarray:
    """Return features of items 0, 1, ...: noise, and two columns that tell the parity."""
    values = np.random.default_rng(seed).normal(size=(items, width)).astype(np.float32)
    values[np.arange(items), np.arange(items) % 2] += 4
    return values


def with_features(checkerboard: Any) -> Any:
    """Write the modalities of the checkerboard, each with the tokens of its rows in an order of its own."""
    for seed, (name, width) in enumerate(zip(MODALITIES, (12, 7), strict=True)):
        order = np.random.default_rng(seed + 10).permutation(50)
        np.save(checkerboard.folder / f"{checkerboard.name}.{name}.npy", features(seed, width)[order])
        tokens = "".join(f"i{item}\n" for item in order)
        (checkerboard.folder / f"{checkerboard.name}.{name}.tokens").write_text(tokens)
    return checkerboard
