"""RecBole's options that hold lists, dictionaries and intervals, checked before data loads.

RecBole reads them late, with errors that name neither the option nor a remedy, and ignores inner names that
it does not know. Longer than most files: one check an option, in the order of a configuration.
"""

import codecs
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.options.column_options import check_columns
from recbole_diffusion.options.declare import refusal, type_text
from recbole_diffusion.options.evaluation import EVAL_ARGS
from recbole_diffusion.options.intervals import intervals_of, is_interval
from recbole_diffusion.options.renamed import renamed_text

NEGATIVES = ("distribution", "sample_num", "alpha", "dynamic", "candidate_num")
# Mappings that a higher layer replaces as a whole, as RecBole does: merged, they could contradict themselves.
REPLACED_WHOLE = frozenset(
    {
        "clip_grad_norm",
        "discretization",
        "eval_args",
        "lgb_params",
        "load_col",
        "preload_weight",
        "seq_len",
        "split",
        "threshold",
        "train_neg_sample_args",
        "unload_col",
        "unused_col",
        "val_interval",
        "xgb_params",
    }
)
# Options that follow from others, with what to use instead.
REFUSED = {
    "device": "use --use_gpu and --gpu_id",
    "MODEL_TYPE": "it follows from the model",
    "MODEL_INPUT_TYPE": "it follows from the model",
    "eval_type": "it follows from the metrics",
}
HUGE = "a whole number of more than 64 bits"
# Whole numbers of RecBole's own YAML files, with their bounds.
WHOLE = (("loss_decimal_place", 0, 15), ("MAX_ITEM_LIST_LENGTH", 1, 2**31 - 1))
PARTS = ("train", "valid", "test")  # in the order of benchmark_filename
SOURCES = ("inter", "user", "item", "kg", "link", "net")


def check(final: Mapping[str, Any]) -> None:
    """Check the values of all layers together.

    Raises:
        UsageError: an option that RecBole would refuse late, misread or ignore.
    """
    _check_parts(final.get("benchmark_filename"))
    _check_negatives(final.get("train_neg_sample_args"))
    check_data_options(final)
    clipping = final.get("clip_grad_norm")
    if clipping is not None and not _clips(clipping):
        raise refusal(
            "clip_grad_norm",
            clipping,
            "{max_norm: a number above 0}, with norm_type from 1 if you like, or null",
        )
    for name, low, high in WHOLE:
        if name in final and not (type(final[name]) is int and low <= final[name] <= high):
            raise refusal(name, final[name], f"a whole number from {low} to {high}")


def check_finite(given: Mapping[str, Any]) -> None:
    """Refuse NaN and infinite numbers: RecBole computes with them, and ranks items by their order.

    Raises:
        UsageError: there is one; only ``clip_grad_norm.norm_type`` may be infinite.
    """
    for name, value in given.items():
        for where, number in _numbers(name, value):
            largest_norm = where == "clip_grad_norm.norm_type" and number == math.inf
            if not (_is_a_number(number) or largest_norm):
                raise refusal(where, number if isinstance(number, float) else HUGE, "a finite number")


def _is_a_number(value: float) -> bool:
    """Return whether a number is finite and, if whole, one of 64 bits."""
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63


def _numbers(where: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, int | float):
        yield where, value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _numbers(f"{where}.{name}", one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(where, one)


def _clips(clipping: Any) -> bool:
    """Return whether the gradient becomes shorter, and only shorter: a negative norm would turn it round."""
    if not isinstance(clipping, dict) or set(clipping) - {"max_norm", "norm_type"}:
        return False
    largest, order = clipping.get("max_norm", 0), clipping.get("norm_type", 2)
    numbers = all(type(one) in (int, float) for one in (largest, order))
    return numbers and largest > 0 and order >= 1


def complete(
    final: dict[str, Any],
    given: Mapping[str, Any],
    below: Mapping[str, Any],
    reads_order: tuple[str, str] | None = None,
) -> list[str]:
    """Fill ``eval_args`` as RecBole does, and load the time if the split is by time, or the model reads it.

    Args:
        final: the values of all layers; changed in place.
        given: the values that the user gave.
        below: the values of the layers below the user's.
        reads_order: why the model reads the order of rows in time, and what to do without; or None.

    Returns:
        Lines for the log.
    """
    notes = []
    if "eval_args" in given:
        standard = {**EVAL_ARGS, **below["eval_args"]}
        changed = [
            name for name in EVAL_ARGS if name not in final["eval_args"] and standard[name] != EVAL_ARGS[name]
        ]
        if changed:
            notes.append(
                "eval_args is replaced as a whole, as in RecBole: "
                + ", ".join(f"{name} is {EVAL_ARGS[name]} and not {standard[name]}" for name in changed)
                + "; give it too to change it"
            )
    final["eval_args"] = {**EVAL_ARGS, **final["eval_args"]}
    mode = final["eval_args"]["mode"]
    if isinstance(mode, Mapping) and len(mode) == 1 and set(mode) <= {"valid", "test"}:
        ((part, way),) = mode.items()
        final["eval_args"] = {**final["eval_args"], "mode": {"valid": way, "test": way}}
        other = "test" if part == "valid" else "validation"
        notes.append(f"eval_args.mode {way} holds for {other} too, as in RecBole; name both to have another")
    columns, time = (final.get("load_col") or {}).get("inter"), final["TIME_FIELD"]
    by_eval_args = not final.get("benchmark_filename") and final["shift"] == "none"
    split, order = final["eval_args"]["split"] or {}, final["eval_args"]["order"]
    if by_eval_args and "TS" in split and order != "TO":
        final["eval_args"] = {**final["eval_args"], "order": "TO"}
        notes.append("eval_args.order is TO: a split TS is in order of time")
    if by_eval_args and "LS" in split and order != "TO":
        notes.append(
            "eval_args.split LS leaves out rows drawn at random; with order: TO it leaves out the latest"
        )
    if by_eval_args and "eval_args" in given:
        notes += _not_of_one(split)
    grouped = str(given.get("eval_args", {}).get("group_by", "user")).lower()
    if by_eval_args and grouped == "none" and "RS" not in split:
        notes.append(
            "no effect of eval_args.group_by none: RecBole's splits LS and TS divide the rows of each user"
        )
    why = "eval_args splits by time" if by_eval_args and splits_by_time(final["eval_args"]) else None
    why = "the temporal shift orders rows by time" if final["shift"] == "temporal" else why
    why = "valid_part latest orders rows by time" if final["valid_part"] == "latest" else why
    why = "valid_shift temporal orders rows by time" if final["valid_shift"] == "temporal" else why
    why = why or (reads_order and reads_order[0])
    if why and isinstance(columns, list) and time not in columns:
        final["load_col"] = {**final["load_col"], "inter": [*columns, time]}
        notes.append(f"the column {time} is loaded too: {why}")
    return notes


def _not_of_one(split: Any) -> list[str]:
    """Return a line where a split's shares are fractions that do not sum to 1; [8, 1, 1] are meant so."""
    shares = split.get("RS") or split.get("TS") if isinstance(split, Mapping) else None
    if not isinstance(shares, list) or not all(type(one) in (int, float) and one >= 0 for one in shares):
        return []  # refused with the other checks
    total = sum(shares)
    if all(float(one).is_integer() for one in shares) or abs(total - 1) < 1e-6 or not math.isfinite(total):
        return []
    taken = ", ".join(f"{one / total:.4g}" for one in shares)
    return [
        f"eval_args.split has the shares {shares}, which sum to {total:g} and not to 1: as in RecBole they "
        f"are divided by their sum, to {taken}, so that all rows are in a part"
    ]


def reads_order(final: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return why a model of RecBole reads the order of rows in time, and what to do without; or None."""
    if final["model"] not in ("DiffRec", "LDiffRec") or not final.get("time-aware"):
        return None
    return "time-aware weighs a user's items by their order in time", "set time-aware to False"


def splits_by_time(eval_args: Mapping[str, Any]) -> bool:
    """Return whether the parts follow the time of the interactions."""
    return eval_args["order"] == "TO" or "TS" in (eval_args["split"] or ())


def refuse_unknown(given: Mapping[str, Any], known: set[str], model: str) -> None:
    """Refuse options that nothing reads, and those that follow from others.

    Raises:
        UsageError: there are some.
    """
    for key, value in given.items():
        if key in REFUSED and value not in (None, False):
            raise UsageError(f"option {key!r} is not supported: {REFUSED[key]}")
        if key not in known:
            unknown = f"unknown option {key!r}{did_you_mean(str(key), known)}"
            raise UsageError(
                renamed_text(key, known) or f"{unknown}; --model={model} --help lists the options"
            )


def check_types(given: Mapping[str, Any], defaults: Mapping[str, Any], declared: set[str]) -> None:
    """Compare each given value with the type of its default; text options accept numbers (``gpu_id: 0``).

    Args:
        given: the values that the user gave.
        defaults: the values of the layers below.
        declared: names of options that are checked elsewhere.

    Raises:
        UsageError: a value has another type.
    """
    for key in given.keys() - declared:
        default, value = defaults.get(key), given[key]
        if default is None or (value is None and not isinstance(default, bool | int | float)):
            continue
        if isinstance(default, list):
            fits = isinstance(value, list | tuple | str | int | float)
        elif isinstance(default, bool) or isinstance(value, bool):
            fits = isinstance(value, type(default))
        elif isinstance(default, int | float):
            fits = isinstance(value, int | float)
        elif isinstance(default, str):
            fits = isinstance(value, str | int | float | list)
        else:
            fits = isinstance(value, type(default))
        if not fits:
            raise UsageError(
                f"option {key!r} is {value!r}; it takes {type_text(type(default))}, by default {default!r}"
            )


def check_data_options(final: Mapping[str, Any]) -> None:
    """Check the options that determine how files are read and which rows are kept.

    Raises:
        UsageError: one that RecBole would refuse late, misread or ignore.
    """
    for name in ("load_col", "unload_col"):
        _check_columns(name, final.get(name), final.get("additional_feat_suffix"))
    _check_filters(final)
    check_columns(final)
    if final.get("normalize_field") is not None and final.get("normalize_all"):
        raise UsageError(
            f"normalize_field names {final['normalize_field']}, but normalize_all, which is True by default, "
            "scales all float columns: give --normalize_all=False beside it, or leave it out"
        )
    try:
        codecs.lookup(final.get("encoding") or "utf-8")
    except (LookupError, TypeError):
        raise refusal("encoding", final["encoding"], "a text encoding such as utf-8 or latin-1") from None
    for name in ("field_separator", "seq_separator"):
        if not isinstance(final[name], str) or not final[name]:
            raise refusal(name, final[name], "one character, or several")
        if set(final[name]) & set('"\r\n'):
            raise refusal(name, final[name], "characters other than quotes and line ends")


def _check_parts(parts: Any) -> None:
    if parts is not None and not (
        isinstance(parts, list) and len(parts) in (2, 3, 4) and all(isinstance(part, str) for part in parts)
    ):
        allowed = (
            "two parts ([train, test]), three ([train, valid, test]) or four ([train, valid, test_iid, "
            "test_ood])"
        )
        raise refusal("benchmark_filename", parts, allowed)
    if parts is not None and len(set(parts)) < len(parts):
        raise UsageError(f"benchmark_filename names a part twice: {parts}; each part needs its own file")
    if parts is not None and len(parts) == 4 and not all(part.startswith("test_") for part in parts[2:]):
        raise UsageError(
            f"benchmark_filename is {parts}; the two test parts need names that begin with test_, such as "
            "test_iid and test_ood, under which the result has their metrics"
        )


def check_order(parts: Sequence[str] | None) -> str | None:
    """Check that parts stand in the order of their names: a file's place alone says what it is used for.

    Args:
        parts: of ``benchmark_filename``.

    Returns:
        A note where the epoch is chosen on a part whose name begins with test; None without one.

    Raises:
        UsageError: a part whose name begins with train, valid or test stands before one of an earlier kind.
    """
    kinds = [kind for part in parts or () for kind, name in enumerate(PARTS) if part.startswith(name)]
    if not parts or len(parts) < 2:
        return None
    if kinds != sorted(kinds):
        raise UsageError(
            f"benchmark_filename is {list(parts)}; the parts are taken in the order train, valid, test, "
            "whatever their names: write them in this order, or rename the files if it is meant so"
        )
    if len(parts) > 2 and parts[1].startswith("test"):
        return f"the epoch is chosen on {parts[1]}, the second part of benchmark_filename"
    return None


def _check_columns(name: str, columns: Any, suffixes: Any) -> None:
    if columns is None:
        return
    if not isinstance(columns, dict):
        raise refusal(name, columns, "column names by file, such as {inter: [user_id, item_id]}")
    known = [*SOURCES, *([suffixes] if isinstance(suffixes, str) else suffixes or ())]
    for source, names in columns.items():
        if source not in known:
            raise UsageError(
                f"unknown file {source!r} in {name}{did_you_mean(str(source), known)}; it takes "
                f"{', '.join(known)}"
            )
        if names != "*" and not (isinstance(names, list) and all(isinstance(one, str) for one in names)):
            raise refusal(f"{name}.{source}", names, "a list of column names, or '*' for all")
    if name == "load_col" and "inter" not in columns:
        raise UsageError(
            f"load_col is {columns!r}, without inter: as in RecBole it replaces the default as a whole; give "
            "inter too, such as {inter: [user_id, item_id]}"
        )


def _check_negatives(given: Any) -> None:
    if given is None or given == "None":
        return
    if not isinstance(given, dict) or "distribution" not in given:
        raise refusal(
            "train_neg_sample_args", given, "{distribution: uniform or popularity, sample_num: 1}, or null"
        )
    for name in given:
        if name not in NEGATIVES:
            near = did_you_mean(str(name), NEGATIVES)
            raise UsageError(
                f"unknown name {name!r} in train_neg_sample_args{near}; it takes {', '.join(NEGATIVES)}"
            )
    if given["distribution"] not in ("uniform", "popularity", "none", "None", None):
        raise refusal(
            "train_neg_sample_args.distribution", given["distribution"], "uniform, popularity or none"
        )
    if given["distribution"] in ("uniform", "popularity") and not (
        type(given.get("sample_num", 1)) is int and given.get("sample_num", 1) > 0
    ):
        raise refusal("train_neg_sample_args.sample_num", given["sample_num"], "a whole number from 1")
    for name, kinds, allowed in (
        ("alpha", (int, float), "a number from 0"),
        ("candidate_num", (int,), "a whole number from 0"),
    ):
        if name in given and not (type(given[name]) in kinds and given[name] >= 0):
            raise refusal(f"train_neg_sample_args.{name}", given[name], allowed)
    if type(given.get("dynamic", False)) is not bool:
        raise refusal("train_neg_sample_args.dynamic", given["dynamic"], "true or false")
    if given.get("dynamic") and not given.get("candidate_num"):
        raise refusal(
            "train_neg_sample_args.candidate_num",
            0,
            "a whole number from 1 with dynamic, which chooses among them",
        )


def _check_filters(final: Mapping[str, Any]) -> None:
    for name in (f"{what}_num_interval" for what in ("user_inter", "item_inter", "entity_kg", "relation_kg")):
        if final.get(name) is not None and not is_interval(final[name]):
            raise refusal(name, final[name], "an interval in quotes, such as '[5,inf)'")
        _check_not_empty(name, final.get(name))
    values = final.get("val_interval")
    if values is not None and not isinstance(values, dict):
        raise refusal("val_interval", values, "intervals by column, such as {rating: '[3,inf)'}")
    for column, allowed in (values or {}).items():
        if not isinstance(allowed, list) and not is_interval(allowed):
            raise refusal(
                f"val_interval.{column}",
                allowed,
                "an interval in quotes, such as '[3,inf)', or a list of tokens",
            )
        if isinstance(allowed, list) and not all(type(one) in (str, int) for one in allowed):
            raise refusal(
                f"val_interval.{column}", allowed, "tokens, in quotes where YAML reads more (no, 1.0)"
            )
        _check_not_empty(f"val_interval.{column}", allowed)
    limit = final.get("threshold")
    if limit is not None and not (
        isinstance(limit, dict)
        and len(limit) == 1
        and all(type(one) in (int, float) for one in limit.values())
    ):
        raise refusal("threshold", limit, "a number for one column, such as {rating: 4}")
    if final.get("rm_dup_inter") not in (None, "first", "last"):
        raise refusal("rm_dup_inter", final["rm_dup_inter"], "first, last or null")


def _check_not_empty(name: str, value: Any) -> None:
    """Refuse an interval without a number in it, which RecBole leaves out: no row, or fewer, would stay.

    Raises:
        UsageError: there is one.
    """
    for one in intervals_of(value) if is_interval(value) else ():
        if one.is_empty:
            ends = f"it begins at {one.low:g} and ends at {one.high:g}"
            raise UsageError(
                f"option {name!r} is {value!r}, but no number is in {one.text}: {ends}; write the lower end "
                "first, such as '(-inf,4)' or '[4,inf)'"
            )
