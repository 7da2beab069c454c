"""Presets: found, read, checked, laid between the defaults and the user's options, and told."""

import json
import re
from textwrap import indent

import pytest

from recbole_diffusion import registry
from recbole_diffusion.config import Config
from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.report.runs import read_run
from recbole_diffusion.serving.loaded_run import load_run
from recbole_diffusion.storage import preset, properties
from recbole_diffusion.storage.preset import (
    Preset,
    differences,
    preset_lines,
    preset_names,
    read_preset,
    told,
)
from recbole_diffusion.storage.properties import properties_path
from recbole_diffusion.storage.yaml_io import load_yaml

FIVE = ("TVDiff", "CNSDiff", "DGRM", "CCDRec", "DiffCDR")
READ = {file.stem: load_yaml(file) for file in sorted((properties_path() / "preset").glob("*.yaml"))}
FILES = {name: READ[name] for name in FIVE} | {
    model: presets for family in sorted(READ.keys() - FIVE) for model, presets in sorted(READ[family].items())
}
SHIPPED = [(model, name) for model, content in FILES.items() for name in content]
TEXTS = {"source", "note", "datasets"}


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Return a function that ships a preset of a model in a folder of its own, beside nothing else."""

    def own_part(folder: str, model: str):
        with monkeypatch.context() as patch:
            patch.setattr(properties, "properties_path", lambda: tmp_path)
            return properties.own_part(folder, model)

    monkeypatch.setattr(preset, "own_part", own_part)

    def write(text: str, name: str = "paper", model: str = "TVDiff"):
        folder = tmp_path / "preset"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{model}.yaml").open("a") as file:
            file.write(f"{name}:\n{indent(text, '  ')}")

    return write


# What is shipped.


@pytest.mark.parametrize(("model", "name"), SHIPPED)
def test_a_shipped_preset_has_known_options_in_range_for_each_of_its_data_sets(model, name):
    content = FILES[model][name]
    for_all = ["ml-100k"] if set(content) - TEXTS else []
    for dataset in [*for_all, *content.get("datasets", {})]:
        config = Config(model, dataset, [], {"preset": name})
        assert differences(config.preset.options, config.resolved) == {}
        assert config.preset.source


@pytest.mark.parametrize(("model", "name"), SHIPPED)
def test_a_shipped_preset_sets_neither_seed_nor_split_nor_paths(model, name):
    content = FILES[model][name]
    given = set(content).union(*content.get("datasets", {}).values())
    assert not given & {
        "seed",
        "split_seed",
        "data_path",
        "eval_args",
        "benchmark_filename",
        "topk",
        "metrics",
    }


def test_the_five_models_have_all_three():
    assert all(preset_names(model) == ["paper", "released", "best"] for model in FIVE)


def test_a_preset_belongs_to_a_model():
    assert {
        name for name in FILES.keys() - registry.MODELS.keys() if registry.model_class(name).__name__ != name
    } == set()


# The form.


def test_options_of_a_data_set_lie_over_those_of_all(shipped):
    shipped("source: a book\nsteps: 5\ntemperature: 1\ndatasets: {lastfm: {steps: 9, gamma: 0.1}}\n")
    assert read_preset("paper", "TVDiff", "lastfm") == Preset(
        "paper", {"steps": 9, "temperature": 1, "gamma": 0.1}, "a book"
    )
    assert read_preset("paper", "TVDiff", "other").options == {"steps": 5, "temperature": 1}


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        (
            "TVDiff",
            "papers",
            "unknown preset 'papers' of TVDiff (did you mean 'paper'?); there are paper, released, best",
        ),
        ("TVDiff", True, "unknown preset True of TVDiff; there are paper, released, best"),
        ("Pop", "best", "unknown preset 'best' of Pop; none is shipped for Pop, leave --preset out"),
        (
            "ItemMean",
            "best",
            "preset best of ItemMean has options only for douban_book_music, amazon_books_movies, not ",
        ),
    ],
)
def test_a_preset_that_there_is_not_is_one_line_with_those_that_there_are(model, name, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        Config(model, "ml-100k", [], {"preset": name})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: 5\n", "must have the origin of its values"),
        ("[]", "takes options, with the origin"),
        ("source: 3\nsteps: 5\n", "must have the origin of its values"),
        ("source: a book\ndatasets: [lastfm]\n", "takes options by data set"),
        ("source: a book\ndatasets: {lastfm: 5}\n", "takes options by data set"),
    ],
)
def test_a_damaged_file_is_named(shipped, text, message):
    shipped(text)
    with pytest.raises(UsageError, match=rf"TVDiff\.yaml: (?=.*paper).*{message}"):
        read_preset("paper", "TVDiff", "lastfm")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("stepz: 5", "unknown option 'stepz'"),
        ("steps: 0", "'steps' is 0"),
        ("device: cpu", "not supported"),
    ],
)
def test_what_a_preset_says_is_checked_as_the_users_options_are(shipped, option, message):
    shipped(f"source: a book\n{option}\n")
    with pytest.raises(UsageError, match=message):
        Config("TVDiff", "ml-100k", [], {"preset": "paper"})


# Its place among the layers.


def test_a_preset_lies_over_the_defaults_and_under_files_and_command_line(shipped, tmp_path):
    shipped("source: a book\nsteps: 7\ngamma: 0.3\ntemperature: 2.0\nepochs: 5\n")
    (tmp_path / "mine.yaml").write_text("gamma: 0.4\ntemperature: 3.0\npreset: paper\n")
    config = Config("TVDiff", "ml-100k", [tmp_path / "mine.yaml"], {"temperature": 4.0})
    o = config.options
    assert (o.steps, o.gamma, o.temperature, config["epochs"]) == (7, 0.3 + 0.1, 4.0, 5)
    assert config["preset"] == "paper"
    assert config.given == {
        "gamma": 0.4,
        "temperature": 4.0,
        "preset": "paper",
    }  # what a sweep must not search


def test_a_preset_lies_over_the_protocol_of_a_model(shipped):
    shipped("source: a book\nvalid_metric: rated_ndcg@5\n", model="DGRM")
    assert Config("DGRM", "ml-100k")["valid_metric"] == "rated_both_ndcg@2"
    assert Config("DGRM", "ml-100k", [], {"preset": "paper"})["valid_metric"] == "rated_ndcg@5"


def test_a_negative_sampler_of_a_preset_replaces_the_default_as_a_whole():
    args = Config("NeuMF", "ml-100k", [], {"preset": "released"})["train_neg_sample_args"]
    assert (args["distribution"], args["sample_num"]) == ("uniform", 4)


def test_a_stored_configuration_stands_whatever_became_of_its_preset(shipped):
    shipped("source: a book\nsteps: 7\n")
    stored = Config("TVDiff", "ml-100k", [], {"preset": "paper"}).resolved
    shipped("source: a book\nsteps: 8\ngamma: 0.1\n")
    assert Config(overrides=stored, stored=True).options.steps == 7
    del stored["gamma"]  # an option of a later version
    again = Config(overrides={**stored, "preset": "gone"}, stored=True)
    assert (again.options.gamma, again["preset"]) == (Config("TVDiff", "ml-100k").options.gamma, "gone")


# What is told.


def test_the_log_names_the_nearest_preset_and_what_differs(shipped):
    shipped("source: a book\nsteps: 5\ngamma: 0.5\nlearning_rate: 0.1\n")
    shipped("source: a script\nsteps: 9\ngamma: 0.5\nlearning_rate: 0.001\n", "released")
    shipped("source: a table\ndatasets: {other: {steps: 3}}\n", "best")
    defaults = {"steps": 3, "gamma": 0.5, "learning_rate": 0.001}
    assert told(None, "TVDiff", "ml-100k", defaults) == (
        "no preset; the defaults are nearest to preset released, but for steps 3 (released: 9)"
    )
    assert told(None, "TVDiff", "other", defaults) == (
        "no preset; the defaults are nearest to preset best, and have all of its values"
    )
    assert told(None, "Pop", "ml-100k", defaults) is None


def test_six_differences_are_named_and_the_others_counted(shipped):
    shipped("source: a book\n" + "".join(f"option_{k}: 1\n" for k in range(8)))
    line = told(None, "TVDiff", "ml-100k", {f"option_{k}": 0 for k in range(8)})
    assert line.endswith("option_5 0 (paper: 1) and 2 more")


def test_the_first_of_equally_near_presets_is_named(shipped):
    for name in ("best", "paper", "released"):
        shipped("source: a book\nsteps: 5\n", name)
    assert "preset paper" in told(None, "TVDiff", "ml-100k", {"steps": 3})


def test_a_used_preset_is_told_with_source_and_note(shipped):
    shipped("source: a book\nnote: mind the split\nsteps: 5\n")
    used = read_preset("paper", "TVDiff", "ml-100k")
    assert told(used, "TVDiff", "ml-100k", {}) == "preset paper: a book. mind the split"
    own = {"steps": 3, "gamma": 0.5, "epochs": 7}
    changed = Preset("paper", {"steps": 5, "gamma": 0.5, "temperature": 1}, "a book")
    line = "preset paper: a book. Not all of its values: steps 3 (paper: 5)"
    assert told(changed, "TVDiff", "ml-100k", {}, own) == line


def test_a_used_preset_without_values_of_its_own_for_the_data_set_says_for_which_it_has_some(shipped):
    shipped("source: a book\nsteps: 5\ndatasets: {lastfm: {steps: 3}, food: {steps: 4}}\n")

    def line(dataset):
        return told(read_preset("paper", "TVDiff", dataset), "TVDiff", dataset, {}, {})

    general = "ml-100k gets the values for any data set; lastfm, food have some of their own"
    assert line("ml-100k") == f"preset paper: a book. {general}"
    assert line("food") == "preset paper: a book"


def test_a_mapping_is_compared_by_the_entries_that_a_preset_names():
    defaults = {"train_neg_sample_args": {"distribution": "uniform", "sample_num": 1, "alpha": 1.0}}
    same = {"train_neg_sample_args": {"sample_num": 1}}
    other = {"train_neg_sample_args": {"sample_num": 4}}
    assert differences(same, defaults) == {}
    assert list(differences(other, defaults)) == ["train_neg_sample_args"]
    assert differences({"steps": 5}, {}) == {"steps": (None, 5)}


def test_values_that_follow_from_the_data_replace_none(shipped):
    shipped("source: a book\ntrain_batch_size: auto\nlearning_rate: 0.01\nsteps: 5\n")
    config = Config("TVDiff", "ml-100k", [], {"preset": "paper"})
    config.settle(train_batch_size=512, learning_rate=0.02)
    assert config.preset_replaced() == {}
    stored = Config(overrides={**config.resolved, "steps": 3}, stored=True)
    assert stored.preset_replaced() == {"steps": 5}
    assert Config(overrides={**stored.resolved, "preset": "gone"}, stored=True).preset_replaced() == {}
    assert Config(overrides={**stored.resolved, "preset": "gone"}, stored=True).preset_line() is None
    assert Config("TVDiff", "ml-100k").preset_replaced() == {}


def test_help_lines_say_source_and_data_sets(shipped):
    shipped("source: a book\nsteps: 5\n")
    shipped("source: a table\ndatasets: {lastfm: {steps: 5}, food: {steps: 3}}\n", "best")
    assert preset_lines("TVDiff") == [
        "  --preset=paper    a book",
        "  --preset=best     a table (only lastfm, food)",
    ]


def test_a_run_keeps_its_preset(checkerboard, tmp_path):
    options = {**checkerboard.overrides, "epochs": 1, "hidden_size": 4}
    folder = tmp_path / "with"
    result = run("TVDiff", overrides={**options, "preset": "released", "run_dir": str(folder)})
    stored = json.loads((folder / "result.json").read_text())
    assert (result["preset"], stored["preset"]) == ("released", "released")
    assert "preset released: the authors' repository" in (folder / "log.txt").read_text()
    loaded = load_run(folder)
    o = loaded.config.options
    assert (loaded.config["preset"], o.steps, o.hidden_size) == ("released", 5, 4)
    replaced = {"hidden_size": 1000, "epochs": 400}
    assert result["preset_replaced"] == stored["preset_replaced"] == replaced
    assert "Not all of its values: hidden_size 4 (released: 1000)" in (folder / "log.txt").read_text()
    resumed = run(resume=folder, overrides={"epochs": 2})
    assert (resumed["preset"], resumed["preset_replaced"]) == ("released", replaced)
    assert (
        read_run(folder).preset_text
        == "released, but hidden_size 4 (released: 1000), epochs 2 (released: 400)"
    )
    again = run(continue_from=folder, overrides={"steps": 3, "run_dir": str(tmp_path / "again")})
    assert again["preset_replaced"] == {**replaced, "steps": 5}
    assert "hidden_size 4 (released: 1000)" in (tmp_path / "again/log.txt").read_text()

    assert run("TVDiff", overrides={**options, "run_dir": str(tmp_path / "without")})["preset"] is None
    log = (tmp_path / "without" / "log.txt").read_text()
    assert log.count("no preset; the defaults are nearest to preset ") == 1
