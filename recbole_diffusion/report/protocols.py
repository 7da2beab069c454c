"""How the lists of runs were made and judged: numbers of different rules never stand in one table."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.report.splits import parts_key

# The options that change what a metric counts, and their defaults, by the beginning of the metric's name. A
# run without a scale has no metrics of ratings.
OF_METRICS: tuple[tuple[str, str, Any], ...] = (
    ("tailpercentage", "tail_ratio", 0.1),
    ("rated_", "rating_scale", None),
    ("rated_mae", "rated_clip", None),
    ("rated_rmse", "rated_clip", None),
    ("rated_mae", "readout", "raw"),
    ("rated_rmse", "readout", "raw"),
)

OF_TRAIN = ("averagepopularity", "tailpercentage")  # metrics that count the training rows of an item


def ranking_rule(run: RunRecord) -> str:
    """Return how the test lists of a run were made and judged, in words; equal for equal rules."""
    mode = _mode(run)
    words = ["all items ranked" if mode == "full" else f"mode {mode}"]
    words += [_labels(run)] if mode == "labeled" else []
    words += ["earlier items ranked too (repeatable)"] if run.config.get("repeatable") else []
    return ", ".join([*words, f"metrics of version {run.metrics_version}"])


def _mode(run: RunRecord) -> str:
    mode = (run.config.get("eval_args") or {}).get("mode") or "full"
    if isinstance(mode, Mapping):  # of one part alone it holds for both, as in RecBole
        return mode.get("test", mode.get("valid", "full"))
    return mode


def _labels(run: RunRecord) -> str:
    """Return what the labels of the test rows are, in words."""
    limit, column = run.config.get("threshold"), run.config.get("LABEL_FIELD", "label")
    return f"labels by threshold {dict(limit)}" if limit else f"labels of the column {column!r}"


def _of_other_values(runs: Sequence[RunRecord], option: str, default: str) -> list[str]:
    """Return the names of two runs whose test rows are the same pairs with other values in a column.

    Runs on different splits, as of different seeds, have other pairs and cannot be told apart by them.

    Args:
        runs: the runs; one without fingerprints is passed over.
        option: the option that names the column.
        default: its value where a run has none.
    """
    seen: dict[tuple, tuple[tuple, str]] = {}
    for run in runs:
        parts = [(run.result.get("parts") or {}).get(name, {}) for name in run.test_parts]
        column = run.config.get(option, default)
        values = tuple(part.get("columns", {}).get(column) for part in parts)
        if None in values:
            continue
        pairs = tuple((part.get("rows"), part.get("fingerprint")) for part in parts)
        other, name = seen.setdefault(pairs, (values, run.path.name))
        if other != values:
            return [name, run.path.name]
    return []


def _of_other_train(runs: Sequence[RunRecord]) -> bool:
    """Return whether runs have equal test parts and different rows of train, as by ``valid_part``."""
    seen: dict[tuple, str] = {}
    for run in runs:
        prints = parts_key(run)
        if "train" in prints:
            tests = tuple(prints.get(name) for name in run.test_parts)
            if seen.setdefault(tests, prints["train"]) != prints["train"]:
                return True
    return False


def require_one_rule(runs: Sequence[RunRecord]) -> None:
    """Raise UsageError if the lists of some runs were made or judged by another rule than those of others."""
    rules: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        rules[ranking_rule(run)].append(run.path.name)
    if len(rules) < 2:
        labelled = [run for run in runs if _mode(run) == "labeled"]
        if two := _of_other_values(labelled, "LABEL_FIELD", "label"):
            raise UsageError(
                f"{' and '.join(two)} have the same test rows with other labels, and cannot be compared; "
                "make one table for each"
            )
        return
    said = [
        f"{', '.join(names[:2])}{' and others' if len(names) > 2 else ''} ({rule})"
        for rule, names in rules.items()
    ]
    advice = "make one table for each"
    if len({run.metrics_version for run in runs}) > 1:
        advice += "; versions are in docs/metrics.md: run the older ones again"
    raise UsageError(f"runs ranked by different rules cannot be compared: {'; '.join(said)}; {advice}")


def of_one_meaning(metrics: Sequence[str], runs: Sequence[RunRecord]) -> tuple[list[str], list[str]]:
    """Return the metrics that mean the same in all runs, and a line about the others."""
    differing: dict[str, str] = {}
    for beginning, option, default in OF_METRICS:
        values = {_text(run.config.get(option, default)) for run in runs} - {_text(None)}
        if len(values) > 1:
            differing[beginning] = option
    # Where ratings became labels, they were kept in 64 bits, which is another fingerprint.
    plain = [run for run in runs if not run.config.get("threshold")]
    if _of_other_values(plain, "RATING_FIELD", "rating"):
        differing["rated_"] = "the ratings of the test rows"
    if _of_other_train(runs):
        differing |= dict.fromkeys(OF_TRAIN, "the rows of train, by which items are popular")
    left_out = {
        metric: option
        for metric in metrics
        for beginning, option in differing.items()
        if metric.startswith(beginning)
    }
    options = ", ".join(sorted(set(left_out.values())))
    notes = [f"Left out, since the runs differ in {options}: {', '.join(left_out)}."] if left_out else []
    return [metric for metric in metrics if metric not in left_out], notes


def _text(value: Any) -> str:
    return repr([float(one) for one in value] if isinstance(value, list) else value)
