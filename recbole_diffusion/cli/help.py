"""The text of ``--help``: commands, models, and options with default, range and meaning."""

import dataclasses
import importlib.util
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.cli.arguments import RunArguments, WorkerArguments, own_first
from recbole_diffusion.cli.commands import COMMANDS
from recbole_diffusion.errors import RunError, program
from recbole_diffusion.options.declare import allowed_text
from recbole_diffusion.options.general import GeneralOptions
from recbole_diffusion.options.negatives import OF_RECBOLE, NegativeOptions
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.options.recbole_ranges import of_model
from recbole_diffusion.options.recbole_table import SECTIONS, Table
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.storage.preset import preset_lines
from recbole_diffusion.storage.properties import default_values, pairwise_values
from recbole_diffusion.storage.yaml_io import dump_value, load_yaml

OF_EVERY_RUN = (GeneralOptions, SplitOptions, RatingOptions)


def run_usages() -> tuple[str, str]:
    """Return the ways to ask for a run."""
    options = "[--config_files='A.yaml B.yaml'] [--key=value ...]"
    new = f"{program()} [COMMAND] --model=MODEL --dataset=DATASET {options}"
    return new, f"{program()} --resume=RUN_DIR"


def usage_text(usages: Iterable[str]) -> str:
    """Return the first lines of a help text, one for each way to call a command."""
    return "usage: " + "\n       ".join(usages)


def help_text(model: str | None = None, everything: bool = False) -> str:
    """Return the general help, or with a model's name the help of that model's options.

    Args:
        model: name of a model, or None.
        everything: also list RecBole's options.

    Raises:
        UsageError: unknown model.
    """
    outside = registry.outside_class(model) if model is not None and model not in registry.MODELS else None
    defaults = default_values(model) | (_values_of(outside) if outside else {})
    lines = [usage_text(run_usages()), ""]
    if model is None:
        width = max(map(len, registry.MODELS))
        lines += ["commands (COMMAND --help says more):"]
        lines += [f"  {name:{width}} {summary}" for name, (_, summary) in COMMANDS.items()]
        lines += ["", "models:"]
        lines += [f"  {name:{width}} {spec.summary}" for name, spec in registry.MODELS.items()]
        lines += ["  and RecBole's general models, for example " + ", ".join(registry.BASELINES), ""]
        lines += [
            "--model=MODEL --help lists a model's own options, --help=all also RecBole's with their meaning.",
            "--debug shows the trace of an error.",
            "",
            "what to run:",
        ]
        values = {"model": "MODEL", "dataset": "DATASET", "resume": "RUN_DIR", "continue_from": "RUN_DIR"}
        lines += option_lines(RunArguments, values) + option_lines(WorkerArguments)
    elif model in registry.MODELS:
        lines += [f"options of {model} ({registry.MODELS[model].summary}):", *_lines_of(model, defaults)]
    elif outside is not None:
        lines += [f"options of {model} ({registry.summary_of(outside)}):"]
        lines += _lines_of(registry.name_of(model), defaults)
    else:
        lines += [f"options of {model}, which is RecBole's:", *_yaml_lines(model)]
        lines += _range_lines(model)
        if model in OF_RECBOLE:
            taken = ", ".join(OF_RECBOLE[model])
            lines += ["", f"and of its negatives (negative_sampler takes {taken}):"]
            lines += option_lines(NegativeOptions, pairwise_values())
    presets = preset_lines(model) if model else []
    lines += ["", f"presets of {model}:", *presets] if presets else []
    if model is None or everything:
        general = [line for cls in OF_EVERY_RUN for line in option_lines(cls, defaults)]
        lines += ["", "options of every run:", *general]
    else:
        lines += ["", "options of every run (--help says what they mean):", *_short(OF_EVERY_RUN, defaults)]
    if everything:
        lines += recbole_lines(SECTIONS)
    else:
        lines += [
            "",
            "and RecBole's: load_col, eval_args, val_interval, train_neg_sample_args, ... (see --help=all)",
        ]
    return "\n".join(lines) + "\n"


def _lines_of(model: str, defaults: Mapping[str, Any]) -> list[str]:
    """Return the lines of a model's own options, given its canonical name."""
    cls = registry.options_class(model)
    return ["  it declares none"] if cls is None else option_lines(cls, defaults)


def _values_of(outside: type) -> dict[str, Any]:
    """Return the defaults of a model from outside, by option."""
    file = registry.file_beside(outside, ".yaml")
    return load_yaml(file) if file.is_file() else {}


def option_lines(cls: type, defaults: Mapping[str, Any] | None = None) -> list[str]:
    """Return two lines for each option of a dataclass: default, then meaning and range; inherited ones last.

    Args:
        cls: the dataclass.
        defaults: defaults of the options of a run, by name; arguments of a command declare their own.
    """
    lines = []
    for field in own_first(cls):
        lines.append(f"  --{field.name}={_default(field, defaults)}")
        lines.append(f"        {field.metadata['help']} [{allowed_text(field)}]")
    return lines


def recbole_lines(sections: Mapping[str, Table]) -> list[str]:
    """Return the lines of RecBole's options: default, meaning, and the meaning of the names inside."""
    defaults = _recbole_defaults()
    lines = [
        "",
        "RecBole's options and its defaults; the YAML of a data set or of a model's protocol may set others.",
    ]
    for title, table in sections.items():
        lines += ["", f"RecBole's options: {title}"]
        for name, known in table.items():
            lines.append(f"  --{name}={dump_value(defaults.get(name))}")
            lines += _wrapped(known.meaning, 8)
            for inner, meaning in known.inner.items():
                lines += _wrapped(f"{inner}: {meaning}", 12)
    return lines


def _default(field: dataclasses.Field, defaults: Mapping[str, Any] | None) -> str:
    default = (defaults or {}).get(field.name, field.metadata.get("default"))
    return field.name.upper() if default == "" else dump_value(default)


def _short(classes: Iterable[type], defaults: Mapping[str, Any]) -> list[str]:
    """Return the options of dataclasses with their defaults only, several per line."""
    fields = [field for cls in classes for field in dataclasses.fields(cls)]
    options = [f"--{field.name}={_default(field, defaults)}" for field in fields]
    lines = [""]
    for one in options:
        if len(lines[-1]) + len(one) > 106:
            lines.append("")
        lines[-1] += f"  {one}"
    return lines


def _wrapped(text: str, indent: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(
        text,
        110,
        initial_indent=margin,
        subsequent_indent=margin,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _recbole_properties() -> Path:
    """Return RecBole's folder of YAML files; RecBole itself, slow to load, is not imported."""
    package = importlib.util.find_spec("recbole")
    if package is None or not package.submodule_search_locations:
        raise RunError("RecBole is not installed; pip install recbole==1.2.1")
    return Path(package.submodule_search_locations[0]) / "properties"


def _recbole_defaults() -> dict[str, Any]:
    folder = _recbole_properties()
    return load_yaml(folder / "overall.yaml", packaged=True) | load_yaml(
        folder / "dataset" / "sample.yaml", packaged=True
    )


def _range_lines(model: str) -> list[str]:
    """Return what each option in RecBole's YAML of a model takes, where that is a range or a choice."""
    read = load_yaml(_recbole_properties() / "model" / f"{model}.yaml", packaged=True)
    allowed = {name: known.text() for name, known in of_model(model).items() if name in read}
    width = max(map(len, allowed), default=0)
    return ["", "what they take:", *(f"  {name:{width}} {text}" for name, text in allowed.items())]


def _yaml_lines(model: str) -> list[str]:
    """Return the lines of RecBole's YAML of a model."""
    files = {file.stem: file for file in (_recbole_properties() / "model").glob("*.yaml")}
    if model not in files:
        raise registry.unknown_model(model)
    return [f"  {line}" for line in files[model].read_text(encoding="utf-8").splitlines() if line.strip()]
