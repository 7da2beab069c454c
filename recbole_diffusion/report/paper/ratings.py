"""Predicted ratings: their distribution by epoch and at the end (DGRM, Figures 2 to 6), their calibration."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, SeriesStyle, shade_of
from recbole_diffusion.report.run_figures import method_style
from recbole_diffusion.report.runs import RunRecord

KINDS = {"rated": "rated items (labelled)", "unrated": "items without a rating (unlabelled)"}
ACTUAL = "#9aa1ab"
MOST_EPOCHS = 6  # in one panel


def rating_distributions(
    methods: Mapping[str, Sequence[RunRecord]], numbers: Mapping[str, int]
) -> list[Figure]:
    """Return the distribution of predicted ratings, by epoch, and at the end beside the actual one.

    Raises:
        UsageError: no run has kept them.
    """
    figures = []
    for name, runs in methods.items():
        records = [record for record in runs[0].epochs if "ratings" in record]
        if records:
            title = f"Ratings predicted by {name}, by epoch (DGRM, Figures 3 to 6)"
            note = f"Seed {runs[0].seed}, items of the validation users."
            figures.append(
                Figure(f"ratings {name}", title, [_by_epoch(records, kind) for kind in KINDS], note)
            )
    at_the_end = _at_the_end(methods, numbers)
    if at_the_end:
        title = "Actual ratings (DGRM, Figure 2) and those predicted at the best epoch"
        figures.append(
            Figure(
                "ratings at the end",
                title,
                at_the_end,
                "KL(predicted || actual) over the ratings that occur.",
            )
        )
    if not figures:
        raise UsageError("no run has kept ratings; run with --rating_scale and the rating column loaded")
    return figures


def evenly_spaced(records: Sequence[dict]) -> list[dict]:
    """Return at most MOST_EPOCHS records, evenly spaced, the first and the last among them."""
    last = len(records) - 1
    places = {round(k * last / (MOST_EPOCHS - 1)) for k in range(MOST_EPOCHS)}
    return [records[place] for place in sorted(places)]


def shares(counts: Sequence[int]) -> list[float]:
    """Return counts divided by their sum, zeros where there are none."""
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _by_epoch(records: list[dict], kind: str) -> Panel:
    panel = Panel(KINDS[kind], "predicted rating", "share")
    if kind == "rated":
        first = records[0]["ratings"]
        panel.series.append(
            PlotSeries("actual", first["edges"], shares(first["actual"]), kind="steps", colour=ACTUAL)
        )
    drawn = evenly_spaced(records)
    for place, record in enumerate(drawn):
        colour = shade_of(place / max(1, len(drawn) - 1))
        name, counts = f"epoch {record['epoch']}", record["ratings"]
        panel.series.append(
            PlotSeries(name, counts["edges"], shares(counts[kind]), kind="steps", colour=colour)
        )
    return panel


def _at_the_end(methods: Mapping[str, Sequence[RunRecord]], numbers: Mapping[str, int]) -> list[Panel]:
    """Return, for each test part, the actual ratings (Figure 2) beside each method's final predictions."""
    panels: dict[str, Panel] = {}
    for name, runs in methods.items():
        for part, report in runs[0].result.get("rated", {}).items():
            if "counts" not in report:
                continue
            counts = report["counts"]
            if part not in panels:
                panels[part] = Panel(part, "rating", "share")
                actual = PlotSeries(
                    "actual", counts["edges"], shares(counts["actual"]), kind="steps", colour=ACTUAL
                )
                panels[part].series.append(actual)
            kl = report.get("distribution", {}).get("kl")
            label = name if kl is None else f"{name}, KL {kl:.3f}"
            colour = method_style(numbers[name])["colour"]
            panels[part].series.append(
                PlotSeries(label, counts["edges"], shares(counts["rated"]), kind="steps", colour=colour)
            )
    return list(panels.values())


def calibration(
    methods: Mapping[str, Sequence[RunRecord]], load: Callable[[RunRecord], Any] | None, notes: list[str]
) -> Figure | None:
    """Return the mean rating by predicted rating, for the methods that predict ratings; None without any.

    Runs whose ``result.json`` is from before it held this are evaluated anew.

    Args:
        methods: runs by method.
        load: returns the loaded run of a record; None leaves runs of earlier versions out.
        notes: gets a line for each method that has ratings and cannot be shown.
    """
    panels: dict[str, list[Panel]] = {}
    for place, (name, runs) in enumerate(methods.items()):
        reports = runs[0].result.get("rated") or {}
        reports = {part: report for part, report in reports.items() if "counts" in report}
        if reports and not all("calibration" in report for report in reports.values()):
            try:
                if load is None:
                    raise UsageError("the run is older than this figure, and --models=false loads no model")
                reports = load(runs[0]).rated_reports(list(reports))
            except (UsageError, RunError) as error:
                notes.append(f"Calibration lacks {name}: {error}")
                continue
        for part, report in reports.items():
            of = name if len(reports) == 1 else f"{name}, {part}"
            _add_calibration(panels.setdefault(part, _axes(part)), of, place, report["calibration"])
    if not panels:
        return None
    note = (
        "Held-out rows by predicted rating, in bins of equal width over the scale; predictions beyond it are "
        "in the first or last bin. On the dashed line predictions are right on average; bars are two "
        "standard errors. In brackets: the mean distance from that line, over rows. The first seed of each "
        "method."
    )
    return Figure(
        "calibration",
        "Calibration of predicted ratings",
        [one for two in panels.values() for one in two],
        note,
    )


def _axes(part: str) -> list[Panel]:
    return [
        Panel(f"{part}: mean rating by predicted rating", "mean predicted rating", "mean rating"),
        Panel(f"{part}: number of rows", "predicted rating", "rows"),
    ]


def _add_calibration(panels: list[Panel], name: str, place: int, bins: Mapping[str, Sequence[float]]) -> None:
    """Add a method to the panels of one part; ``bins`` is what ``distribution.calibration`` returns."""
    curve, sizes = panels
    low, high = bins["edges"][0], bins["edges"][-1]
    if not curve.series:
        curve.series.append(
            PlotSeries("right on average", [low, high], [low, high], colour=ACTUAL, dash="dash", faint=True)
        )
    kept = [k for k, rows in enumerate(bins["rows"]) if rows]
    rows = [bins["rows"][k] for k in kept]
    predicted, actual = ([bins[what][k] for k in kept] for what in ("predicted", "actual"))
    gap = sum(n * abs(a - b) for n, a, b in zip(rows, predicted, actual, strict=True)) / max(sum(rows), 1)
    texts = [
        f"{name}<br>predicted {a:.3g}, rated {b:.3g}<br>{counted(int(n), 'row')}"
        for n, a, b in zip(rows, predicted, actual, strict=True)
    ]
    style: SeriesStyle = {**method_style(place), "texts": texts}
    style["error"] = [2 * bins["error"][k] for k in kept]
    label = f"{name} ({gap:.3f})"
    curve.series.append(PlotSeries(label, predicted, actual, **style))
    names = [f"{a:g}–{b:g}" for a, b in zip(bins["edges"], bins["edges"][1:], strict=False)]
    sizes.series.append(
        PlotSeries(label, names, list(bins["rows"]), kind="bars", colour=method_style(place)["colour"])
    )
