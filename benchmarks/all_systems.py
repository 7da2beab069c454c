"""Every system of the papers' tables on one page: the paper's figure, a tuned linear model, seconds, memory.

    python -m benchmarks.all_systems [--output=benchmarks/results/all.md]

Reads what the plans' pages were made from (``benchmarks/plans``, ``benchmarks/results/*_runs.jsonl.gz``). Of
each system a table has the row that validation chose, by the mean score of its runs there; where rows were
chosen by different metrics, by the mean of the metric that the table compares.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks._page import page_parser, show_page
from benchmarks._plan import Plan
from benchmarks._stored import Outcome, Stored, open_stored
from benchmarks._tables import Outcomes, compared, outcomes_of, part_tables, table_lines
from recbole_diffusion.report.compared_metrics import smaller_is_better
from recbole_diffusion.report.tables import Cell, Table, number

HERE = Path(__file__).resolve().parent
# Item-item models in closed form or by counting, and their like for ratings of two domains.
LINEAR = {"EASE", "EDLAE", "SLIM", "SLIMElastic", "SANSA", "ItemKNN", "UserKNN", "P3alpha", "RP3beta"}
LINEAR |= {"PureSVD", "LinkProp", "SourceRegression", "ItemMean", "SourceOffset"}
# What a paper's table calls a model that has another name here, as simple() writes both.
ALIASES = {"bpr": {"bprmf", "mf"}, "neumf": {"ncf"}, "causaldiffrec": {"causaldiff"}}
COSTS = ["build s", "train s", "peak MiB"]
COLUMNS = ["system", "row", "seeds", "ours", "paper", "reaches it", "above linear", *COSTS]


@dataclass(frozen=True)
class System:
    """A system in one table.

    Attributes:
        name: what the paper's table calls it, or the model's name.
        row: the row of the plan that validation chose.
        model: the model of that row.
        seeds: its runs.
        mean: of the metric over seeds.
        deviation: over seeds, 0 for one seed.
        paper: the published value, None where the paper's table lacks it.
        linear: the best linear row, by validation, and its mean; None where there is none.
        smaller: whether smaller values are better.
        shown: cell of the metric.
        costs: cells of ``COSTS``; an empty one where the runs are older than it.
    """

    name: str
    row: str
    model: str
    seeds: int
    mean: float
    deviation: float
    paper: float | None
    linear: tuple[str, float] | None
    smaller: bool
    shown: Cell
    costs: list[Cell]

    @property
    def reaches(self) -> bool | None:
        """Whether the mean is as good as the paper's value, or within a deviation of it."""
        if self.paper is None:
            return None
        missing = self.mean - self.paper if self.smaller else self.paper - self.mean
        return missing <= self.deviation

    @property
    def passes(self) -> bool | None:
        """Whether the mean is better than that of the best linear model."""
        if self.linear is None or self.model in LINEAR:
            return None
        return self.mean < self.linear[1] if self.smaller else self.mean > self.linear[1]

    def cells(self) -> list[Cell]:
        """Return its line of a table."""
        words = {None: "", True: "yes", False: "no"}
        change = words[self.passes]
        if self.linear is not None and change:
            change += f" ({100 * (self.mean / self.linear[1] - 1):+.1f} %)"
        published = Cell("") if self.paper is None else number(self.paper)
        first = [Cell(self.name), Cell(self.row), Cell(str(self.seeds)), self.shown, published]
        return [*first, Cell(words[self.reaches]), Cell(change), *self.costs]


def simple(name: str) -> str:
    """Return a name without case, spaces and signs, and without what stands in brackets."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\(.*?\)", "", name).lower())


def published(plan: Plan, dataset: str, row: str, model: str) -> tuple[str, list[float | None]] | None:
    """Return the name and the values that the paper's table has for a row, None where it has none.

    The row's own name comes first, then what stands behind its last comma, then the model's name.
    """
    of_paper = {}
    for key, values in plan.paper.get(dataset, {}).items():
        name = key.removeprefix("paper, ").removesuffix(", paper")
        if name != key:
            of_paper[simple(name)] = name, values
    own = simple(model)
    for name in (simple(row), simple(row.rpartition(", ")[2]), own, *sorted(ALIASES.get(own, ()))):
        if name in of_paper:
            return of_paper[name]
    return None


def chosen_rows(plan: Plan, outcomes: Outcomes, by: str) -> dict[str, str]:
    """Return the row of each system with the best validation value of one metric, by the system's name."""
    best: dict[str, tuple[float, str]] = {}
    for row, (experiment, outcome) in outcomes.items():
        of_paper = published(plan, experiment.dataset, row, experiment.row.model)
        name = of_paper[0] if of_paper else experiment.row.model
        score = valid_score(outcome, by)
        if score is not None and (name not in best or score > best[name][0]):
            best[name] = score, row
    return {name: row for name, (_, row) in best.items()}


def deciding_metric(outcomes: Outcomes, compared: str) -> str:
    """Return the metric whose validation values rows of one system are compared by.

    It is the one that chose epochs and points; where rows differ in that, the one that the table compares,
    for values of two metrics say nothing of each other.
    """
    used = {run.valid_metric for _, outcome in outcomes.values() for run in outcome.runs}
    return used.pop() if len(used) == 1 else compared


def valid_score(outcome: Outcome, metric: str) -> float | None:
    """Return the mean validation value of a metric, larger is better; None where a run has none."""
    values = [
        run.result.get("best_valid_score") if metric == run.valid_metric else run.result["valid"].get(metric)
        for run in outcome.runs
    ]
    if any(value is None for value in values):
        return None
    return (-1 if smaller_is_better(metric) else 1) * fmean(value for value in values if value is not None)


def systems(plan: Plan, outcomes: Outcomes, part: str, table: Table, metric: str) -> list[System]:
    """Return the systems of one table, the best by the metric first.

    Args:
        plan: the plan.
        outcomes: the experiments of the table, by row.
        part: the test part.
        table: its table, as the plan's page has it.
        metric: the metric that is compared.
    """
    by, smaller = deciding_metric(outcomes, metric), smaller_is_better(metric)
    chosen = chosen_rows(plan, outcomes, by)
    places = {name: table.columns.index(name) for name in (metric, *COSTS) if name in table.columns}
    rows = {row[0].text: row for row in table.rows}
    of = {row: outcomes[row][0].row.model for row in chosen.values()}
    linear = [(valid_score(outcomes[row][1], by) or 0.0, row) for row, model in of.items() if model in LINEAR]
    best = max(linear)[1] if linear else None
    of_linear = None if best is None else (best, _value(rows[best][places[metric]]))
    found = []
    for name, row in chosen.items():
        experiment, outcome = outcomes[row]
        values = (
            published(plan, experiment.dataset, row, of[row]) if part == (plan.paper_part or part) else None
        )
        place = plan.metrics.index(metric)
        paper = values[1][place] if values and place < len(values[1]) else None
        ours = rows[row][places[metric]]
        costs = [rows[row][places[one]] if one in places else Cell("") for one in COSTS]
        found.append(
            System(
                *(
                    name,
                    row,
                    of[row],
                    len(outcome.runs),
                    _value(ours),
                    ours.deviation or 0.0,
                    paper,
                    of_linear,
                ),
                smaller,
                ours,
                costs,
            )
        )
    return sorted(found, key=lambda one: one.mean if smaller else -one.mean)


def _value(cell: Cell) -> float:
    assert isinstance(cell.value, float)
    return cell.value


def sections(plan: Plan, stored: Stored) -> Iterator[tuple[str, str, list[System]]]:
    """Yield heading, metric and systems of each table of a plan."""
    metric = compared_metric(plan)
    for group, (dataset, protocol) in plan.groups_of_rows().items():
        outcomes = outcomes_of(plan, stored, group)
        if len({experiment.row.model for experiment, _ in outcomes.values()}) < 2:
            continue
        for part, table in part_tables(plan, outcomes, compared(plan, outcomes)):
            name = f"{dataset}, {protocol} protocol" + (f", {part}" if len(plan.parts) > 1 else "")
            yield name, metric, systems(plan, outcomes, part, table, metric)


def compared_metric(plan: Plan) -> str:
    """Return the metric of a plan that is compared: the last one that its papers print."""
    printed = [values for rows in plan.paper.values() for values in rows.values()]
    places = [k for values in printed for k, value in enumerate(values) if value is not None]
    return plan.metrics[max(places, default=0)]


def page(plans: Mapping[str, tuple[Plan, Stored]]) -> list[str]:
    """Return the lines of the page.

    Args:
        plans: by the name of their page.
    """
    lines, every = [], []
    for name, (plan, stored) in plans.items():
        for heading, metric, found in sections(plan, stored):
            if not found:
                continue
            every += found
            linear = found[0].linear
            beside = f"best linear model: {linear[0]}, {linear[1]:.4f}; " if linear else ""
            table = Table("", COLUMNS, [one.cells() for one in found], {"system", "row"})
            lines += [
                f"## {heading} ({plan.name})",
                "",
                f"{metric}; {beside}[all rows and metrics]({name}).",
                "",
            ]
            lines += [table_lines(table), ""]
    return [*head(every), "", *lines]


def head(every: Sequence[System]) -> list[str]:
    """Return title, what the page says at once, and how it was made."""
    of_paper = [one for one in every if one.reaches is not None]
    beside = [one for one in every if one.passes is not None]
    reached, passed = sum(bool(one.reaches) for one in of_paper), sum(bool(one.passes) for one in beside)
    names = len({one.name for one in every})
    text = f"""\
# Every system of the papers' tables

{names} systems in {len(every)} lines. {reached} of the {len(of_paper)} lines that a
paper prints reach its figure, or are within a deviation over seeds; {passed} of {len(beside)} are above the
tuned linear model of the same table.

Of each system a table has the row that validation chose (by the table's metric where rows were chosen by
several), with all of its seeds, sorted by the metric; the linear model too was chosen on validation. Papers
chose on the test part, often on splits of their own: the plan's page says how far digits can be compared.
Seconds are of making the model, in which a closed form is computed whole (empty for older runs), and of
training, on one or two threads of a shared machine. Made by `python -m benchmarks.all_systems` from the
runs behind the pages.
"""
    return text.splitlines()


def read(plans: Path, results: Path) -> dict[str, tuple[Plan, Stored]]:
    """Return the plans whose runs are kept, by the name of their page."""
    found: dict[str, tuple[Plan, Stored]] = {}
    for file in sorted(plans.glob("*.yaml")):
        runs = results / f"{file.stem}_runs.jsonl.gz"
        if runs.is_file():
            found[f"{file.stem}_accuracy.md"] = Plan.read(file), open_stored(runs)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line; return the exit code."""
    parser: argparse.ArgumentParser = page_parser(__doc__)
    arguments: Any = parser.parse_args(argv)
    show_page(page(read(HERE / "plans", HERE / "results")), arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
