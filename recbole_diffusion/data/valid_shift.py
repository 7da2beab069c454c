"""A validation part that is itself shifted, cut from the training rows, whatever has made the parts.

Where the test part is shifted, a validation part that is drawn like train chooses what follows popularity, or
the past. ``valid_shift`` cuts a second one out of train and never looks at a test part: near-uniform over
items (``popularity``), or the latest rows of each user (``temporal``). It is the part ``valid`` of the run,
by which epoch and settings are chosen; the one that the split has made is ``valid_iid`` then, and its metrics
are kept beside.

Nothing here loads torch or RecBole before a data set has: ``split`` has quotas from here without them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recbole_diffusion.data.split import equal_quotas, rows_of_quotas
from recbole_diffusion.data.valid_part import latest_valid
from recbole_diffusion.errors import UsageError, counted

UNSHIFTED = "valid_iid"  # the name of the validation part that the split has made, beside the shifted one
LEARNED = ("train", "valid", UNSHIFTED)  # what a test part is ranked without


def test_names(parts: Sequence[str]) -> list[str]:
    """Return the names of the test parts among the names of all parts."""
    return [name for name in parts if name not in LEARNED]


def validations_of(valid: Any) -> dict[str, Any]:
    """Return the loaders of the validation parts by name; ``valid`` may have the other as ``unshifted``."""
    found = {"valid": valid, UNSHIFTED: getattr(valid, "unshifted", None)}
    return {name: loader for name, loader in found.items() if loader is not None}


def shifted_rows(
    kind: str,
    users: np.ndarray,
    items: np.ndarray,
    share: float,
    generator: np.random.Generator,
    times: np.ndarray | None = None,
) -> np.ndarray:
    """Return which training rows become the shifted validation part, bool [rows].

    ``popularity`` fills equal quotas of all items, as ``test_ood`` of the popularity shift does, but takes at
    most half of an item's rows: train has few enough of the rare ones. A user keeps a row in train.
    ``temporal`` takes ``floor(share * rows of the user)`` latest rows of each user, at least one of two, and
    leaves each item a row in train.

    Args:
        kind: popularity or temporal.
        users: of the training rows, whole numbers from 0, [rows].
        items: whole numbers from 0, [rows].
        share: of the rows, in (0, 1).
        generator: the only source of randomness.
        times: of each row, [rows]; for temporal.

    Raises:
        UsageError: the rows do not suffice.
    """
    if kind == "temporal":
        assert times is not None  # by the data set
        return latest_valid(users, items, times, share)
    counts = np.bincount(items)
    asked, most = round(share * len(items)), counts // 2
    if asked > most.sum():
        raise UsageError(
            f"valid_shift popularity would take {counted(asked, 'row')} of train, but at most half of the "
            f"rows of each item, {most.sum()} in all; give a smaller valid_shift_ratio"
        )
    chosen = rows_of_quotas(items, equal_quotas(most, asked, generator), generator)
    # A random row of each user who would have none left goes back.
    left = np.bincount(users[~chosen], minlength=users.max() + 1)
    taken = generator.permutation(np.flatnonzero(chosen & (left[users] == 0)))
    chosen[taken[np.unique(users[taken], return_index=True)[1]]] = False
    return chosen


def check_can_be_cut(config: Any, by_time: bool, parts: Sequence[str] | None) -> None:
    """Refuse ``valid_shift`` where it has no meaning.

    Args:
        config: the run's configuration.
        by_time: whether ``eval_args`` divides the rows by time.
        parts: names of given parts, None if the rows are divided here.

    Raises:
        UsageError: valid is later than train already, or the split has no validation part of its own.
    """
    kind = config.split.valid_shift
    if config.split.valid_part != "iid":
        raise UsageError(
            f"valid_shift is {kind} and valid_part {config.split.valid_part}; each makes a validation part: "
            "leave one of them out"
        )
    if by_time and kind == "temporal":
        raise UsageError(
            f"valid_shift is temporal, but eval_args {config['eval_args']} divides by time, so that valid is "
            "later than train already; leave valid_shift out, or set eval_args.order to RO"
        )
    if parts is not None and len(parts) < 3:
        raise UsageError(
            f"valid_shift is {kind}, but benchmark_filename {list(parts)} names no valid part to stand "
            "beside the shifted one; name train, valid and test"
        )


def cut_from_train(dataset: Any, parts: Sequence[Any]) -> list[Any]:
    """Return the parts with the shifted validation part as the second, cut from the first.

    Args:
        dataset: the whole data set; its ``config.split`` says how.
        parts: train, valid and the test parts.

    Raises:
        UsageError: a part is empty, or the rows of train do not suffice.
    """
    options, train = dataset.config.split, parts[0]
    said = f"valid_shift is {options.valid_shift}, but the split of data set {dataset.dataset_name!r}"
    if not len(parts[1]):
        raise UsageError(f"{said} has no validation part to stand beside; give it a share in eval_args.split")
    users, items = (train.inter_feat[field].numpy() for field in (dataset.uid_field, dataset.iid_field))
    generator = np.random.default_rng([options.shift_seed, 1])  # not the draws of the split itself
    how = options.valid_shift, users, items, options.valid_shift_ratio, generator
    chosen = shifted_rows(*how, train.times)
    if not chosen.any():
        remedy = "give a larger valid_shift_ratio, or more rows of a user and of an item"
        if options.valid_shift == "temporal":  # which takes one of two, whatever the ratio
            remedy = "give more rows of a user, or leave valid_shift out"
        raise UsageError(
            f"{said} has {counted(len(users), 'training row')}, of which none can be cut; {remedy}"
        )
    return [_rows_of(train, ~chosen), _rows_of(train, chosen), *parts[1:]]


def _rows_of(part: Any, chosen: np.ndarray) -> Any:
    """Return a part with some of its rows, their times among them; ``chosen`` is bool [rows]."""
    numbers = np.flatnonzero(chosen)
    some = part.copy(part.inter_feat[numbers.tolist()])
    for name in ("times", "file_rows"):
        values = getattr(part, name)
        setattr(some, name, None if values is None else values[numbers])
    return some


def together(one: Any, other: Any) -> Any:
    """Return two parts of a data set as one, for what is left out of lists."""
    import torch

    from recbole_diffusion.compat import Interaction

    columns = {
        name: torch.cat([one.inter_feat[name], other.inter_feat[name]]) for name in one.inter_feat.columns
    }
    return one.copy(Interaction(columns))


def choices(records: Sequence[Any], metric: str, bigger: bool) -> dict[str, Any]:
    """Return, for each of the two validation parts, the epoch that it would choose and both scores there.

    Args:
        records: of the epochs, as ``metrics.jsonl`` has them.
        metric: that chooses.
        bigger: whether a larger value is better.

    Returns:
        ``epoch``, ``valid`` and ``valid_iid`` by name of the choosing part; empty without validations.
    """
    both = [one for one in records if "valid" in one and UNSHIFTED in one]
    found = {}
    for part in ("valid", UNSHIFTED) if both else ():
        # Of equal ones the last, as a run chooses its epoch.
        best = (max if bigger else min)(reversed(both), key=lambda one: one[part][metric])
        scores = {name: best[name][metric] for name in ("valid", UNSHIFTED)}
        found[part] = {"epoch": best["epoch"], **scores}
    return found
