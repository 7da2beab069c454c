"""``train``, the default command: train and evaluate one model."""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from recbole_diffusion.cli.arguments import (
    WorkerArguments,
    config_files_of,
    defaults_of,
    help_asked,
    option_pairs,
    parse_options,
)
from recbole_diffusion.cli.help import help_text, run_usages
from recbole_diffusion.errors import UsageError, command_line, no_arguments
from recbole_diffusion.options.declare import read_options
from recbole_diffusion.storage.slow_step import LOADING, told_if_slow


def train(argv: Sequence[str]) -> int:
    """Train one model and print its metrics.

    Raises:
        UsageError: the request cannot be run.
        RunError: the run failed.
        Interrupted: Ctrl-C.
    """
    asked = help_asked(argv)
    if asked:
        return _help(argv, asked == "all")
    if not argv:
        raise no_arguments(*run_usages())
    options = parse_options(argv, WorkerArguments)
    defaults = defaults_of(WorkerArguments)
    given = {name: options.pop(name) for name in defaults if name in options}
    together = read_options(WorkerArguments, {**defaults, **given})
    if together.train_workers == 1 and given.keys() - {"train_workers"}:
        one = sorted(given.keys() - {"train_workers"})[0]
        raise UsageError(f"{one} is of several workers; give --train_workers=2 or more, or leave it out")
    model, dataset, resume, origin = (
        options.pop(name, None) for name in ("model", "dataset", "resume", "continue_from")
    )
    files = config_files_of(options)
    with told_if_slow(LOADING):
        run = _run_of(together)
    result = run(
        model,
        dataset,
        config_files=files,
        overrides=options,
        resume=resume,
        continue_from=origin,
        command=command_line(*argv),
    )
    sys.stdout.write(summary(result))
    return 0


def _run_of(together: WorkerArguments) -> Callable[..., dict[str, Any]]:
    """Return the function that trains: in this process, or by several workers on Ray."""
    if together.train_workers == 1:
        from recbole_diffusion.quick_start import run

        return run
    from recbole_diffusion.tuning.ray_training import train_on_workers

    return functools.partial(
        train_on_workers,
        workers=together.train_workers,
        cpus=together.worker_cpus,
        address=together.ray_address,
    )


def _help(argv: Sequence[str], everything: bool) -> int:
    model = dict(option_pairs([one for one in argv if one != "-h"])).get("model")
    sys.stdout.write(help_text(model, everything))
    return 0


def summary(result: dict[str, Any]) -> str:
    """Return the result of a run as text.

    Args:
        result: what ``run`` returns.
    """
    from recbole_diffusion.data.valid_shift import UNSHIFTED  # numpy, which --help does without

    epoch = result["best_epoch"]
    best = f"best epoch {epoch}" if epoch >= 0 else "no epoch trained"  # given weights, or none
    chosen = {
        "last epoch": f"epoch {epoch} (the last, which no validation chose)",
        "given weights": "the given weights",
        "no epoch": "untrained",
    }.get(result["selection"], f"{best} (chosen on {result['selection']})")
    lines = [f"{result['model']} on {result['dataset']}, seed {result['seed']}, {chosen}"]
    several = [part for part in result if part.startswith("test_")] or ["test"]
    if result["test"] != result[several[0]]:  # a separate part, not the first of two
        several.insert(0, "test")
    held_out = [*(["valid", UNSHIFTED] if UNSHIFTED in result else ["valid"]), *several]
    width = max(5, *map(len, held_out))
    for part in held_out:
        values = "  ".join(f"{name} {value:.4f}" for name, value in (result[part] or {}).items())
        lines += [f"{part:{width}}  {values}"]
    seconds = "  ".join(f"{name} {value:.1f} s" for name, value in result["seconds"].items())
    lines += [f"{'time':{width + 2}}{seconds}", f"{'folder':{width + 2}}{result['run_dir']}"]
    return "\n".join(lines) + "\n"
