"""Two domains that must not share ratings: the source would have those of the target that are hidden."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion.data.ratings import rating_column
from recbole_diffusion.data.table_file import file_or_table
from recbole_diffusion.errors import UsageError, agreeing, counted

FEW = 10  # fewer pairs in both domains say nothing
SAME = 0.9  # share of equal ratings from which on pairs of both domains seem to be the same


def check_apart(target: Any, source: Any) -> None:
    """Check that domains from one file share no rows, or the source would reveal hidden target ratings.

    Raises:
        UsageError: they share some.
    """
    if _file_of(target) != _file_of(source):
        _check_pairs(target, source)
        return
    both = np.intersect1d(*(one.field2id_token[one.iid_field][1:].astype(str) for one in (target, source)))
    if len(both):
        raise UsageError(
            f"both domains are made from data set {target.dataset_name!r} and share "
            f"{counted(len(both), 'item')}, such as {both[0]}: the source would have target ratings that are "
            "to be hidden; choose different items with 'with' and 'without', such as source_domain: {with: "
            "{class: [Drama]}} and target_domain: {without: {class: [Drama]}}"
        )


def _check_pairs(target: Any, source: Any) -> None:
    """Check that the source does not hold the target's ratings, as a copy of its file or part of it does.

    Items of two domains may have the same names by chance, such as numbers; their ratings then differ, or
    the pairs are few. Where both are the same for a part of the target, this is told.

    Raises:
        UsageError: nearly all of the target is in the source, and ``allow_overlap`` is not given.
    """
    names = [
        (one.field2id_token[one.uid_field].astype(str), one.field2id_token[one.iid_field].astype(str))
        for one in (target, source)
    ]
    keys = []
    for dataset, own in zip((target, source), names, strict=True):
        users, items = (  # as numbers of the target's tokens, 0 where it has none
            _places(own[side], names[0][side])[dataset.inter_feat[field].to_numpy()]
            for side, field in enumerate((dataset.uid_field, dataset.iid_field))
        )
        keys.append(np.where((users > 0) & (items > 0), users * len(names[0][1]) + items, -1))
    _, mine, theirs = np.intersect1d(keys[0], keys[1], return_indices=True)
    both = keys[0][mine] > 0
    equal = rating_column(target)[mine[both]] == rating_column(source)[theirs[both]]
    if len(equal) < FEW or equal.mean() < SAME:
        return
    text = (
        f"{len(equal)} of the {counted(len(target.inter_feat), 'rating')} of data set "
        f"{target.dataset_name!r} {agreeing(len(equal), 'are')} in the source {source.dataset_name!r} too, "
        "of the same users on items of the same names"
    )
    if len(equal) < SAME * len(target.inter_feat) or target.config.general.allow_overlap:
        target.logger.warning("%s; if they are the same items, the source has ratings that are hidden", text)
        return
    raise UsageError(
        f"{text}: the source has the target ratings that are to be hidden; remove them from it, or go on "
        "with --allow_overlap=True"
    )


def tell_numbered_users(target: Any, source: Any) -> None:
    """Warn of users who are numbered without a gap in each domain, as a file does that numbers its own.

    Users are matched by token, so that person 7 of one file would be person 7 of the other. Of one numbering
    of both, the smaller domain would have the first users and no others; domains from one file have one.

    Args:
        target: with ``users_of_file``, the tokens of all users of its file, as ``source`` has.
        source: the other domain.
    """
    if _file_of(target) == _file_of(source):
        return
    ends = []
    for domain in (target, source):
        tokens = domain.users_of_file  # a filter of the domain makes gaps
        if not all(token.isdecimal() and len(token) < 16 for token in tokens):
            return
        numbers = [int(token) for token in tokens]
        first, last = min(numbers), max(numbers)
        if len(set(numbers)) < last - first + 1:
            return
        ends.append((first, last))
    if ends[0][0] == ends[1][0] and ends[0][1] != ends[1][1]:
        target.logger.warning(
            "the users of data sets %r and %r are the numbers from %d to %d and from %d to %d without a gap, "
            "as if each file had numbered its own; users are matched by token: see to it that one number is "
            "one person in both",
            *(target.dataset_name, source.dataset_name, *ends[0], *ends[1]),
        )


def _places(tokens: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the place of each token among others, 0 for the padding and for one that is not there."""
    places = pd.Index(others).get_indexer(tokens)
    places[(places < 0) | (np.arange(len(tokens)) == 0)] = 0
    return places


def _file_of(domain: Any) -> Path:
    return file_or_table(Path(domain.config["data_path"]) / f"{domain.dataset_name}.inter").resolve()
