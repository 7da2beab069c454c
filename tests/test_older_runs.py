"""Stored runs of version 0.1.0: they load, recommend what they did, and go on to the same end.

The archive holds small data sets, a finished and an interrupted run of each of the five models, and what the
finished ones recommended. Options and modules have other names by now.
"""

import json
import tarfile
from pathlib import Path

import pytest
import yaml

from recbole_diffusion import load_run
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.renamed import RENAMED
from recbole_diffusion.quick_start import run
from recbole_diffusion.report.runs import read_run
from recbole_diffusion.storage.yaml_io import load_yaml

ARCHIVE = Path(__file__).parent / "support/runs_of_0_1_0.tar.xz"
MODELS = ("TVDiff", "CNSDiff", "DGRM", "CCDRec", "DiffCDR")


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def expected(older):
    return json.loads((older / "expected.json").read_text())


@pytest.mark.parametrize("model", MODELS)
def test_a_finished_run_recommends_what_it_did(older, expected, model):
    loaded = load_run(older / model, data_path=str(older / "data"))
    columns, rows = expected[model]["lists"]["columns"], expected[model]["lists"]["data"]
    user, item, score = (columns.index(name) for name in ("user", "item", "score"))
    found = loaded.recommend(list(dict.fromkeys(row[user] for row in rows)), k=5)
    assert found["item"].tolist() == [row[item] for row in rows]
    assert found["score"].tolist() == pytest.approx([row[score] for row in rows], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_an_interrupted_run_goes_on_to_the_same_end(older, expected, model):
    finished = run(resume=older / f"{model}-stopped", overrides={"data_path": str(older / "data")})
    # TVDiff draws its negatives by the same law, but no longer with the same random numbers.
    near = 0.03 if model == "TVDiff" else 1e-5
    assert finished["best_epoch"] == expected[model]["best_epoch"]
    parts = {name: expected[model][name] for name in ("valid", "test")}
    for part, values in {**parts, **expected[model]["others"]}.items():
        # Metrics that are newer than the run stand beside its own.
        own = {name: finished[part][name] for name in values}
        assert own == pytest.approx(values, abs=near if part in parts else 1e-5)


@pytest.mark.parametrize("model", ["CCDRec", "DiffCDR"])
def test_its_options_are_read_under_todays_names(older, model):
    stored = load_yaml(older / model / "config.yaml")
    renamed = RENAMED.keys() & stored.keys()
    assert len(renamed) > 4
    config = read_run(older / model).config
    assert not renamed & config.keys()
    assert {RENAMED[name]: stored[name] for name in renamed}.items() <= config.items()


def test_a_run_with_linkprop_of_before_scores_as_it_did(checkerboard, tmp_path):
    """``linkprop`` was three steps then; the model's ``aggregation`` came with its new meaning."""
    small = {"hidden_size": 8, "epochs": 1, "topk": [5], "valid_metric": "Recall@5", "topology": "three_step"}
    run("TVDiff", overrides={**checkerboard.overrides, **small, "run_dir": str(tmp_path / "run")})
    before = load_run(tmp_path / "run").recommend(["u1", "u2"], k=4)
    file = tmp_path / "run" / "config.yaml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("aggregation")]
    file.write_text("\n".join(lines).replace("topology: three_step", "topology: linkprop") + "\n")
    assert load_yaml(file)["topology"] == "linkprop"
    assert load_run(tmp_path / "run").recommend(["u1", "u2"], k=4).equals(before)
    assert read_run(tmp_path / "run").config["aggregation"] == "addition"
    file.write_text(file.read_text() + "aggregation: addition\n")  # of today: the one matrix
    assert not load_run(tmp_path / "run").recommend(["u1", "u2"], k=4).equals(before)


@pytest.mark.parametrize(
    ("model", "option", "value"), [("EDLAE", "popularity_discount", 6.0), ("EASE", "learner", "sparse_adam")]
)
def test_what_an_earlier_version_took_is_still_read_but_begins_no_run(checkerboard, model, option, value):
    folder = Path(run(model, overrides=checkerboard.overrides)["run_dir"])
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump({**load_yaml(file), option: value}))
    loaded = load_run(folder)
    assert loaded.config[option] == value
    assert len(loaded.recommend(["u1"], k=5)) == 5
    assert "recall@10" in loaded.evaluate()["test"]
    assert run(resume=folder)["run_dir"] == str(folder)
    for given in ({"overrides": {**checkerboard.overrides, option: value}}, {"continue_from": folder}):
        with pytest.raises(UsageError, match=f"option '{option}' is {value!r}; it takes"):
            run(model, **given)
