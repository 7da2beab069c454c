"""Arguments as values: by declared type, YAML otherwise, nothing evaluated; the report of an installation."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recbole_diffusion import __version__
from recbole_diffusion.cli import doctor
from recbole_diffusion.cli.arguments import config_files_of, help_asked, parse_options
from recbole_diffusion.cli.doctor import report
from recbole_diffusion.config import properties_path
from recbole_diffusion.errors import UsageError
from recbole_diffusion.tuning.options import SweepOptions


@pytest.mark.parametrize(
    "argv", [["--epochs=3", "--flag", "--rate=1e-3"], ["--epochs", "3", "--flag", "--rate", "1e-3"]]
)
def test_equals_sign_and_space_are_the_same(argv):
    assert parse_options(argv) == {"epochs": 3, "flag": True, "rate": 1e-3}


VALUES = {
    "--title=a=b": {"title": "a=b"},
    "--topk=[5, 10]": {"topk": [5, 10]},
    "--topk=5": {"topk": 5},
    "--eval_args={split: {RS: [0.8, 0.1, 0.1]}}": {"eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}}},
    "--x=__import__('os').getpid()": {"x": "__import__('os').getpid()"},
    "--load_col=": {"load_col": None},
    "--gpu_id=": {"gpu_id": None},
    "--use_gpu": {"use_gpu": True},
    "--use_gpu=false": {"use_gpu": False},
    "--show_progress": {"show_progress": True},
}
# What the dataclasses and RecBole's table declare as text.
TEXTS = {
    "--dataset=123": {"dataset": "123"},
    "--run_dir=1e5": {"run_dir": "1e5"},
    "--run_dir='007'": {"run_dir": "007"},
    "--run_dir=null": {"run_dir": None},
    "--user_inter_num_interval=[5,10]": {"user_inter_num_interval": "[5,10]"},
    "--entity_kg_num_interval=[5,10]": {"entity_kg_num_interval": "[5,10]"},
    "--field_separator=,": {"field_separator": ","},
    "--field_separator= ": {"field_separator": " "},
    '--field_separator="\\t"': {"field_separator": "\t"},
    "--LABEL_FIELD=no": {"LABEL_FIELD": "no"},
    "--encoding=null": {"encoding": None},
    "--state=null": {"state": "null"},
    "--config_files=": {"config_files": ""},
    "--sweep_dir=2024": {"sweep_dir": "2024"},
    "--time_budget=90": {"time_budget": 90},
    "--time_budget=2d": {"time_budget": "2d"},
}


@pytest.mark.parametrize("argument", VALUES | TEXTS)
def test_a_value_is_read_as_declared(argument):
    assert parse_options([argument], SweepOptions) == (VALUES | TEXTS)[argument]


def test_a_negative_number_may_follow_a_space():
    assert parse_options(["--seed", "-1", "--epochs=2"]) == {"seed": -1, "epochs": 2}


def test_the_models_own_texts_are_texts():
    given = ["--stage_cache=2024", "--noise_schedule=off"]
    assert parse_options(["--model=DiffCDR", given[0]])["stage_cache"] == "2024"
    assert parse_options(given) == {"stage_cache": 2024, "noise_schedule": False}
    assert parse_options(["--model=CCDRec", given[1]])["noise_schedule"] == "off"


WRONG = {
    "epochs=3": "unexpected argument 'epochs=3'; options are written --name=value",
    "-epochs=3": "unexpected argument",
    "--": "unexpected argument",
    "--a=1 --a=2": "option 'a' is given twice, as 1 and 2",
    "--resume=": "option 'resume' is given without a value",
    "--resume=''": "option 'resume' is given without a value",
    "--run_dir --seed=1": "option 'run_dir' is given without a value",
    "--model": "option 'model' is given without a value",
    "--epochs --seed=1": "option 'epochs' is given without a value; write --epochs=VALUE, or leave it out",
    "--epochs=": "option 'epochs' is given without a value",
    "--eval_args": "option 'eval_args' is given without a value",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_argument_is_refused(line):
    with pytest.raises(UsageError, match=WRONG[line]):
        parse_options(line.split())


def test_the_same_option_twice_with_the_same_value_is_no_contradiction():
    assert parse_options(["--a=1", "--a", "1"]) == {"a": 1}


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("--model=BPR", None),
        ("--help", "short"),
        ("--model BPR -h", "short"),
        ("--help --all", "short"),
        ("--help=all", "all"),
        ("--help all", "all"),
    ],
)
def test_help_is_asked_for_in_these_ways(line, asked):
    assert help_asked(line.split()) == asked


def test_help_on_anything_else_is_refused():
    with pytest.raises(UsageError, match="option 'help' is 'epochs'; write --help, or --help=all"):
        help_asked(["--help=epochs"])


def test_the_report_names_versions_device_threads_and_paths(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    lines = report().splitlines()
    assert f"recbole-diffusion {__version__}" in lines
    assert "recbole 1.2.1" in lines
    assert f"numpy {np.__version__}" in lines
    assert any(line.startswith(f"device: {'cuda' if torch.cuda.is_available() else 'cpu'}") for line in lines)
    assert any(line.startswith("threads: cores ") and "OMP_NUM_THREADS=7" in line for line in lines)
    assert f"properties: {properties_path()}" in lines


def test_more_threads_than_cores_is_a_warning(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", str((os.cpu_count() or 1) + 1))
    assert "warning: more torch threads than cores" in report()
    for given in ("1", "1,2", "many", "9²"):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert "warning" not in report()


def test_torch_is_asked_for_its_gpus_only_if_it_was_built_for_them(monkeypatch, tmp_path):
    (tmp_path / "version.py").write_text("cuda = None\nhip = None\n")
    found = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: found)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"card {number}")
    assert "device: cpu\n" in report()
    (tmp_path / "version.py").write_text("cuda = '13.0'\nhip = None\n")
    assert "device: cuda (card 0, card 1)\n" in report()


def test_names_of_configuration_files_may_have_blanks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my runs").mkdir()
    for name in ("my runs/best.yaml", "two words.yaml", "b.yaml"):
        (tmp_path / name).touch()
    for text, files in {
        "my runs/best.yaml": ["my runs/best.yaml"],
        f"b.yaml {tmp_path}/my runs/best.yaml two words.yaml b.yaml": [
            "b.yaml",
            f"{tmp_path}/my runs/best.yaml",
            "two words.yaml",
            "b.yaml",
        ],
        "b.yaml none.yaml": ["b.yaml", "none.yaml"],
        "": [],
    }.items():
        assert config_files_of({"config_files": text}) == files
