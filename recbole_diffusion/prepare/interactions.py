"""Interactions as arrays of codes, collected row by row: what is kept of a file of gigabytes is 16 to 20 bytes a positive row."""

from array import array
from dataclasses import dataclass, replace

import numpy as np

from recbole_diffusion.prepare.table import Counts

UNKNOWN = float("nan")  # a time that the file does not give


@dataclass(frozen=True)
class Interactions:
    """Rows of users and items.

    Attributes:
        users: codes from 0, int64 [rows].
        items: codes from 0, int64 [rows].
        time: seconds since 1970 (UTC), NaN where unknown, float64 [rows].
        exposed: rows of a set in which every item was shown to every user, bool [rows].
        user_tokens: the published id of each user code.
        item_tokens: the published id of each item code.
        read: rows of the files, the ones that are not positive among them.
    """

    users: np.ndarray
    items: np.ndarray
    time: np.ndarray
    exposed: np.ndarray
    user_tokens: tuple[str, ...]
    item_tokens: tuple[str, ...]
    read: int

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.users)

    def only(self, keep: np.ndarray) -> "Interactions":
        """Return the rows where ``keep``, bool [rows], is true; codes and tokens stay."""
        return replace(
            self,
            users=self.users[keep],
            items=self.items[keep],
            time=self.time[keep],
            exposed=self.exposed[keep],
        )

    def counts(self) -> Counts:
        """Return how many users, items and rows there are."""
        return Counts(len(np.unique(self.users)), len(np.unique(self.items)), len(self))


class Collector:
    """Gathers positive rows; users and items get codes in the order of their first positive row."""

    def __init__(self) -> None:
        self.user_codes: dict[str, int] = {}
        self.item_codes: dict[str, int] = {}
        self.users, self.items, self.time, self.exposed = array("i"), array("i"), array("d"), array("b")
        self.read = 0

    def add(self, user: str, item: str, time: float, exposed: bool = False) -> None:
        """Take one positive row."""
        self.users.append(self.user_codes.setdefault(user, len(self.user_codes)))
        self.items.append(self.item_codes.setdefault(item, len(self.item_codes)))
        self.time.append(time)
        self.exposed.append(exposed)

    def finish(self) -> Interactions:
        """Return what was gathered."""
        return Interactions(
            users=np.array(self.users, np.int64),
            items=np.array(self.items, np.int64),
            time=np.array(self.time, np.float64),
            exposed=np.array(self.exposed, bool),
            user_tokens=tuple(self.user_codes),
            item_tokens=tuple(self.item_codes),
            read=self.read,
        )
