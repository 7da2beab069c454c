"""TV-Diff's ablation and sensitivity (Figures 4 to 11): runs that differ in one option, the paper's beside.

The paper's numbers are in ``report/paper/tvdiff_figures.yaml``, by figure, data set and value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from statistics import fmean, stdev
from typing import Any

from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, colour_of
from recbole_diffusion.report.methods import OF_A_RUN
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.storage.yaml_io import dump_value, load_yaml

METRICS = ("recall@20", "ndcg@20")
OF_THE_PAPER = "#9aa1ab"
LONGEST = 60  # letters of the options in a legend
# A point of an axis: numbers, several for options that vary together, or a word.
Value = tuple[float, ...] | str
Methods = Mapping[str, Sequence[RunRecord]]
Group = Mapping[Value, Sequence[str]]  # names of methods by value; one, unless free options differ


@dataclass(frozen=True)
class Varied:
    """One figure.

    Attributes:
        number: its number in the paper.
        title: what varies.
        names: the options that vary.
        free: options that may differ with them.
        needs: option -> the values with which the figure means something.
        note: what to know of the paper's numbers.
    """

    number: int
    title: str
    names: tuple[str, ...]
    free: tuple[str, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""

    def value(self, config: Mapping[str, Any]) -> Value | None:
        """Return the point of a run's configuration, None where it is none of this figure's."""
        if any(config.get(name) not in values for name, values in self.needs.items()):
            return None
        values: list[Any] = [config.get(name) for name in self.names]
        if self.number == 4:
            return VIEWS.get((values[0], config.get("entropy_loss") != "none", values[1]))
        if any(value is None for value in values):
            return None
        return values[0] if isinstance(values[0], str) else tuple(float(value) for value in values)


# Figure 4: denoiser, whether there is an entropy term, sampler.
VIEWS = {
    ("mlp", False, "uniform"): "vanilla",
    ("mlp", True, "uniform"): "I",
    ("anisotropic", True, "uniform"): "I+II",
    ("anisotropic", True, "ar_gsp"): "I+II+III",
}
WITH_NEGATIVES, WITH_TERM = ("bce", "bpr"), ("bce", "bpr", "nll")
# What differs with the rows of training: BPR's are interactions, the other terms' are users.
ROWS = ("batch_by", "epochs", "stopping_step")
DIFFREC = "The paper's {} is its row of DiffRec."
FIGURES = (
    Varied(
        4,
        "views",
        ("denoiser", "negative_sampler"),
        ROWS,
        note=DIFFREC.format("vanilla"),
    ),
    Varied(5, "entropy term", ("entropy_loss",), ROWS, note=DIFFREC.format("none")),
    Varied(6, "temperature t", ("temperature",), needs={"entropy_loss": WITH_TERM}),
    Varied(
        7,
        "negative factor gamma",
        ("gamma",),
        needs={"negative_sampler": ("ar_gsp",), "entropy_loss": WITH_NEGATIVES},
        note="No gamma of the paper's has the scores of its Table 1: its runs are of another model.",
    ),
    Varied(8, "steps T", ("steps",)),
    Varied(9, "noise scale s", ("noise_scale",)),
    Varied(10, "bounds of the noise", ("noise_min", "noise_max")),
    Varied(
        11,
        "topology",
        ("topology",),
        needs={"denoiser": ("anisotropic",)},
        note="On LastFM the paper's ndcg@20 of none and symmetric look exchanged.",
    ),
)


@cache
def published() -> dict[int, dict[str, dict[str, list[float]]]]:
    """Return the paper's numbers: figure -> data set -> value, as it is written there -> its numbers."""
    file = resources.files("recbole_diffusion.report.paper") / "tvdiff_figures.yaml"
    with resources.as_file(file) as path:
        return {int(figure): of_sets for figure, of_sets in load_yaml(path).items()}


def varied(methods: Methods, numbers: Mapping[str, int]) -> list[Figure]:
    """Return a figure for each option that some of the runs differ in alone; none where they differ in more.

    Args:
        methods: runs of one data set by method.
        numbers: of the methods on the page, for their colours.
    """
    found = [(one, _groups(one, methods)) for one in FIGURES if len(methods) > 1]
    return [_figure(one, groups, methods, numbers) for one, groups in found if groups]


def _groups(one: Varied, methods: Methods) -> list[Group]:
    """Return the sets of methods that differ in the figure's options alone."""
    groups: dict[str, dict[Value, list[str]]] = {}
    plain: dict[str, dict[Value, list[str]]] = {}  # Figure 4: without an entropy term, by the other options
    terms: dict[str, str] = {}  # group -> its options without the term
    for name, runs in methods.items():
        value, others = one.value(runs[0].config), _others(one, runs[0])
        if value is None:
            continue
        without = dump_value({key: given for key, given in others.items() if key != "entropy_loss"})
        if value == "vanilla":
            plain.setdefault(without, {}).setdefault(value, []).append(name)
        else:
            terms[dump_value(others)] = without
            groups.setdefault(dump_value(others), {}).setdefault(value, []).append(name)
    # The views with most points have vanilla too, whatever their term.
    most = max(map(len, groups.values()), default=0)
    found = [
        group | (plain.get(terms[key], {}) if len(group) == most else {}) for key, group in groups.items()
    ]
    return [group for group in found if len(group) > 1]


def _others(one: Varied, run: RunRecord) -> dict[str, Any]:
    left_out = OF_A_RUN | {*one.names, *one.free}
    return {name: run.config[name] for name in sorted(run.config) if name not in left_out}


def _first(group: Group) -> str:
    """Return the name of a group's first method."""
    return next(iter(group.values()))[0]


def _figure(one: Varied, groups: Sequence[Group], methods: Methods, numbers: Mapping[str, int]) -> Figure:
    first = methods[_first(groups[0])][0]
    dataset, part = first.result["dataset"], next(iter(first.test_parts))
    paper = {parsed(text): row for text, row in published()[one.number].get(dataset, {}).items()}
    # The paper's order, then what it lacks; where it has none, numbers by size.
    places = [*paper, *_ordered({value for group in groups for value in group} - paper.keys())]
    ticks = [float(place) for place in range(len(places))], [text_of(value) for value in places]
    panels = []
    for number, metric in enumerate(METRICS):
        panel = Panel(metric, ", ".join(one.names), f"{part} {metric}", ticks=ticks)
        if paper:
            points = [(places.index(value), row[number]) for value, row in paper.items()]
            panel.series.append(
                PlotSeries.from_points("paper", points, colour=OF_THE_PAPER, dash="dash", symbol="square")
            )
        for group in groups:
            name, colour = "here", colour_of(0)
            if len(groups) > 1:
                name += f", {_apart(one, group, groups, methods)}"
                colour = colour_of(numbers[_first(group)])
            panel.series += _series(name, colour, group, methods, places, metric)
        panels.append(panel)
    title = f"{one.title[0].upper()}{one.title[1:]} (TV-Diff, Figure {one.number})"
    return Figure(
        f"tv-diff figure {one.number}", title, panels, _note(one, groups, dataset if not paper else "")
    )


def _note(one: Varied, groups: Sequence[Group], unknown: str) -> str:
    """Return how to read a figure; ``unknown`` names the data set if the paper has none of its numbers."""
    texts = ["Runs with equal options but for the axis; means, and sample deviations over seeds."]
    if unknown:
        texts.append(f"The paper has no numbers for {unknown}.")
    else:
        texts.append(
            "The paper's numbers are those published with its code, the epoch chosen on the test part."
        )
        texts += [one.note] if one.note else []
    more = [name for group in groups for names in group.values() for name in names[1:]]
    if more:
        texts.append(f"Not shown, since another method is at the same place: {', '.join(more)}.")
    return " ".join(texts)


def _series(
    name: str, colour: str, group: Group, methods: Methods, places: Sequence[Value], metric: str
) -> list[PlotSeries]:
    """Return what one group has of a metric, in the order of the axis; nothing where its runs lack it."""
    points, error, texts = [], [], []
    for value in sorted(group, key=places.index):
        runs = methods[group[value][0]]
        found = [next(iter(run.test_parts.values())).get(metric) for run in runs]
        scores = [score for score in found if score is not None]
        if len(scores) == len(runs):
            mean, seeds = fmean(scores), ", ".join(str(run.seed) for run in runs)
            points.append((places.index(value), mean))
            error.append(stdev(scores) if len(scores) > 1 else 0.0)
            texts.append(f"{text_of(value)}: {mean:.4f}, seeds {seeds}")
    if not points:
        return []
    return [PlotSeries.from_points(name, points, colour=colour, error=error, texts=texts)]


def _apart(one: Varied, group: Group, groups: Sequence[Group], methods: Methods) -> str:
    """Return the options in which a group differs from the others, as text."""
    of = [_others(one, methods[_first(some)][0]) for some in groups]
    own = _others(one, methods[_first(group)][0])
    names = [name for name in own if any(other.get(name) != own[name] for other in of)]
    text = ", ".join(f"{name}={dump_value(own[name])}" for name in names)
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(", ", 1)[0] + ", ..."


def parsed(text: str) -> Value:
    """Return the value that a text of the paper's numbers stands for: "5e-4, 5e-3" two numbers."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        return text


def text_of(value: Value) -> str:
    """Return a value as the label of an axis."""
    return value if isinstance(value, str) else ", ".join(f"{number:g}" for number in value)


def _ordered(values: set[Value]) -> list[Value]:
    return sorted(values, key=lambda value: (isinstance(value, str), value))
