"""Tables of a plan's page: rows, means, deviations and tests are those of the product's ``compare``."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks._plan import Experiment, Plan
from benchmarks._stored import Outcome, Stored, outcome_of
from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.significance import holm
from recbole_diffusion.report.compared_metrics import smaller_is_better
from recbole_diffusion.report.comparison import Comparison, MeanStd, compare
from recbole_diffusion.report.comparison_table import comparison_tables, mean_std_cell, tests_table
from recbole_diffusion.report.paired import kept_by_user, paired_tests, tested_metric
from recbole_diffusion.report.paper.tvdiff import METRICS, published
from recbole_diffusion.report.tables import Cell, Table, markdown, number
from recbole_diffusion.storage.versions import versions

# The tests of ``recbole_diffusion.report.paired``, as a page says them.
HOW_TESTED = {
    "t": "Paired t-tests over users, each user's metric averaged over seeds",
    "bootstrap": "Paired bootstrap over the users of all splits, each with all of the ratings",
}
EMPTY = [Cell("")] * len(METRICS)
Outcomes = dict[str, tuple[Experiment, Outcome]]


def outcomes_of(plan: Plan, stored: Stored, group: str) -> Outcomes:
    """Return the experiments of a group that have runs, and what they came to, by name of the row."""
    found = {}
    for experiment in plan.experiments(group):
        outcome = outcome_of(stored, experiment)
        if outcome is not None and outcome.runs:
            found[experiment.row.name] = experiment, outcome
    return found


def compared(plan: Plan, outcomes: Outcomes) -> Comparison:
    """Return the comparison of all rows, in the order of the plan.

    Rows with the same seeds must be on the same splits. Where the seed decides the split, rows with fewer
    seeds are on fewer splits; their means stand in the same table, which says how many they are of.
    """
    by_seeds: dict[tuple[int, ...], dict[str, list[Any]]] = {}
    for name, (_, outcome) in outcomes.items():
        by_seeds.setdefault(outcome.seeds, {})[name] = outcome.runs
    found = [compare(runs, metrics=plan.metrics, test="none") for runs in by_seeds.values()]
    methods = {method.name: method for one in found for method in one.methods}
    first = found[0]
    ordered = [methods[name] for name in outcomes]
    return Comparison(first.dataset, ordered, first.parts, plan.metrics, first.by, {}, [])


def part_tables(plan: Plan, outcomes: Outcomes, found: Comparison) -> Iterator[tuple[str, Table]]:
    """Yield each part and its table, with what ``compare`` lacks: epochs, chosen points, the paper."""
    tables = {table.name: table for table in comparison_tables(found, ranked=False)}
    for part in plan.parts:
        table = tables[part]
        at = table.columns.index(plan.metrics[-1]) + 1
        for other, metrics in reversed(plan.beside.items()):
            places = [tables[other].columns.index(metric) for metric in metrics]
            heads = [f"{other} {metric}" for metric in metrics]
            add_columns(table, heads, [[row[k] for k in places] for row in tables[other].rows], at)
        heads = [
            f"{kind} {metric}"
            for metric in plan.validations
            for kind in ("shifted valid", "valid like train")
        ]
        add_columns(table, heads, [validation_cells(plan, outcome) for _, outcome in outcomes.values()], at)
        epochs = [[Cell(epochs_text(outcome))] for _, outcome in outcomes.values()]
        points = [[Cell(point_text(*pair))] for pair in outcomes.values()]
        add_columns(
            table, ["best epochs", "chosen point"], [[*a, *b] for a, b in zip(epochs, points, strict=True)]
        )
        table.words |= {"best epochs", "chosen point"}
        beside = [published_cells(experiment) for experiment, _ in outcomes.values()]
        if any(beside):
            add_columns(
                table, [f"paper {metric}" for metric in METRICS], [row or EMPTY for row in beside], at
            )
        table.rows += best_rows(plan, table)
        of_paper = plan.paper.get(found.dataset, {}) if part == (plan.paper_part or part) else {}
        table.rows[:0] = [paper_row(name, values, table) for name, values in of_paper.items()]
        yield part, table


def best_rows(plan: Plan, table: Table) -> list[list[Cell]]:
    """Return the rows of ``best_of``: of each metric the best mean of the named rows, two at least."""
    added = []
    for name, wanted in plan.best_of.items():
        rows = [row for row in table.rows if row[0].text in wanted]
        if len(rows) < 2:
            continue
        cells, winners = [Cell(f"*{name}*"), *[Cell("")] * (len(table.columns) - 1)], []
        for metric in plan.metrics:
            place = table.columns.index(metric)
            sign = 1 if smaller_is_better(metric) else -1
            best = min(rows, key=lambda row, place=place, sign=sign: sign * float(row[place].value))
            cells[place] = Cell(best[place].text, best[place].value, best[place].deviation)
            winners.append(best[0].text)
        # Whose they are, in the order of the metrics.
        cells[table.columns.index("chosen point")] = Cell("; ".join(winners))
        added.append(cells)
    return added


def validation_cells(plan: Plan, outcome: Outcome) -> list[Cell]:
    """Return the means of the shifted validation part and of the other one, a dash where there is none."""
    cells = []
    for metric in plan.validations:
        for shifted in (True, False):
            values = []
            for run in outcome.runs:
                both = "valid_iid" in run.result
                name = "valid_iid" if both and not shifted else "valid"
                values += [run.result[name][metric]] if both or not shifted else []
            cells.append(mean_std_cell(MeanStd.from_values(values), 4) if values else Cell("-"))
    return cells


def published_cells(experiment: Experiment) -> list[Cell]:
    """Return the paper's numbers for a row that is a point of one of its figures, none for others.

    Raises:
        UsageError: the paper has no such point.
    """
    if experiment.row.published is None:
        return []
    figure, value = experiment.row.published
    try:
        return [number(one) for one in published()[figure][experiment.dataset][str(value)]]
    except KeyError as error:
        raise UsageError(
            f"{experiment}: the paper has no Figure {figure} with {value!r} on {experiment.dataset}"
        ) from error


def add_columns(
    table: Table, heads: Sequence[str], cells: Sequence[Sequence[Cell]], at: int | None = None
) -> None:
    """Put columns into a table, in front of the one with number ``at``, or at the end."""
    at = len(table.columns) if at is None else at
    table.columns[at:at] = heads
    for row, more in zip(table.rows, cells, strict=True):
        row[at:at] = more


def paper_row(name: str, values: Sequence[float | None], table: Table) -> list[Cell]:
    """Return the row of a published result: its values are those of the first columns, the metrics."""
    first = 3  # method, seeds, chosen on
    cells = [Cell(f"*{name}*"), *[Cell("")] * (len(table.columns) - 1)]
    cells[first : first + len(values)] = [number(value) for value in values]
    return cells


def epochs_text(outcome: Outcome) -> str:
    """Return the best epoch of each run, from 0; -1 where nothing was trained."""
    return ", ".join(str(run.result["best_epoch"]) for run in outcome.runs)


def point_text(experiment: Experiment, outcome: Outcome) -> str:
    """Return the options that validation chose, and how many points were searched if not all were.

    Of trials, how many there were.
    """
    if experiment.trials:
        text = ", ".join(f"{name} {_short(value)}" for name, value in sorted(outcome.chosen.items()))
        return f"{text} ({outcome.searched} trials)"
    text = ", ".join(f"{name} {outcome.chosen[name]}" for name in experiment.row.grid)
    points = len(experiment.points)
    return text + (f" ({outcome.searched} of {points} points run)" if outcome.searched < points else "")


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


def tests_file(group: str, part: str) -> str:
    """Return the file, beside the runs, of a part's paired tests."""
    return f"{group}/paired-{part}.json"


def tests_of(plan: Plan, stored: Stored, group: str, outcomes: Outcomes, part: str) -> list[dict[str, Any]]:
    """Return the paired tests of one part: as stored where the runs are those, else from users' metrics.

    Raises:
        UsageError: stored tests have to be joined with new ones, and are from before p was kept.
    """
    if plan.paired is None or part not in (plan.paired_parts or plan.parts):
        return []
    every = list(outcomes)
    stored_rows = stored.content(tests_file(group, part)) or []
    same = {name for name in every if stored.same_as_kept(outcomes[name][0])}
    valid = [row for row in stored_rows if {row["best"], row["method"]} <= same]
    wanted = plan.paired if isinstance(plan.paired, dict) else {plan.paired: every}
    rows: list[dict[str, Any]] = []
    for best, others in wanted.items():
        for metric in plan.paired_metrics:
            before = [row for row in valid if (row["best"], row["metric"]) == (best, tested_metric(metric))]
            there = {row["method"] for row in before}
            methods = {
                name: outcomes[name][1].runs
                for name in every
                if (name == best or (name in others and name not in there))
                and kept_by_user(outcomes[name][1].runs, part, metric)
            }
            new = paired_tests(methods, best, part, metric) if best in methods and len(methods) > 1 else []
            rows += _joined(before, new, every)
    return rows


def _joined(
    before: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]], order: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the tests of one method and metric, in the order of the rows, with one correction for all."""
    rows = sorted([*before, *new], key=lambda row: order.index(row["method"]))
    if not before or not new:
        return rows
    if any(row["p"] is None for row in rows):
        raise UsageError(
            f"tests of {rows[0]['best']} were stored before p was kept and cannot be joined with new ones; "
            "run its rows again with --kept=none"
        )
    adjusted = holm({row["method"]: row["p"] for row in rows})
    return [{**row, "p_holm": adjusted[row["method"]]} for row in rows]


def tests_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of the tests of one part."""
    if not rows:
        return []
    head = HOW_TESTED[rows[0].get("test", "t")]
    head += "; p after Holm's correction over the rows of one method and metric."
    if any(row["p"] is None for row in rows):
        head += " p before the correction was not kept."
    return [head, "", table_lines(tests_table(rows)), ""]


def table_lines(table: Table) -> str:
    """Return a table as Markdown without its heading."""
    return markdown([Table("", table.columns, table.rows, table.words)]).removeprefix("## \n\n").rstrip("\n")


def group_lines(plan: Plan, outcomes: Outcomes, part: str) -> list[str]:
    """Return mean recall@20 over seeds by group of items, and each group's share of the slots."""
    if part != plan.groups:
        return []
    rows: list[list[Cell]] = []
    heads: list[str] = []
    for name, (_, outcome) in outcomes.items():
        of_runs = [run.result["groups"][part]["item_popularity"] for run in outcome.runs]
        groups = list(zip(*of_runs, strict=True))
        heads = heads or [f"{one[0]['smallest_count']} to {one[0]['largest_count']}" for one in groups]
        means = [
            [MeanStd.from_values([one[metric] for one in group]).mean for metric in ("recall@20", "share@20")]
            for group in groups
        ]
        rows.append([Cell(name), *(Cell(f"{recall:.4f} / {share:.2f}") for recall, share in means)])
    text = (
        "By popularity of the item (training rows of an item): recall@20 of its held-out items / its share "
        "of all recommended slots."
    )
    return [text, "", table_lines(Table("", ["method", *heads], rows, {"method"})), ""]


def settings_lines(plan: Plan) -> list[str]:
    """Return the options of each row and protocol."""
    lines = [
        "## Settings",
        "",
        "Options of each row over the model's defaults; of a grid, every value searched.",
        "",
    ]
    for row in plan.rows:
        given = {**row.options, **{name: f"one of {values}" for name, values in row.grid.items()}}
        text = ", ".join(f"`{name}={value}`" for name, value in given.items()) or "defaults"
        where = ", ".join([*row.datasets, *(row.protocols or [])])
        weights = f"; weights of {row.weights_of}" if row.weights_of else ""
        if plan.trials and not row.grid and not row.weights_of:
            weights = f"; {plan.trials} draws from its search space, in {plan.time_budget or 'any time'}"
        lines.append(f"- **{row.name}** ({row.model}; {where}): {text}{weights}")
    protocols = (
        f"{name} " + ", ".join(f"`{key}={value}`" for key, value in options.items())
        for name, options in plan.protocols.items()
    )
    return [*lines, "", "Protocols: " + "; ".join(protocols)]


def head_lines(plan: Plan, outcomes: Sequence[Outcomes], command: str) -> list[str]:
    """Return title, text, and how the page was made.

    Args:
        plan: the plan.
        outcomes: of all groups.
        command: the module that makes the page.
    """
    names = list(versions())
    stacks = {
        ", ".join(f"{name} {run.result['versions'].get(name)}" for name in names)
        for group in outcomes
        for _, outcome in group.values()
        for run in outcome.runs
    }
    file = f"benchmarks/plans/{plan.name}.yaml"
    how = f"`python -m benchmarks.accuracy run {file} --data_path=DATA --runs=RUNS`, then"
    how += f" `python -m {command} table {file} --runs=RUNS`"
    how += f" (from `--runs=benchmarks/results/{plan.name}_runs.jsonl.gz` too);"
    where = [f"{plan.machine};"] if plan.machine else []
    what = "Means, sample deviations over seeds and paired tests are those of `compare`."
    if plan.paired is not None:
        what += " The tests need each user's metrics and were computed where the runs were."
    made = [how, *where, f"{'; '.join(sorted(stacks))}.", what]
    return [plan.title, "", plan.text.strip(), "", *made, ""]
