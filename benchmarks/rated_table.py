"""The page of a plan that ranks rated items, with what needs no gradient: item means, linear models, chance.

    python -m benchmarks.rated_table baselines PLAN --data_path=DATA --runs=RUNS [--dataset=NAME] [--seeds=N]
    python -m benchmarks.rated_table table PLAN --runs=RUNS [--output=benchmarks/results/dgrm_accuracy.md]

``baselines`` cuts the data as the plan's protocol does, for each seed, chooses shrinkage, rank and penalty on
validation by the plan's metric, and writes ``baselines-<dataset>.json``. ``table`` reads that and the runs of
``benchmarks.accuracy run``, from their folder, over the plan's file of collected runs as
``benchmarks.accuracy table`` does (``--kept``), or from a collected file alone; rows, means and deviations
are those of the product's ``compare``.
"""

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._layers import add_kept, open_kept, open_runs
from benchmarks._page import page_parser, show_page
from benchmarks._plan import Plan
from benchmarks._stored import Stored
from benchmarks._tables import (
    Outcomes,
    add_columns,
    compared,
    head_lines,
    outcomes_of,
    paper_row,
    part_tables,
    settings_lines,
    table_lines,
)
from benchmarks.rated_baselines import MAIN, NAMES, baselines, of_distribution
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.evaluation.rated import READINGS
from recbole_diffusion.evaluation.rated_released import NAME as RELEASED
from recbole_diffusion.options.rating import RANKING
from recbole_diffusion.report.comparison import MeanStd
from recbole_diffusion.report.comparison_table import mean_std_cell
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.report.tables import Cell, Table, number

PLAN = Path("benchmarks/plans/dgrm.yaml")
# What a page shows of the predicted ratings of test items: name in a report -> heading, digits.
OF_RATINGS = {
    "rmse": ("RMSE", 4),
    "kl": ("KL", 4),
    "covered": ("modes covered", 2),
    "agree": ("users alike (KS, 5 %)", 1),
}
# The reading behind a metric's name.
OF_METRICS = {"rated": MAIN, "rated_unfiltered": "top", "rated_released": RELEASED}
Reports = dict[str, list[dict[str, Any]]]  # by row, one a seed


def report_of(run: RunRecord) -> dict[str, Any]:
    """Return what a page shows of a run beside its metrics, in the shape of :func:`baselines`."""
    rated = run.result["rated"]["test"]
    readings = {name: [one["recall@5"], one["ndcg@5"]] for name, one in rated["readings"].items()}
    found = {"readings": readings, "rmse": run.result["test"].get("rated_rmse")}
    return found | of_distribution(rated.get("distribution", {}))


def rating_cells(reports: Sequence[Mapping[str, Any]]) -> list[Cell]:
    """Return the cells of OF_RATINGS."""
    return [mean_cell(reports, key, digits) for key, (_, digits) in OF_RATINGS.items()]


def mean_cell(reports: Sequence[Mapping[str, Any]], name: str, digits: int = 4) -> Cell:
    """Return mean and deviation of one number over seeds; nothing for scores that are no ratings."""
    values = [one[name] for one in reports if one.get(name) is not None]
    return mean_std_cell(MeanStd.from_values(values), digits) if values else Cell("")


def main_table(plan: Plan, outcomes: Outcomes, reports: Reports, simple: Reports) -> Table:
    """Return the table of all rows: published ones, baselines without a gradient, and the plan's."""
    found = compared(plan, outcomes)
    published = plan.paper.get(found.dataset, {})
    ((_, table),) = part_tables(dataclasses.replace(plan, paper={}), outcomes, found)
    first = table.columns.index(plan.metrics[0])
    after = table.columns.index(plan.metrics[-1]) + 1
    more = [rating_cells(reports[name]) for name in outcomes]
    add_columns(table, [head for head, _ in OF_RATINGS.values()], more, after)
    rows = []
    for name, seeds in simple.items():
        row = [Cell(name), number(len(seeds), 0), Cell("validation")]
        row += [simple_cell(seeds, metric) for metric in plan.metrics] + rating_cells(seeds)
        row += [Cell("")] * (len(table.columns) - len(row) - 1) + [Cell(seeds[0]["point"])]
        rows.append(row)
    table.rows[:0] = rows
    mark_best(table, range(first, after))
    table.rows[:0] = [paper_row(name, values, table) for name, values in published.items()]
    return table


def simple_cell(seeds: Sequence[Mapping[str, Any]], metric: str) -> Cell:
    """Return mean and deviation of a metric of rated items, of a row that no run has made."""
    name, _, _ = metric.partition("@")
    kind, _, word = name.rpartition("_")
    if kind not in OF_METRICS or any(OF_METRICS[kind] not in one["readings"] for one in seeds):
        return Cell("")
    values = [one["readings"][OF_METRICS[kind]][RANKING.index(word)] for one in seeds]
    return mean_std_cell(MeanStd.from_values(values), 4)


def mark_best(table: Table, columns: range) -> None:
    """Mark the largest value of each column."""
    for k in columns:
        values = [row[k].value for row in table.rows]
        best = max(value for value in values if value is not None)
        for row, value in zip(table.rows, values, strict=True):
            row[k] = dataclasses.replace(row[k], best=value == best)


def readings_table(reports: Reports) -> Table:
    """Return Recall@5 and NDCG@5 under each reading of the paper's two lists, means over seeds.

    The released reading has a column where a run knows it; older runs do not.
    """
    known = any(RELEASED in one["readings"] for seeds in reports.values() for one in seeds)
    columns, rows = [*READINGS, *([RELEASED] if known else [])], []
    for name, seeds in reports.items():
        row = [Cell(name)]
        for reading in columns:
            values = [one["readings"][reading] for one in seeds if reading in one["readings"]]
            means = [f"{MeanStd.from_values(column).mean:.4f}" for column in zip(*values, strict=True)]
            row.append(Cell(" / ".join(means)))
        rows.append(row)
    return Table("", ["method", *columns], rows, {"method"})


def distribution_table(plan: Plan, dataset: str, reports: Reports) -> Table | None:
    """Return how the predicted test ratings are distributed, for the rows that the plan names."""
    chosen = {name: reports[name] for name in plan.distributions if "predicted" in reports.get(name, [{}])[0]}
    if not chosen:
        return None
    shares = [f"share of {rating}" for rating in range(1, 6)]
    columns = ["method", "KL(predicted, actual)", "KL(actual, predicted)", "modes covered"]
    columns += ["users alike (KS, 5 %)", "users alike (KS, 1 %)", *shares]
    nothing = [Cell("")] * 5
    rows = [
        [Cell(f"*{name}*"), number(value), *nothing[1:], *nothing]
        for name, value in plan.paper_kl.get(dataset, {}).items()
    ]
    first = next(iter(chosen.values()))
    rows.append([Cell("actual ratings"), *nothing, *share_cells(first, "actual")])
    for name, seeds in chosen.items():
        cells = [mean_cell(seeds, key) for key in ("kl", "kl_reverse", "covered")]
        cells += [mean_cell(seeds, key, 1) for key in ("agree", "agree_01")]
        rows.append([Cell(name), *cells, *share_cells(seeds, "predicted")])
    return Table("", columns, rows, {"method"})


def share_cells(seeds: Sequence[Mapping[str, Any]], name: str) -> list[Cell]:
    """Return the mean share of each rating."""
    return [
        number(MeanStd.from_values(one).mean, 2) for one in zip(*(seed[name] for seed in seeds), strict=True)
    ]


def page(plan: Plan, stored: Stored) -> list[str]:
    """Return the lines of a plan's page."""
    groups = {group: outcomes_of(plan, stored, group) for group in plan.groups_of_rows()}
    lines = head_lines(plan, list(groups.values()), "benchmarks.rated_table")
    for group, (dataset, _) in plan.groups_of_rows().items():
        outcomes = groups[group]
        if not outcomes:
            continue
        kept = stored.content(f"baselines-{dataset}.json") or {}
        simple = {name: kept[name] for name in NAMES if name in kept}
        reports = {name: [report_of(run) for run in outcome.runs] for name, (_, outcome) in outcomes.items()}
        lines += [f"## {dataset}", "", table_lines(main_table(plan, outcomes, reports, simple)), ""]
        lines += [f"Recall@5 / NDCG@5 on {dataset} under each reading of the paper's two lists:", ""]
        lines += [table_lines(readings_table(simple | reports)), ""]
        distribution = distribution_table(plan, dataset, simple | reports)
        if distribution is not None:
            lines += [f"Predicted ratings of the test items of {dataset} against the actual ones, put to the"]
            lines += ["nearest rating:", "", table_lines(distribution), ""]
    return [*lines, *settings_lines(plan)]


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line; return the exit code."""
    parser = page_parser(__doc__)
    parser.add_argument("action", choices=("baselines", "table"))
    parser.add_argument("plan", nargs="?", type=Path, default=PLAN)
    parser.add_argument(
        "--runs", type=Path, required=True, help="folder of the runs; for table also a collected file"
    )
    parser.add_argument("--data_path", default="dataset/", help="folder that holds one folder per data set")
    parser.add_argument("--dataset", default="ml-100k", help="of baselines")
    parser.add_argument("--seeds", type=int, help="of baselines: the first so many of the plan's")
    add_kept(parser)
    arguments = parser.parse_args(argv)
    try:
        plan = Plan.read(arguments.plan)
        if arguments.action == "table":
            stored = open_runs(arguments.runs, open_kept(plan, arguments.kept)[1])
            show_page(page(plan, stored), arguments.output)
            return 0
        options = {**next(iter(plan.protocols.values())), "data_path": arguments.data_path}
        found = baselines(arguments.dataset, plan.seeds[: arguments.seeds], options)
        arguments.runs.mkdir(parents=True, exist_ok=True)
        file = arguments.runs / f"baselines-{arguments.dataset}.json"
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    except (UsageError, RunError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
