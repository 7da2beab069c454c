"""The page of one run or of several: learning curves, groups, cost, and the figures of the papers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_diffusion.data.valid_shift import UNSHIFTED
from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.report.comparison import Comparison
from recbole_diffusion.report.comparison_table import comparison_tables
from recbole_diffusion.report.figure import Figure
from recbole_diffusion.report.learned_rows import of_seen_rows
from recbole_diffusion.report.page import HtmlPage
from recbole_diffusion.report.paper.ratings import calibration
from recbole_diffusion.report.paper_figures import paper_figures
from recbole_diffusion.report.recommendations import recommendations
from recbole_diffusion.report.run_figures import accuracy_against_time, groups, learning_curves, loss_parts
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.report.tables import Cell, Table, number
from recbole_diffusion.storage import yaml_io

MANY_VALUES = 8  # metrics of one run that are shown in large type

SECONDS = ("load", "build", "train", "valid", "test")


def runs_page(
    found: Comparison,
    load: Callable[[RunRecord], Any] | None,
    left_out: Sequence[str] = (),
    users: str | None = None,
    item_title: str | None = None,
) -> tuple[HtmlPage, list[Figure], list[str]]:
    """Return the page of compared runs, or of one run, its figures, and what is missing in it.

    Args:
        found: the comparison; for a single run, one of one method with one seed.
        load: see :func:`~recbole_diffusion.report.paper_figures.paper_figures`.
        left_out: notes about runs that were left out, shown at the top.
        users: ids of the users whose lists are shown, with commas between; None for a few drawn ones.
        item_title: column of the .item file that holds titles; None for one that is known to.

    Raises:
        UsageError: ``users`` or ``item_title`` cannot be met.
    """
    load = None if load is None else _once(load)
    methods = {method.name: method.runs for method in found.methods}
    runs = [run for of_method in methods.values() for run in of_method]
    alone = runs[0] if len(runs) == 1 else None
    papers, missing = paper_figures(methods, load)
    rated = calibration(methods, load, missing)
    lists = recommendations(found, load, missing, users, item_title)
    metric = runs[0].valid_metric
    learning = [learning_curves(methods, metric) if all(run.valid_metric == metric for run in runs) else None]
    learning += [loss_parts(name, of_method) for name, of_method in methods.items()]
    serving, time = groups(found), accuracy_against_time(found)

    page = _run_head(alone, found) if alone else _comparison_head(found, runs)
    for text in left_out:
        page.note(text)
    if alone:
        _metrics_table(page, alone)
    else:
        page.section("Comparison")
        for table in comparison_tables(found):
            page.table(table)
        page.figures([time])
    if any(learning):
        page.section("Learning")
        page.figures(learning[:2] if alone else learning[:1])
        if not alone and any(learning[1:]):
            page.open_details("Losses of each method, by part")
            page.figures(learning[1:])
            page.close_details()
    if serving:
        page.section("Groups")
        page.figures(serving)
    if rated:
        page.section("Calibration")
        page.figures([rated])
    lists.show(page)
    if papers:
        page.section("Figures of the papers")
        page.figures(papers)
    if missing:
        page.section("Not shown")
    for text in missing:
        page.note(text)
    _runs(page, methods)
    figures = [time, *learning, *serving, rated, *lists.figures, *papers]
    return page, [figure for figure in figures if figure is not None], missing


def _once(load: Callable[[RunRecord], Any]) -> Callable[[RunRecord], Any]:
    """Return ``load``, which loads each run once; an error comes again where it is asked for again."""
    kept: dict[Path, Any] = {}

    def loaded(run: RunRecord) -> Any:
        if run.path not in kept:
            try:
                kept[run.path] = load(run)
            except (UsageError, RunError) as error:
                kept[run.path] = error
        if isinstance(kept[run.path], Exception):
            raise kept[run.path]
        return kept[run.path]

    return loaded


def _run_head(run: RunRecord, found: Comparison) -> HtmlPage:
    result = run.result
    page = HtmlPage(f"{run.model} on {result['dataset']}", f"seed {run.seed}, {run.path.name}")
    _protocol_note(page, [run])
    for text in of_seen_rows({run.model: [run]}):
        page.note(text, True)
    part = found.parts[0]
    facts = {f"{part} {name}": f"{run.test_parts[part][name]:.4f}" for name in found.metrics[:MANY_VALUES]}
    stage = run.epochs[-1].get("stage") if run.epochs else None
    # The best epoch is counted in the last of several stages.
    counted_ones = [one for one in run.epochs if stage is not None and one.get("stage") == stage]
    epochs = len(counted_ones or result["epoch_seconds"])
    of_stage = "" if stage is None else f", of the stage {stage}"
    facts |= {
        "best epoch": f"{result['best_epoch']}, of 0 to {epochs - 1}{of_stage}" if epochs else "-",
        "chosen by": run.chosen_by,
        "preset": run.preset_text,
        "training": f"{result['seconds']['train']:,.1f} s",
        "peak memory": f"{result['peak_rss_mb']:,.0f} MiB",
        "parameters": f"{result['parameters']:,}",
    }
    page.facts(facts)
    return page


def _comparison_head(found: Comparison, runs: Sequence[RunRecord]) -> HtmlPage:
    seeds = sorted({run.seed for run in runs})
    methods = counted(len(found.methods), "method")
    page = HtmlPage(
        f"{methods} on {found.dataset}",
        f"{counted(len(runs), 'run')}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}, ordered by "
        f"{found.by}",
    )
    _protocol_note(page, runs)
    facts = {}
    for part in found.parts:
        best = found.ranked(part)[0]
        facts[f"best {found.by} on {part}"] = f"{best.metrics[part][found.by].mean:.4f}, {best.name}"
    page.facts(facts)
    return page


def _protocol_note(page: HtmlPage, runs: Sequence[RunRecord]) -> None:
    if any(run.selection == "test" for run in runs):
        what = "The" if all(run.selection == "test" for run in runs) else "For some runs, marked TEST, the"
        page.note(
            f"{what} epoch was chosen on the test part itself. Such numbers are only for comparison with "
            "papers that did the same.",
            True,
        )


def _metrics_table(page: HtmlPage, run: RunRecord) -> None:
    validations = {name: run.result[name] for name in ("valid", UNSHIFTED) if name in run.result}
    parts = {**validations, **run.test_parts}
    names = list(dict.fromkeys(name for values in parts.values() for name in values))
    page.section("Metrics")
    rows = [[Cell(name), *(number(values.get(name)) for values in parts.values())] for name in names]
    page.table(Table("", ["metric", *parts], rows, words={"metric"}))


def _runs(page: HtmlPage, methods: Mapping[str, Sequence[RunRecord]]) -> None:
    """Add a row for each run, and the options, command and versions of each."""
    page.section("Runs")
    shown = [(name, run) for name, runs in methods.items() for run in runs]
    rows = []
    for name, run in shown:
        result = run.result
        rows.append(
            [
                Cell(name),
                number(run.seed, 0),
                Cell(run.path.name),
                number(result["best_epoch"], 0),
                number(len(result["epoch_seconds"]), 0),
                number(result.get("best_valid_score")),
                number(next(iter(run.test_parts.values())).get(run.valid_metric)),
                *(number(result["seconds"].get(what), 1) for what in SECONDS),
                number(result["peak_rss_mb"], 0),
            ]
        )
    columns = [
        "method",
        "seed",
        "folder",
        "best epoch",
        "epochs",
        "valid",
        "test",
        *(f"{what} s" for what in SECONDS),
        "peak MiB",
    ]
    page.table(Table("", columns, rows, words={"method", "folder"}))
    page.open_details("Options, commands and versions")
    for name, run in shown if len(shown) == 1 else [(name, runs[0]) for name, runs in methods.items()]:
        page.note(f"{name}, seed {run.seed}")
        versions = ", ".join(
            f"{package} {version}" for package, version in run.result.get("versions", {}).items()
        )
        options = yaml_io.dump_yaml({key: value for key, value in run.config.items() if value is not None})
        page.code(
            "\n".join(
                [f"# {run.result.get('command') or 'command unknown'}", f"# {versions}", options.rstrip()]
            )
        )
    page.close_details()
