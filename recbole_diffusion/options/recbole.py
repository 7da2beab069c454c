"""RecBole's options that hold lists, dictionaries and intervals, checked before data loads.

RecBole reads them late, with errors that name neither option nor remedy, and ignores inner names that it does
not know.
"""

import codecs
import re
from collections.abc import Iterable, Mapping
from typing import Any

from recbole_diffusion.errors import UsageError, did_you_mean

EVAL_ARGS = ("split", "group_by", "order", "mode")
NEGATIVES = ("distribution", "sample_num", "alpha", "dynamic", "candidate_num")
SOURCES = ("inter", "user", "item", "kg", "link", "net")
_NUMBER = r"\s*[-+]?(?:inf|\d+\.?\d*(?:[eE][-+]?\d+)?)\s*"
_INTERVAL = re.compile(rf"[\[(]{_NUMBER},{_NUMBER}[\])]")


def check(final: Mapping[str, Any], rated: Iterable[str] = ()) -> None:
    """Check the values of all layers together.

    Args:
        final: the values.
        rated: names of the metrics of rated items that this run computes too.

    Raises:
        UsageError: an option that RecBole would refuse late, misread or ignore.
    """
    _check_cut_offs(final["topk"])
    _check_metrics(final["metrics"], final["valid_metric"], final["topk"], rated)
    _check_eval_args(final["eval_args"], final["metrics"], bool(final.get("benchmark_filename")))
    _check_rated_mode(final["valid_metric"], final["eval_args"].get("mode", "full"))
    _check_parts(final.get("benchmark_filename"))
    _check_negatives(final.get("train_neg_sample_args"))
    check_data_options(final)
    clipping = final.get("clip_grad_norm")
    if clipping is not None and (
        not isinstance(clipping, dict)
        or "max_norm" not in clipping
        or set(clipping) - {"max_norm", "norm_type"}
    ):
        raise _refusal("clip_grad_norm", clipping, "{max_norm: NUMBER}, with norm_type if you like, or null")


def check_data_options(final: Mapping[str, Any]) -> None:
    """Check the values that say how files are read and which rows stay.

    Raises:
        UsageError: one that RecBole would refuse late, misread or ignore.
    """
    for name in ("load_col", "unload_col"):
        _check_columns(name, final.get(name), final.get("additional_feat_suffix"))
    _check_filters(final)
    try:
        codecs.lookup(final.get("encoding") or "utf-8")
    except (LookupError, TypeError):
        raise _refusal("encoding", final["encoding"], "a text encoding such as utf-8 or latin-1") from None
    for name in ("field_separator", "seq_separator"):
        if not isinstance(final[name], str) or not final[name]:
            raise _refusal(name, final[name], "one character")


def computed_metrics(metrics: str | Iterable[str], topk: int | Iterable[int]) -> list[str]:
    """Return the names of the values that RecBole's evaluator computes, such as ``recall@20``."""
    from recbole.evaluator.register import metric_information

    names = []
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        by_cut_off = {"rec.topk", "rec.items"} & set(metric_information[metric.lower()])
        cut_offs = [topk] if isinstance(topk, int) else topk
        names += [f"{metric.lower()}@{k}" for k in cut_offs] if by_cut_off else [metric.lower()]
    return names


def _refusal(name: str, value: Any, allowed: str) -> UsageError:
    return UsageError(f"option {name!r} is {value!r}; it takes {allowed}")


def _check_cut_offs(topk: Any) -> None:
    cut_offs = [topk] if isinstance(topk, int) else topk
    if not isinstance(cut_offs, list) or not cut_offs or not all(type(k) is int and k > 0 for k in cut_offs):
        raise _refusal("topk", topk, "a whole number from 1, or a list of them such as [10, 20]")


def _check_metrics(metrics: Any, valid_metric: str, topk: Any, rated: Iterable[str]) -> None:
    from recbole.evaluator import metric_types, metrics_dict

    names = [metrics] if isinstance(metrics, str) else metrics
    known = sorted(cls.__name__ for cls in metrics_dict.values())
    if not isinstance(names, list) or not names:
        raise _refusal("metrics", metrics, f"a list of {', '.join(known)}")
    for name in names:
        if not isinstance(name, str) or name.lower() not in metric_types:
            raise UsageError(
                f"unknown metric {name!r}{did_you_mean(str(name), known)}; metrics takes {', '.join(known)}"
            )
    if len({metric_types[name.lower()] for name in names}) > 1:
        values = [name for name in names if metric_types[name.lower()].name == "VALUE"]
        raise UsageError(
            f"metrics mixes ranking metrics with {', '.join(values)}, which judge single rows; give only one "
            "kind"
        )
    computed = [*computed_metrics(names, topk), *rated]
    if valid_metric.lower().startswith("rated_") and not rated:
        raise UsageError(
            f"valid_metric is {valid_metric!r}, but rating_scale is not given; set it to [lowest, highest] "
            "rating, such as [1, 5]"
        )
    if valid_metric.lower() not in computed:
        near = did_you_mean(valid_metric, computed)
        raise UsageError(
            f"valid_metric is {valid_metric!r}, which is not computed{near}; metrics and topk give "
            f"{', '.join(computed)}"
        )


def _check_eval_args(given: Any, metrics: Any, pre_split: bool) -> None:
    for name in given:
        if name not in EVAL_ARGS:
            raise UsageError(
                f"unknown name {name!r} in eval_args{did_you_mean(str(name), EVAL_ARGS)}; it takes "
                f"{', '.join(EVAL_ARGS)}"
            )
    split = given.get("split")
    if not (_is_split(split) or (split is None and pre_split)):
        raise _refusal(
            "eval_args.split",
            split,
            "{RS: [0.8, 0.1, 0.1]} or {TS: [...]} with three shares above 0, or {LS: valid_and_test}",
        )
    if given.get("group_by", "user") not in ("user", "none", None):
        raise _refusal("eval_args.group_by", given["group_by"], "user or none")
    if given.get("order", "RO") not in ("RO", "TO"):
        raise _refusal("eval_args.order", given["order"], "RO (random) or TO (by time)")
    mode = given.get("mode", "full")
    modes = mode if isinstance(mode, dict) and mode and not set(mode) - {"valid", "test"} else {"test": mode}
    if not all(
        isinstance(one, str) and re.fullmatch(r"full|labeled|(uni|pop)[1-9]\d*", one)
        for one in modes.values()
    ):
        raise _refusal(
            "eval_args.mode",
            mode,
            "full, labeled, uniN or popN (N sampled items), or {valid: ..., test: ...} of them",
        )
    _check_mode_fits(set(modes.values()), metrics)


def _check_mode_fits(modes: set[str], metrics: Any) -> None:
    from recbole.evaluator import metric_types

    names = [metrics] if isinstance(metrics, str) else metrics
    ranking = metric_types[names[0].lower()].name == "RANKING"
    if ranking and "labeled" in modes:
        raise UsageError(
            "eval_args.mode labeled judges single rows: it takes the metrics AUC, MAE, RMSE, LogLoss, not "
            f"{', '.join(names)}"
        )
    if not ranking and "full" in modes:
        raise UsageError(
            f"eval_args.mode full ranks all items: it cannot give {', '.join(names)}, which need mode "
            "labeled, uniN or popN"
        )


def _check_rated_mode(valid_metric: str, mode: Any) -> None:
    on_valid = mode.get("valid", "full") if isinstance(mode, dict) else mode
    if valid_metric.lower().startswith("rated_") and on_valid != "full":
        raise UsageError(
            f"valid_metric is {valid_metric!r}, which is computed from a full ranking, but eval_args.mode is "
            f"{on_valid!r} for "
            "validation; set eval_args.mode to full, or choose by another metric"
        )


def _is_split(split: Any) -> bool:
    if not isinstance(split, dict) or len(split) != 1:
        return False
    (kind, shares), *_ = split.items()
    if kind == "LS":
        return shares == "valid_and_test"
    of_numbers = (
        isinstance(shares, list)
        and len(shares) == 3
        and all(type(share) in (int, float) and share > 0 for share in shares)
    )
    return kind in ("RS", "TS") and of_numbers


def _check_parts(parts: Any) -> None:
    if parts is not None and not (
        isinstance(parts, list) and len(parts) in (2, 3, 4) and all(isinstance(part, str) for part in parts)
    ):
        allowed = "two parts ([train, test]), three ([train, valid, test]) or four ([train, valid, test_iid, test_ood])"
        raise _refusal("benchmark_filename", parts, allowed)
    if parts is not None and len(set(parts)) < len(parts):
        raise UsageError(f"benchmark_filename names a part twice: {parts}; each part needs a file of its own")
    if parts is not None and len(parts) == 4 and not all(part.startswith("test_") for part in parts[2:]):
        raise UsageError(
            f"benchmark_filename is {parts}; the two test parts need names that begin with test_, such as "
            "test_iid and test_ood, "
            "which the result has their metrics under"
        )


def _check_columns(name: str, columns: Any, suffixes: Any) -> None:
    if columns is None:
        return
    if not isinstance(columns, dict):
        raise _refusal(name, columns, "column names by file, such as {inter: [user_id, item_id]}")
    known = [*SOURCES, *([suffixes] if isinstance(suffixes, str) else suffixes or ())]
    for source, names in columns.items():
        if source not in known:
            raise UsageError(
                f"unknown file {source!r} in {name}{did_you_mean(str(source), known)}; it takes "
                f"{', '.join(known)}"
            )
        if names != "*" and not (isinstance(names, list) and all(isinstance(one, str) for one in names)):
            raise _refusal(f"{name}.{source}", names, "a list of column names, or '*' for all")


def _check_negatives(given: Any) -> None:
    if given is None or given == "None":
        return
    if not isinstance(given, dict) or "distribution" not in given:
        raise _refusal(
            "train_neg_sample_args", given, "{distribution: uniform or popularity, sample_num: 1}, or null"
        )
    for name in given:
        if name not in NEGATIVES:
            near = did_you_mean(str(name), NEGATIVES)
            raise UsageError(
                f"unknown name {name!r} in train_neg_sample_args{near}; it takes {', '.join(NEGATIVES)}"
            )
    if given["distribution"] not in ("uniform", "popularity", "none", "None", None):
        raise _refusal(
            "train_neg_sample_args.distribution", given["distribution"], "uniform, popularity or none"
        )
    if given["distribution"] in ("uniform", "popularity") and not (
        type(given.get("sample_num", 1)) is int and given.get("sample_num", 1) > 0
    ):
        raise _refusal("train_neg_sample_args.sample_num", given["sample_num"], "a whole number from 1")


def _check_filters(final: Mapping[str, Any]) -> None:
    for name in ("user_inter_num_interval", "item_inter_num_interval"):
        if final.get(name) is not None and not _is_interval(final[name]):
            raise _refusal(name, final[name], "an interval in quotes, such as '[5,inf)'")
    values = final.get("val_interval")
    if values is not None and not isinstance(values, dict):
        raise _refusal("val_interval", values, "intervals by column, such as {rating: '[3,inf)'}")
    for column, allowed in (values or {}).items():
        if not isinstance(allowed, list) and not _is_interval(allowed):
            raise _refusal(
                f"val_interval.{column}",
                allowed,
                "an interval in quotes, such as '[3,inf)', or a list of tokens",
            )
    if final.get("rm_dup_inter") not in (None, "first", "last"):
        raise _refusal("rm_dup_inter", final["rm_dup_inter"], "first, last or null")


def _is_interval(value: Any) -> bool:
    return isinstance(value, str) and all(_INTERVAL.fullmatch(one.strip()) for one in value.split(";"))
