"""CNSDiff's figures: its negatives by epoch (5), accuracy by option (4), both by group (1, 6)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.comparison import MeanStd
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, SeriesStyle, colour_of, shade_of
from recbole_diffusion.report.methods import OF_A_RUN
from recbole_diffusion.report.run_figures import group_bars, method_style, validations
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.storage.yaml_io import dump_value

RATE = "false_negative_rate"
# Panels of Figure 4: what is varied, its label, the options that it consists of, and whether its axis is
# logarithmic.
VARIED = (
    ("diffusion steps T", ("steps",), False),
    ("generated negatives of an item", ("start", "stride"), False),
    ("lambda_2, of the sampling loss", ("sampling_weight",), True),
    ("lambda_3, of the alignment", ("alignment_weight",), True),
)
# Kinds of groups: the figure, the kind in ``result.json`` and in the diagnostics, and what they are.
GROUPS = (
    ("Figure 1", "item_popularity", "popularity", "popularity of the item, the most popular first"),
    ("Figure 6", "interaction_time", "time", "time of the held-out row, the earliest first"),
)


def false_negatives(methods: Mapping[str, Sequence[RunRecord]], numbers: Mapping[str, int]) -> Figure:
    """Return the share of negatives close to a held-out item of their user, and the metric, by epoch.

    Raises:
        UsageError: no run has counted them.
    """
    metric = next(iter(methods.values()))[0].valid_metric
    rates = Panel("false hard negatives", "epoch", "share of negatives")
    scores = Panel("validation", "epoch", metric)
    parts = set()
    for name, runs in methods.items():
        for run in runs:
            counted = [
                (record["epoch"] + 1, record["diagnostics"][RATE])
                for record in run.epochs
                if RATE in _diagnostics(record)
            ]
            if not counted:
                continue
            parts.add(
                f"{run.config.get('false_negative_part')}, cosine from "
                f"{run.config.get('false_negative_cosine')}"
            )
            style: SeriesStyle = {**method_style(numbers[name]), "faint": len(runs) > 1}
            rates.series.append(PlotSeries.from_points(name, counted, **style))
            points = [(epoch, value) for epoch, _, value in validations(run, metric)]
            if points:
                scores.series.append(PlotSeries.from_points(name, points, **style))
    if not rates.series:
        raise UsageError("no run has counted them; run with --false_negative_part=test_ood (or valid, test)")
    names = "; ".join(sorted(parts))
    note = (
        f"A negative counts if its cosine with a held-out item of its user reaches the threshold ({names})."
    )
    panels = [rates, scores] if scores.series else [rates]
    return Figure("false hard negatives", "False hard negatives (CNSDiff, Figure 5)", panels, note)


def hardness(methods: Mapping[str, Sequence[RunRecord]], _: Mapping[str, int]) -> Figure:
    """Return how hard the generated negatives of each level are, by epoch: scores and cosines.

    Raises:
        UsageError: no run has generated negatives.
    """
    panels = []
    for name, runs in methods.items():
        for key, title in (
            ("score@", "score with the user"),
            ("cosine_with_positive@", "cosine with the positive"),
        ):
            levels = list(
                dict.fromkeys(
                    word for record in runs[0].epochs for word in _diagnostics(record) if word.startswith(key)
                )
            )
            panel = Panel(f"{name}: {title}", "epoch", title)
            for place, level in enumerate(levels):
                points = [
                    (record["epoch"] + 1, record["diagnostics"][level])
                    for record in runs[0].epochs
                    if level in _diagnostics(record)
                ]
                colour = shade_of(place / max(1, len(levels) - 1))
                panel.series.append(
                    PlotSeries.from_points(f"step {level.partition('@')[2]}", points, colour=colour)
                )
            if panel.series:
                panels.append(panel)
    if not panels:
        raise UsageError("no run has generated negatives (negative_sampler: cnsdiff)")
    note = (
        "Negatives of the first batch of an epoch, at each step of the reverse chain that is kept; the fewer "
        "steps remain, the harder."
    )
    return Figure(
        "hardness of negatives", "Hardness of CNSDiff's negatives, by step of the chain", panels, note
    )


def by_option(methods: Mapping[str, Sequence[RunRecord]], _: Mapping[str, int]) -> Figure:
    """Return the accuracy by T, number of negatives, lambda_2 and lambda_3 (Figure 4), means over seeds.

    A line joins the methods that differ in that option alone.

    Raises:
        UsageError: no two methods do.
    """
    generating = {
        name: runs for name, runs in methods.items() if runs[0].config.get("negative_sampler") == "cnsdiff"
    }
    panels = []
    for title, options, logarithmic in VARIED:
        panel = Panel(title, title, "", x_log=logarithmic)
        lines: dict[str, list[Sequence[RunRecord]]] = defaultdict(list)
        for runs in generating.values():
            rest = {
                name: value
                for name, value in runs[0].config.items()
                if name not in OF_A_RUN and name not in options
            }
            lines[dump_value({name: rest[name] for name in sorted(rest)})].append(runs)
        several = [one for one in lines.values() if len({_varied(runs[0], options) for runs in one}) > 1]
        for number, alike in enumerate(several):
            metric = alike[0][0].valid_metric
            panel.y_label = metric
            for place, part in enumerate(alike[0][0].test_parts):
                name = part if len(several) == 1 else f"{part}, {number + 1}"
                panel.series.append(_line(name, alike, options, part, colour_of(2 * number + place)))
        if panel.series:
            panels.append(panel)
    if not panels:
        raise UsageError(
            "no two methods differ in steps, start and stride, sampling_weight or alignment_weight alone"
        )
    note = "Mean over seeds, with the standard deviation. On a line all other options are the same."
    return Figure("accuracy by option", "Accuracy by hyper-parameter (CNSDiff, Figure 4)", panels, note)


def _varied(run: RunRecord, options: Sequence[str]) -> float:
    """Return a run's value on the axis of its panel: of one option, or the number of levels of Eq. 14."""
    if options[0] != "start":
        return float(run.config[options[0]])
    return float(len(range(run.config["start"], run.config["steps"] + 1, run.config["stride"])))


def _line(
    name: str, alike: Sequence[Sequence[RunRecord]], options: Sequence[str], part: str, colour: str
) -> PlotSeries:
    """Return the line through the means of methods that differ in one option, for one test part."""
    values: dict[float, list[float]] = defaultdict(list)
    for runs in alike:
        values[_varied(runs[0], options)] += [run.test_parts[part][run.valid_metric] for run in runs]
    order = sorted(values)
    spreads = [MeanStd.from_values(values[value]) for value in order]
    means, errors = [one.mean for one in spreads], [one.deviation for one in spreads]
    several = any(one.runs > 1 for one in spreads)
    return PlotSeries(name, order, means, colour=colour, error=errors if several else None)


def by_group(methods: Mapping[str, Sequence[RunRecord]], numbers: Mapping[str, int]) -> list[Figure]:
    """Return accuracy and share of false hard negatives by popularity (Figure 1) and by time (Figure 6).

    The false hard negatives are those of the chosen epoch.

    Raises:
        UsageError: no run has counted false hard negatives by group.
    """
    figures = []
    for figure, kind, word, what in GROUPS:
        rates = Panel("false hard negatives", what, "share of negatives")
        scores: dict[str, Panel] = {}
        for name, runs in methods.items():
            tables = [_rates_by_group(run, word) for run in runs]
            if not all(tables):
                continue
            rates.series.append(group_bars(name, numbers[name], tables, RATE))
            for part in runs[0].test_parts:
                tables = [run.result.get("groups", {}).get(part, {}).get(kind) or [] for run in runs]
                metric = runs[0].valid_metric
                if all(tables) and all(metric in row for table in tables for row in table):
                    panel = scores.setdefault(part, Panel(part, what, metric))
                    panel.series.append(group_bars(name, numbers[name], tables, metric))
        if rates.series:
            note = (
                "A negative counts in the group of a held-out item of its user that it is near to. Groups of "
                "items have equal numbers of items, groups by time equal numbers of held-out rows."
            )
            title = f"Accuracy and false hard negatives by {what.partition(',')[0]} (CNSDiff, {figure})"
            figures.append(Figure(f"false hard negatives by {word}", title, [*scores.values(), rates], note))
    if not figures:
        raise UsageError(
            "no run has counted false hard negatives by group; run with --false_negative_part=test_ood (or "
            "valid, test) and report_groups above 0; times of held-out rows are known under shift=temporal"
        )
    return figures


def _rates_by_group(run: RunRecord, word: str) -> list[dict[str, float]]:
    """Return the shares of the chosen epoch by group, a row each; none if the run has not counted them."""
    chosen = [record for record in run.epochs if record.get("epoch") == run.result["best_epoch"]]
    found = _diagnostics(chosen[0]) if chosen else {}
    start = f"{RATE}@{word}_"
    groups = sorted(
        (int(name[len(start) :]), value) for name, value in found.items() if name.startswith(start)
    )
    return [{"group": group - 1, RATE: value} for group, value in groups]


def _diagnostics(record: Mapping[str, Any]) -> Mapping[str, float]:
    return record.get("diagnostics", {})
