"""YAML in and out: values are parsed, never evaluated.

``1e-4`` is a number here, as users expect; in YAML 1.1 it is a text.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from recbole_diffusion.errors import UsageError


class _Loader(yaml.SafeLoader):
    """yaml.SafeLoader that also reads floats without a dot (``1e-4``) as RecBole does."""


class FileLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same for files, in C where PyYAML has it: a configuration reads a dozen, in a seventh of the time.

    Not for the command line: there a tab at the end of a word belongs to it, and C drops it.
    """


class _Dumper(yaml.SafeDumper):
    """yaml.SafeDumper that puts quotes around what :class:`_Loader` would read as a number."""


_FLOAT = re.compile(
    r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)
for _class in (_Loader, FileLoader, _Dumper):
    _class.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    # Whole numbers stay whole: the first resolver that matches wins, so int goes in front.
    for _first in "-+0123456789":
        _class.yaml_implicit_resolvers[_first].sort(key=lambda pair: pair[0] != "tag:yaml.org,2002:int")


def parse_value(text: str) -> Any:
    """Return the YAML value of one command-line argument; text that is not YAML is returned as it is."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        return text


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        UsageError: no such file, not YAML, or not a mapping; the message names the file and line.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=FileLoader)
    except OSError as error:
        raise UsageError(f"cannot read configuration file {str(path)!r}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(
            f"configuration file {str(path)!r} is not valid YAML: {' '.join(str(error).split())}"
        ) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(
            f"configuration file {str(path)!r} must hold 'name: value' lines, not a {type(content).__name__}"
        )
    return content


def dump_yaml(values: Mapping[str, Any]) -> str:
    """Return a mapping of plain values as YAML text that :func:`load_yaml` reads back."""
    return yaml.dump(
        dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None
    )


def is_plain(value: Any) -> bool:
    """Return whether a value is made of what YAML holds without a tag: numbers, texts, lists and mappings."""
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    return value is None or type(value) in (bool, int, float, str)


def merged(
    low: Mapping[str, Any], high: Mapping[str, Any], replace: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return ``low`` overlaid with ``high``.

    Nested mappings merge; everything else, and the keys in ``replace``, is replaced.
    """
    result = dict(low)
    for key, value in high.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value, replace) if both and key not in replace else value
    return result


def dump_value(value: Any) -> str:
    """Return one value as the YAML text that :func:`parse_value` reads back."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10**6).strip()
    return text.removesuffix("...").strip()
