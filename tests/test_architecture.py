"""Rules that a reader of the sources can check: who may import whom, what every model has.

A rule of files is one test, which names each file that breaks it.
"""

import ast
import dataclasses
import functools
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from recbole.utils import dataset_arguments, evaluation_arguments, general_arguments, training_arguments

from recbole_diffusion import registry
from recbole_diffusion.options import declare
from recbole_diffusion.options.general import GeneralOptions
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.properties import model_values

RECBOLE = {*general_arguments, *training_arguments, *evaluation_arguments, *dataset_arguments}
ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "recbole_diffusion"
# Imports go strictly down, those inside functions too: a part may import parts of lower levels and itself.
LEVELS = (
    ("compat", "errors", "diffusion", "sampler"),
    ("options", "registry"),
    ("storage",),
    ("config", "data"),
    ("model", "evaluation", "prepare"),
    ("model.rows", "model.graph", "model.multimodal", "model.cross_domain", "trainer"),
    ("serving", "report"),
    ("quick_start",),
    ("tuning",),
    ("cli", "testing", "__init__"),
    ("__main__",),
)
LEVEL = {part: number for number, parts in enumerate(LEVELS) for part in parts}
FAMILIES = ("rows", "graph", "multimodal", "cross_domain")
STANDARD_OF_THE_MATHEMATICS = {
    "torch",
    "math",
    "collections",
    "typing",
    "dataclasses",
    "functools",
    "itertools",
    "enum",
}
RAY_CLASSES = "recbole_diffusion/tuning/ray_classes.py"  # subclasses of Ray's, which need it at their import
# What only some systems have: each is imported inside a function, for the others.
OF_SOME_SYSTEMS = {"fcntl", "grp", "msvcrt", "pwd", "resource", "termios", "winreg"}
# A model that wraps another as its backbone: stem -> stems.
BACKBONES: dict[str, set[str]] = {
    "ccdrec": {"freedom", "lattice", "mcdrec", "bm3"},
    "mcdrec": {"freedom", "bm3"},
}
# Files of several small models.
SHARED_FILES = {"trivial", "filters", "linear", "hyperbolic", "sparse_linear", "rated"}
FILES = sorted(PACKAGE.rglob("*.py"))
STEMS = {name: spec.module or name.lower() for name, spec in registry.MODELS.items()}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@functools.cache
def imports(path: Path, top_level_only: bool = False) -> tuple[str, ...]:
    """Return the dotted name of each module that a file imports; ``from a import b`` counts as ``a.b``."""
    names: list[str] = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


def module_of(path: Path) -> str:
    """Return the dotted name of a file of the package; a package's own is its folder."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def own_imports(path: Path) -> set[str]:
    """Return the modules of this package that a file imports, in functions too; a package is its parts."""
    names = set()
    for dotted in imports(path):
        name = dotted if dotted in MODULES else dotted.rpartition(".")[0]
        if name in MODULES and MODULES[name] != path:
            names.add(name)
    return names


def part_of(module: str) -> str:
    """Return the part of the package that a module belongs to: a top-level name, or ``model.FAMILY``."""
    words = module.split(".")[1:]
    if words[:1] == ["model"] and len(words) > 1 and words[1] in FAMILIES:
        return ".".join(words[:2])
    return words[0] if words else "__init__"


def broken(rule: Callable[[Path], Iterable[str]], files: Iterable[Path]) -> dict[str, list[str]]:
    """Return what breaks a rule, by file."""
    found = {path.relative_to(ROOT).as_posix(): sorted(rule(path)) for path in files}
    assert found, "the rule has no file to be checked on"
    return {name: names for name, names in found.items() if names}


def test_every_part_has_a_level():
    assert {part_of(module) for module in MODULES} - LEVEL.keys() == set(), "say in LEVELS where it stands"


def test_imports_go_strictly_down():
    def up(path: Path) -> set[str]:
        part = part_of(module_of(path))
        others = {part_of(module) for module in own_imports(path)} - {part}
        return {other for other in others if LEVEL[other] >= LEVEL[part]}

    assert broken(up, FILES) == {}


def test_no_modules_import_each_other_in_a_circle():
    edges = {name: own_imports(path) for name, path in MODULES.items()}
    left = dict(edges)
    while free := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in free}
    assert sorted(left) == []


@pytest.mark.parametrize("part", ["diffusion", "sampler"])
def test_mathematics_imports_torch_only(part):
    def foreign(path: Path) -> list[str]:
        others = [name for name in imports(path) if not name.startswith(f"recbole_diffusion.{part}.")]
        return [name for name in others if name.split(".")[0] not in STANDARD_OF_THE_MATHEMATICS]

    assert broken(foreign, (PACKAGE / part).rglob("*.py")) == {}


def test_models_do_not_import_models():
    def owner(stem: str) -> str | None:
        return next(
            (model for model in STEMS.values() if stem == model or stem.startswith(f"{model}_")), None
        )

    def others(path: Path) -> set[str]:
        mine = owner(path.stem)
        models = [name for name in own_imports(path) if name.startswith("recbole_diffusion.model.")]
        owners = {owner(name.rpartition(".")[2]) for name in models} - {None, mine}
        return owners - BACKBONES.get(mine or "", set())

    assert broken(others, (PACKAGE / "model").rglob("*.py")) == {}


# Who may import what: of a package, early (at the top of a file) or at all, by the files that may.
PROGRAMS = [*FILES, *sorted((ROOT / "benchmarks").glob("*.py")), ROOT / "run_recbole_diff.py"]


def of_package(package: str, path: Path, early: bool = False) -> list[str]:
    return [name for name in imports(path, early) if f"{name}.".startswith(f"{package}.")]


def test_ray_is_imported_in_tuning_alone_and_late():
    others = [path for path in PROGRAMS if "tuning" not in path.parts]
    assert broken(lambda path: of_package("ray", path), others) == {}
    early = [path for path in PROGRAMS if path != ROOT / RAY_CLASSES]  # imported late itself, see below
    assert broken(lambda path: of_package("ray", path, early=True), early) == {}


def test_quick_start_of_recbole_is_never_imported():
    assert broken(lambda path: of_package("recbole.quick_start", path), PROGRAMS) == {}


def test_pytest_is_imported_in_testing_alone():
    others = [path for path in FILES if "testing" not in path.parts]
    assert broken(lambda path: of_package("pytest", path), others) == {}


def test_nothing_needs_a_module_that_only_some_systems_have():
    def needed(path: Path) -> set[str]:
        return OF_SOME_SYSTEMS & {name.split(".")[0] for name in imports(path, top_level_only=True)}

    assert broken(needed, FILES) == {}


def test_what_needs_ray_at_its_import_is_imported_late():
    module = RAY_CLASSES.removesuffix(".py").replace("/", ".")
    early = [
        name_of(path) for path in FILES if any(module in name for name in imports(path, top_level_only=True))
    ]
    assert early == []


def test_the_root_is_small_and_a_long_file_says_why():
    assert sum(not path.name.startswith(("__pycache__", ".")) for path in PACKAGE.iterdir()) <= 22
    texts = [path.read_text() for path in PACKAGE.rglob("*.py")]
    long = [text for text in texts if text.count("\n") > 250]
    assert [text[:80] for text in long if "Longer than most files" not in " ".join(text[:4000].split())] == []


def test_recbole_is_imported_through_compat_alone():
    others = [path for path in FILES if path.parent.name != "compat"]
    assert broken(lambda path: of_package("recbole", path), others) == {}


@pytest.mark.parametrize("name", registry.MODELS)
def test_every_model_has_its_files(name):
    """Models of a family may share a file, of code or tests, and most share the family's ``options.py``."""
    stem, family = STEMS[name], registry.MODELS[name].family
    assert stem in SHARED_FILES or stem == name.lower()
    options = registry.options_class(name).__module__.split(".")[1:]
    assert options[:2] == ["model", family]
    assert options[2] in ("options", f"{stem}_options")
    wanted = [
        PACKAGE / "model" / family / f"{stem}.py",
        PACKAGE / "model" / family / f"{options[2]}.py",
    ]
    tests = ROOT / "tests/model"
    named = [file for file in tests.glob("*/test_*.py") if f'"{name}"' in file.read_text(encoding="utf-8")]
    assert named or (tests / f"{family}/test_{stem}.py").is_file()
    if (PACKAGE / "tuning").is_dir():
        spaces = ROOT / f"properties/tune/{family}.yaml"
        assert name in yaml_io.load_yaml(spaces)
    assert [str(file) for file in wanted if not file.is_file()] == []


OF_EVERY_RUN = {
    field.name: field
    for options in (GeneralOptions, SplitOptions, RatingOptions)
    for field in dataclasses.fields(options)
}


def assert_defaults(
    values: dict, fields: dict[str, dataclasses.Field], others: set[str] = frozenset()
) -> None:
    """Each option has a YAML value of its very type (whole numbers are not floats), and there is no other."""
    assert set(fields) - set(values) == set()
    assert set(values) - set(fields) - set(others) == set()
    for name, field in fields.items():
        value = declare.checked(field, values[name])
        assert type(value) is type(values[name]), f"{name}: {values[name]!r} should be {value!r}"


@pytest.mark.parametrize("name", registry.MODELS)
def test_the_yaml_of_a_model_has_all_of_its_options_and_nothing_else(name):
    values = model_values(name)
    own = registry.options_class(name).__dataclass_fields__
    of_every_run = {key: field for key, field in OF_EVERY_RUN.items() if key in values}
    assert_defaults(values, {**own, **of_every_run}, RECBOLE)


def test_overall_yaml_has_the_options_of_every_run_and_nothing_else():
    assert_defaults(yaml_io.load_yaml(ROOT / "properties/overall.yaml"), OF_EVERY_RUN)


@pytest.mark.parametrize("name", registry.MODELS)
def test_a_model_does_not_redefine_a_general_option(name):
    options = registry.options_class(name)
    assert not set(options.__dataclass_fields__) & set(GeneralOptions.__dataclass_fields__)
