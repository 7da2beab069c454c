"""The distribution of predicted ratings, by epoch and at the end (DGRM, Figures 2 to 6)."""

from collections.abc import Mapping, Sequence

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, shade_of
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
