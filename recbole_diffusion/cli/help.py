"""The text of ``--help``: subcommands, models, and a model's own options with default, range and meaning."""

import dataclasses
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.options.declare import allowed_text
from recbole_diffusion.options.general import GeneralOptions
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.storage.properties import default_values
from recbole_diffusion.storage.yaml_io import dump_value


def help_text(model: str | None, commands: Mapping[str, str]) -> str:
    """Return the general help, or with a model's name the help of that model's options.

    Raises:
        UsageError: unknown model.
    """
    options = "[--config_files='A.yaml B.yaml'] [--key=value ...]"
    lines = [f"usage: python run_recbole_diff.py [COMMAND] --model=MODEL --dataset=DATASET {options}"]
    lines += ["       python run_recbole_diff.py --resume=RUN_DIR", "", "commands:"]
    lines += [f"  {name:9} {summary}" for name, summary in commands.items()]
    if model is None:
        lines += ["", "models:"] + [f"  {name:8} {spec.summary}" for name, spec in registry.MODELS.items()]
        lines += ["  and RecBole's general models, for example " + ", ".join(registry.BASELINES)]
        lines += [
            "",
            "--model=MODEL --help lists a model's own options. --debug shows the trace of an error.",
        ]
    elif model in registry.MODELS:
        lines += ["", f"options of {model} ({registry.MODELS[model].summary}):"]
        lines += option_lines(registry.resolve(registry.MODELS[model].options), default_values(model))
    else:
        lines += ["", f"options of {model}, which is RecBole's:", *_recbole_options(model)]
    lines += [
        "",
        "options of every run (and all of RecBole's):",
        *option_lines(GeneralOptions, default_values(model)),
        *option_lines(SplitOptions, default_values(model)),
    ]
    return "\n".join(lines) + "\n"


def _recbole_options(model: str) -> list[str]:
    """Return the lines of RecBole's YAML of a model; RecBole itself, slow to load, is not imported."""
    package = importlib.util.find_spec("recbole")
    folder = Path(package.submodule_search_locations[0]) / "properties" / "model"
    files = {file.stem: file for file in folder.glob("*.yaml")}
    if model not in files:
        raise registry.unknown_model(model)
    return [f"  {line}" for line in files[model].read_text(encoding="utf-8").splitlines() if line.strip()]


def option_lines(cls: type, defaults: Mapping[str, Any] | None = None) -> list[str]:
    """Return two lines for each option of a dataclass: default, then meaning and range.

    Args:
        cls: the dataclass.
        defaults: of the options of a run, by name; None for a command's arguments, which declare their own.
    """
    lines = []
    for field in dataclasses.fields(cls):
        default = field.metadata["default"] if defaults is None else defaults[field.name]
        lines.append(f"  --{field.name}={dump_value(default)}")
        lines.append(f"        {field.metadata['help']} [{allowed_text(field)}]")
    return lines
