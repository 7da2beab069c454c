"""YAML in and out: values are parsed, never evaluated.

``1e-4`` is a number here, as users expect; in YAML 1.1 it is a text.
"""

import copy
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from recbole_diffusion.errors import UsageError


class _NotMeantError(yaml.YAMLError):
    """Valid YAML 1.1 that its writer hardly means: a key twice, ``010`` for 8, ``1:30`` for 90, ``1_0``."""


class _Loader(yaml.SafeLoader):
    """yaml.SafeLoader that also reads floats without a dot (``1e-4``), as RecBole does; dates stay texts."""


class PackagedLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same in C, where PyYAML has it, in a seventh of the time: a configuration reads a dozen files.

    For files of this package and of RecBole: its answer to texts nested too deeply is no error.
    """


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """yaml.SafeDumper, in C if there is one, with quotes around what :class:`_Loader` takes for a number."""


MOST_VALUES = 1_000_000
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MISREAD = re.compile(r"[-+]?(0[0-9_]+$|[0-9][0-9_]*:)")  # 010, 08; 1:30, 1:30.5
_THOUSANDS = re.compile(r"[-+]?[0-9]{1,3}(_[0-9]{3})+(\.[0-9]*)?")  # 100_000, where an underscore is meant
_FLOAT = re.compile(
    r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)
for _class in (_Loader, PackagedLoader, _Dumper):
    _class.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    # Whole numbers stay whole: the first resolver that matches wins, so int goes in front.
    for _first in "-+0123456789":
        _class.yaml_implicit_resolvers[_first].sort(key=lambda pair: pair[0] != "tag:yaml.org,2002:int")
for _class in (_Loader, PackagedLoader):
    for _resolvers in _class.yaml_implicit_resolvers.values():  # of this class, since it has added its own
        _resolvers[:] = [pair for pair in _resolvers if pair[0] != "tag:yaml.org,2002:timestamp"]


def _read(text: str, loader_class: type) -> Any:
    """Return the content of a YAML text.

    Raises:
        yaml.YAMLError: it is not YAML, or surely not meant.
        ValueError: a value has a tag (``!!int``) that it does not fit.
    """
    loader = loader_class(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_meant(node)
        return _counted(loader.construct_document(node))
    except RecursionError:
        raise _NotMeantError("lists or mappings are nested too deeply") from None
    finally:
        loader.dispose()


def _check_meant(root: yaml.Node) -> None:
    """Check a text before it is read in silence as something else than it says.

    Raises:
        _NotMeantError: a key stands twice in one mapping, or a number has a leading zero, colons, or
            underscores elsewhere than between thousands.
    """
    left, seen = [root], {id(root)}
    while left:
        node = left.pop()
        if isinstance(node, yaml.ScalarNode):
            _check_number(node)
            continue
        inner = node.value
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
            inner = [one for pair in node.value for one in pair]
        left += [one for one in inner if id(one) not in seen]
        seen.update(map(id, inner))


def _check_keys(node: yaml.MappingNode) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        name, line = (key.tag, key.value), key.start_mark.line + 1
        if name in lines:
            raise _NotMeantError(f"{key.value!r} is given twice, in line {lines[name]} and line {line}")
        lines[name] = line


def _check_number(node: yaml.ScalarNode) -> None:
    if node.tag in _NUMBERS and _MISREAD.match(node.value):
        kind = "a base-60" if ":" in node.value else "an octal"
        raise _NotMeantError(
            f"{node.value!r} in line {node.start_mark.line + 1} would be read as {kind} number; write it "
            f"without colon or leading zero, or as a text in quotes: '{node.value}'"
        )
    if node.tag in _NUMBERS and "_" in node.value and not _THOUSANDS.fullmatch(node.value):
        raise _NotMeantError(
            f"{node.value!r} in line {node.start_mark.line + 1} would be read as a number without its "
            f"underscores; write it so, or as a text in quotes: '{node.value}'"
        )


def _counted(content: Any) -> Any:
    """Return a content; aliases of aliases can make billions of values out of a few lines.

    Raises:
        _NotMeantError: it has too many values, or one inside itself.
    """
    left, values = [content], 0
    while left:
        value = left.pop()
        values += 1
        if values > MOST_VALUES:
            raise _NotMeantError(f"its aliases (*) make more than {MOST_VALUES:,} values")
        if isinstance(value, list | dict):
            left += value.values() if isinstance(value, dict) else value
    return content


def parse_value(text: str) -> Any:
    """Return the YAML value of one command-line argument; text that is not YAML is returned as it is.

    Raises:
        UsageError: it is read as something else than it says, such as 010, or has a key twice.
    """
    try:
        return _read(text, _Loader)
    except _NotMeantError as error:
        raise UsageError(f"the value {text:.60} is ambiguous: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def load_yaml(path: str | Path, packaged: bool = False) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Args:
        path: the file.
        packaged: it comes with this package or with RecBole.

    Raises:
        UsageError: no such file, not YAML, not a mapping, or something surely not meant, such as a key given
            twice; the message names the file and line.
    """
    try:
        if packaged:
            state = Path(path).stat()
            # A copy each time, and anew where the file has changed: callers add to what they get.
            content = copy.deepcopy(_packaged(str(path), state.st_mtime_ns, state.st_size))
        else:
            content = _read(Path(path).read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise UsageError(f"cannot read configuration file {str(path)!r}: {error.strerror}") from error
    except _NotMeantError as error:
        raise UsageError(f"configuration file {str(path)!r}: {error}; correct it") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
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


@functools.lru_cache(maxsize=512)
def _packaged(path: str, changed: int, size: int) -> Any:  # noqa: ARG001
    """Return the content of a file that comes with this package or with RecBole, parsed once."""
    return _read(Path(path).read_text(encoding="utf-8"), PackagedLoader)


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
