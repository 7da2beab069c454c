"""The text of ``--help``: subcommands, models, and a model's own options with default, range and meaning."""

import dataclasses
from collections.abc import Mapping

from recbole_diffusion import registry
from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.general_options import GeneralOptions
from recbole_diffusion.options import allowed_text
from recbole_diffusion.yaml_io import dump_value


def help_text(model: str | None, commands: Mapping[str, str]) -> str:
    """Return the general help, or with a model's name the help of that model's options.

    Raises:
        UsageError: unknown model.
    """
    lines = ["usage: python run_recbole_diff.py [COMMAND] --model=MODEL --dataset=DATASET [--config_files='A.yaml B.yaml'] [--key=value ...]"]
    lines += ["       python run_recbole_diff.py --resume=RUN_DIR", "", "commands:"]
    lines += [f"  {name:8} {summary}" for name, summary in commands.items()]
    if model is None:
        lines += ["", "models:"] + [f"  {name:8} {spec.summary}" for name, spec in registry.MODELS.items()]
        lines += ["  and RecBole's general models, for example " + ", ".join(registry.BASELINES)]
        lines += ["", "--model=MODEL --help lists a model's own options. --debug shows the trace of an error."]
    elif model in registry.MODELS:
        lines += ["", f"options of {model} ({registry.MODELS[model].summary}):"]
        lines += _options(registry.resolve(registry.MODELS[model].options))
    elif model in registry.BASELINES:
        lines += ["", f"{model} is RecBole's; its options are those of RecBole's properties/model/{model}.yaml"]
    else:
        raise UsageError(f"unknown model {model!r}{did_you_mean(model, [*registry.MODELS, *registry.BASELINES])}")
    lines += ["", "options of every run (and all of RecBole's):"] + _options(GeneralOptions)
    return "\n".join(lines) + "\n"


def _options(cls: type) -> list[str]:
    lines = []
    for field in dataclasses.fields(cls):
        lines.append(f"  --{field.name}={dump_value(field.metadata['default'])}")
        lines.append(f"        {field.metadata['help']} [{allowed_text(field)}]")
    return lines
