"""What callers from Python give as options: paths, numbers of numpy, one file, and what is no mapping."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from recbole_diffusion.config import Config
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.given import files_given, plain
from recbole_diffusion.quick_start import run
from recbole_diffusion.serving.loaded_run import load_run
from recbole_diffusion.storage import yaml_io


def test_values_become_plain_ones():
    given = {
        np.str_("topk"): np.array([5, 10]),
        "seed": np.int64(7),
        "repeatable": np.bool_(True),
        "rate": torch.tensor(0.5),
        "data_path": Path("a") / "b",
        "inner": {"list": [np.float64(0.25), Path("c")], "pair": (np.int32(1), None)},
        "space": pd.Series([1, 2]),
    }
    found = plain(given)
    assert found == {
        "topk": [5, 10],
        "seed": 7,
        "repeatable": True,
        "rate": 0.5,
        "data_path": str(Path("a/b")),
        "inner": {"list": [0.25, "c"], "pair": (1, None)},
        "space": [1, 2],
    }
    kinds = {name: type(value) for name, value in found.items()}
    assert (kinds["seed"], kinds["repeatable"], kinds["rate"], kinds["data_path"]) == (int, bool, float, str)
    assert {type(name) for name in found} == {str}


def test_a_configuration_takes_them(tmp_path):
    config = Config("EASE", "ml-100k", overrides={"reg_weight": np.float64(3), "runs_path": tmp_path})
    assert (config["reg_weight"], config["runs_path"]) == (3.0, str(tmp_path))
    with pytest.raises(UsageError, match=r"overrides are \[1\], of type list; they take option values"):
        Config("EASE", "ml-100k", overrides=[1])


def test_one_file_needs_no_list(tmp_path):
    file = tmp_path / "one.yaml"
    file.write_text("reg_weight: 7.0\n")
    assert files_given(None) == []
    for given in (file, str(file), [file]):
        assert Config("EASE", "ml-100k", given)["reg_weight"] == 7.0


def test_a_run_by_such_values_is_the_run_by_plain_ones(checkerboard, tmp_path):
    options = {**checkerboard.overrides, "topk": [5], "valid_metric": "Recall@5"}
    plainly = run("EASE", checkerboard.name, overrides={**options, "run_dir": str(tmp_path / "one")})
    given = {**options, "topk": np.array([5]), "seed": np.int64(2020), "run_dir": tmp_path / "two"}
    given["data_path"] = Path(options["data_path"])
    other = run(np.str_("EASE"), np.str_(checkerboard.name), overrides=given)
    assert other["test"] == plainly["test"]
    kept = [yaml_io.load_yaml(tmp_path / name / "config.yaml") for name in ("one", "two")]
    assert {**kept[0], "run_dir": None} == {**kept[1], "run_dir": None}
    assert load_run(tmp_path / "two").evaluate("test") == {"test": plainly["test"]}


def test_whole_numbers_that_pandas_made_floats_are_the_ids_that_they_were(tmp_path):
    rows = [(user, item) for user in range(20) for item in range(user % 2, 24, 2) if (user + item) % 5]
    table = pd.DataFrame(rows, columns=["user", "item"]).astype(float)  # as after a join with gaps
    options = {"topk": [2], "valid_metric": "Recall@2", "use_gpu": False, "run_dir": tmp_path / "run"}
    run("EASE", data=table, user="user", item="item", overrides=options)
    trained = load_run(tmp_path / "run")
    assert trained.recommend([3.0, np.float32(4)], k=2).equals(trained.recommend([3, 4], k=2))
    mixed, whole = trained.recommend_new({"me": [2.0, 4]}, k=3), trained.recommend_new({"me": [2, 4]}, k=3)
    assert mixed.equals(whole)
    with pytest.raises(UsageError, match="no user of the list"):
        trained.recommend([3.5, float("nan"), float("inf"), 2.0**60], k=2)
