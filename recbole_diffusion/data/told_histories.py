"""What the histories of a sequential model's rows give away: the item to be predicted is in them."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from recbole_diffusion.errors import agreeing, counted

LAST = 0.5  # share of the rows whose history ends with its item; songs are heard again less often
ANYWHERE = 0.9
AHEAD = 0.5  # share of the held-out rows whose item training has as one of the user's, and their history not
FOUND = 0.1  # share of the histories' items that are predicted anywhere
FEW = 10  # fewer rows say nothing
BLOCK = 65_536  # rows at once

logger = logging.getLogger(__name__)


def tell_histories(config: Any, dataset: Any, parts: Mapping[str, Any]) -> None:
    """Warn of histories that have the item to be predicted, of training rows that go on beyond held-out ones.

    Also of histories whose items are written otherwise than those to be predicted, of given parts.

    Args:
        config: the run's configuration.
        dataset: the whole data set.
        parts: train, valid and the test parts by name.
    """
    if not hasattr(dataset, "item_list_length_field"):  # a model that reads no histories
        return
    name = f"{config['ITEM_ID_FIELD']}{config['LIST_SUFFIX']}"
    with_histories = {
        part: rows for part, rows in parts.items() if len(rows) >= FEW and name in rows.inter_feat
    }
    _tell_own_item(dataset, name, with_histories)
    if dataset.benchmark_filename_list is None or "train" not in with_histories:
        return
    _tell_other_names(dataset, name, with_histories)
    for part, rows in with_histories.items():
        if part != "train":
            _tell_ahead(dataset, name, part, rows, with_histories["train"])


def _tell_own_item(dataset: Any, name: str, parts: Mapping[str, Any]) -> None:
    """Warn of parts whose rows have their item in the history, most of them as its last one."""
    said = []
    for part, rows in parts.items():
        last = anywhere = 0
        for histories, items, lengths in _blocks(dataset, name, rows):
            last += int((histories[np.arange(len(items)), np.maximum(lengths, 1) - 1] == items).sum())
            anywhere += int((histories == items[:, None]).any(axis=1).sum())
        for count, share, what in ((last, LAST, "ends with"), (anywhere, ANYWHERE, "has")):
            if count >= share * len(rows):
                said.append(f"in {count} of the {counted(len(rows), 'row')} of {part} the history {what}")
                break
    if said:
        given = dataset.benchmark_filename_list is not None
        logger.warning(
            "data set %r: %s the very item that is to be predicted, which a model need only repeat; %s",
            *(dataset.dataset_name, ", ".join(said)),
            f"if {name} was meant to end before {dataset.iid_field}, correct the files"
            if given
            else "if one event stands in the file several times, keep it once, or keep one row of each pair "
            "with --rm_dup_inter=first",
        )


def _tell_ahead(dataset: Any, name: str, part: str, rows: Any, train: Any) -> None:
    """Warn of held-out rows whose item stands in a training history of their user, and not in their own."""
    number = dataset.item_num
    users, items = (np.asarray(rows.inter_feat[field]) for field in (rows.uid_field, rows.iid_field))
    wanted = np.unique(users.astype(np.int64) * number + items)
    learned, seen = (np.zeros(len(wanted), bool) for _ in range(2))
    own = np.asarray(train.inter_feat[train.uid_field]).astype(np.int64)
    learned[_places(wanted, own * number + np.asarray(train.inter_feat[train.iid_field]))] = True
    start = 0
    for histories, block, _ in _blocks(dataset, name, train):
        keys = own[start : start + len(block), None] * number + histories
        seen[_places(wanted, keys[histories > 0])] = True
        start += len(block)
    ahead = 0
    start = 0
    for histories, block, lengths in _blocks(dataset, name, rows):
        places = np.searchsorted(wanted, users[start : start + len(block)].astype(np.int64) * number + block)
        whole = lengths < histories.shape[1]  # what was cut off may have the item
        ahead += int(
            (seen[places] & ~learned[places] & whole & ~(histories == block[:, None]).any(axis=1)).sum()
        )
        start += len(block)
    if ahead >= AHEAD * len(rows):
        logger.warning(
            "the item to be predicted in %d of the %s of %s of data set %r stands in a history of the same "
            "%s in train, and not in the row's own: train goes on beyond the held-out rows, and knows what "
            "they ask for; cut its histories before them",
            *(ahead, counted(len(rows), "row"), part, dataset.dataset_name, dataset.uid_field),
        )


def _tell_other_names(dataset: Any, name: str, parts: Mapping[str, Any]) -> None:
    """Warn where hardly an item of the histories is ever predicted: the two are written in other ways."""
    asked = np.zeros(dataset.item_num, bool)
    for rows in parts.values():
        asked[np.asarray(rows.inter_feat[rows.iid_field])] = True
    train = parts["train"]
    found = total = 0
    for histories, _, _ in _blocks(dataset, name, train):
        there = histories[histories > 0]
        found, total = found + int(asked[there].sum()), total + len(there)
    if found < FOUND * total:
        tokens = dataset.id2token(dataset.iid_field, np.flatnonzero(asked)[:3])
        first = next(_blocks(dataset, name, train))[0]
        others = dataset.id2token(dataset.iid_field, first[first > 0][:3])
        logger.warning(
            "only %d of the %s in the histories of train of data set %r %s predicted in any row: histories "
            "have items such as %s, and %s such as %s; write both alike, with seq_separator between items",
            *(found, counted(total, "item"), dataset.dataset_name, agreeing(found, "are")),
            *(", ".join(map(str, others)), dataset.iid_field, ", ".join(map(str, tokens))),
        )


def _places(wanted: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the places in ``wanted``, sorted, of the keys that it has."""
    keys = np.unique(keys)
    places = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    return places[wanted[places] == keys]


def _blocks(dataset: Any, name: str, part: Any) -> Any:
    """Yield the histories [n, length], items [n] and lengths [n] of a part's rows, in blocks."""
    columns = [part.inter_feat[one] for one in (name, part.iid_field, dataset.item_list_length_field)]
    for start in range(0, len(part), BLOCK):
        yield tuple(np.asarray(values[start : start + BLOCK]) for values in columns)
