"""What the pages say exists: models, options, commands, files and the places that links lead to."""

import ast
import dataclasses
import importlib.util
import re
import shlex
import sys
from functools import cache
from pathlib import Path

import pytest

from recbole_diffusion import registry
from recbole_diffusion.cli.main import COMMANDS
from recbole_diffusion.storage.properties import dataset_values

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "docs"))

import option_tables  # noqa: E402 (lies beside the pages, which it serves)

WIDTH = 160
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), ROOT / "dataset/README.md"])
PAGES += [ROOT / "findings/README.md"]
OF_TODAY = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which also tells of what is gone
OWN_PAGES = sorted((ROOT / "docs/models").glob("*.md"))
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
OPTIONS = re.compile(r"^```\{options\} (\S+)", re.MULTILINE)
HEADINGS = ("What it is", "When to use it", "Run it", "Options", "Differences", "Results", "How to reproduce")
# Read by the commands themselves, before there is a configuration.
OF_COMMANDS = {"model", "dataset", "config_files", "resume", "help", "debug", "trust_checkpoint"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def prose_of(page: Path) -> str:
    """Return a page without its code blocks; a link may break across lines."""
    return FENCE.sub("", text_of(page))


@cache
def anchors_of(page: Path) -> set[str]:
    """Return what ``#...`` may name in a page: its headings, as GitHub and the site write them."""
    titles = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@cache
def known_options() -> frozenset[str]:
    """Return every option that a command takes: declared ones, those of our YAML files, and RecBole's."""
    declared = re.compile(r"^    (\w+): [^\n=]+ = (?:option|argument)\(", re.MULTILINE)
    keys = re.compile(r"^([A-Za-z_]\w*)\s*:", re.MULTILINE)
    arguments = re.compile(r'add_argument\(\s*"--(\w+)"')
    names = set(OF_COMMANDS)
    for file in (ROOT / "recbole_diffusion").rglob("*.py"):
        names |= set(declared.findall(file.read_text(encoding="utf-8")))
    for file in (ROOT / "benchmarks").glob("*.py"):
        names |= set(arguments.findall(file.read_text(encoding="utf-8")))
    recbole = Path(importlib.util.find_spec("recbole").submodule_search_locations[0])
    for folder in (ROOT / "properties", recbole / "properties"):
        for file in folder.rglob("*.yaml"):
            names |= set(keys.findall(file.read_text(encoding="utf-8")))
    loaded = (ROOT / "recbole_diffusion/serving/loaded_run.py").read_text(encoding="utf-8")
    names |= set(
        re.search(r"LOAD_OPTIONS = frozenset\((.+?)\)", loaded)[1].replace('"', "").strip("{}").split(", ")
    )
    return frozenset(names)


def commands_of(page: Path) -> list[list[str]]:
    """Return the words of each command of ours in a page's code blocks."""
    found = []
    for _, body in FENCE.findall(text_of(page)):
        for line in body.replace("\\\n", " ").splitlines():
            start = re.search(
                r"(?:python run_recbole_diff\.py|recbole-diffusion(?= )|python -m recbole_diffusion)", line
            )
            if start and not line.lstrip().startswith(("#", "pip ")):
                found.append(shlex.split(line[start.end() :], comments=True))
    return found


COMMAND_LINES = [(page, words) for page in PAGES for words in commands_of(page)]


def test_there_are_pages_and_commands_to_check():
    assert len(OWN_PAGES) > 15
    assert len(COMMAND_LINES) > 40


@pytest.mark.parametrize("model", registry.MODELS)
def test_every_model_has_the_table_of_its_options_on_one_page(model):
    pages = [page for page in OWN_PAGES if model in OPTIONS.findall(text_of(page))]
    assert len(pages) == 1
    assert re.search(rf"^#+ {model}$", text_of(pages[0]), re.MULTILINE)


@pytest.mark.parametrize(
    "page",
    [page for page in OWN_PAGES if page.stem in {name.lower() for name in registry.MODELS}],
    ids=name_of,
)
def test_a_model_s_page_has_all_of_its_sections(page):
    headings = re.findall(r"^## (.+)$", prose_of(page), re.MULTILINE)
    assert [wanted for wanted in HEADINGS if not any(title.startswith(wanted) for title in headings)] == []


@pytest.mark.parametrize("model", registry.MODELS)
def test_a_generated_table_has_every_option_with_its_meaning(model):
    cls = option_tables.options_class(model)
    rows = {row[0]: row for row in option_tables.rows(model)}
    assert list(rows) == [field.name for field in dataclasses.fields(cls)]
    assert all(row[3] for row in rows.values())
    own = {row[0] for row in option_tables.rows(model, own=True)}
    assert own == option_tables.own_fields(cls)


def test_a_generated_table_shows_the_yaml_s_value_and_its_remark():
    rows = {row[0]: row for row in option_tables.rows("CNSDiff")}
    assert rows["steps"][1] == "20"
    assert rows["steps"][-1].startswith("{10, 20, 50, 100, 200}")
    others = {row[0]: row for row in option_tables.other_rows("CNSDiff")}
    assert others["train_neg_sample_args"][1] == "null"


def test_a_generated_table_of_shared_options_has_a_default_for_each():
    """A run's from overall.yaml, a command's from its declaration, a family's from its members' YAML."""
    seed = next(row for row in option_tables.rows("options.general:GeneralOptions") if row[0] == "seed")
    samples = next(row for row in option_tables.rows("tuning.options:SweepOptions") if row[0] == "search")
    shared = {row[0]: row[1] for row in option_tables.rows("options.cross_domain:CrossDomainOptions")}
    assert (seed[1], samples[1], shared["embedding_size"]) == ("2020", "random", "10")
    assert all(shared.values())


def test_a_generated_table_shows_what_presets_set_by_data_set_too():
    paper = {
        "steps": 50,
        "source": "the text",
        "datasets": {
            "gowalla": {"steps": 5},
            "lastfm": {"epochs": 12},
            "food": {"steps": 5},
            "baby": {"steps": 50},
        },
    }
    presets = {"paper": paper, "best": {"steps": 20}}
    assert option_tables.preset_text("steps", presets) == "paper 50 (5 on gowalla, food); best 20"
    assert option_tables.preset_text("epochs", presets) == "paper: 12 on lastfm"
    assert option_tables.preset_text("width", presets) == ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_table_of_options_is_written_by_hand(page):
    assert not re.search(r"^\| *option *\| *default", text_of(page), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page):
    lost = []
    for target in LINK.findall(prose_of(page)):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.is_file() or (anchor and anchor not in anchors_of(file)):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_of_markdown_are_short_apart_from_tables(page):
    long = [line for line in text_of(page).splitlines() if len(line) > WIDTH and not line.startswith("|")]
    assert long == []


def unknown_words(words: list[str]) -> list[str]:
    """Return what a command line of ours names that does not exist: its verb, options, model, data set."""
    unknown = [words[0]] if words and not words[0].startswith("-") and words[0] not in COMMANDS else []
    for word in words:
        if not word.startswith("--"):
            continue
        name, _, value = word.removeprefix("--").partition("=")
        exists = name in known_options()
        if name == "model":
            exists = exists_as_model(value)
        if name == "dataset":
            exists = exists_as_data_set(value)
        if not exists:
            unknown.append(word)
    return unknown


@pytest.mark.parametrize("page", OF_TODAY, ids=name_of)
def test_commands_options_models_and_data_sets_that_are_named_exist(page):
    unknown = [word for where, words in COMMAND_LINES if where == page for word in unknown_words(words)]
    spans = " ".join(INLINE.findall(prose_of(page)))
    named = re.findall(r"(?<![\w-])--([a-z_]+)", spans)
    assert unknown + [f"--{name}" for name in named if name not in known_options()] == []


def exists_as_model(name: str) -> bool:
    return name in registry.MODELS or name in registry.BASELINES or name in ("MODEL", "NAME") or ":" in name


def exists_as_data_set(name: str) -> bool:
    return name in ("DATASET", "mine") or bool(dataset_values(name))


@pytest.mark.parametrize("page", OWN_PAGES, ids=name_of)
def test_settings_in_the_text_of_a_model_s_page_are_options(page):
    """``noise_max: 0.05`` in a sentence names an option that is there."""
    settings = re.compile(r"^([a-z][a-z0-9_]*): \S")
    named = {found[1] for span in INLINE.findall(prose_of(page)) if (found := settings.match(span))}
    assert sorted(named - known_options()) == []


@pytest.mark.parametrize("page", OF_TODAY, ids=name_of)
def test_files_of_this_repository_that_are_named_exist(page):
    """``model/cross_domain/profile.py`` in a sentence; a path with a foreign first folder is an example."""
    roots = (ROOT, ROOT / "recbole_diffusion")
    lost = []
    for span in INLINE.findall(prose_of(page)):
        path = re.fullmatch(r"((?:[a-z_]+/)+)[A-Za-z_0-9.-]+\.(?:py|yaml|md|sh)", span)
        if not path or "NAME" in span:
            continue
        ours = [root for root in roots if (root / path[1].split("/")[0]).is_dir()]
        if ours and not any((root / span).is_file() for root in ours):
            lost.append(span)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_benchmarks_and_plans_that_are_named_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = text_of(page)
    named = {
        one for pair in re.findall(r"^make (\w+)|`make (\w+)`", text, re.MULTILINE) for one in pair if one
    }
    assert named <= targets
    modules = re.findall(r"python -m benchmarks\.(\w+)", text)
    assert [name for name in modules if not (ROOT / f"benchmarks/{name}.py").is_file()] == []
    assert [
        plan for plan in re.findall(r"benchmarks/plans/[\w-]+\.yaml", text) if not (ROOT / plan).is_file()
    ] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs/api").glob("*.md")), ids=name_of)
def test_what_the_api_pages_show_exists(page):
    lost = []
    for dotted in re.findall(r"^\.\. auto\w+:: (\S+)", text_of(page), re.MULTILINE):
        parts = dotted.split(".")
        module, name = (parts, "") if module_file(parts) else (parts[:-1], parts[-1])
        file = module_file(module)
        if not file or (
            name and not re.search(rf"^(class|def) {name}\b|^    \"{name}\",$", text_of(file), re.MULTILINE)
        ):
            lost.append(dotted)
    assert lost == []


def module_file(parts: list[str]) -> Path | None:
    path = ROOT.joinpath(*parts)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def test_the_architecture_page_has_the_levels_that_are_tested():
    tree = ast.parse((ROOT / "tests/test_architecture.py").read_text(encoding="utf-8"))
    found = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "LEVELS"
    ]
    page = text_of(ROOT / "docs/architecture.md")
    for number, parts in enumerate(ast.literal_eval(found[0])):
        named = {part for part in parts if not part.startswith("__")}
        row = re.search(rf"^\| {number} \|([^|]+)\|", page, re.MULTILINE)
        assert named == (set(INLINE.findall(row[1])) if row else set())


@pytest.mark.parametrize("script", sorted((ROOT / "findings").glob("*.sh")), ids=name_of)
def test_a_finding_has_the_form_that_its_readme_asks_for(script):
    source = script.read_text(encoding="utf-8")
    assert f"({script.name})" in text_of(ROOT / "findings/README.md")
    for wanted in (
        "# Guess:",
        "# Seen:",
        "# So:",
        "set -euo pipefail",
        "mktemp -d",
        "trap 'rm -rf",
        "assert ",
    ):
        assert wanted in source
    packages = re.findall(r"pip\" install (.+)", source)
    unpinned = [
        word for line in packages for word in line.split() if not word.startswith("-") and "==" not in word
    ]
    assert packages
    assert unpinned == []
    assert "recbole_diffusion" not in source


def test_the_changelog_has_the_version_of_the_package():
    from recbole_diffusion.storage.versions import __version__

    assert re.search(rf"^## {re.escape(__version__)}\b", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
