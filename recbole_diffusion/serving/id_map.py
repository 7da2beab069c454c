"""Original ids of users or items, and their internal numbers in a data set."""

import functools
from typing import Any

import numpy as np

EXACT = 2**53  # below it floats are exact


def is_whole(number: Any) -> bool:
    """Return whether a float is a whole number without doubt."""
    return bool(abs(number) < EXACT and number == int(number))


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
        """Return the internal numbers of tokens, int64 [n], 0 for unknown ones.

        A float such as 3.0 is also looked for as the whole number 3, which ``run(data=...)`` makes of it.
        """
        return np.fromiter((self._number(token) for token in tokens), np.int64)

    def _number(self, token: Any) -> int:
        number = self._numbers.get(str(token), 0)
        if not number and isinstance(token, float | np.floating) and is_whole(token):
            number = self._numbers.get(str(int(token)), 0)
        return number
