"""The help: every command, model and option, RecBole's too, in the words of the program called."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from recbole_diffusion import registry
from recbole_diffusion.cli import main as cli
from recbole_diffusion.cli.commands import COMMANDS
from recbole_diffusion.errors import command_line, program
from recbole_diffusion.options.general import GeneralOptions
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.options.recbole_table import NOT_TAKEN, RECBOLE_OPTIONS
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.storage import yaml_io

OF_EVERY_RUN = {
    name for cls in (GeneralOptions, SplitOptions, RatingOptions) for name in cls.__dataclass_fields__
}
RECBOLE = Path(importlib.util.find_spec("recbole").submodule_search_locations[0]) / "properties"


@pytest.fixture
def shown(capsys):
    """Return a function that gives what a command line prints; it must succeed."""

    def show(*argv: str) -> str:
        assert cli.main(argv) == 0
        return capsys.readouterr().out

    return show


def test_help_lists_commands_models_and_options(shown):
    out = shown("--help")
    for name in (
        *COMMANDS,
        *registry.MODELS,
        *registry.BASELINES,
        "--learning_rate=0.001",
        "--resume",
        "--help=all",
    ):
        assert name in out
    assert out == shown("train", "-h")


@pytest.mark.parametrize("model", registry.MODELS)
def test_help_of_a_model_lists_each_option_with_default_and_range(model, shown):
    out = shown(f"--model={model}", "--help")
    for field in registry.options_class(model).__dataclass_fields__.values():
        assert f"--{field.name}=" in out
        assert field.metadata["help"] in out
    assert all(f"--{name}=" in out for name in OF_EVERY_RUN)
    assert GeneralOptions.__dataclass_fields__["stopping_step"].metadata["help"] not in out


def test_help_of_a_baseline_shows_recboles_own(shown):
    assert "n_layers: 2" in shown("--model=LightGCN", "--help")


def test_help_of_a_model_names_its_presets(shown):
    text = shown("--model=DiffCDR", "--help")
    assert "presets of DiffCDR:" in text
    assert "--preset=released the authors' repository" in text
    assert "presets of" not in shown("--model=GlobalMean", "--help")


def test_help_of_an_unknown_model(capsys):
    assert cli.main(["--model=TVDif", "--help"]) == 2
    assert "did you mean 'TVDiff'" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
def test_each_command_has_its_help(name, shown):
    assert shown(name, "--help").startswith(f"usage: recbole-diffusion {name}")


# RecBole's.


def test_every_key_of_recboles_yaml_has_a_line(shown):
    keys = [
        key for file in ("overall.yaml", "dataset/sample.yaml") for key in yaml_io.load_yaml(RECBOLE / file)
    ]
    assert len(keys) == 78
    lines = shown("--help=all").splitlines()
    assert [key for key in keys if not any(line.startswith(f"  --{key}=") for line in lines)] == []
    assert RECBOLE_OPTIONS.keys() & OF_EVERY_RUN == set()


def test_every_name_inside_recboles_dictionaries_has_a_line(shown):
    out = shown("--model=BPR", "--help=all")
    inner = yaml_io.load_yaml(RECBOLE / "overall.yaml")
    for key in ("eval_args", "train_neg_sample_args"):
        assert list(inner[key]) == [name for name in RECBOLE_OPTIONS[key].inner if name in inner[key]]
        assert all(f"            {name}: " in out for name in inner[key])


def test_what_a_run_refuses_is_said_and_nothing_else():
    from recbole_diffusion.config import REFUSED

    assert REFUSED.keys() <= NOT_TAKEN.keys()
    assert all(known.meaning.startswith("not taken here: ") for known in NOT_TAKEN.values())
    assert not [
        name
        for name in RECBOLE_OPTIONS.keys() - NOT_TAKEN.keys()
        if "not taken" in RECBOLE_OPTIONS[name].meaning
    ]


def test_the_types_fit_recboles_defaults():
    defaults = yaml_io.load_yaml(RECBOLE / "overall.yaml") | yaml_io.load_yaml(
        RECBOLE / "dataset/sample.yaml"
    )
    wrong = [
        name
        for name, known in RECBOLE_OPTIONS.items()
        if name in defaults and not isinstance(defaults[name], known.kind)
    ]
    assert wrong == []


def test_help_of_split_lists_recboles_options_of_data_alone(shown):
    out = shown("split", "--help=all")
    for name in ("load_col", "val_interval", "user_inter_num_interval", "TIME_FIELD", "threshold"):
        assert f"  --{name}=" in out
    assert "--eval_args" not in out
    assert "--load_col=" not in shown("split", "--help")


# The program and its cost.


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("/usr/bin/recbole-diffusion", "recbole-diffusion"),
        ("recbole-diffusion.exe", "recbole-diffusion"),
        ("/lib/recbole_diffusion/__main__.py", "python -m recbole_diffusion"),
        ("run_recbole_diff.py", "python run_recbole_diff.py"),
        ("/home/me/run_recbole_diff.py", "python run_recbole_diff.py"),
        ("/lib/pytest/__main__.py", "recbole-diffusion"),
        ("", "recbole-diffusion"),
    ],
)
def test_the_program_is_the_one_that_was_called(monkeypatch, shown, called, name):
    monkeypatch.setattr(sys, "argv", [called])
    assert program() == name
    assert command_line("compare", "a b") == f"{name} compare 'a b'"
    assert shown("--help").startswith(f"usage: {name} [COMMAND] ")
    assert shown("export", "--help").startswith(f"usage: {name} export --run=RUN_DIR")


@pytest.mark.parametrize("argv", [["--help=all"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_no_help_loads_torch_or_recbole(argv):
    code = f"import sys; from recbole_diffusion.cli.main import main; main({argv}); "
    code += "print(*(name for name in ('torch', 'recbole', 'ray') if name in sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


def test_no_help_of_a_model_loads_torch_or_recbole():
    code = "import sys; from recbole_diffusion.cli.main import main\n"
    code += f"for name in {[*registry.MODELS, 'BPR']}: main([f'--model={{name}}', '--help'])\n"
    code += "print(*(name for name in ('torch', 'recbole', 'ray') if name in sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
