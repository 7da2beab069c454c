"""The command line: ``run_recbole_diff.py [train|doctor] --model=TVDiff --dataset=ml-100k --key=value``."""

import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from recbole_diffusion import yaml_io
from recbole_diffusion.errors import RunError, UsageError, did_you_mean

USAGE, FAILED, INTERRUPTED = 2, 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 2 for a wrong request, 1 for a failed run, 130 for Ctrl-C."""
    # Before torch is loaded: threads that spin while they wait stall each other as soon as cores are shared (2 to 70 times slower).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        return dispatch(words)
    except UsageError as error:
        return _report(error, USAGE, debug)
    except RunError as error:
        return _report(error, FAILED, debug)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; continue with --resume=RUN_DIR, the folder named at the top of the log\n")
        return INTERRUPTED
    except BrokenPipeError:
        return FAILED
    except MemoryError as error:
        return _report(RunError(f"out of memory: {error}; a smaller eval_batch_size or train_batch_size needs less"), FAILED, debug)
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
        raise UsageError(f"unknown command {name!r}{did_you_mean(name, COMMANDS)}; there are {', '.join(COMMANDS)}")
    return COMMANDS[name][0](words)


def train(words: list[str]) -> int:
    """Train one model and print its metrics."""
    options = parse_options(words)
    if not options or "help" in options:
        from recbole_diffusion.cli_help import help_text

        sys.stdout.write(help_text(options.get("model"), {name: summary for name, (_, summary) in COMMANDS.items()}))
        return 0 if "help" in options else USAGE
    model, dataset, resume = (options.pop(name, None) for name in ("model", "dataset", "resume"))
    files = str(options.pop("config_files", "") or "").split()
    from recbole_diffusion.quick_start import run

    command = shlex.join(["python", "run_recbole_diff.py", *words])
    result = run(model, dataset, config_files=files, overrides=options, resume=resume, command=command)
    _print_result(result)
    return 0


def _print_result(result: dict[str, Any]) -> None:
    lines = [
        f"{result['model']} on {result['dataset']}, seed {result['seed']}, best epoch {result['best_epoch']} (chosen on {result['selection']})"
    ]
    for part in ("valid", "test"):
        lines.append(f"{part:5}  " + "  ".join(f"{name} {value:.4f}" for name, value in (result[part] or {}).items()))
    seconds = "  ".join(f"{name} {value:.1f} s" for name, value in result["seconds"].items())
    lines += [f"time   {seconds}", f"folder {result['run_dir']}"]
    sys.stdout.write("\n".join(lines) + "\n")


def doctor(words: list[str]) -> int:
    """Print what this installation is made of."""
    if words:
        raise UsageError(f"doctor takes no options, got {' '.join(words)!r}")
    from recbole_diffusion.doctor import report

    sys.stdout.write(report())
    return 0


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Return ``--key=value``, ``--key value`` and ``--flag`` as a dictionary; values are parsed as YAML, never evaluated.

    Raises:
        UsageError: a word that is no option, or an option given twice with different values.
    """
    options: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            options["help"] = True
            continue
        if not word.startswith("--") or len(word) == 2:
            raise UsageError(f"unexpected word {word!r}; options are written --name=value")
        key, equals, text = word[2:].partition("=")
        if not equals:
            text = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
        value = text if key in TEXT_OPTIONS else yaml_io.parse_value(text)
        if key in options and options[key] != value:
            raise UsageError(f"option {key!r} is given twice, as {options[key]!r} and {value!r}")
        options[key] = value
    return options


TEXT_OPTIONS = frozenset({"model", "dataset", "config_files", "resume", "run_dir", "runs_path", "data_path", "load_checkpoint"})
COMMANDS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "train": (train, "train and evaluate one model (the default)"),
    "doctor": (doctor, "print versions, device, threads and paths"),
}
