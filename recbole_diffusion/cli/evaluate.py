"""``evaluate``: a trained run on its held-out parts again, with other metrics, cut-offs or groups."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recbole_diffusion.cli.command import Command
from recbole_diffusion.cli.machine import MachineOptions
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import argument, refusal
from recbole_diffusion.options.whole_number import whole_number
from recbole_diffusion.storage.slow_step import LOADING, told_if_slow


@dataclass(frozen=True)
class EvaluateOptions(MachineOptions):
    """What ``evaluate`` takes."""

    run: str = argument("", "folder of a run that has ended")
    metrics: str | None = argument(None, "metrics such as recall,ndcg,itemcoverage; null: those of the run")
    topk: str | None = argument(None, "cut-offs such as 5,10,50; null: those of the run")
    part: str | None = argument(
        None, "parts such as valid,test, or the names of two test parts; null: the test parts"
    )
    groups: int = argument(0, "also report groups of items by popularity and of users by activity", low=0)
    output: str | None = argument(None, "JSON file to write as well")
    overwrite: bool = argument(False, "replace an existing output")
    unfinished: bool = argument(False, "accept a run that has not ended, with its best weights so far")

    def __post_init__(self) -> None:
        if not self.run:
            raise UsageError(f"--run is missing; usage: {COMMAND.usage_line()}")
        if self.part is not None and not _names(self.part):
            raise refusal("part", self.part, "names of parts, separated by commas, such as valid,test")

    def of_evaluation(self) -> dict[str, Any]:
        """Return the options of ``load_run`` that say what is computed."""
        options: dict[str, Any] = {"report_groups": self.groups}
        if self.metrics is not None:
            options["metrics"] = _names(self.metrics)
        if self.topk is not None:
            numbers = [whole_number(one) for one in _names(self.topk)]
            if None in numbers:
                raise refusal("topk", self.topk, "whole numbers from 1, separated by commas, such as 5,10")
            options["topk"] = numbers
        return options


COMMAND = Command(
    "evaluate",
    "--run=RUN_DIR [--metrics=recall,ndcg] [--topk=5,10] [--part=valid,test] [--groups=10]",
    """
Evaluates a trained run again, on its own data and split, with its best weights: nothing is trained, and the
run folder stays as it is. With no options it gives the numbers of the run's result.json; of an earlier
version's run that ranked sampled items (mode uniN or popN), those of another draw, the same each time.
""",
    EvaluateOptions,
)


def evaluate(argv: Sequence[str]) -> int:
    """Print the metrics, and write them if asked; return the exit code.

    Raises:
        UsageError: there is no such run, metric or part, its data has changed, or the output exists.
        RunError: damaged weights, or scores that cannot be ranked.
    """
    given = COMMAND.read(argv)
    if given is None:
        return 0
    options = given.read(EvaluateOptions)
    loading = {**options.for_loading(), **options.of_evaluation()}
    with told_if_slow(LOADING):
        from recbole_diffusion.serving.evaluated import evaluate as evaluated
        from recbole_diffusion.serving.loaded_run import load_run
        from recbole_diffusion.storage.atomic import output_file, write_text

    path = output_file(options.output, options.overwrite) if options.output else None
    with told_if_slow("loading the run"):
        run = load_run(options.run, unfinished=options.unfinished, **loading)
    found = evaluated(run, None if options.part is None else _names(options.part), sys.stderr.isatty())
    width = max(map(len, found.metrics))
    lines = [f"{run.config['model']} on {run.config['dataset']}, seed {run.config.general.seed}"]
    for part, values in found.metrics.items():
        lines.append(f"{part:{width}}  {'  '.join(f'{name} {value:.4f}' for name, value in values.items())}")
    for part, kinds in found.groups.items():
        for kind, groups in kinds.items():
            lines += [f"{part}, {kind.replace('_', ' ')}, highest first", *_rows(groups)]
    if path is not None:
        record = {"run": str(run.folder.path), "metrics": found.metrics, "groups": found.groups}
        write_text(path, json.dumps({**record, "rated": found.rated}, indent=2) + "\n")
        lines.append(f"file  {path}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _names(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _rows(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each group; what a group lacks, as the recall of no users, is a dash."""

    def shown(value: Any) -> str:
        if value is None:
            return "-"
        return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"

    return [
        f"  {number:2}  " + "  ".join(f"{name} {shown(value)}" for name, value in group.items())
        for number, group in enumerate(groups, 1)
    ]
