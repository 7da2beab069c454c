"""``tune``: a sweep from the command line."""

import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from recbole_diffusion.cli.arguments import config_files_of, help_asked, parse_options
from recbole_diffusion.cli.help import option_lines, usage_text
from recbole_diffusion.errors import UsageError, command_line, counted, did_you_mean, no_arguments, program
from recbole_diffusion.storage.slow_step import LOADING, told_if_slow

ABOUT = """
Searches the options of a model on the validation part, with Ray Tune, and runs the best ones again with
several seeds; only those runs use the test part. A sweep is one folder: sweep.json, trials.csv, best.yaml
(for --config_files), trials/ and final/ with run folders, and pictures/. Options of a run (--epochs,
--data_path, ...) hold for every trial and are not searched.

options of a sweep:
"""


def tune(argv: Sequence[str]) -> int:
    """Run or resume a sweep and print what it found; return the exit code.

    Raises:
        UsageError: the request cannot be run.
        RunError: no trial has given a score.
        Interrupted: Ctrl-C.
    """
    from recbole_diffusion.tuning.options import SweepOptions, check_installed

    if help_asked(argv):
        sys.stdout.write(usage_text(usages()) + "\n" + ABOUT + "\n".join(option_lines(SweepOptions)) + "\n")
        return 0
    if not argv:
        raise no_arguments(*usages())
    options = parse_options(argv, SweepOptions)
    settings = {one.name: options.pop(one.name) for one in fields(SweepOptions) if one.name in options}
    model, dataset, resume = (options.pop(name, None) for name in ("model", "dataset", "resume"))
    if "continue_from" in options:
        raise UsageError(
            "--continue_from is for single runs; a sweep trains each of its trials from the beginning"
        )
    files = config_files_of(options)
    if resume is None and settings.get("max_concurrent") != 0:  # a sweep that goes on has its own settings
        check_installed(SweepOptions())  # before torch and RecBole are loaded
    with told_if_slow(LOADING):
        from recbole_diffusion.tuning.driver import sweep

    try:
        found = sweep(
            model,
            dataset,
            config_files=files,
            overrides=options,
            settings=settings,
            resume=resume,
            output=sys.stdout,
            command=command_line("tune", *argv),
        )
    except UsageError as error:
        # A run does not know the options of a sweep, and would suggest one of its own.
        for name in options:
            near = did_you_mean(name, [one.name for one in fields(SweepOptions)])
            if near and f"unknown option {name!r}" in str(error):
                raise UsageError(
                    f"unknown option {name!r}{near}; tune --help lists the options of a sweep"
                ) from error
        raise
    sys.stdout.write(summary(found))
    return 1 if found["final"] and not found["final_metrics"] else 0  # the test, and no run has reached it


def usages() -> tuple[str, str]:
    """Return the ways to ask for a sweep."""
    options = "--model=MODEL --dataset=DATASET [--search=random] [--key=value ...]"
    return f"{program()} tune {options}", f"{program()} tune --resume=SWEEP_DIR"


def summary(found: dict[str, Any]) -> str:
    """Return the result of a sweep as text."""
    from recbole_diffusion.report.sweep import tied

    trials = found["trials"]
    states = [trial["state"] for trial in trials]
    best = next(trial for trial in trials if trial["number"] == found["winner"])
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    score = f"{found['valid_metric']} {best['score']:.4f} on {found['selection']}"
    epochs = sum(trial["epochs"] for trial in trials)
    width = max(map(len, ("start-up", *found["final_metrics"]))) + 1  # of the label that a line begins with

    def line(label: str, text: str) -> str:
        return f"{label:{width}}{text}"

    lines = [
        f"{found['model']} on {found['dataset']}: {counted(len(trials), 'trial')} ({counts}), "
        f"{counted(epochs, 'epoch')}",
        line("best", f"trial {best['folder']}, {score}, epoch {best['best_epoch']}{tied(trials, best)}"),
        line("options", " ".join(f"{name}={value}" for name, value in best["options"].items())),
    ]
    for part, values in found["final_metrics"].items():
        numbers = "  ".join(
            f"{name} {one['mean']:.4f}" + (f" ± {one['std']:.4f}" if one["runs"] > 1 else "")
            for name, one in values.items()
        )
        runs = next(iter(values.values()))["runs"] if values else 0
        lines.append(line(part, f"{numbers}  ({counted(runs, 'seed')})"))
    failed = [one for one in found["final"] if one["state"] != "finished"]
    lines += [line("failed", f"{one['folder']}: {one['error']}") for one in failed]
    starts = sorted(trial["startup_seconds"] for trial in trials if trial["startup_seconds"] is not None)
    if starts:
        slowest, middle = starts[-1], starts[len(starts) // 2]
        seconds = f"{middle:.2f} s per trial (median), {slowest:.2f} s at most"
        lines.append(line("start-up", f"{seconds}: a worker process loads torch and RecBole once"))
    lines.append(line("time", "  ".join(f"{name} {value:.1f} s" for name, value in found["seconds"].items())))
    lines.append(line("folder", found["sweep_dir"]))
    return "\n".join(lines) + "\n"
