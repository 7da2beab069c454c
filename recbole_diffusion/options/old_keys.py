"""Options that RecBole's YAML files still have: of older releases, or without meaning for a run folder."""

from collections.abc import Mapping
from typing import Any

from recbole_diffusion.errors import UsageError

# In every template, but without effect on what a run computes.
HARMLESS = {
    "checkpoint_dir": "a run writes one folder, which run_dir names",
    "save_dataset": "the files are read each time",
    "dataset_save_path": "the files are read each time",
    "save_dataloaders": "the files are read each time",
    "dataloaders_save_path": "the files are read each time",
    "nproc": "a run is one process",
    "world_size": "a run is one process",
    "offset": "a run is one process",
    "group_offset": "a run is one process",
    "local_rank": "a run is one process",
    "ip": "a run is one process",
    "port": "a run is one process",
}
# Options of RecBole 0.2 to 1.0, with the option that replaces each; None: nothing does.
REPLACED_BY = {
    "eval_setting": "eval_args",
    "group_by_user": "eval_args",
    "split_ratio": "eval_args",
    "leave_one_num": "eval_args",
    "leave_one_out": "eval_args",
    "training_neg_sample_num": "train_neg_sample_args",
    "training_neg_sample_distribution": "train_neg_sample_args",
    "neg_sampling": "train_neg_sample_args",
    "min_user_inter_num": "user_inter_num_interval",
    "max_user_inter_num": "user_inter_num_interval",
    "min_item_inter_num": "item_inter_num_interval",
    "max_item_inter_num": "item_inter_num_interval",
    "lowest_val": "val_interval",
    "highest_val": "val_interval",
    "equal_val": "val_interval",
    "not_equal_val": "val_interval",
    "fields_in_same_space": "alias_of_user_id",
    "real_time_process": None,
    "drop_filter_field": None,
    "drop_preload_weight": None,
}


def without_harmless(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the given options without those that have no effect, and a note that names them, if any.

    An option of an older RecBole is one of them if the option that replaces it is given too: RecBole reads
    only that one.
    """
    reasons = {name: reason for name, reason in HARMLESS.items() if given.get(name) not in (None, False)}
    reasons |= {
        name: f"{new} says it" for name, new in REPLACED_BY.items() if name in given and new and new in given
    }
    left = {name: value for name, value in given.items() if name not in HARMLESS and name not in reasons}
    note = "no effect of " + ", ".join(f"{name} ({reason})" for name, reason in reasons.items())
    return left, [note] if reasons else []


def refuse_old(given: Mapping[str, Any]) -> None:
    """Refuse the options of older releases, all at once.

    Raises:
        UsageError: there are some; the message has the same settings in today's options.
    """
    old = [name for name in given if name in REPLACED_BY]
    if not old:
        return
    written = _written_today(given)
    parts = [f"instead of {', '.join(by)} write {_line(new, written[new])}" for new, by in _grouped(old)]
    parts += [f"leave {name} out" for name in old if REPLACED_BY[name] is None]
    raise UsageError(f"RecBole no longer has {', '.join(old)}: {'; '.join(parts)}")


def _grouped(old: list[str]) -> list[tuple[str, list[str]]]:
    """Return today's options, each with the old ones that it replaces."""
    today = dict.fromkeys(new for name in old if (new := REPLACED_BY[name]))
    return [(new, [name for name in old if REPLACED_BY[name] == new]) for new in today]


def _line(name: str, value: Any) -> str:
    quoted = name == "val_interval"  # a bracket without quotes begins a list in YAML
    return f"{name}: {value if quoted else str(value).replace(chr(39), '')}"


def _written_today(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the old options of a configuration, by the name of today's option."""
    return {
        "eval_args": _eval_args(given),
        "train_neg_sample_args": _negatives(given),
        "user_inter_num_interval": _counts(given, "user"),
        "item_inter_num_interval": _counts(given, "item"),
        "val_interval": _values(given),
        "alias_of_user_id": "[COLUMN, ...], alias_of_item_id: [COLUMN, ...]",
    }


def _eval_args(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``eval_args`` of ``eval_setting: TO_LS,uni100``, ``split_ratio: [8, 1, 1]`` and the like."""
    words = str(given.get("eval_setting", "RO_RS,full")).replace(" ", "").split(",")
    order, _, kind = words[0].partition("_")
    leave_one = kind == "LS" or "leave_one_num" in given or "leave_one_out" in given
    ratio = given.get("split_ratio", [0.8, 0.1, 0.1])
    return {
        "split": {"LS": "valid_and_test"} if leave_one else {"RS": ratio},
        "order": order if order in ("RO", "TO") else "RO",
        "group_by": "user" if given.get("group_by_user", True) else "none",
        "mode": words[1] if len(words) > 1 else "full",
    }


def _negatives(given: Mapping[str, Any]) -> dict[str, Any] | str:
    """Return ``train_neg_sample_args`` for ``neg_sampling: {uniform: 1}`` and its predecessors."""
    distribution = given.get("training_neg_sample_distribution", "uniform")
    number = given.get("training_neg_sample_num", 1)
    sampling = given.get("neg_sampling", {distribution: number})
    if isinstance(sampling, Mapping) and len(sampling) == 1:
        ((distribution, number),) = sampling.items()
        return {"distribution": distribution, "sample_num": number} if number else "null"
    return "null"


def _counts(given: Mapping[str, Any], side: str) -> str:
    """Return the interval of numbers of interactions given by ``min_...`` and ``max_...``."""
    low, high = given.get(f"min_{side}_inter_num"), given.get(f"max_{side}_inter_num")
    return f'"[{0 if low is None else low},{"inf)" if high is None else f"{high}]"}"'


def _values(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the intervals of values by column of ``lowest_val``, ``highest_val``, ``(not_)equal_val``."""
    low, high, equal, unequal = (
        given.get(name) or {} for name in ("lowest_val", "highest_val", "equal_val", "not_equal_val")
    )
    intervals = {
        column: ",".join(
            [
                f"[{low[column]}" if column in low else "(-inf",
                f"{high[column]}]" if column in high else "inf)",
            ]
        )
        for column in [*low, *high]
    }
    intervals |= {column: f"[{value},{value}]" for column, value in equal.items()}
    return intervals | {column: f"(-inf,{value});({value},inf)" for column, value in unequal.items()}
