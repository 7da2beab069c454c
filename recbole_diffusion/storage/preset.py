"""Presets: options of one model that belong together, as a paper, its authors' code or our tables have them.

``properties/preset/<Model>.yaml`` has the model's presets by name, or ``<family>.yaml`` below the name of the
model. Each has ``source``, one sentence about the origin of the values, optionally ``note``, what else a
comparison with that source requires, and options. ``datasets`` has options for single data sets, by name,
which win over those for all:

    paper:
      source: "the paper's section 4.1 and appendix D"
      steps: 50
      datasets:
        lastfm: {temperature: 1.0}

A preset wins over the defaults, and the user's files and options win over the preset, see ``config.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.storage.properties import own_part

ORDER = ("paper", "released", "best")
TEXTS = ("source", "note")
SHOWN = 6  # differing options that the log names


@dataclass(frozen=True)
class Preset:
    """One preset, for one data set.

    Attributes:
        name: ``paper``, ``released`` or ``best``.
        options: option values.
        source: origin of the values.
        note: what else a comparison with that source requires; may be empty.
    """

    name: str
    options: dict[str, Any]
    source: str
    note: str = ""


def preset_names(model: str) -> list[str]:
    """Return the names of a model's presets, ``paper`` first."""
    return sorted(
        own_part("preset", model)[0],
        key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name),
    )


def read_preset(name: Any, model: str, dataset: str) -> Preset:
    """Return a preset of a model for a data set; one that it does not name gets the options for all.

    Raises:
        UsageError: there is no such preset, it has no options for the data set, or its file is damaged.
    """
    names = preset_names(model)
    if name not in names:
        known = (
            f"there are {', '.join(names)}" if names else f"none is shipped for {model}, leave --preset out"
        )
        near = did_you_mean(str(name), names)
        raise UsageError(f"unknown preset {name!r} of {model}{near}; {known}")
    found, by_dataset = _read(name, model)
    options = found.options | by_dataset.get(dataset, {})
    if not options:
        raise UsageError(
            f"preset {name} of {model} has options only for {', '.join(by_dataset)}, not for {dataset}; take "
            f"another preset of {', '.join(names)}, or none"
        )
    return Preset(name, options, found.source, found.note)


def _read(name: str, model: str) -> tuple[Preset, dict[str, dict[str, Any]]]:
    """Return a preset with the options of all data sets, and the options of single ones."""
    presets, file = own_part("preset", model)
    content = presets[name]
    if not isinstance(content, dict):
        raise UsageError(
            f"{file}: {name} of {model} takes options, with the origin of their values as 'source: TEXT'"
        )
    texts = {key: content.pop(key, "") for key in TEXTS}
    by_dataset = content.pop("datasets", {})
    if not texts["source"] or not all(isinstance(one, str) for one in texts.values()):
        raise UsageError(
            f"{file}: {name} of {model} must have the origin of its values in one sentence, as 'source: TEXT'"
        )
    if not isinstance(by_dataset, dict) or not all(isinstance(one, dict) for one in by_dataset.values()):
        raise UsageError(
            f"{file}: 'datasets' of {name} of {model} takes options by data set, such as "
            "{lastfm: {steps: 50}}"
        )
    return Preset(name, content, **texts), by_dataset


def preset_lines(model: str) -> list[str]:
    """Return a line for each preset of a model: name, source, and its data sets if it has no others."""
    lines = []
    for name in preset_names(model):
        found, by_dataset = _read(name, model)
        alone = "" if found.options else f" (only {', '.join(by_dataset)})"
        lines.append(f"  --preset={name:8} {found.source}{alone}")
    return lines


def differences(options: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return (value, value in the preset) of the options that differ from a preset."""
    return {
        name: (values.get(name), wanted)
        for name, wanted in options.items()
        if name not in values or not _holds(values[name], wanted)
    }


def replaced(used: Preset, given: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return (value, value in the preset) of the given options that win over the preset's."""
    own = {name: value for name, value in used.options.items() if name in given}
    return differences(own, given)


def preset_text(name: str | None, apart: Mapping[str, tuple[Any, Any]]) -> str:
    """Return a preset for a reader, with the values that others replace; ``-`` for none."""
    if name is None:
        return "-"
    return f"{name}, but {as_text(apart, name)}" if apart else name


def _holds(value: Any, wanted: Any) -> bool:
    """Return whether a value is a preset's; of a mapping, a preset may have only some entries."""
    if isinstance(value, Mapping) and isinstance(wanted, Mapping):
        return all(name in value and _holds(value[name], one) for name, one in wanted.items())
    return value == wanted


def told(
    used: Preset | None,
    model: str,
    dataset: str,
    defaults: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
) -> str | None:
    """Return the log's line on presets: the one in use, or the one nearest to the defaults.

    Args:
        used: the run's preset.
        model: the model's name.
        dataset: the data set's name.
        defaults: option values without preset and without the user's.
        given: the user's option values, which win over the preset.

    Returns:
        None for a model without presets for the data set.
    """
    if used is not None:
        pairs = as_text(replaced(used, given or {}), used.name)
        but = f". Not all of its values: {pairs}" if pairs else ""
        note = f". {used.note}" if used.note else ""
        return f"preset {used.name}: {used.source}{note}{_own_values(used.name, model, dataset)}{but}"
    apart = {}
    for name in preset_names(model):
        found, by_dataset = _read(name, model)
        if options := found.options | by_dataset.get(dataset, {}):
            apart[name] = differences(options, defaults)
    if not apart:
        return None
    nearest = min(apart, key=lambda name: len(apart[name]))
    pairs = as_text(apart[nearest], nearest)
    how = f"but for {pairs}" if pairs else "and have all of its values"
    return f"no preset; the defaults are nearest to preset {nearest}, {how}"


def _own_values(name: str, model: str, dataset: str) -> str:
    """Return a sentence on the data sets for which a preset has values of their own, if this is none."""
    if name not in preset_names(model):
        return ""
    by_dataset = _read(name, model)[1]
    if not by_dataset or dataset in by_dataset:
        return ""
    return f". {dataset} gets the values for any data set; {', '.join(by_dataset)} have some of their own"


def as_text(apart: Mapping[str, tuple[Any, Any]], name: str) -> str:
    """Return differences from the preset of that name in words; empty without any."""
    pairs = [f"{key} {ours!r} ({name}: {theirs!r})" for key, (ours, theirs) in apart.items()]
    more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
    return ", ".join(pairs[:SHOWN]) + more
