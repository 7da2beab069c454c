"""What CNSDiff's negatives are like, by epoch (CNSDiff, section 4.4 and Figure 5)."""

from collections.abc import Mapping, Sequence
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, SeriesStyle, shade_of
from recbole_diffusion.report.run_figures import method_style, validations
from recbole_diffusion.report.runs import RunRecord

RATE = "false_negative_rate"


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


def _diagnostics(record: Mapping[str, Any]) -> Mapping[str, float]:
    return record.get("diagnostics", {})
