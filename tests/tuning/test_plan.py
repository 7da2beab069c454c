"""From a request to the trials of a sweep; what is wrong is found before anything starts."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from recbole_diffusion import registry
from recbole_diffusion.cli import main as cli
from recbole_diffusion.config import Config
from recbole_diffusion.errors import Interrupted, RunError, UsageError
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.tuning import driver
from recbole_diffusion.tuning.context import SweepContext
from recbole_diffusion.tuning.display import SweepDisplay
from recbole_diffusion.tuning.driver import read_settings, sweep
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.phases import run_winner, search_is_open
from recbole_diffusion.tuning.plan import make_record
from recbole_diffusion.tuning.record import FINISHED, SweepRecord, Trial
from recbole_diffusion.tuning.space_yaml import shipped_spaces

SHIPPED = sorted(shipped_spaces())


def plan(tmp_path, space, model="TVDiff", overrides=None, **settings):
    if space is not None:
        file = tmp_path / "space.yaml"
        file.write_text(yaml_io.dump_yaml(space))
        settings["space"] = str(file)
    return make_record(model, "ml-100k", [], overrides or {}, read_settings(settings), "command")[0]


def refusal(tmp_path, space, **given):
    with pytest.raises(UsageError) as caught:
        plan(tmp_path, space, **given)
    return str(caught.value)


def test_a_split_without_a_validation_part_has_nothing_to_compare_trials_on(tmp_path):
    given = {"eval_args": {"split": {"RS": [0.8, 0, 0.2]}}}
    assert "without a validation part to compare trials on" in refusal(
        tmp_path, None, model="BPR", overrides=given
    )


# What is shipped.


FEW = {"GlobalMean": 1, "ItemMean": 5}  # models that have hardly anything to choose


@pytest.mark.parametrize("model", SHIPPED)
def test_a_shipped_space_fits_its_model(tmp_path, model):
    record = plan(tmp_path, None, model, num_samples=20)
    fewest = FEW.get(model, 8)
    assert (
        len({json.dumps(trial.options, sort_keys=True) for trial in record.trials})
        == len(record.trials)
        >= fewest
    )
    for trial in record.trials[:3]:
        Config(model, "ml-100k", [], {**record.options, **trial.options})


def test_every_model_and_every_baseline_with_options_has_a_space():
    assert set(SHIPPED) >= set(registry.MODELS) | set(registry.BASELINES) - {"Pop"}


def test_a_preset_holds_in_each_trial_under_what_the_space_chooses(tmp_path):
    space = {"temperature": {"choice": [2.0, 3.0]}}
    record = plan(tmp_path, space, overrides={"preset": "released"})
    assert record.options["preset"] == "released"
    made = [Config("TVDiff", "ml-100k", [], {**record.options, **trial.options}) for trial in record.trials]
    assert [config.options.steps for config in made] == [5, 5]  # the preset's, over the default 50
    assert sorted(config.options.temperature for config in made) == [2.0, 3.0]  # over the preset's 5
    assert "'preset' cannot be searched" in refusal(tmp_path, {"preset": {"choice": ["paper", "best"]}})


def test_gamma_is_searched_only_with_the_sampler_that_reads_it(tmp_path):
    trials = plan(tmp_path, None, num_samples=40).trials
    assert {"gamma" in trial.options for trial in trials} == {True, False}
    assert all(
        ("gamma" in trial.options) == (trial.options["negative_sampler"] == "ar_gsp") for trial in trials
    )


# Trials.


def test_trials_share_the_split_and_have_seeds_of_their_own(tmp_path):
    space = {"temperature": {"uniform": [0.1, 10]}}
    one, other = (plan(tmp_path, space, num_samples=5, overrides={"seed": seed}) for seed in (3, 4))
    assert one.options["split_seed"] == 3
    assert len({trial.seed for trial in one.trials}) == 5
    assert [trial.options for trial in one.trials] != [trial.options for trial in other.trials]
    again = plan(tmp_path, space, num_samples=5, overrides={"seed": 3})
    assert [(trial.options, trial.seed) for trial in again.trials] == [
        (trial.options, trial.seed) for trial in one.trials
    ]


def test_a_small_space_is_tried_whole_and_said_so(tmp_path):
    record = plan(tmp_path, {"reg_weight": {"choice": [1.0, 2.0, 3.0]}}, "EASE", num_samples=10)
    assert sorted(trial.options["reg_weight"] for trial in record.trials) == [1.0, 2.0, 3.0]
    assert "only 3 combinations" in record.notes[0]


def test_optuna_is_not_asked_for_more_than_there_is(tmp_path):
    record = plan(tmp_path, {"reg_weight": {"choice": [1.0, 2.0, 3.0]}}, "EASE", search="optuna")
    assert record.settings["num_samples"] == 3
    assert "only 3 combinations" in record.notes[0]


def test_a_grid_has_every_combination(tmp_path):
    record = plan(
        tmp_path,
        {"k": {"int": [10, 30], "step": 10}, "shrink": {"choice": [0.0, 1.0]}},
        "ItemKNN",
        search="grid",
    )
    assert [tuple(trial.options.values()) for trial in record.trials] == [
        (k, s) for k in (10, 20, 30) for s in (0.0, 1.0)
    ]


def test_an_option_that_is_given_is_not_searched(tmp_path):
    record = plan(tmp_path, None, num_samples=8, overrides={"negative_sampler": "uniform", "steps": 5})
    assert all(not {"negative_sampler", "steps", "gamma"} & set(trial.options) for trial in record.trials)
    assert record.options["steps"] == 5
    assert "nothing is left" in refusal(
        tmp_path, {"reg_weight": {"choice": [1.0]}}, model="EASE", overrides={"reg_weight": 2.0}
    )


def test_traditional_models_have_one_epoch(tmp_path):
    assert plan(tmp_path, None, "EASE").epochs == 1
    assert plan(tmp_path, None, "BPR", overrides={"epochs": 7}).epochs == 7


def test_a_data_set_of_train_and_test_only_is_marked(tmp_path):
    assert plan(tmp_path, None, "EASE").selection == "validation"
    record = plan(tmp_path, None, "EASE", overrides={"benchmark_filename": ["train", "test"]})
    assert record.selection == "test"
    assert "compared on the test part" in record.notes[0]


# Refusals.


@pytest.mark.parametrize(
    ("model", "space", "words"),
    [
        ("TVDiff", {"temprature": {"uniform": [0, 1]}}, "did you mean 'temperature'"),
        ("EASE", {"hidden_size": {"choice": [8]}}, "unknown option 'hidden_size'"),
        ("TVDiff", {"dropout_prob": {"uniform": [0, 1]}}, "dropout_prob = 1.0"),
        ("TVDiff", {"steps": {"choice": [5, 0]}}, "steps = 0"),
        ("TVDiff", {"steps": {"choice": [5, 2.5]}}, "steps = 2.5"),
        ("TVDiff", {"entropy_loss": {"choice": ["bpr", "bqr"]}}, "bce | bpr | nll | none"),
        ("BPR", {"learning_rate": {"uniform": [0, 1]}}, "learning_rate = 0.0"),
        ("ItemKNN", {"k": {"choice": ["many"]}}, "k = 'many'"),
        (
            "TVDiff",
            {"noise_min": {"choice": [0.1]}, "noise_max": {"choice": [0.01]}},
            "noise_min must not be larger",
        ),
        ("TVDiff", {"seed": {"int": [0, 5]}}, "cannot be searched"),
        ("TVDiff", {"epochs": {"int": [1, 5]}}, "cannot be searched"),
        ("TVDiff", {"valid_metric": {"choice": ["Recall@10"]}}, "cannot be searched"),
        ("TVDiff", {"eval_args": {"choice": [{}]}}, "cannot be searched"),
        ("TVDiff", {"user_inter_num_interval": {"choice": ["[5,inf)"]}}, "cannot be searched"),
        ("TVDiff", {"shift": {"choice": ["popularity"]}}, "cannot be searched"),
        (
            "TVDiff",
            {"gamma": {"choice": [0.1], "when": {"sampler": "x"}}},
            "depends on 'sampler', which TVDiff does not have",
        ),
        (
            "TVDiff",
            {
                "gamma": {"choice": [0.1], "when": {"negative_sampler": "hard"}},
                "negative_sampler": {"choice": ["ar_gsp"]},
            },
            "gives it only 'ar_gsp'",
        ),
        (
            "TVDiff",
            {"gamma": {"choice": [0.1], "when": {"steps": 25}}, "steps": {"int": [10, 40], "step": 10}},
            "not a value of its int from 10 to 40 in steps of 10",
        ),
        (
            "TVDiff",
            {"gamma": {"choice": [0.1], "when": {"temperature": 0.5}}, "temperature": {"uniform": [0.1, 1]}},
            "not a value of its uniform from 0.1 to 1",
        ),
        ("NoModel", {"x": 1}, "unknown model"),
    ],
)
def test_a_space_that_does_not_fit_is_refused(tmp_path, model, space, words):
    assert words in refusal(tmp_path, space, model=model)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"search": "ranodm"}, "random | grid | optuna"),
        ({"num_samples": 0}, "num_samples"),
        ({"search": "grid", "num_samples": 3}, "leave out num_samples"),
        ({"time_budget": "soon"}, "90m"),
        ({"time_budget": 0}, "above 0"),
        ({"trial_gpus": 1.5}, "share of one GPU"),
        ({"schedular": "asha"}, "did you mean 'scheduler'"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(UsageError) as caught:
        read_settings(settings)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [(90, 90), ("90", None), ("45s", 45), ("90m", 5400), ("1.5 h", 5400), ("2d", 172800)]
)
def test_time_budgets(text, seconds):
    if seconds is None:
        with pytest.raises(UsageError):
            read_settings({"time_budget": text})
    else:
        assert read_settings({"time_budget": text}).budget_seconds == seconds


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--trial_gpus=1"], "this machine has 0 GPUs"),
        (["--use_gpu=True"], "--trial_gpus=1"),
        (["--gpu_id=0"], "--trial_gpus=1"),
        (["--max_concurrent=1000"], "need 1000 cores"),
        (["--space=none.yaml"], "cannot read"),
        (["--gpus_per_trial=1"], "did you mean 'trial_gpus'"),
        (["--num_sample=3"], "did you mean 'num_samples'"),
        (["--embeding_size=3"], "did you mean 'embedding_size'"),
        (["--run_dir=x"], "--sweep_dir"),
        (["--search=grid", "--model=TVDiff"], "use --search=random"),
        (["--model=Pop"], "no search space is shipped for Pop"),
        (["--dataset=nowhere"], "is not there"),
        (["--resume=nowhere"], "takes only"),
    ],
)
def test_a_wrong_command_leaves_nothing_behind(tmp_path, monkeypatch, capsys, words, told):
    import ray
    import torch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))
    given = dict(word.removeprefix("--").split("=") for word in ["--model=BPR", "--dataset=ml-100k", *words])
    assert cli.main(["tune", *(f"--{name}={value}" for name, value in given.items())]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_optuna_is_asked_for_by_name_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UsageError, match="pip install 'optuna>=3'"):
        sweep("EASE", "ml-100k", settings={"search": "optuna"})


def test_ray_is_asked_for_by_name_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'ray\[tune\]"):
        sweep("EASE", "ml-100k")


def test_help_tells_the_options(capsys):
    assert cli.main(["tune", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--num_samples=null" in text
    assert "--resume=SWEEP_DIR" in text


def test_a_folder_without_a_sweep_cannot_be_resumed(tmp_path):
    with pytest.raises(UsageError, match=r"sweep\.json is missing"):
        sweep(resume=tmp_path)
    (tmp_path / "sweep.json").write_text('{"model": ')
    with pytest.raises(UsageError, match="cannot be read"):
        sweep(resume=tmp_path)
    assert [path.name for path in Path(tmp_path).iterdir()] == ["sweep.json"]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ({"options": None}, "options is None"),
        ({"space": "x"}, "space is 'x'"),
        ({"settings": []}, "settings is"),
        ({"settings": {"num_samples": "x"}}, "settings.num_samples is 'x'"),
        ({"seconds": {"search": "x"}}, "seconds.search is 'x'"),
        ({"bigger": "yes"}, "bigger is 'yes'"),
        ({"trials": [{"number": 0}]}, r"trials\[0\].folder is missing"),
        ({"trials": [{"number": 0, "folder": "a", "options": [], "seed": 1}]}, r"trials\[0\].options is"),
    ],
)
def test_a_damaged_record_of_a_sweep_is_one_line(tmp_path, damage, found):
    whole = SweepRecord("EASE", "ml-100k", {}, {}, "", {}, "recall@10", True, 1, 1, "").to_json()
    assert SweepRecord.from_json(whole).bigger
    (tmp_path / "sweep.json").write_text(json.dumps(whole | damage))
    with pytest.raises(UsageError, match=f"sweep.json cannot be read .*{found}"):
        sweep(resume=tmp_path)


def test_an_interrupted_sweep_says_how_it_goes_on(monkeypatch, capsys):
    def stop(*_, **__):
        raise Interrupted("/a/sweep")

    monkeypatch.setattr(driver, "sweep", stop)
    assert cli.main(["tune", "--model=EASE", "--dataset=ml-100k"]) == 130
    assert capsys.readouterr().err == "interrupted; continue with recbole-diffusion tune --resume=/a/sweep\n"


# Without a search, and with a split for each seed.


def test_a_space_may_be_a_mapping():
    settings = {"space": {"steps": {"choice": [5, 10]}}, "search": "grid"}
    record = make_record("TVDiff", "ml-100k", [], {}, read_settings(settings), "command")[0]
    assert [trial.options for trial in record.trials] == [{"steps": 5}, {"steps": 10}]
    with pytest.raises(UsageError, match="space: steps: unknown key 'choise'"):
        wrong = {"space": {"steps": {"choise": [5]}}}
        make_record("TVDiff", "ml-100k", [], {}, read_settings(wrong), "command")


def test_without_a_search_nothing_is_searched(tmp_path):
    record = plan(tmp_path, None, search="none", overrides={"steps": 5, "seed": 3})
    assert [(trial.folder, trial.options, trial.seed) for trial in record.trials] == [
        ("final/000-seed-3", {}, 3)
    ]
    assert (record.space, record.options["steps"], record.options["split_seed"]) == ({}, 5, 3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"search": "none", "num_samples": 3}, "search is none, but num_samples 3"),
        ({"search": "none", "final_seeds": 0}, "nothing is left to run"),
        ({"resplit": True, "overrides": {"split_seed": 1}}, "leave one of them out"),
    ],
)
def test_settings_that_contradict_each_other(tmp_path, settings, said):
    assert said in refusal(tmp_path, None, **settings)


def test_a_space_without_a_search_is_refused(tmp_path):
    assert "search is none, but space" in refusal(tmp_path, {"steps": 5}, search="none")


@pytest.mark.parametrize("score", [float("nan"), float("inf"), None])
def test_a_resume_says_that_no_trial_has_a_score_when_all_have_ended_without_one(tmp_path, score):
    trial = Trial(0, "trials/000", {}, 1, state=FINISHED, score=score)
    settings = {"num_samples": None}
    record = SweepRecord(
        "TVDiff", "toy", {}, {}, "file", settings, "recall@20", True, 10, 0, "", trials=[trial]
    )
    options = replace(read_settings({}), search="grid")
    assert not search_is_open(record, options)  # so that a resume goes on with the winner
    context = SweepContext(SweepFolder(tmp_path), record, options, SweepDisplay(record, io.StringIO()))
    with pytest.raises(
        RunError, match=r"no trial has given a score; all have ended with a score that is not"
    ):
        run_winner(context)
