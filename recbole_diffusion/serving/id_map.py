"""Original ids of users or items, and their internal numbers in a data set."""

import functools
from typing import Any

import numpy as np


class IdMap:
    """The original ids (tokens) of users or items, and their internal numbers; number 0 is the padding.

    Attributes:
        tokens: the token of each internal number, text [n]; number 0 is the padding.

    Args:
        tokens: as ``dataset.field2id_token`` has them.
    """

    def __init__(self, tokens: np.ndarray) -> None:
        self.tokens = np.asarray(tokens).astype(str).astype(object)

    def __len__(self) -> int:
        """Return the number of ids, without the padding."""
        return len(self.tokens) - 1

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens) if number}

    def numbers_of(self, tokens: Any) -> np.ndarray:
        """Return the internal numbers of tokens, int64 [n], 0 for unknown ones."""
        return np.fromiter((self._numbers.get(str(token), 0) for token in tokens), np.int64)
