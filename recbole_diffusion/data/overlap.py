"""What the parts of a split share: pairs in two of them, pairs that repeat, users and items unknown to train.

A pair of user and item that is in train and in test is no test of a model. RecBole leaves it among the items
to rank, so that what was learned by heart counts as found; where seen items are masked it can never be found.
One check for all ways of making parts.
"""

import itertools
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from recbole_diffusion.compat import ModelType
from recbole_diffusion.data.ratings import has_ratings, rating_column
from recbole_diffusion.data.user_items import pair_keys
from recbole_diffusion.data.valid_shift import LEARNED, test_names
from recbole_diffusion.errors import UsageError, agreeing, counted

TRAINED = ("train", "the warm start")

logger = logging.getLogger(__name__)


def check_parts(config: Any, dataset: Any, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Count what the parts share, tell it, and refuse what would make the metrics false.

    Args:
        config: reads ``allow_overlap``, ``repeatable`` and the mode of evaluation.
        dataset: the data set that the parts were made from.
        parts: train, valid and the test parts by name.

    Returns:
        ``pairs``: pairs that are in two parts, by ``train & test`` and so on. ``repeated``: rows that repeat
        a pair of their part, by part. ``unknown``: rows of held-out parts whose user or item has no row in
        train, by part. ``selection``: what chooses the epoch, ``validation``, or ``test`` if the validation
        part has the pairs of a test part, or ``validation, partly test`` if it has some of them.

    Raises:
        UsageError: a ranking of unseen items would have seen ones, and ``allow_overlap`` is not given; or
            train knows no user and no item of a held-out part.
    """
    if any(field not in dataset.field2type for field in (dataset.uid_field, dataset.iid_field)):
        return {"pairs": {}, "repeated": {}, "unknown": {}, "selection": "validation"}
    pairs = {name: pair_keys([part]) for name, part in parts.items()}
    sizes = {name: len(found) for name, found in pairs.items()}
    repeated = {name: len(part) - sizes[name] for name, part in parts.items() if len(part) > sizes[name]}
    shared = _shared(pairs, parts)
    tests = [name for name in test_names(list(parts)) if sizes[name]]
    copies = [name for name in tests if np.array_equal(pairs["valid"], pairs[name])]
    partly = any(("valid", name) in shared for name in tests)
    selection = "test" if copies else "validation, partly test" if partly else "validation"
    for name in copies:
        shared.pop(("valid", name))
    if copies and len(config["benchmark_filename"] or ()) != 2:  # train and test only: as asked
        logger.warning(
            "valid and %s of data set %r have the same rows (%s): the epoch is chosen on the test part",
            *(" and ".join(copies), dataset.dataset_name, counted(sizes["valid"], "pair")),
        )
    _judge(config, dataset, shared, repeated, sizes)
    _tell_rated_twice(config, dataset, {name: parts[name] for name in repeated if name != "train"})
    unknown = _unknown(dataset, parts)
    _tell_items_of_no_part(config, dataset, parts)
    named = {" & ".join(names): count for names, count in shared.items()}
    return {"pairs": named, "repeated": repeated, "unknown": unknown, "selection": selection}


def _shared(pairs: Mapping[str, np.ndarray], parts: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """Return the number of pairs in two parts, for those that share some.

    What a part of cold users masks (the rows that its warm start learns) counts as train; the test parts of
    cold users have the same rows by design.
    """
    two = list(itertools.combinations(pairs, 2))
    if any(hasattr(part, "warm") for part in parts.values()):
        two = [(first, later) for first, later in two if first in ("train", "valid")]
    compared = {(first, later): (pairs[first], pairs[later]) for first, later in two}
    for name, part in parts.items():
        if getattr(part, "masked", None) is not None:
            compared["the warm start", name] = (pair_keys([part.masked]), pairs[name])
    counts = {names: len(np.intersect1d(*both, assume_unique=True)) for names, both in compared.items()}
    return {names: count for names, count in counts.items() if count}


def _judge(
    config: Any,
    dataset: Any,
    shared: Mapping[tuple[str, str], int],
    repeated: Mapping[str, int],
    sizes: Mapping[str, int],
) -> None:
    """Refuse or tell overlaps and repeats."""
    said = [
        f"{count} of the {counted(sizes[later], 'pair')} of {later} {agreeing(count, 'are')} also in {first}"
        for (first, later), count in shared.items()
    ]
    said += [
        f"{counted(rows, 'row')} of {name} {agreeing(rows, 'repeat')} a pair"
        for name, rows in repeated.items()
    ]
    if not said:
        return
    modes = set(config["eval_args"]["mode"].values())
    sequential = config["MODEL_TYPE"] == ModelType.SEQUENTIAL
    of_unseen = not sequential and not config["repeatable"] and modes != {"labeled"}
    seen = any(first in (*TRAINED, *LEARNED) for first, _ in shared)
    # Among sampled items, a pair that stands twice in a held-out part would have to be found twice.
    twice = set(repeated) - {"train"} and any(mode.startswith(("uni", "pop")) for mode in modes)
    remedy = "keep one row of each pair with --rm_dup_inter=first (or last)"
    if dataset.benchmark_filename_list is not None:
        remedy = "remove them from one of the files"
        if config.split.valid_shift != "none" and ("train", "valid") in shared:
            remedy += ", and keep one row of each pair in that of train, out of which valid_shift cuts valid"
    if not hasattr(dataset, "source"):  # a rating is predicted once
        remedy += ", or rank seen items too with --repeatable=True"
    text = f"data set {dataset.dataset_name!r}: {', '.join(said)}"
    if of_unseen and (seen or twice) and not config.general.allow_overlap:
        raise UsageError(
            f"{text}; a model is not tested by what it has learned: {remedy}, or go on with "
            "--allow_overlap=True"
        )
    if of_unseen and seen:
        text += "; the metrics of these parts are not those of unseen items (allow_overlap)"
    elif of_unseen and repeated:
        text += "; a ranking counts a pair once, but some models learn it more often (rm_dup_inter)"
    logger.warning("%s", text)


def _tell_rated_twice(config: Any, dataset: Any, parts: Mapping[str, Any]) -> None:
    """Warn of pairs of held-out parts that have several ratings: metrics of rated items take one of them."""
    if config.rating.rating_scale is None or not has_ratings(dataset):
        return
    for name, part in parts.items():
        ratings = rating_column(part)
        users, items = (np.asarray(part.inter_feat[field]) for field in (part.uid_field, part.iid_field))
        order = np.lexsort((ratings, items, users))
        users, items, ratings = users[order], items[order], ratings[order]
        other = (users[1:] == users[:-1]) & (items[1:] == items[:-1]) & (ratings[1:] != ratings[:-1])
        pairs = len(np.unique(np.stack([users[1:], items[1:]])[:, other], axis=1).T)
        if pairs:
            logger.warning(
                "%s of %s of data set %r %s different ratings: metrics of rated items and errors of ratings "
                "take the first; keep one with rm_dup_inter, or in the file of the part",
                *(counted(pairs, "pair"), name, dataset.dataset_name, agreeing(pairs, "have")),
            )


def _unknown(dataset: Any, parts: Mapping[str, Any]) -> dict[str, int]:
    """Tell and return the rows of held-out parts whose user or item has no row in train.

    Cold users are unknown by design: of their parts only the items count.

    Raises:
        UsageError: train knows no user and no item of a part.
    """
    train, *held_out = parts.items()
    fields = {"user": dataset.uid_field, "item": dataset.iid_field}
    known = {what: np.asarray(train[1].inter_feat[field]) for what, field in fields.items()}
    found = {}
    for name, part in held_out:
        ids = {what: np.asarray(part.inter_feat[field]) for what, field in fields.items()}
        lacking = {what: ~np.isin(ids[what], known[what]) for what in fields}
        if len(part) and all(some.all() for some in lacking.values()):
            raise UsageError(
                f"no user and no item of the {name} part of data set {dataset.dataset_name!r} has a row in "
                "train; check that both have the same ids"
            )
        if hasattr(part, "warm"):
            lacking["user"][:] = False
        rows = int((lacking["user"] | lacking["item"]).sum())
        if rows:
            found[name] = rows
            said = [
                f"{counted(len(some), what)} ({_few(dataset.id2token(fields[what], some))})"
                for what in fields
                if len(some := np.unique(ids[what][lacking[what]]))
            ]
            logger.warning(
                "%d of the %s of %s of data set %r %s of %s without a row in train, about which a model "
                "knows nothing",
                *(rows, counted(len(part), "row"), name, dataset.dataset_name, agreeing(rows, "are")),
                " and ".join(said),
            )
    return found


def _tell_items_of_no_part(config: Any, dataset: Any, parts: Mapping[str, Any]) -> None:
    """Tell items of no part, as of the .item file alone: they are candidates like the others.

    A full ranking has them in its lists, where models that know nothing of them may put them first, and uniN
    draws them too, beside which a held-out item is easily found; popN draws by rows, so never them. Those of
    held-out parts have been told by :func:`_unknown`. Histories have items that no row of a sequential model
    has, and so has the warm start of cold users.
    """
    known_by_more = hasattr(dataset, "modalities") or hasattr(dataset, "source")
    modes = config["eval_args"]["mode"].values()
    drawn = [mode for mode in modes if mode.startswith("uni")]
    if not ("full" in modes or drawn) or known_by_more or config["MODEL_TYPE"] == ModelType.SEQUENTIAL:
        return
    there = np.zeros(dataset.item_num, bool)
    there[0] = True
    for part in parts.values():
        there[np.asarray(part.inter_feat[dataset.iid_field])] = True
    numbers = np.flatnonzero(~there)
    if len(numbers):
        them, every = "it" if len(numbers) == 1 else "them", dataset.item_num - 1
        share = f"; mode {drawn[0]} draws {them} among its {every} items, an easier test" if drawn else ""
        logger.warning(
            "%s of data set %r %s no row in any part (%s) and %s ranked like the others, though only "
            "features could tell a model about %s%s",
            *(counted(len(numbers), "item"), dataset.dataset_name, agreeing(len(numbers), "have")),
            _few(dataset.id2token(dataset.iid_field, numbers)),
            *(agreeing(len(numbers), "are"), them, share),
        )


def _few(tokens: np.ndarray) -> str:
    return ", ".join(map(str, tokens[:5])) + (", ..." if len(tokens) > 5 else "")
