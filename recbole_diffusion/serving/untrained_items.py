"""Items without a row in train, which lists may have though a model without features does not know them."""

import numpy as np

from recbole_diffusion.errors import agreeing, counted
from recbole_diffusion.serving.ranking import RecommendationBlock
from recbole_diffusion.serving.served_run import ServedRun
from recbole_diffusion.serving.users import first_of


def untrained_items(run: ServedRun) -> np.ndarray:
    """Return whether each item has no row in train, bool [n_items] by internal number.

    False for padding, and for all items if the model knows them by features too.
    """
    train = run.parts["train"]
    untrained = np.zeros(train.item_num, bool)
    if not hasattr(train, "modalities"):
        untrained[1:] = True
        untrained[np.asarray(train.inter_feat[train.iid_field])] = False
    return untrained


class ListedUntrained:
    """Counts the places of lists that items without a row in train have.

    Args:
        run: the run that makes the lists.
    """

    def __init__(self, run: ServedRun) -> None:
        self._tokens, self._untrained = run.items.tokens, untrained_items(run)
        self._listed = np.zeros(len(self._untrained), bool)
        self._places = self._all = 0

    def add(self, lists: RecommendationBlock) -> None:
        """Count the places of a block."""
        found = lists.items[self._untrained[lists.items]]
        self._listed[found] = True
        self._places += len(found)
        self._all += int((lists.items > 0).sum())

    def note(self) -> str | None:
        """Return a line about these places, None if there are none."""
        if not self._places:
            return None
        listed = np.flatnonzero(self._listed)
        return (
            f"{self._places:,} of {counted(self._all, 'place')} {agreeing(self._places, 'have')} an item "
            f"without a row in train ({counted(len(listed), 'item')}: "
            f"{first_of(self._tokens[listed].tolist())}), about which the model has learned nothing: it is "
            "there by chance, or as any such item would be"
        )


def note_on_items(run: ServedRun, without: np.ndarray | None = None, remedy: str = "") -> str | None:
    """Return a line about the items that have no row in train, None if there are none.

    Args:
        run: the run.
        without: internal numbers of items that are left out, int64 [n].
        remedy: what to do, for the end of the line.
    """
    untrained = untrained_items(run)
    untrained[without if without is not None else []] = False
    numbers = np.flatnonzero(untrained)
    if not len(numbers):
        return None
    names, one = first_of(run.items.tokens[numbers].tolist()), len(numbers) == 1
    return (
        f"{counted(len(numbers), 'item', 'have')} no row in train ({names}), so that the model has learned "
        f"nothing about {'it' if one else 'them'}: a list that has {'it' if one else 'one'} has it by "
        f"chance, or as any such item{remedy}"
    )
