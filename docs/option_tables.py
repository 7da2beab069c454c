"""Option tables for the pages of models, made from dataclass, YAML and presets at each build.

In a page, an ``options`` fence names a model, or a dataclass as ``module:Class``::

    ```{options} TVDiff
    python run_recbole_diff.py --model=TVDiff --help
    ```

Its text is shown as it is, and the tables after it. ``:own:`` leaves out what the model shares with others.
"""

import dataclasses
import re
import textwrap
from pathlib import Path
from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.options.declare import allowed_text
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.properties import model_values, pairwise_values

PROPERTIES = Path(__file__).resolve().parent.parent / "properties"
HEADING = ("option", "default", "allowed", "meaning", "presets", "remarks")
OTHER_HEADING = ("option", "value", "presets", "remarks")
PRESETS = ("paper", "released", "best")
# What a preset's file says beside options.
ABOUT = ("source", "note", "datasets")
# "steps: 50    # {2, 5, 10}, best 50": the remark behind a value in a model's YAML.
REMARK = re.compile(r"^(?P<name>\w+):.*?\s#\s*(?P<text>.+)$", re.MULTILINE)


def options_class(name: str) -> type:
    """Return the dataclass of a model's options, or of ``module:Class`` below the package."""
    if ":" in name:
        return registry.resolve(name)
    return registry.options_class(name)


def own_fields(cls: type) -> set[str]:
    """Return the options that a dataclass declares itself, not one that it inherits from."""
    inherited = {name for base in cls.__mro__[1:] for name in getattr(base, "__dataclass_fields__", {})}
    return {field.name for field in dataclasses.fields(cls)} - inherited


def rows(name: str, own: bool = False) -> list[tuple[str, ...]]:
    """Return one row of text for each option of a model: see HEADING.

    Args:
        name: a model of the registry, or ``module:Class``.
        own: only the options that the dataclass declares itself.
    """
    cls = options_class(name)
    defaults, remarks = defaults_of(name)
    presets = presets_of(name)
    fields = [field for field in dataclasses.fields(cls) if not own or field.name in own_fields(cls)]
    return [
        (
            field.name,
            defaults.get(field.name, ""),
            allowed_text(field),
            field.metadata["help"],
            preset_text(field.name, presets),
            remarks.get(field.name, ""),
        )
        for field in fields
    ]


def other_rows(name: str) -> list[tuple[str, ...]]:
    """Return what a model's YAML and its presets set beside the model's own options: see OTHER_HEADING."""
    fields = {field.name for field in dataclasses.fields(options_class(name))}
    values, remarks = yaml_of(f"model/{name}")
    presets = presets_of(name)
    keys = {key: None for settings in (values, *presets.values()) for key in settings}
    return [
        (
            key,
            yaml_io.dump_value(values[key]) if key in values else "",
            preset_text(key, presets),
            remarks.get(key, ""),
        )
        for key in keys
        if key not in fields and key not in ABOUT
    ]


def defaults_of(name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the defaults of options as text, and remarks on them.

    A model's are in its YAML; those that several models inherit in theirs (``by model`` where they differ);
    those of every run in ``overall.yaml``; those of a command in its declaration.
    """
    cls = options_class(name)
    declared = {
        field.name: field.metadata["default"]
        for field in dataclasses.fields(cls)
        if "default" in field.metadata
    }
    heirs = (
        [name]
        if name in registry.MODELS
        else [m for m in registry.MODELS if issubclass(options_class(m), cls)]
    )
    # Of every run, and what this package adds to RecBole's models of pairs.
    read = [yaml_of(f"model/{heir}") for heir in heirs] or [yaml_of("overall"), (pairwise_values(), {})]
    texts = {}
    for field in dataclasses.fields(cls):
        found = {yaml_io.dump_value(values[field.name]) for values, _ in read if field.name in values}
        if not found and field.name in declared:
            found = {yaml_io.dump_value(declared[field.name])}
        texts[field.name] = found.pop() if len(found) == 1 else "by model" if found else ""
    return texts, read[0][1]


def yaml_of(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values and the remarks of ``properties/<name>.yaml``; nothing where there is none."""
    folder, _, model = name.rpartition("/")
    path, text = PROPERTIES / f"{name}.yaml", ""
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    elif model in registry.MODELS:  # below its name in the family's file, after what the family shares
        file = PROPERTIES / folder / f"{registry.MODELS[model].family}.yaml"
        text = section(file, "shared") + section(file, model)
    else:
        return {}, {}
    values = yaml_io.load_yaml(path) if path.is_file() else model_values(model)
    return values or {}, {one["name"]: one["text"].strip() for one in REMARK.finditer(text)}


def section(file: Path, name: str) -> str:
    """Return the text below a name in a YAML file, without its indentation; empty where there is none."""
    found = re.search(rf"^{name}:.*\n((?:[ ].*\n|\n)+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return textwrap.dedent(found[1]) if found else ""


def presets_of(name: str) -> dict[str, dict[str, Any]]:
    """Return the presets of a model by name, each as its file has it."""
    path = PROPERTIES / "preset" / f"{name}.yaml"
    presets = yaml_io.load_yaml(path) if path.is_file() else {}
    return {preset: presets[preset] for preset in PRESETS if preset in presets}


def preset_text(option: str, presets: dict[str, dict[str, Any]]) -> str:
    """Return the values that presets give to an option: ``paper 64; released 1000 (500 on gowalla)``."""
    texts = []
    for preset, settings in presets.items():
        of_value: dict[str, list[str]] = {}  # where a data set has a value of its own
        for data, own in (settings.get("datasets") or {}).items():
            if option in own and own[option] != settings.get(option, own):
                of_value.setdefault(yaml_io.dump_value(own[option]), []).append(data)
        some = "; ".join(f"{value} on {', '.join(names)}" for value, names in of_value.items())
        if option in settings:
            value = yaml_io.dump_value(settings[option])
            texts.append(f"{preset} {value} ({some})" if some else f"{preset} {value}")
        elif some:
            texts.append(f"{preset}: {some}")
    return "; ".join(texts)


def preset_lines(name: str) -> list[tuple[str, str]]:
    """Return preset and what it is, in the words of its file: where from, and what to know."""
    return [
        (preset, ". ".join(str(settings[key]) for key in ("source", "note") if settings.get(key)) + ".")
        for preset, settings in presets_of(name).items()
    ]


def without_empty_columns(
    heading: tuple[str, ...], lines: list[tuple[str, ...]]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return a table without the columns in which no row has anything."""
    kept = [column for column in range(len(heading)) if any(line[column] for line in lines)]
    return tuple(heading[column] for column in kept), [tuple(line[c] for c in kept) for line in lines]


def setup(app: Any) -> dict[str, Any]:
    """Add the directive to Sphinx."""
    from docutils import nodes
    from docutils.parsers.rst import Directive, directives

    def table(heading: tuple[str, ...], lines: list[tuple[str, ...]]) -> nodes.table:
        heading, lines = without_empty_columns(heading, lines)
        group = nodes.tgroup(cols=len(heading))
        group += [nodes.colspec(colwidth=1) for _ in heading]
        head, body = nodes.thead(), nodes.tbody()
        head += row(heading, code=0)
        body += [row(line, code=2) for line in lines]
        group += [head, body]
        whole = nodes.table(classes=["options", "colwidths-auto"])
        whole += group
        return whole

    def row(texts: tuple[str, ...], code: int) -> nodes.row:
        made = nodes.row()
        for column, text in enumerate(texts):
            inside = nodes.literal(text=text) if column < code and text else nodes.Text(text)
            made += nodes.entry("", nodes.paragraph("", "", inside))
        return made

    def listing(lines: list[tuple[str, str]]) -> nodes.bullet_list:
        items = []
        for preset, text in lines:
            parts = [nodes.literal(text=f"--preset={preset}"), nodes.Text(f": {text}")]
            items.append(nodes.list_item("", nodes.paragraph("", "", *parts)))
        return nodes.bullet_list("", *items)

    class Options(Directive):
        """The tables of a model's options."""

        required_arguments = 1
        has_content = True
        option_spec = {"own": directives.flag}  # noqa: RUF012 (docutils reads it from the class)

        def run(self) -> list[nodes.Node]:
            name = self.arguments[0]
            try:
                lines, others = rows(name, "own" in self.options), other_rows(name)
            except (KeyError, AttributeError, ImportError) as error:
                raise self.error(f"no options of {name!r}: {error}") from error
            text = "\n".join(self.content)
            made: list[nodes.Node] = [nodes.literal_block(text, text, language="bash")] if text else []
            made.append(table(HEADING, lines) if lines else nodes.paragraph(text="It has no own options."))
            if others:
                made.append(nodes.paragraph(text="What every run reads, where the model has values for it:"))
                made.append(table(OTHER_HEADING, others))
            if presets := preset_lines(name):
                made += [nodes.paragraph(text="Presets:"), listing(presets)]
            return made

    app.add_directive("options", Options)
    return {"parallel_read_safe": True}
