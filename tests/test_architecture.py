"""The rules of the house that a reader of the sources can check: who may import whom, and what every model has."""

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from recbole_diffusion import registry, yaml_io
from recbole_diffusion.compat import apply_all
from recbole_diffusion.general_options import GeneralOptions
from recbole_diffusion.rating_options import RatingOptions
from recbole_diffusion.split_options import SplitOptions

apply_all()

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "recbole_diffusion"
BASE = {
    *("compat", "config", "cross_domain_options", "errors", "general_options", "options"),
    *("multimodal_options", "rating_options", "recbole_options", "registry", "run_folder", "run_log", "split_options"),
    "yaml_io",
}
MIDDLE = {"trainer", "model", "data", "evaluation"}
TOP = {
    "cli",
    "cli_help",
    "compare_command",
    "doctor",
    "export_command",
    "folder_words",
    "prepare_command",
    "recommend_command",
    "report_command",
    "run_words",
    "split_command",
    "tune_command",
}
# What each part of the package may import of it, itself apart. Imports go down only.
MAY_IMPORT = {
    "__init__": {"quick_start", "loaded_run"},
    "diffusion": set(),
    "sampler": set(),
    **dict.fromkeys(BASE, BASE),
    "data": BASE,
    "evaluation": BASE | {"data", "diffusion", "sampler"},
    "model": BASE | {"data", "diffusion", "sampler"},
    "trainer": BASE | {"data", "evaluation"},
    "serving": BASE | MIDDLE,
    "quick_start": BASE | MIDDLE,
    "loaded_run": BASE | MIDDLE | {"serving"},
    "tuning": BASE | MIDDLE | {"quick_start"},
    "report": BASE | MIDDLE | {"sampler", "quick_start", "loaded_run"},
    **dict.fromkeys(TOP, BASE | MIDDLE | {"quick_start", "loaded_run", "tuning", "report", "serving"} | TOP),
}
STANDARD_OF_THE_MATHEMATICS = {"torch", "math", "collections", "typing", "dataclasses", "functools", "itertools", "enum"}
# A model that wraps another as its backbone: stem -> stems.
BACKBONES: dict[str, set[str]] = {"ccdrec": {"freedom", "lattice", "mcdrec"}, "mcdrec": {"freedom"}}
FILES = sorted(PACKAGE.rglob("*.py"))
STEMS = {name: spec.model.partition(":")[0].rpartition(".")[2] for name, spec in registry.MODELS.items()}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def imports(path: Path, top_level_only: bool = False) -> Iterator[str]:
    """Yield the dotted name of each module that a file imports; ``from a import b`` counts as ``a.b``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(dotted: str) -> str | None:
    """Return which part of the package a dotted name belongs to, or None."""
    words = dotted.split(".")
    if words[0] != "recbole_diffusion":
        return None
    return words[1] if len(words) > 1 and words[1] in MAY_IMPORT else "__init__"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_down(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert part in MAY_IMPORT, f"say in MAY_IMPORT what {part} may import"
    allowed = MAY_IMPORT[part] | {part, "__init__"}
    assert {name for name in imports(path) if part_of(name) and part_of(name) not in allowed} == set()


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.relative_to(PACKAGE).parts[0] in ("diffusion", "sampler")], ids=name_of
)
def test_mathematics_imports_torch_only(path):
    own = f"recbole_diffusion.{path.relative_to(PACKAGE).parts[0]}."
    foreign = {
        name for name in imports(path) if name.split(".")[0] not in STANDARD_OF_THE_MATHEMATICS and not name.startswith(own)
    }
    assert foreign == set()


@pytest.mark.parametrize("path", sorted((PACKAGE / "model").glob("*.py")), ids=name_of)
def test_models_do_not_import_models(path):
    def owner(stem: str) -> str | None:
        return next((model for model in STEMS.values() if stem == model or stem.startswith(f"{model}_")), None)

    mine = owner(path.stem)
    others = {owner(name.split(".")[2]) for name in imports(path) if name.startswith("recbole_diffusion.model.")}
    assert others - {None, mine} <= BACKBONES.get(mine or "", set())


@pytest.mark.parametrize(
    "path", [*FILES, *sorted((ROOT / "benchmarks").glob("*.py")), ROOT / "run_recbole_diff.py"], ids=lambda path: path.name
)
def test_ray_is_imported_late_and_recbole_quick_start_never(path):
    assert not [name for name in imports(path, top_level_only=True) if name.split(".")[0] == "ray"]
    assert not [name for name in imports(path) if name.startswith("recbole.quick_start")]
    uses_ray = [name for name in imports(path) if name.split(".")[0] == "ray"]
    assert not uses_ray or "tuning" in path.parts


@pytest.mark.parametrize("name", registry.MODELS)
def test_every_model_has_its_files(name):
    stem = STEMS[name]
    assert stem == name.lower()
    wanted = [PACKAGE / "model" / f"{stem}.py", ROOT / f"properties/model/{name}.yaml", ROOT / f"tests/model/test_{stem}.py"]
    if (PACKAGE / "tuning").is_dir():
        wanted.append(ROOT / f"properties/tune/{name}.yaml")
    assert [str(file) for file in wanted if not file.is_file()] == []


def assert_equal_defaults(options: type, yaml: Path) -> None:
    values = yaml_io.load_yaml(yaml)
    defaults = {field.name: field.metadata["default"] for field in dataclasses.fields(options)}
    assert {name: values.get(name, "missing") for name in defaults} == defaults
    assert {name: type(values[name]) for name in defaults} == {name: type(default) for name, default in defaults.items()}


@pytest.mark.parametrize("name", registry.MODELS)
def test_yaml_and_dataclass_agree(name):
    assert_equal_defaults(registry.resolve(registry.MODELS[name].options), ROOT / f"properties/model/{name}.yaml")


def test_overall_yaml_and_general_options_agree():
    assert_equal_defaults(GeneralOptions, ROOT / "properties/overall.yaml")
    assert_equal_defaults(SplitOptions, ROOT / "properties/overall.yaml")
    assert_equal_defaults(RatingOptions, ROOT / "properties/overall.yaml")


@pytest.mark.parametrize("name", registry.MODELS)
def test_a_model_does_not_redefine_a_general_option(name):
    options = registry.resolve(registry.MODELS[name].options)
    assert not set(options.__dataclass_fields__) & set(GeneralOptions.__dataclass_fields__)
