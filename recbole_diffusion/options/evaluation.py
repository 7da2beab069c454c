"""How a run is evaluated: metrics, cut-offs, ``valid_metric`` and ``eval_args``, checked before data loads.

RecBole would find most errors after the first epoch, and ignores inner names that it does not know.
Longer than most files: metrics and splits are checked against each other.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from recbole_diffusion.errors import UsageError, agreeing, did_you_mean
from recbole_diffusion.options.declare import refusal

# RecBole's values for names that eval_args leaves out.
EVAL_ARGS = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": "user", "mode": "full"}
# Rows of an evaluation batch if single rows are scored: each takes a model's whole width, not one number.
SCORED_ROWS = 2**16
LEAVE_ONE_OUT = ("valid_and_test", "valid_only", "test_only")
RANKING = ("Recall", "NDCG", "MRR", "Hit", "Precision")


def check(final: Mapping[str, Any], rated: Iterable[str] = ()) -> None:
    """Check the options of evaluation together.

    Args:
        final: the values of all layers; ``eval_args`` holds all four names.
        rated: names of the metrics of rated items that this run computes too.

    Raises:
        UsageError: an option that RecBole would refuse late, misread or ignore.
    """
    _check_cut_offs(final["topk"])
    _check_metrics(final["metrics"])
    _check_tail(final.get("tail_ratio"), final["metrics"])
    _check_eval_args(final["eval_args"], bool(final.get("benchmark_filename")))
    _check_mode_fits(modes_of(final["eval_args"]), final["metrics"])
    _check_valid_metric(final["valid_metric"], computed_metrics(final["metrics"], final["topk"]), rated)
    _check_rated_mode(final["valid_metric"], final["eval_args"]["mode"])


def fit(final: dict[str, Any], given: Mapping[str, Any], rated: Iterable[str] = ()) -> list[str]:
    """Choose ``metrics`` and ``valid_metric`` if their defaults do not fit the given options.

    Args:
        final: the values of all layers; changed in place.
        given: the values that the user gave, which are never changed.
        rated: as in :func:`check`.

    Returns:
        A line for the log for each choice; none if an option is wrong, which :func:`check` reports.
    """
    try:
        _check_cut_offs(final["topk"])
        _check_metrics(final["metrics"])
        _check_eval_args(final["eval_args"], pre_split=True)
    except UsageError:
        return []
    notes = []
    if "eval_batch_size" not in given and "full" not in modes_of(final["eval_args"]):
        final["eval_batch_size"] = SCORED_ROWS
    if "metrics" not in given and (metrics := _metrics_for(modes_of(final["eval_args"]), final["metrics"])):
        final["metrics"] = metrics
        notes.append(f"eval_args.mode is {final['eval_args']['mode']}: metrics are {', '.join(metrics)}")
    if _is_ranking(final["metrics"]) and (sampled := sorted(modes_of(final["eval_args"]) - {"full"})):
        notes.append(
            f"eval_args.mode {', '.join(sampled)}: all negatives of a user are in one list, so a user with "
            "more held-out items has a longer list and a harder test; the metrics are not comparable with "
            "those of full, of another mode or of another data set"
        )
    computed = [*computed_metrics(final["metrics"], final["topk"]), *rated]
    default = final["valid_metric"]
    if "valid_metric" not in given and isinstance(default, str) and default.lower() not in computed:
        final["valid_metric"] = _nearest(default, computed)
        notes.append(
            f"valid_metric is {final['valid_metric']}: metrics and topk do not give the default {default}"
        )
    return notes


def computed_metrics(metrics: str | Iterable[str], topk: int | Iterable[int]) -> list[str]:
    """Return the names of the values that RecBole's evaluator computes, such as ``recall@20``."""
    from recbole_diffusion.compat import metric_information

    names = []
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        by_cut_off = {"rec.topk", "rec.items"} & set(metric_information[metric.lower()])
        cut_offs = [topk] if isinstance(topk, int) else topk
        names += [f"{metric.lower()}@{k}" for k in cut_offs] if by_cut_off else [metric.lower()]
    return names


def modes_of(eval_args: Mapping[str, Any]) -> set[str]:
    """Return the evaluation modes of validation and test."""
    mode = eval_args["mode"]
    return set(mode.values()) if isinstance(mode, Mapping) else {mode}


def parts_left_out(eval_args: Mapping[str, Any]) -> set[str]:
    """Return the parts that the split leaves empty on purpose: ``[0.8, 0, 0.2]`` has no ``valid``."""
    ((kind, shares),) = (eval_args["split"] or {"LS": "valid_and_test"}).items()
    if kind == "LS":
        return {"valid_only": {"test"}, "test_only": {"valid"}}.get(shares, set())
    return {part for part, share in zip(("valid", "test"), shares[1:], strict=True) if share == 0}


def _check_cut_offs(topk: Any) -> None:
    cut_offs = [topk] if isinstance(topk, int) else topk
    if not isinstance(cut_offs, list) or not cut_offs or not all(type(k) is int and k > 0 for k in cut_offs):
        raise refusal("topk", topk, "a whole number from 1, or a list of them such as [10, 20]")


def _check_metrics(metrics: Any) -> None:
    from recbole_diffusion.compat import metric_types, metrics_dict

    names = [metrics] if isinstance(metrics, str) else metrics
    known = sorted(cls.__name__ for cls in metrics_dict.values())
    if not isinstance(names, list) or not names:
        raise refusal("metrics", metrics, f"a list of {', '.join(known)}")
    for name in names:
        if not isinstance(name, str) or name.lower() not in metric_types:
            raise UsageError(
                f"unknown metric {name!r}{did_you_mean(str(name), known)}; metrics takes {', '.join(known)}"
            )
    if len({_is_ranking([name]) for name in names}) > 1:
        values = [name for name in names if not _is_ranking([name])]
        raise UsageError(
            f"metrics mixes ranking metrics with {', '.join(values)}, which evaluate single rows; give only "
            "one kind"
        )


def _check_tail(tail_ratio: Any, metrics: str | list[str]) -> None:
    names = [metrics] if isinstance(metrics, str) else metrics
    if tail_ratio is None:
        return
    if "tailpercentage" not in (name.lower() for name in names):
        raise UsageError(
            f"tail_ratio is {tail_ratio!r}, but only the metric TailPercentage reads it; add it to metrics, "
            "or leave tail_ratio out"
        )
    share = type(tail_ratio) in (int, float) and 0 < tail_ratio <= 1
    if not (share or (type(tail_ratio) is int and tail_ratio > 1)):
        raise refusal(
            "tail_ratio",
            tail_ratio,
            "a share of the items above 0 and up to 1, or a whole number from 2, the largest number of rows "
            "of a tail item",
        )


def _is_ranking(metrics: str | list[str]) -> bool:
    """Return whether metrics evaluate ranked lists; if not, they evaluate single rows."""
    from recbole_diffusion.compat import metric_types

    first = metrics if isinstance(metrics, str) else metrics[0]
    return metric_types[first.lower()].name == "RANKING"


def _check_valid_metric(valid_metric: str, computed: list[str], rated: Iterable[str]) -> None:
    if valid_metric.lower().startswith("rated_") and not rated:
        raise UsageError(
            f"valid_metric is {valid_metric!r}, but rating_scale is not given; set it to [lowest, highest] "
            "rating, such as [1, 5]"
        )
    computed = [*computed, *rated]
    if valid_metric.lower() not in computed:
        near = did_you_mean(valid_metric, computed)
        raise UsageError(
            f"valid_metric is {valid_metric!r}, which is not computed{near}; metrics and topk give "
            f"{', '.join(computed)}"
        )


def _nearest(default: str, computed: list[str]) -> str:
    """Return the computed metric with the default's name, else the first one, at its largest cut-off."""
    names = [one.partition("@")[0] for one in computed]
    name = default.lower().partition("@")[0]
    chosen = name if name in names else names[0]
    at = [one for one in computed if one.partition("@")[0] == chosen]
    return max(at, key=lambda one: int(one.partition("@")[2] or 0))


def _check_eval_args(given: Any, pre_split: bool) -> None:
    for name in given:
        if name not in EVAL_ARGS:
            raise UsageError(
                f"unknown name {name!r} in eval_args{did_you_mean(str(name), EVAL_ARGS)}; it takes "
                f"{', '.join(EVAL_ARGS)}"
            )
    if not (_is_split(given["split"]) or (given["split"] is None and pre_split)):
        raise refusal(
            "eval_args.split",
            given["split"],
            "{RS: [0.8, 0.1, 0.1]} or {TS: [...]} with three shares, of which that of validation or that of "
            f"test may be 0, or {{LS: {' | '.join(LEAVE_ONE_OUT)}}}",
        )
    group_by = given["group_by"]
    if group_by != "user" and str(group_by).lower() != "none":
        raise refusal("eval_args.group_by", given["group_by"], "user or none")
    if given["order"] not in ("RO", "TO"):
        raise refusal("eval_args.order", given["order"], "RO (random) or TO (by time)")
    mode = given["mode"]
    by_part = (
        mode if isinstance(mode, dict) and mode and not set(mode) - {"valid", "test"} else {"test": mode}
    )
    if not all(
        isinstance(one, str) and re.fullmatch(r"full|labeled|(uni|pop)[1-9][0-9]*", one)
        for one in by_part.values()
    ):
        raise refusal(
            "eval_args.mode",
            mode,
            "full, labeled, uniN or popN (N sampled items), or {valid: ..., test: ...} of them",
        )


def _metrics_for(modes: set[str], metrics: str | list[str]) -> list[str] | None:
    """Return metrics that the modes can give if the default ones are of the other kind."""
    if _is_ranking(metrics) and "labeled" in modes:
        return ["AUC"]
    return list(RANKING) if not _is_ranking(metrics) and "full" in modes else None


def _check_mode_fits(modes: set[str], metrics: str | list[str]) -> None:
    names = [metrics] if isinstance(metrics, str) else metrics
    if _is_ranking(names) and "labeled" in modes:
        raise UsageError(
            "eval_args.mode labeled evaluates single rows: it takes the metrics AUC, MAE, RMSE, LogLoss, not "
            f"{', '.join(names)}"
        )
    if not _is_ranking(names) and "full" in modes:
        raise UsageError(
            f"eval_args.mode full ranks all items: it cannot give {', '.join(names)}, which "
            f"{agreeing(len(names), 'need')} mode labeled, uniN or popN"
        )


def _check_rated_mode(valid_metric: str, mode: Any) -> None:
    on_valid = mode.get("valid", "full") if isinstance(mode, dict) else mode
    if valid_metric.lower().startswith("rated_") and on_valid != "full":
        raise UsageError(
            f"valid_metric is {valid_metric!r}, which is computed from a full ranking, but eval_args.mode is "
            f"{on_valid!r} for validation; set eval_args.mode to full, or choose by another metric"
        )


def _is_split(split: Any) -> bool:
    if not isinstance(split, dict) or len(split) != 1:
        return False
    ((kind, shares),) = split.items()
    if kind == "LS":
        return shares in LEAVE_ONE_OUT
    if kind not in ("RS", "TS") or not isinstance(shares, list) or len(shares) != 3:
        return False
    if not all(type(share) in (int, float) and share >= 0 for share in shares):
        return False
    return shares[0] > 0 and shares[1] + shares[2] > 0
