"""Two pictures of a sweep: what the options did (parallel coordinates) and how the trials learned."""

from importlib import util
from numbers import Number
from typing import Any

from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.record import Record, Trial
from recbole_diffusion.tuning.trial import validation_scores

SIZE, DOTS_PER_INCH = (10, 5), 120
MANY = 12  # different values on one axis that are still written out


def draw(folder: SweepFolder, record: Record) -> list[str]:
    """Write ``parallel_coordinates.png`` and ``learning_curves.png``; return what to tell the user, if anything."""
    if util.find_spec("matplotlib") is None:
        return [
            "no pictures: matplotlib is not installed (pip install matplotlib, or the extra [plots]); "
            "trials.csv has the numbers"
        ]
    from matplotlib.figure import Figure

    scored = [trial for trial in record.trials if trial.score is not None]
    for name, paint in (("parallel_coordinates", coordinates), ("learning_curves", curves)):
        figure = Figure(
            figsize=SIZE, layout="constrained"
        )  # no display, and no state shared with the caller's pictures
        if paint(figure, folder, record, scored):
            figure.savefig(folder.path / f"{name}.png", dpi=DOTS_PER_INCH)
    return []


def coordinates(figure: Any, folder: SweepFolder, record: Record, trials: list[Trial]) -> bool:  # noqa: ARG001
    """Paint one line a trial through its options to its score; return whether there is anything to see."""
    names = [
        name
        for name in dict.fromkeys(name for trial in trials for name in trial.options)
        if len(_values(name, trials)) > 1
    ]
    if not names or len(trials) < 2:
        return False
    from matplotlib import colormaps

    axes = figure.subplots()
    scores = [trial.score for trial in trials]
    low, high = min(scores), max(scores)
    sign = 1 if record.bigger else -1
    for trial in sorted(trials, key=lambda one: sign * one.score):
        share = (trial.score - low) / (high - low) if high > low else 1.0
        heights = [place(name, trial, trials) for name in names] + [share]
        colour = colormaps["viridis"](share if record.bigger else 1 - share)
        axes.plot(
            range(len(heights)),
            heights,
            color=colour,
            linewidth=2.5 if trial is record.best() else 1,
            alpha=0.8,
        )
    for number, name in enumerate(names):
        for height, text in labels(name, trials):
            axes.annotate(
                text,
                (number, height),
                fontsize=7,
                ha="center",
                bbox={"facecolor": "white", "alpha": 0.7, "lw": 0},
            )
    for height, value in ((0.0, low), (1.0, high)):
        axes.annotate(
            f"{value:.4f}", (len(names), height), fontsize=7, xytext=(4, 0), textcoords="offset points"
        )
    axes.set_xticks(range(len(names) + 1), [*names, record.valid_metric], rotation=20, ha="right", fontsize=8)
    axes.set_yticks([])
    axes.grid(axis="x")
    axes.set_title(
        f"{record.model} on {record.dataset}: {len(trials)} trials, {record.selection}; the thick line is "
        "the best"
    )
    return True


def _values(name: str, trials: list[Trial]) -> list[Any]:
    """Return the different values of an option, numbers by size, everything else by its text."""
    found = {
        yaml_io.dump_value(trial.options[name]): trial.options[name]
        for trial in trials
        if name in trial.options
    }
    numeric = all(isinstance(value, Number) and not isinstance(value, bool) for value in found.values())
    return sorted(found.values(), key=(lambda value: value) if numeric else yaml_io.dump_value)


def place(name: str, trial: Trial, trials: list[Trial]) -> float:
    """Return the height, 0 to 1, of a trial on an option's axis: the rank of its value; below 0 where it has none."""
    if name not in trial.options:
        return -0.08
    values = _values(name, trials)
    return values.index(trial.options[name]) / max(1, len(values) - 1)


def labels(name: str, trials: list[Trial]) -> list[tuple[float, str]]:
    """Return height and text of the labels on an option's axis: all values, or the two ends of many."""
    values = _values(name, trials)
    shown = range(len(values)) if len(values) <= MANY else (0, len(values) - 1)
    texts = [
        f"{value:.4g}" if isinstance(value, float) else yaml_io.dump_value(value)[:24] for value in values
    ]
    return [(number / max(1, len(values) - 1), texts[number]) for number in shown]


def curves(figure: Any, folder: SweepFolder, record: Record, trials: list[Trial]) -> bool:
    """Paint the validation score of each trial over its epochs; return whether there is anything to see.

    Models of one step have no such curve: for them the scores are painted in the order of the trials, with
    the best so far.
    """
    axes, best = figure.subplots(), record.best()
    found = [(trial, validation_scores(RunFolder(folder.path / trial.folder))) for trial in trials]
    found = [(trial, scores) for trial, scores in found if scores]
    one_step = all(len(scores) == 1 for _, scores in found)
    if one_step:
        choose = max if record.bigger else min
        numbers, values = [trial.number for trial, _ in found], [scores[0][1] for _, scores in found]
        axes.plot(numbers, values, "o")
        axes.step(
            numbers,
            [choose(values[: place + 1]) for place in range(len(values))],
            where="post",
            label="best so far",
        )
    for trial, scores in () if one_step else found:
        style = (
            {"linewidth": 2.5, "zorder": 3, "label": f"best, trial {trial.name}"}
            if trial is best
            else {"alpha": 0.5}
        )
        axes.plot(
            [epoch + 1 for epoch, _ in scores],
            [score for _, score in scores],
            marker=".",
            markersize=3,
            **style,
        )
    axes.set_xlabel("trial" if one_step else "epoch")
    axes.set_ylabel(f"{record.valid_metric} on {record.selection}")
    axes.set_title(f"{record.model} on {record.dataset}: {len(found)} trials")
    axes.legend(*axes.get_legend_handles_labels())
    return bool(found)
