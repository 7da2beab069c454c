"""How the lists of runs were made and judged: numbers of different rules never stand in one table."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recbole_diffusion.data.fingerprint import differences
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.storage.result_form import ordered_by_rounded_times

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

OTHER_DRAWS = "items drawn by an earlier version, others in each run"
OF_ITEMS = ("itemcoverage", "giniindex")  # metrics that count the items in no list too
OF_TRAIN = ("averagepopularity", "tailpercentage")  # metrics that count the training rows of an item


def ranking_rule(run: RunRecord) -> str:
    """Return how the test lists of a run were made and judged, in words; equal for equal rules."""
    mode = _mode(run)
    words = ["all items ranked" if mode == "full" else f"mode {mode}"]
    words += [_labels(run)] if mode == "labeled" else []
    words += [OTHER_DRAWS] if _drawn_anew(run) else []
    words += ["earlier items ranked too (repeatable)"] if run.config.get("repeatable") else []
    return ", ".join([*words, f"metrics of version {run.metrics_version}"])


def _draws(run: RunRecord) -> bool:
    """Return whether items are drawn beside the held-out ones of the test parts."""
    return str(_mode(run)).startswith(("uni", "pop"))


def _drawn_anew(run: RunRecord) -> bool:
    """Return whether items were drawn from the generator of training, others for each run and evaluation."""
    return _draws(run) and "candidates_seed" not in run.result


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
        parts = run.result.get("parts") or {}
        prints = {name: part["fingerprint"] for name, part in parts.items()}
        if "train" in prints:
            tests = tuple(prints.get(name) for name in run.test_parts)
            if seen.setdefault(tests, prints["train"]) != prints["train"]:
                return True
    return False


def by_items(runs: Iterable[RunRecord]) -> dict[int, list[str]]:
    """Return the names of runs by how many items their lists are made of, passing over earlier versions.

    Items without a row, of a ``.item`` file that only some runs load, are candidates in these alone.
    """
    found: dict[int, list[str]] = defaultdict(list)
    for run in runs:
        if "items" in run.result:
            found[run.result["items"]].append(run.path.name)
    return dict(sorted(found.items()))


def _names(names: Sequence[str]) -> str:
    return f"{', '.join(names[:2])}{' and others' if len(names) > 2 else ''}"


def of_other_items(runs: Sequence[RunRecord]) -> list[str]:
    """Return a line on runs whose lists are made of different numbers of items; none if all are alike.

    Labels and popN, which draws items by their rows, have no item without a row among the candidates.
    """
    found = by_items(run for run in runs if not str(_mode(run)).startswith(("labeled", "pop")))
    if len(found) < 2:
        return []
    said = "; ".join(f"{_names(names)} of {items}" for items, names in found.items())
    return [
        f"Not only the methods differ: lists are made of different numbers of items, {said}. Those without a "
        "row, as of a .item file that only some runs load (load_col), are candidates too, which a model "
        "that knows nothing of them may put first."
    ]


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
        uniform = by_items(run for run in runs if str(_mode(run)).startswith("uni"))
        if len(uniform) > 1:
            drawn = [f"{_names(names)} ({counted(items, 'item')})" for items, names in uniform.items()]
            raise UsageError(
                "runs that draw the items beside the held-out ones among different ones cannot be compared: "
                f"{'; '.join(drawn)}; load the same .item file in all (load_col), or make one table for each"
            )
        return
    said = [f"{_names(names)} ({rule})" for rule, names in rules.items()]
    advice = "make one table for each"
    if len({run.metrics_version for run in runs}) > 1:
        advice += "; versions are in docs/metrics.md: run the older ones again"
    elif len({_drawn_anew(run) for run in runs if _draws(run)}) > 1:
        advice += ", or run the older ones again"
    raise UsageError(f"runs ranked by different rules cannot be compared: {'; '.join(said)}; {advice}")


def of_other_draws(methods: Mapping[str, Sequence[RunRecord]]) -> list[str]:
    """Return lines on runs of one rule whose numbers differ by draws, or by an order, beside the method.

    Args:
        methods: the runs by method.
    """
    notes = []
    runs = [run for of_method in methods.values() for run in of_method]
    if any(map(_drawn_anew, runs)) and len(runs) > 1:
        notes.append(
            "An earlier version drew the items beside the held-out ones anew in each run: differences of "
            "methods, and p, are also those of the draws. Run them again for the same items in all."
        )
    seeds = {
        name: sorted({run.result["candidates_seed"] for run in of_method if "candidates_seed" in run.result})
        for name, of_method in methods.items()
    }
    if any(map(_draws, runs)) and len(set(map(tuple, seeds.values()))) > 1:
        said = "; ".join(f"{name} {', '.join(map(str, some)) or 'none'}" for name, some in seeds.items())
        notes.append(
            "The items beside the held-out ones are drawn by the seed of the split (split_seed, or the "
            f"run's), of which the methods have others: {said}. With equal seeds they would be the same."
        )
    for name, of_method in methods.items():
        if old := [run for run in of_method if ordered_by_rounded_times(run.config, run.result)]:
            notes.append(
                f"{name}: {counted(len(old), 'run')} of an earlier version, whose time-aware orders "
                "items by times that are 128 seconds apart, and not by those of the data."
            )
    return notes


def of_other_sources(runs: Sequence[RunRecord]) -> list[str]:
    """Return a line about each source domain and modality that runs on equal parts have read otherwise.

    Args:
        runs: the runs; one of an earlier version, or without such data, is passed over.
    """
    first: dict[str, RunRecord] = {}
    told: dict[str, list[str]] = {}
    for run in runs:
        mine = run.result.get("beside_parts") or {}
        for name in mine:
            other = first.setdefault(name, run)
            if differences(other.result["beside_parts"], {name: mine[name]}).get(name):
                told.setdefault(name, [other.path.name]).append(run.path.name)
    notes = []
    for name, names in told.items():
        what = "the source domain has other ratings in"
        if name.startswith("features "):
            modality = name.removeprefix("features ")
            what = f"{modality!r}, features of items, are others, or in another order of items, in"
        some = f"{', '.join(names[1:3])}{' and others' if len(names) > 3 else ''}"
        notes.append(f"Not only the methods differ: {what} {names[0]} and in {some}.")
    return notes


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
    if len(by_items(runs)) > 1:
        differing |= dict.fromkeys(OF_ITEMS, "the number of items")
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
