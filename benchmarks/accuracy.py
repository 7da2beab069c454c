"""Accuracy tables: runs a plan of experiments through the command line and writes the table from their results.

    python -m benchmarks.accuracy run PLAN --data_path=DATA --runs=FOLDER [--only=TEXT]
    python -m benchmarks.accuracy table PLAN --runs=FOLDER --output=benchmarks/results/NAME.md
    python -m benchmarks.accuracy collect PLAN --runs=FOLDER --output=benchmarks/results/NAME_runs

A plan is YAML: ``seeds``, ``protocols`` (name -> options), and ``rows``: name, model, datasets, options, and
for tuned models a ``grid``. A grid is searched with the first seed; the point with the best validation score
is then run with the other seeds. A run that has a result is not repeated, so that an interrupted plan goes on
where it was; the same command started several times shares the work. With ``stage_cache: true`` the runs
share trained factorisations in ``stages`` below the folder of runs. ``besides`` are options of every run that
change no number, such as ``checkpoint_interval``. ``leave_out`` names what ``collect`` does not copy of a
result. ``weights_of`` names a row whose trained weights are scored with other options. ``parts`` names the
test parts that the table shows (one table each), ``paired`` a row that is tested against every other row,
user by user, or several such rows, each with the rows that it is tested against; ``paired_metrics`` are what
is tested. ``protocol_datasets`` keeps a protocol to some data sets. ``groups`` is a part whose groups of
items are shown.
"""

import argparse
import fcntl
import itertools
import json
import multiprocessing
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recbole_diffusion.options.renamed import translated
from recbole_diffusion.storage.yaml_io import dump_value, dump_yaml, load_yaml

METRICS = ("recall@10", "ndcg@10", "recall@20", "ndcg@20")


def points(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the option sets of a row: its grid, or its one setting."""
    grid = row.get("grid") or {}
    return [
        {**row.get("options", {}), **dict(zip(grid, values, strict=True))}
        for values in itertools.product(*grid.values())
    ]


def folder_of(runs: Path, dataset: str, protocol: str, row: dict[str, Any], point: int, seed: int) -> Path:
    """Return the run folder of one experiment."""
    return (
        runs / f"{dataset}-{protocol}" / f"{row['name'].replace(' ', '_').replace('/', '_')}-{point}-{seed}"
    )


def command(row: dict[str, Any], dataset: str, options: dict[str, Any]) -> list[str]:
    """Return the words of one run's command line."""
    words = ["run_recbole_diff.py", f"--model={row['model']}", f"--dataset={dataset}"]
    return words + [f"--{name}={dump_value(value)}" for name, value in options.items()]


def result_of(folder: Path, options: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Return the result of a finished run; with ``options``, stop if it was made with other ones."""
    file = folder / "result.json"
    if not file.is_file():
        return None
    made_with = translated(load_yaml(folder / "config.yaml"))
    other = {
        name: made_with.get(name) for name, value in (options or {}).items() if made_with.get(name) != value
    }
    if other:
        sys.exit(
            f"{folder} was made with {other}, which is not what the plan says; move it away, or correct the "
            "plan"
        )
    return json.loads(file.read_text())


def best_point(runs: Path, dataset: str, protocol: str, row: dict[str, Any], seed: int) -> int | None:
    """Return the grid point with the best validation score among those that have a result; of an error the smallest."""
    scored = []
    for k, point in enumerate(points(row)):
        folder = folder_of(runs, dataset, protocol, row, k, seed)
        result = result_of(folder, point)
        if result:
            smaller = translated(load_yaml(folder / "config.yaml"))["valid_metric"].lower() in (
                "rated_mae",
                "rated_rmse",
            )
            scored.append(((-1 if smaller else 1) * result["best_valid_score"], -k))
    return -max(scored)[1] if scored else None


def experiments(plan: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield (row, dataset, protocol) in the order of the plan."""
    for row in plan["rows"]:
        for dataset in row["datasets"]:
            for protocol in row.get("protocols", plan["protocols"]):
                if dataset in plan.get("protocol_datasets", {}).get(protocol, [dataset]):
                    yield row, dataset, protocol


class Missing:
    """What of a plan has no result.

    Args:
        plan: the plan.
        runs: folder of the run folders.
        only: text that the row's name, data set and protocol contain.
    """

    def __init__(self, plan: dict[str, Any], runs: Path, only: str) -> None:
        self.plan, self.runs, self.only = plan, runs, only
        self.failed: set[Path] = set()  # here; not tried again
        self._chosen: dict[tuple[str, str, str], int | None] = {}  # points of grids that are through

    def __iter__(self) -> Iterator[tuple[list[Any], Path]]:
        """Yield ([row, dataset, protocol, point, seed], folder) in order; the other seeds once a grid is through."""
        for row, dataset, protocol in experiments(self.plan):
            if self.only and self.only not in f"{row['name']} {dataset} {protocol}":
                continue
            first, *others = row.get("seeds", self.plan["seeds"])
            todo = list(self._open(row, dataset, protocol, [(k, first) for k in range(len(points(row)))]))
            if not todo:
                key = row["name"], dataset, protocol
                if key not in self._chosen:
                    self._chosen[key] = best_point(self.runs, dataset, protocol, row, first)
                if self._chosen[key] is not None:
                    todo = self._open(row, dataset, protocol, [(self._chosen[key], seed) for seed in others])
            yield from todo

    def _open(
        self, row: dict[str, Any], dataset: str, protocol: str, wanted: list[tuple[int, int]]
    ) -> Iterator[tuple[list[Any], Path]]:
        for k, seed in wanted:
            folder = folder_of(self.runs, dataset, protocol, row, k, seed)
            if folder not in self.failed and not (folder / "result.json").is_file():
                yield [row, dataset, protocol, k, seed], folder


def run_words(words: list[str], printed: list[str]) -> None:
    """Run a command line of the package in this process, which ends with it; what it prints goes to two files."""
    from recbole_diffusion.cli.main import main as command_line

    for stream, file in zip((1, 2), printed, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), stream)
    sys.exit(command_line(words))


def run_one(plan: dict[str, Any], data_path: str, runs: Path, job: list[Any], folder: Path) -> bool:
    """Run or resume one experiment in a process of its own; return whether it succeeded."""
    row, dataset, protocol, k, seed = job
    options = {"seed": seed, **plan["protocols"][protocol], **points(row)[k], "data_path": data_path}
    options |= plan.get("besides", {})
    if plan.get("stage_cache"):
        options["stage_cache"] = str(runs / "stages")
    if "weights_of" in row:  # a row that only scores: with the weights of another row
        options["load_checkpoint"] = str(
            folder_of(runs, dataset, protocol, {"name": row["weights_of"]}, 0, seed) / "best.pt"
        )
    words = command(row, dataset, options)[1:]
    words = (
        ["--resume", str(folder)] if (folder / "config.yaml").is_file() else [*words, f"--run_dir={folder}"]
    )
    with tempfile.TemporaryDirectory() as place:
        out, error = Path(place, "out"), Path(place, "error")
        # A fork of a process that has torch and RecBole loaded, whose loading takes longer than some runs.
        process = multiprocessing.get_context("forkserver").Process(
            target=run_words, args=(words, [str(out), str(error)])
        )
        process.start()
        process.join()
        said = (
            out.read_text()
            if process.exitcode == 0
            else (error.read_text().strip().splitlines() or ["no message"])[-1]
        )
    print(
        f"{row['name']} {dataset} {protocol} point {k} seed {seed}: exit {process.exitcode}\n{said}",
        flush=True,
    )
    return process.exitcode == 0


def run_plan(plan: dict[str, Any], data_path: str, runs: Path, only: str) -> None:
    """Run what is missing; processes that share ``runs`` take different runs, by a lock beside each folder."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded
    multiprocessing.get_context("forkserver").set_forkserver_preload(["recbole_diffusion.quick_start"])
    missing = Missing(plan, runs, only)
    while True:
        busy = False
        for job, folder in missing:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with folder.with_name(f"{folder.name}.lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    busy = True
                    continue
                if not (folder / "result.json").is_file() and not run_one(plan, data_path, runs, job, folder):
                    missing.failed.add(folder)
                break  # what is missing has changed, here and by others
        else:
            if not busy:
                return
            time.sleep(10)  # others run what the rest may wait for


def collect(plan: dict[str, Any], runs: Path, output: Path) -> None:
    """Copy what a table needs of each run, its result and configuration without paths, to make the table again anywhere."""
    for row, dataset, protocol in experiments(plan):
        for k, seed in itertools.product(range(len(points(row))), row.get("seeds", plan["seeds"])):
            folder = folder_of(runs, dataset, protocol, row, k, seed)
            result = result_of(folder, points(row)[k])
            if result is None:
                continue
            copy = output / folder.relative_to(runs)
            copy.mkdir(parents=True, exist_ok=True)
            configuration = translated(load_yaml(folder / "config.yaml"))
            configuration |= {
                "data_path": "DATA",
                "load_checkpoint": configuration.get("load_checkpoint") and "best.pt of the other row",
            }
            if configuration.get("stage_cache"):
                configuration["stage_cache"] = "STAGES"
            (copy / "config.yaml").write_text(dump_yaml(configuration), encoding="utf-8")
            options = {"seed": seed, **plan["protocols"][protocol], **points(row)[k], "data_path": "DATA"}
            result["command"] = shlex.join(["python", *command(row, dataset, options)])
            for name in ("run_dir", *plan.get("leave_out", ())):
                result.pop(name, None)
            (copy / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for file in (*runs.glob("*/paired-*.json"), *runs.glob("baselines-*.json")):
        if (output / file.parent.relative_to(runs)).is_dir():
            (output / file.relative_to(runs)).write_text(file.read_text())


def made_by(plan: dict[str, Any], runs: Path, name: str) -> str:
    """Return the lines that say how the page was made; ``name`` is the plan's file name without its ending."""
    stacks = {
        ", ".join(f"{name} {version}" for name, version in result["versions"].items())
        for row, dataset, protocol in experiments(plan)
        for k in range(len(points(row)))
        for seed in row.get("seeds", plan["seeds"])
        if (result := result_of(folder_of(runs, dataset, protocol, row, k, seed)))
    }
    plan_file = f"benchmarks/plans/{name}.yaml"
    command = f"`python -m benchmarks.accuracy run {plan_file} --data_path=DATA --runs=RUNS`, then `table`"
    command += f" (from the results in `benchmarks/results/{name}_runs` too)"
    machine = f"1 or 2 torch threads a run, {platform.machine()}, CPU only, shared with other work, so that seconds are upper bounds"
    return f"{command}; {machine};\n{'; '.join(sorted(stacks))}."


def cell(values: list[float]) -> str:
    """Return mean and deviation."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


def table(plan: dict[str, Any], runs: Path, name: str) -> str:
    """Return the Markdown page of a plan."""
    lines = [plan["title"], "", plan["text"].strip(), "", made_by(plan, runs, name), ""]
    for dataset in dict.fromkeys(dataset for _, dataset, _ in experiments(plan)):
        for protocol, part in itertools.product(plan["protocols"], plan.get("parts", ["test"])):
            ours = [
                line
                for row, d, p in experiments(plan)
                if (d, p) == (dataset, protocol)
                for line in our_row(plan, runs, row, d, p, part)
            ]
            if not ours:
                continue
            lines += [f"## {dataset}, {protocol} protocol" + (f", {part}" if "parts" in plan else ""), ""]
            lines += [
                "| row | recall@10 | ndcg@10 | recall@20 | ndcg@20 | seeds | best epochs | train s | chosen "
                "point |"
            ]
            lines += ["|---|---:|---:|---:|---:|---|---|---:|---|"]
            published = plan.get("paper", {}).get(dataset, {}) if part == plan.get("paper_part", part) else {}
            lines += [paper_row(name, values) for name, values in published.items()]
            lines += [
                *ours,
                "",
                *paired_tests(plan, runs, dataset, protocol, part),
                *group_table(plan, runs, dataset, protocol, part),
            ]
    lines += [
        "## Settings",
        "",
        "Options of each row over the model's YAML; of a grid, every value searched.",
        "",
    ]
    for row in plan["rows"]:
        settings = {
            **row.get("options", {}),
            **{name: f"one of {values}" for name, values in (row.get("grid") or {}).items()},
        }
        where = ", ".join([*row["datasets"], *row.get("protocols", [])])
        text = ", ".join(f"`{k}={v}`" for k, v in settings.items()) or "defaults"
        lines.append(f"- **{row['name']}** ({row['model']}; {where}): {text}")
    lines += [
        "",
        "Protocols: "
        + "; ".join(
            f"{name} " + ", ".join(f"`{k}={v}`" for k, v in options.items())
            for name, options in plan["protocols"].items()
        ),
    ]
    return "\n".join(lines) + "\n"


def paper_row(name: str, values: list[float | None]) -> str:
    """Return the row of a published result."""
    cells = " | ".join("" if value is None else f"{value:.4f}" for value in values)
    return f"| *{name}* | {cells} | | | | |"


def chosen_results(
    plan: dict[str, Any], runs: Path, row: dict[str, Any], dataset: str, protocol: str
) -> tuple[int, list[tuple[int, Path, dict[str, Any]]]]:
    """Return the point of a row's grid that validation chose, and seed, folder and result of its finished runs."""
    seeds = row.get("seeds", plan["seeds"])
    chosen = best_point(runs, dataset, protocol, row, seeds[0])
    if chosen is None:
        return 0, []
    folders = [(seed, folder_of(runs, dataset, protocol, row, chosen, seed)) for seed in seeds]
    found = [(seed, folder, result_of(folder, points(row)[chosen])) for seed, folder in folders]
    return chosen, [(seed, folder, result) for seed, folder, result in found if result]


def paired_tests(plan: dict[str, Any], runs: Path, dataset: str, protocol: str, part: str) -> list[str]:
    """Return the table of paired tests over users between the rows of the plan's ``paired`` and others.

    The tests are computed where the runs' ``user_metrics.npz`` are, kept beside them, and read back
    elsewhere. Holm's correction is over the tests of one row and metric.
    """
    from recbole_diffusion.evaluation.lists import load_user_metrics
    from recbole_diffusion.evaluation.significance import compare_runs

    if "paired" not in plan:
        return []
    kept = runs / f"{dataset}-{protocol}" / f"paired-{part}.json"
    methods = {}
    for row, d, p in experiments(plan):
        if (d, p) == (dataset, protocol):
            _, results = chosen_results(plan, runs, row, d, p)
            files = [folder / "user_metrics.npz" for _, folder, _ in results]
            if files and all(file.is_file() for file in files):
                methods[row["name"]] = [load_user_metrics(file)[part] for file in files]
    tests = plan["paired"] if isinstance(plan["paired"], dict) else {plan["paired"]: list(methods)}
    tested = []
    for best, others in tests.items():
        compared = {name: methods[name] for name in methods if name == best or name in others}
        if best in methods and len(compared) > 1:
            for metric in plan.get("paired_metrics", ["recall@20", "ndcg@20"]):
                tested += compare_runs(compared, best, metric)
    if tested:
        kept.write_text(json.dumps(tested, indent=1) + "\n", encoding="utf-8")
    if not kept.is_file():
        return []
    lines = ["Paired t-tests over users, seeds averaged; p after Holm's correction.", ""]
    lines += ["| row | against | metric | difference | p | p (Holm) |", "|---|---|---|---:|---:|---:|"]
    for test in json.loads(kept.read_text()):
        numbers = f"{test['difference']:+.4f} | {test['p']:.2g} | {test['p_holm']:.2g}"
        lines.append(f"| {test['best']} | {test['method']} | {test['metric']} | {numbers} |")
    return [*lines, ""]


def group_table(plan: dict[str, Any], runs: Path, dataset: str, protocol: str, part: str) -> list[str]:
    """Return recall@20 by group of items, and each group's share of the recommended items, means over seeds."""
    if part != plan.get("groups"):
        return []
    lines = []
    for row, d, p in experiments(plan):
        _, results = chosen_results(plan, runs, row, d, p) if (d, p) == (dataset, protocol) else (0, [])
        tables = [result["groups"][part]["item_popularity"] for _, _, result in results]
        if not tables:
            continue
        groups = list(zip(*tables, strict=True))
        if not lines:
            heads = [f"{one[0]['smallest_count']} to {one[0]['largest_count']}" for one in groups]
            lines = [
                "By popularity of the item (training rows of an item): recall@20 of its held-out items / its "
                "share of all",
                "",
            ]
            lines[0] += " recommended slots."
            lines += ["| row | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
        means = [
            [statistics.mean(one[name] for one in group) for name in ("recall@20", "share@20")]
            for group in groups
        ]
        lines.append(
            f"| {row['name']} | "
            + " | ".join(f"{recall:.4f} / {share:.2f}" for recall, share in means)
            + " |"
        )
    return [*lines, ""]


def our_row(
    plan: dict[str, Any], runs: Path, row: dict[str, Any], dataset: str, protocol: str, part: str
) -> list[str]:
    """Return our row, or nothing while it has no result."""
    seeds = row.get("seeds", plan["seeds"])
    chosen, found = chosen_results(plan, runs, row, dataset, protocol)
    results = [(seed, result) for seed, _, result in found]
    if not results:
        return []
    options = points(row)[chosen]
    cells = " | ".join(cell([result[part][metric] for _, result in results]) for metric in METRICS)
    seconds = statistics.mean(result["seconds"]["train"] for _, result in results)
    epochs = ", ".join(str(result["best_epoch"]) for _, result in results)
    grid = row.get("grid") or {}
    point = ", ".join(f"{name} {options[name]}" for name in grid)
    searched = sum(
        1 for k in range(len(points(row))) if result_of(folder_of(runs, dataset, protocol, row, k, seeds[0]))
    )
    point += f" ({searched} of {len(points(row))} points run)" if searched < len(points(row)) else ""
    return [
        f"| {row['name']} | {cells} | {', '.join(str(seed) for seed, _ in results)} | {epochs} | "
        f"{seconds:.0f} | {point} |"
    ]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("run", "table", "collect"))
    parser.add_argument("plan")
    parser.add_argument("--data_path", default="dataset/")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    plan = load_yaml(arguments.plan)
    if arguments.action == "run":
        run_plan(plan, arguments.data_path, arguments.runs, arguments.only)
        return
    if arguments.action == "collect":
        collect(plan, arguments.runs, arguments.output)
        return
    text = table(plan, arguments.runs, Path(arguments.plan).stem)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
