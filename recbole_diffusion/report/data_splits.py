"""What each way to split a data set makes of it: the parts that a run would get, counted, not trained on."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recbole_diffusion.compat import init_seed
from recbole_diffusion.data.grouping import distinct
from recbole_diffusion.data.preparation import parts_of, seed_of_split
from recbole_diffusion.data.user_items import pair_keys
from recbole_diffusion.data.valid_part import check_can_be_latest
from recbole_diffusion.data.valid_shift import check_can_be_cut
from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.groups import item_groups
from recbole_diffusion.options.recbole import splits_by_time

GROUPS = 10  # of items, from the most to the least popular
SHARES = [0.8, 0.1, 0.1]
BY_USER, OF_ALL = {"group_by": "user"}, {"group_by": "none"}
# Title -> the options that make the split.
WAYS: dict[str, dict[str, Any]] = {
    "random rows of each user": {"eval_args": {"split": {"RS": SHARES}, "order": "RO", **BY_USER}},
    "random rows": {"eval_args": {"split": {"RS": SHARES}, "order": "RO", **OF_ALL}},
    "latest rows of each user": {"eval_args": {"split": {"RS": SHARES}, "order": "TO", **BY_USER}},
    "last two rows of each user": {
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", **BY_USER}
    },
    "latest rows of all": {"eval_args": {"split": {"RS": SHARES}, "order": "TO", **OF_ALL}},
    "rows after one moment": {"eval_args": {"split": {"TS": SHARES}, "order": "TO", **BY_USER}},
    "shifted to rare items": {"shift": "popularity"},
    "shifted in time": {"shift": "temporal"},
}
AS_GIVEN = "as the options say"


@dataclass
class SplitSummary:
    """One way to split a data set.

    Attributes:
        title: what it does.
        options: the options that make it.
        own: whether it is the split of a run with the given options.
        refused: why it cannot be made; then nothing of what follows is known.
        parts: of each part: ``rows``, ``users``, ``items``.
        untested: users without a row in the (last) test part.
        unknown: rows of held-out parts whose user or item has no row in train.
        overlap: pairs of user and item that are in two parts, of which a run is refused.
        popularity: share of the rows of each part by deciles of items, the most popular first.
    """

    title: str
    options: dict[str, Any]
    own: bool = False
    refused: str | None = None
    parts: dict[str, dict[str, int]] = field(default_factory=dict)
    untested: int = 0
    unknown: int = 0
    overlap: int = 0
    popularity: dict[str, list[float]] = field(default_factory=dict)


def splits_of(dataset: Any, times: np.ndarray | None, why_not: str) -> list[SplitSummary]:
    """Return what each way of WAYS makes of a data set, or the one way of parts that are taken as they are.

    Args:
        dataset: read and filtered, not yet built.
        times: of its interactions, [rows]; None if they cannot be ordered by time.
        why_not: the reason for None.
    """
    config = dataset.config
    if dataset.benchmark_filename_list is not None:
        ways = {AS_GIVEN: {"benchmark_filename": list(dataset.benchmark_filename_list)}}
        return [_of_way(dataset, title, options, {}, times, why_not, True) for title, options in ways.items()]
    return [
        _of_way(dataset, title, options, changes, times, why_not, own)
        for title, options, changes, own in _ways(config)
    ]


def _ways(config: Any) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], bool]]:
    """Yield title, options, changes of the configuration, and whether it is the run's own, for each way.

    The run's own split comes first if it is none of them.
    """
    own = {"shift": config.split.shift, "eval_args": config["eval_args"]}
    found = []
    for title, options in WAYS.items():
        changes = {"shift": "none", "shift_test": None, **options}
        if "eval_args" in options:
            changes["eval_args"] = {**config["eval_args"], **options["eval_args"]}
        shifted = changes["shift"] != "none"
        same = own["shift"] == changes["shift"] and (shifted or _same(own["eval_args"], options["eval_args"]))
        undone = {"shift": "none"} if own["shift"] != "none" and not shifted else {}
        found.append((title, {**undone, **options}, changes, same))
    if not any(same for *_, same in found):
        divides = {name: one for name, one in config["eval_args"].items() if name != "mode"}
        options = {"eval_args": divides} if own["shift"] == "none" else {"shift": own["shift"]}
        yield AS_GIVEN, options, {}, True
    yield from found


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two values of ``eval_args`` divide the rows alike."""
    return all(
        str(one[name]).lower() == str(other[name]).lower() if name == "group_by" else one[name] == other[name]
        for name in ("split", "order", "group_by")
    )


def _of_way(
    dataset: Any,
    title: str,
    options: dict[str, Any],
    changes: dict[str, Any],
    times: np.ndarray | None,
    why_not: str,
    own: bool,
) -> SplitSummary:
    summary = SplitSummary(title, options, own)
    one = copy.copy(dataset)  # building replaces its frames by tensors, and changes nothing inside them
    one.config = config = dataset.config.changed(**changes)
    one.shift = config.split if config.split.shift != "none" else None
    files = dataset.benchmark_filename_list is not None
    shift = config.split.shift
    by_time = not files and (shift == "temporal" or (shift == "none" and splits_by_time(config["eval_args"])))
    valid_shift = config.split.valid_shift
    latest = config.split.valid_part == "latest" or valid_shift == "temporal"
    if (by_time or latest) and times is None:
        summary.refused = why_not
        return summary
    one.times = times if by_time or latest else None
    try:
        given = config["benchmark_filename"] if shift == "none" else None
        if config.split.valid_part == "latest" and shift == "none":
            check_can_be_latest(config, by_time, given)
        if valid_shift != "none":
            check_can_be_cut(config, by_time and shift == "none", given)
        init_seed(seed_of_split(config), config["reproducibility"])
        parts = parts_of(config, one)
    except UsageError as error:
        summary.refused = str(error)
        return summary
    _count(summary, parts, dataset)
    return summary


def _count(summary: SplitSummary, parts: Mapping[str, Any], dataset: Any) -> None:
    """Fill in what a split has made."""
    uid, iid = dataset.uid_field, dataset.iid_field
    all_counts = np.bincount(dataset.inter_feat[iid].to_numpy(), minlength=dataset.item_num)
    all_counts[0] = 0
    group = item_groups(all_counts, GROUPS)
    columns = {
        name: (np.asarray(part.inter_feat[uid]), np.asarray(part.inter_feat[iid]))
        for name, part in parts.items()
    }
    keys = {name: pair_keys([part]) for name, part in parts.items()}
    known = columns["train"]
    for name, (users, items) in columns.items():
        summary.parts[name] = {
            "rows": len(users),
            "users": len(distinct(users)),
            "items": len(distinct(items)),
        }
        shares = np.bincount(group[items], minlength=GROUPS) / max(len(items), 1)
        summary.popularity[name] = [round(float(share), 4) for share in shares]
        if name != "train":
            summary.unknown += int((~(np.isin(users, known[0]) & np.isin(items, known[1]))).sum())
    names = list(parts)
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            summary.overlap += len(np.intersect1d(keys[name], keys[other], assume_unique=True))
    everybody = len(distinct(dataset.inter_feat[uid].to_numpy()))
    summary.untested = everybody - summary.parts[names[-1]]["users"]
