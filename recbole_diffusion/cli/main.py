"""The command line: ``run_recbole_diff.py [train|tune|recommend|...] --model=TVDiff --dataset=ml-100k --key=value``."""

import gc
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from recbole_diffusion.cli.arguments import parse_options
from recbole_diffusion.errors import RunError, UsageError, did_you_mean, nothing_asked

USAGE, FAILED, INTERRUPTED = 2, 1, 130


def entry_point() -> int:
    """Run the command line of a process that ends with it."""
    code = main()
    gc.freeze()  # Python need not search what is left for cycles on its way out, which takes longer than ranking 10,000 users
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 2 for a wrong request, 1 for a failed run, 130 for Ctrl-C."""
    # Before torch is loaded: threads that spin while they wait stall each other as soon as cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    verb = "tune " if words[:1] == ["tune"] else ""
    try:
        code = dispatch(words)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _report(error, USAGE, debug)
    except RunError as error:
        return _report(error, FAILED, debug)
    except KeyboardInterrupt as interrupt:
        sys.stderr.write(
            "interrupted"
            + "".join(f"; continue with {verb}--resume={folder}" for folder in interrupt.args)
            + "\n"
        )
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # so that Python's own flush at exit is silent
        return FAILED
    except MemoryError as error:
        text = f"out of memory: {error}; a smaller eval_batch_size or train_batch_size needs less"
        return _report(RunError(text), FAILED, debug)
    except Exception as error:
        if debug:
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno}). Add --debug for the whole trace"
        return _report(RunError(text), FAILED, debug)


def _report(error: Exception, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
    return code


def dispatch(words: list[str]) -> int:
    """Hand the words to their subcommand; without one they are ``train``'s."""
    name = words.pop(0) if words and not words[0].startswith("-") else "train"
    if name not in COMMANDS:
        raise UsageError(
            f"unknown command {name!r}{did_you_mean(name, COMMANDS)}; there are {', '.join(COMMANDS)}"
        )
    return COMMANDS[name][0](words)


def train(words: list[str]) -> int:
    """Train one model and print its metrics."""
    options = parse_options(words)
    if not options or "help" in options:
        from recbole_diffusion.cli.help import help_text

        text = help_text(options.get("model"), {name: summary for name, (_, summary) in COMMANDS.items()})
        if not options:
            raise nothing_asked(text)
        sys.stdout.write(text)
        return 0
    model, dataset, resume = (options.pop(name, None) for name in ("model", "dataset", "resume"))
    files = str(options.pop("config_files", "") or "").split()
    from recbole_diffusion.quick_start import run

    command = shlex.join(["python", "run_recbole_diff.py", *words])
    result = run(model, dataset, config_files=files, overrides=options, resume=resume, command=command)
    _print_result(result)
    return 0


def _print_result(result: dict[str, Any]) -> None:
    name, chosen = (
        f"{result['model']} on {result['dataset']}",
        f"best epoch {result['best_epoch']} (chosen on {result['selection']})",
    )
    lines = [f"{name}, seed {result['seed']}, {chosen}"]
    several = [part for part in result if part.startswith("test_")] or ["test"]
    if result["test"] != result[several[0]]:  # a part of its own, not the first of two
        several.insert(0, "test")
    width = max(5, *map(len, several))
    for part in ("valid", *several):
        values = "  ".join(f"{name} {value:.4f}" for name, value in (result[part] or {}).items())
        lines += [f"{part:{width}}  {values}"]
    seconds = "  ".join(f"{name} {value:.1f} s" for name, value in result["seconds"].items())
    lines += [f"time   {seconds}", f"folder {result['run_dir']}"]
    sys.stdout.write("\n".join(lines) + "\n")


def doctor(words: list[str]) -> int:
    """Print what this installation is made of."""
    if words:
        raise UsageError(f"doctor takes no options, got {' '.join(words)!r}")
    from recbole_diffusion.cli.doctor import report

    sys.stdout.write(report())
    return 0


def split(words: list[str]) -> int:
    """Write a data set in four parts, the second test part under distribution shift."""
    from recbole_diffusion.cli.split import split as run_split

    return run_split(words)


def prepare(words: list[str]) -> int:
    """Make a data set from its source."""
    from recbole_diffusion.cli.prepare import prepare as run_prepare

    return run_prepare(words)


def tune(words: list[str]) -> int:
    """Search a model's options with Ray Tune."""
    from recbole_diffusion.cli.tune import tune as run_tune

    return run_tune(words)


def compare(words: list[str]) -> int:
    """Put finished runs side by side."""
    from recbole_diffusion.cli.compare import compare as run_compare

    return run_compare(words)


def report(words: list[str]) -> int:
    """Write the page of a run, of several, or of a sweep."""
    from recbole_diffusion.cli.report import report as run_report

    return run_report(words)


def recommend(words: list[str]) -> int:
    """Write the best items of users, from a run."""
    from recbole_diffusion.cli.recommend import recommend as run_recommend

    return run_recommend(words)


def export(words: list[str]) -> int:
    """Write the vectors of a run for other systems."""
    from recbole_diffusion.cli.export import export as run_export

    return run_export(words)


COMMANDS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "train": (train, "train and evaluate one model (the default)"),
    "compare": (compare, "put finished runs side by side: means over seeds, paired tests, cost"),
    "report": (report, "write one HTML page of a run, of several, or of a sweep"),
    "recommend": (recommend, "write the best items of users from a run, known ones or new ones"),
    "export": (export, "write the user and item vectors of a run, and an index of its items"),
    "split": (split, "write a data set in train, valid, test_iid and test_ood"),
    "prepare": (prepare, "make a data set from its published files; without a name, list them"),
    "tune": (
        tune,
        "search a model's options, trials in parallel, and run the best ones again with several seeds",
    ),
    "doctor": (doctor, "print versions, device, threads and paths"),
}
