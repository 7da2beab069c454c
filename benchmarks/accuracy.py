"""Accuracy tables: a plan's experiments run on the product's ``tune``, their page made by its ``compare``.

    python -m benchmarks.accuracy run PLAN --data_path=DATA --runs=FOLDER [--only=TEXT] [--max_concurrent=N]
    python -m benchmarks.accuracy collect PLAN --runs=FOLDER --output=benchmarks/results/NAME_runs.jsonl.gz
    python -m benchmarks.accuracy table PLAN --runs=FOLDER_OR_FILE [--output=benchmarks/results/NAME.md]

A plan (benchmarks/_plan.py says what may stand in it) has rows, each a model with options on data sets, under
protocols. ``run`` makes a sweep of each: a grid is searched on validation, and its best point, or a row's one
setting, is run with each seed, on the split of that seed where the split is drawn. A sweep that is there goes
on where it was, one that is through is left alone, and the same command started several times shares the
work. ``collect`` keeps what the page needs in one file, without the machine's paths, paired tests included.
``table`` makes the page from the runs or from that file. A plan that has grown goes on from its collected
file: rows that stand there are not run again, and ``collect`` keeps both. ``--kept=none`` begins anew.

The files in benchmarks/results were collected from runs of before plans ran on ``tune``; they are read
through an adapter, see benchmarks/_stored.py.
"""

import copy
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded

from benchmarks._layers import add_kept, kept_users, open_kept, open_runs
from benchmarks._page import page_parser, show_page
from benchmarks._plan import Experiment, Plan
from benchmarks._stored import Stored, old_folder, outcome_of, pack, point_file
from benchmarks._tables import (
    compared,
    group_lines,
    head_lines,
    outcomes_of,
    part_tables,
    settings_lines,
    table_lines,
    tests_file,
    tests_lines,
    tests_of,
)
from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.storage.yaml_io import dump_value

OF_THIS_MACHINE = ("host", "pid", "node")


def page(plan: Plan, stored: Stored) -> list[str]:
    """Return the lines of a plan's page."""
    groups = {group: outcomes_of(plan, stored, group) for group in plan.groups_of_rows()}
    lines = head_lines(plan, list(groups.values()), "benchmarks.accuracy")
    for group, (dataset, protocol) in plan.groups_of_rows().items():
        outcomes = groups[group]
        if not outcomes:
            continue
        found = compared(plan, outcomes)
        for part, table in part_tables(plan, outcomes, found):
            lines += [f"## {dataset}, {protocol} protocol" + (f", {part}" if len(plan.parts) > 1 else ""), ""]
            lines += [table_lines(table), ""]
            lines += tests_lines(tests_of(plan, stored, group, outcomes, part))
            lines += group_lines(plan, outcomes, part)
    return [*lines, *settings_lines(plan)]


def collect(plan: Plan, stored: Stored, output: Path) -> None:
    """Keep what a page needs of each run in one file."""
    lines: list[dict[str, Any]] = []
    for group in plan.groups_of_rows():
        for experiment in plan.experiments(group):
            lines += _lines_of(plan, stored, experiment)
        outcomes = outcomes_of(plan, stored, group)
        for part in plan.paired_parts or plan.parts:
            tests = tests_of(plan, stored, group, outcomes, part) if outcomes else []
            lines += [{"file": tests_file(group, part), "content": tests}] if tests else []
    for dataset in dict.fromkeys(one.dataset for one in plan.experiments()):
        file = f"baselines-{dataset}.json"
        content = stored.content(file)
        lines += [{"file": file, "content": content}] if content else []
    pack(sorted(lines, key=lambda line: ("file" in line, line.get("folder") or line["file"])), output)


def _lines_of(plan: Plan, stored: Stored, experiment: Experiment) -> Iterator[dict[str, Any]]:
    """Yield the lines of one experiment: its sweep and final runs, or its runs from before sweeps."""
    outcome = outcome_of(stored, experiment)
    if outcome is None:
        return
    stored = stored.of(experiment)
    record = stored.sweep(experiment.folder)
    if record is not None:
        yield {"folder": experiment.folder, "sweep": _without_machine(record)}
    old = {
        old_folder(experiment, number, seed): point
        for number, point in enumerate(experiment.points)
        for seed in experiment.seeds
    }
    if points := stored.content(point_file(experiment)):
        yield {"file": point_file(experiment), "content": points}
    new = {f"{experiment.folder}/final/{run.path.name}": outcome.chosen for run in outcome.runs}
    for folder, point in (new if stored.run(next(iter(new))) else old).items():
        run = stored.run(folder)
        if run is not None:
            of_users = kept_users(plan, experiment, run)
            line = {"folder": folder, **_without_paths(run, plan, experiment, point)}
            yield line | ({"users": of_users} if of_users else {})


def _without_paths(
    run: RunRecord, plan: Plan, experiment: Experiment, point: dict[str, Any]
) -> dict[str, Any]:
    """Return configuration and result of a run as they would be elsewhere."""
    config, result = dict(run.config), dict(run.result)
    weights = config.get("load_checkpoint") and "best.pt of the other row"
    config |= {"data_path": "DATA", "run_dir": None, "load_checkpoint": weights}
    if config.get("stage_cache"):
        config["stage_cache"] = "STAGES"
    options = {"seed": run.seed, **experiment.given, **point, "data_path": "DATA"}
    words = [
        "python",
        "run_recbole_diff.py",
        f"--model={experiment.row.model}",
        f"--dataset={experiment.dataset}",
    ]
    words += [f"--{name}={dump_value(value)}" for name, value in options.items()]
    result["command"] = shlex.join(words)
    for name in ("run_dir", *plan.leave_out):
        result.pop(name, None)
    if "origin" in result:
        result["origin"] = {**result["origin"], "checkpoint": weights}
    return {"config": config, "result": result}


def _without_machine(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a sweep as it would be elsewhere."""
    record = copy.deepcopy(record)
    for trial in (*record["trials"], *record["final"]):
        trial |= dict.fromkeys(OF_THIS_MACHINE)
    record["options"] |= {"data_path": "DATA"}
    if record["options"].get("stage_cache"):
        record["options"]["stage_cache"] = "STAGES"
    record["settings"] |= {"sweep_dir": None, "storage": None, "ray_address": None}
    return {**record, "directory": ".", "command": ""}


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line; return the exit code."""
    parser = page_parser(__doc__)
    parser.add_argument("action", choices=("run", "collect", "table"))
    parser.add_argument("plan", type=Path)
    parser.add_argument(
        "--runs", type=Path, required=True, help="folder of the runs; for table also a collected file"
    )
    parser.add_argument("--data_path", default="dataset/", help="folder that holds one folder per data set")
    parser.add_argument("--only", default="", help="text in 'ROW on DATASET, PROTOCOL' of what is run")
    parser.add_argument("--max_concurrent", type=int, help="runs at a time")
    parser.add_argument("--trial_cpus", type=int, default=1, help="threads of each")
    add_kept(parser)
    parser.add_argument("--ray_address", help="a running Ray cluster, as in tune")
    arguments = parser.parse_args(argv)
    try:
        plan = Plan.read(arguments.plan)
        file, kept = open_kept(plan, arguments.kept)
        if arguments.action == "run":
            from benchmarks._running import Runner  # torch, RecBole

            settings = {
                name: getattr(arguments, name) for name in ("max_concurrent", "trial_cpus", "ray_address")
            }
            runner = Runner(plan, arguments.data_path, arguments.runs, arguments.only, settings, kept)
            if runner.kept:
                print(f"{counted(len(runner.kept), 'experiment', 'stand')} in {file}", flush=True)
            return 1 if runner.run() else 0
        stored = open_runs(arguments.runs, kept)
        if arguments.action == "table":
            show_page(page(plan, stored), arguments.output)
        elif arguments.output is None:
            parser.error("collect needs --output=FILE.jsonl.gz")
        else:
            collect(plan, stored, arguments.output)
    except (UsageError, RunError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
