"""The metrics that a comparison shows, and the one that it orders by."""

from collections.abc import Sequence

from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.report.runs import RunRecord

# Metrics whose smaller values are better: RecBole's ``smaller_metrics``, and the squared error of ratings.
SMALLER = frozenset({"mae", "rmse", "mse", "logloss", "giniindex", "averagepopularity"})
SHOWN = ("recall", "ndcg", "mae", "rmse")  # metrics of a table by default


def smaller_is_better(metric: str) -> bool:
    """Return whether smaller values of a metric are better: an error, a loss, inequality, popularity."""
    return metric.lower().partition("@")[0].rpartition("_")[2] in SMALLER


def shared_metrics(runs: Sequence[RunRecord], parts: list[str]) -> list[str]:
    """Return the metrics that every run has for every part, in the order of the first."""
    for run in runs:
        if list(run.test_parts) != parts:
            raise UsageError(
                f"{run.path.name} has the test parts {', '.join(run.test_parts)}, {runs[0].path.name} has "
                f"{', '.join(parts)}; compare runs on the same parts"
            )
    tables = [run.test_parts[part] for run in runs for part in parts]
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    if not shared:
        raise UsageError("the runs have no metric in common; run them with the same metrics and topk")
    return shared


def chosen_metrics(metrics: Sequence[str] | str | None, known: list[str], rated: bool) -> list[str]:
    """Return the names of the metrics to show; by default those of rated items if they chose the epochs."""
    if metrics == "all":
        return known
    if metrics is None:
        family = "rated_" if rated else ""
        return [
            name for name in known if name.partition("@")[0] in {family + word for word in SHOWN}
        ] or known
    asked = metrics.replace(",", " ").split() if isinstance(metrics, str) else [str(name) for name in metrics]
    for name in asked:
        _require(name.lower(), known)
    return [name.lower() for name in asked]


def _require(name: str, known: list[str]) -> None:
    if name not in known:
        raise UsageError(
            f"not every run has the metric {name!r}{did_you_mean(name, known)}; all have {', '.join(known)}"
        )


def ordering_metric(by: str | None, chosen: list[str], known: list[str], runs: Sequence[RunRecord]) -> str:
    """Return the metric to order and test by: the one given, the one that chose the epochs, or the first."""
    if by is not None:
        _require(by.lower(), known)
        return by.lower()
    of_runs = {run.valid_metric for run in runs}
    return next((name for name in chosen if of_runs == {name}), chosen[0])
