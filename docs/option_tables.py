"""Tables of options for the pages of models: read from the dataclass and its YAML at build, so that they never go stale.

In a page, an ``options`` fence names a model, or a dataclass as ``module:Class``::

    ```{options} TVDiff
    python run_recbole_diff.py --model=TVDiff --help
    ```

Its text is shown as it is, and the table after it. ``:own:`` leaves out what the model shares with others.
"""

import dataclasses
import re
from pathlib import Path
from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.options.declare import allowed_text
from recbole_diffusion.storage import yaml_io

PROPERTIES = Path(__file__).resolve().parent.parent / "properties"
HEADING = ("option", "default", "allowed", "meaning", "the paper's values, remarks")
# "steps: 50    # {2, 5, 10}, best 50": the remark behind a value in a model's YAML.
REMARK = re.compile(r"^(?P<name>\w+):.*?\s#\s*(?P<text>.+)$", re.MULTILINE)


def options_class(name: str) -> type:
    """Return the dataclass of a model's options, or of ``module:Class`` below the package."""
    if ":" in name:
        return registry.resolve(name)
    return registry.resolve(registry.MODELS[name].options)


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
    values, remarks = yaml_of(name)
    chosen = own_fields(cls) if own else None
    made = []
    for field in dataclasses.fields(cls):
        if chosen is not None and field.name not in chosen:
            continue
        default = values.get(field.name, field.metadata["default"])
        made.append(
            (
                field.name,
                yaml_io.dump_value(default),
                allowed_text(field),
                field.metadata["help"],
                remarks.get(field.name, ""),
            )
        )
    return made


def other_rows(name: str) -> list[tuple[str, str, str]]:
    """Return what a model's YAML sets beside the model's own options: name, value and remark."""
    fields = {field.name for field in dataclasses.fields(options_class(name))}
    values, remarks = yaml_of(name)
    return [
        (key, yaml_io.dump_value(value), remarks.get(key, ""))
        for key, value in values.items()
        if key not in fields
    ]


def yaml_of(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values and the remarks of ``properties/model/<name>.yaml``; nothing where there is none."""
    path = PROPERTIES / "model" / f"{name}.yaml"
    if not path.is_file():
        return {}, {}
    remarks = {
        found["name"]: found["text"].strip() for found in REMARK.finditer(path.read_text(encoding="utf-8"))
    }
    return yaml_io.load_yaml(path) or {}, remarks


def setup(app: Any) -> dict[str, Any]:
    """Add the directive to Sphinx."""
    from docutils import nodes
    from docutils.parsers.rst import Directive, directives

    def table(heading: tuple[str, ...], lines: list[tuple[str, ...]], widths: tuple[int, ...]) -> nodes.table:
        group = nodes.tgroup(cols=len(heading))
        group += [nodes.colspec(colwidth=width) for width in widths]
        body = nodes.tbody()
        head = nodes.thead()
        head += _row(heading, code=())
        body += [_row(line, code=(0, 1)) for line in lines]
        group += [head, body]
        whole = nodes.table(classes=["options"])
        whole += group
        return whole

    def _row(texts: tuple[str, ...], code: tuple[int, ...]) -> nodes.row:
        row = nodes.row()
        for column, text in enumerate(texts):
            inside = nodes.literal(text=text) if column in code and text else nodes.Text(text)
            row += nodes.entry("", nodes.paragraph("", "", inside))
        return row

    class Options(Directive):
        """The table of a model's options."""

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
            made.append(table(HEADING, lines, (18, 14, 18, 40, 20)))
            if others:
                what = "The model's YAML also sets what RecBole and every run read:"
                made.append(nodes.paragraph(text=what))
                made.append(table(("option", "value", "remark"), others, (25, 20, 55)))
            return made

    app.add_directive("options", Options)
    return {"parallel_read_safe": True}
