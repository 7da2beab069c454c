"""Item features for the checkerboard: two modalities that tell the parity of an item, under noise."""

from typing import Any

import numpy as np

MODALITIES = {"picture": 12, "words": 7}  # name: width


def features(seed: int, width: int, items: int = 50) -> np.ndarray:
    """Return features of items 0, 1, ..., float32 [items, width]: noise; two columns tell the parity."""
    values = np.random.default_rng(seed).normal(size=(items, width)).astype(np.float32)
    values[np.arange(items), np.arange(items) % 2] += 4
    return values


def write_features(data: Any, items: int = 50) -> list[str]:
    """Write the modalities of items i0, i1, ... of a ``DataSet``, in different orders; return their names."""
    for seed, (name, width) in enumerate(MODALITIES.items()):
        order = np.random.default_rng(seed + 10).permutation(items)
        np.save(data.folder / f"{data.name}.{name}.npy", features(seed, width, items)[order])
        tokens = "".join(f"i{item}\n" for item in order)
        (data.folder / f"{data.name}.{name}.tokens").write_text(tokens)
    return list(MODALITIES)
