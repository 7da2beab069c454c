"""Search spaces, and from a request to the trials of a sweep; what is wrong is found before it starts."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from random import Random

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
from recbole_diffusion.tuning.space import exists
from recbole_diffusion.tuning.space_yaml import parse_space, read_space, shipped_spaces

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


def test_trials_that_are_compared_by_few_digits_are_told_of(tmp_path):
    def notes(**overrides):
        return plan(tmp_path, None, model="EASE", overrides=overrides).notes

    (told,) = notes(metric_decimal_place=1)
    assert "trials are told apart by 1 digit" in told
    assert not notes() and not notes(metric_decimal_place=8)


def test_a_weight_that_validation_cannot_choose_is_refused_before_a_trial(tmp_path):
    by_gauc = {"metrics": ["Recall", "GAUC"], "valid_metric": "GAUC", "linear_weight": "valid"}
    space = {"linear_term": {"choice": ["none", "ease"]}}
    told = refusal(tmp_path, space, overrides=by_gauc)
    assert "the combination {linear_term: ease} is refused: linear_weight: valid is chosen on" in told
    assert "valid_metric is GAUC" in refusal(
        tmp_path, None, overrides={**by_gauc, "linear_term": "ease"}, search="none"
    )
    assert len(plan(tmp_path, space, overrides={"linear_weight": "valid"}, search="grid").trials) == 2


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


@pytest.mark.parametrize("search", ["random", "optuna"])
def test_conditions_that_never_hold_are_told_and_refused_if_nothing_else_is_searched(tmp_path, search):
    space = {
        "gamma": {"choice": [0.1, 0.2], "when": {"negative_sampler": "ar_gsp"}},
        "relaxation_rate": {"choice": [1.0, 3.0], "when": {"gamma": 0.1}},
        "steps": {"choice": [5, 9]},
    }
    given = {"overrides": {"negative_sampler": "uniform"}, "search": search, "num_samples": 2}
    record = plan(tmp_path, space, **given)
    assert record.notes[0] == "not searched, since negative_sampler is 'uniform': gamma, relaxation_rate"
    assert all(set(trial.options) == {"steps"} for trial in record.trials)
    said = refusal(tmp_path, {"gamma": space["gamma"]}, **given)
    assert "gamma would be searched under conditions that never hold, since negative_sampler is" in said
    assert not plan(tmp_path, space, search=search, num_samples=2).notes


def test_traditional_models_have_one_epoch(tmp_path):
    assert plan(tmp_path, None, "EASE").epochs == 1
    assert plan(tmp_path, None, "BPR", overrides={"epochs": 7}).epochs == 7


def test_a_data_set_of_train_and_test_only_is_marked(tmp_path):
    assert plan(tmp_path, None, "EASE").selection == "validation"
    record = plan(tmp_path, None, "EASE", overrides={"benchmark_filename": ["train", "test"]})
    assert record.selection == "test"
    assert "compared on the test part" in record.notes[0]


def test_a_first_stage_that_stops_no_trial_early_is_told(tmp_path):
    space = {"learning_rate": {"choice": [0.001, 0.01]}}
    given = {"model": "RaCT", "overrides": {"train_stage": "actor_pretrain"}, "num_samples": 2}
    first = plan(tmp_path, space, **given)
    assert any("grace_period and reduction_factor have no effect" in note for note in first.notes)
    assert not plan(tmp_path, space, scheduler="none", **given).notes


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
        ("BPR", {"negative_sampler": {"choice": ["dns", "hard"]}}, "it takes uniform | popularity"),
        ("NGCF", {"negative_sampler": {"choice": ["dns", "mixgcf"]}}, "mixgcf makes vectors"),
        (
            "BPR",
            {"negative_sampler": {"choice": ["dns"]}, "hardest": {"choice": [1, 40]}},
            "hardest is 40 but candidate_items only 32",
        ),
        ("TVDiff", {"seed": {"int": [0, 5]}}, "cannot be searched"),
        ("TVDiff", {"epochs": {"int": [1, 5]}}, "cannot be searched"),
        ("TVDiff", {"valid_metric": {"choice": ["Recall@10"]}}, "cannot be searched"),
        ("TVDiff", {"eval_args": {"choice": [{}]}}, "cannot be searched"),
        ("TVDiff", {"user_inter_num_interval": {"choice": ["[5,inf)"]}}, "cannot be searched"),
        ("TVDiff", {"shift": {"choice": ["popularity"]}}, "cannot be searched"),
        # Other cold users are another validation part, whose errors compare nothing.
        ("EMCDR", {"cold_user_ratio": {"choice": [0.2, 0.5]}}, "'cold_user_ratio' cannot be searched"),
        ("DiffCDR", {"cold_seed": {"int": [0, 5]}}, "trials are compared on the same data"),
        ("CMF", {"valid_user_ratio": {"uniform": [0.1, 0.3]}}, "cannot be searched"),
        ("ItemMean", {"warm_start_share": {"choice": [0.3, 0.5]}}, "cannot be searched"),
        ("DiffCDR", {"warm_start_l2": {"choice": [1, 10]}}, "evaluated before a warm start"),
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
        ("TVDiff", {"steps": [5, 10]}, "To try each of them, write steps: {choice: [5, 10]}"),
        ("TVDiff", {"steps": {"values": [5, 10]}}, "write {choice: [...]}"),
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
    ("text", "seconds"),
    [(90, 90), ("90", None), ("45s", 45), ("90m", 5400), ("1.5 h", 5400), ("2d", 172800), ("٩s", None)],
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
        ({"resplit": True, "model": "EMCDR", "overrides": {"cold_seed": 1}}, "fixes the cold users"),
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


DRAWS = 400


def parameter(definition, key="x"):
    return parse_space({key: definition}, "file").parameters[0]


def draws(definition):
    random = Random(3)
    one = parameter(definition)
    return [one.draw(random)[0] for _ in range(DRAWS)]


# Drawing.


def test_a_choice_gives_its_values_and_no_other():
    values = draws({"choice": [1, "a", None, [2, 3], {"distribution": "uniform"}]})
    assert all(value in values for value in (1, "a", None, [2, 3], {"distribution": "uniform"}))
    assert {type(value) for value in values} == {int, str, type(None), list, dict}


def test_bounds_of_loguniform_are_values_and_orders_of_magnitude_are_alike():
    values = draws({"loguniform": [1e-4, 1]})
    assert all(1e-4 <= value <= 1 for value in values)
    decades = [sum(10.0**-k <= value < 10.0 ** (1 - k) for value in values) for k in (1, 2, 3, 4)]
    assert all(abs(number - DRAWS / 4) < 4 * math.sqrt(DRAWS * 3 / 16) for number in decades)


def test_a_step_quantises_from_the_lower_bound():
    assert sorted(set(draws({"uniform": [0.1, 0.75], "step": 0.2}))) == [0.1, 0.3, 0.5, 0.7]
    assert sorted(set(draws({"int": [32, 130], "step": 32}))) == [32, 64, 96, 128]
    assert {type(value) for value in draws({"int": [1, 3]})} == {int}
    assert set(draws({"int": [1, 3]})) == {1, 2, 3}


def test_int_with_log_draws_small_numbers_more_often():
    values = draws({"int": [1, 1000], "log": True})
    assert all(type(value) is int and 1 <= value <= 1000 for value in values)
    assert sum(value <= 31 for value in values) / DRAWS == pytest.approx(0.5, abs=0.12)


def test_the_same_seed_draws_the_same():
    space = parse_space({"a": {"uniform": [0, 1]}, "b": {"loguniform": [1e-3, 1]}}, "file")
    assert space.draw(Random(5), {}) == space.draw(Random(5), {})
    assert space.draw(Random(5), {}) != space.draw(Random(6), {})


# Conditions.


def test_a_condition_decides_whether_an_option_exists():
    space = parse_space(
        {"gamma": {"choice": [1, 2], "when": {"sampler": "hard"}}, "sampler": {"choice": ["hard", "easy"]}},
        "file",
    )
    assert [one.label for one in space.parameters] == ["sampler", "gamma"]  # after what it depends on
    assert list(space.grid({})) == [
        {"sampler": "hard", "gamma": 1},
        {"sampler": "hard", "gamma": 2},
        {"sampler": "easy"},
    ]
    assert space.count({}) == 3
    assert {tuple(space.draw(Random(seed), {})) for seed in range(30)} == {("sampler", "gamma"), ("sampler",)}


def test_a_condition_on_an_option_that_is_not_searched():
    space = parse_space(
        {"gamma": {"choice": [1, 2], "when": {"sampler": ["hard", "harder"]}}, "b": 1}, "file"
    )
    assert list(space.grid({"sampler": "harder"})) == [{"gamma": 1, "b": 1}, {"gamma": 2, "b": 1}]
    assert list(space.grid({"sampler": "easy"})) == [{"b": 1}]


def test_what_depends_on_something_that_does_not_exist_does_not_exist():
    content = {
        "a": {"choice": [0, 1]},
        "b": {"choice": [5], "when": {"a": 1}},
        "c": {"choice": [7], "when": {"b": 5}},
    }
    assert list(parse_space(content, "file").grid({})) == [{"a": 0}, {"a": 1, "b": 5, "c": 7}]
    assert not exists(parse_space(content, "file").parameters[2], {"a": 0}, {})


def test_options_that_are_chosen_together():
    space = parse_space({"low, high": {"choice": [[1, 2], [3, 4]]}}, "file")
    assert list(space.grid({})) == [{"low": 1, "high": 2}, {"low": 3, "high": 4}]
    assert space.names == ["low", "high"]


# Refusals.


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "empty"),
        ({"x": {"chioce": [1]}}, "did you mean 'choice'"),
        ({"x": {"choice": [1], "uniform": [0, 1]}}, "choice and uniform given"),
        ({"x": {"step": 1}}, "no kind"),
        ({"x": {"choice": []}}, "at least one value"),
        ({"x": {"choice": 3}}, "takes a list"),
        ({"x": {"choice": [1, 2, 1]}}, "in the list twice"),
        ({"x": {"choice": [1], "step": 1}}, "does not fit a choice"),
        ({"x": {"uniform": [1, 0]}}, "lower bound 1 is not below the upper bound 0"),
        ({"x": {"uniform": [1, 1]}}, "not below"),
        ({"x": {"uniform": [0, "b"]}}, "two numbers"),
        ({"x": {"uniform": [0, math.inf]}}, "two numbers"),
        ({"x": {"uniform": [0, 1, 2]}}, "two numbers"),
        ({"x": {"int": [0, 1.5]}}, "two whole numbers"),
        ({"x": {"int": [False, True]}}, "two whole numbers"),
        ({"x": {"loguniform": [0, 1]}}, "no logarithm"),
        ({"x": {"loguniform": [-4, -2]}}, "bounds are values, not exponents"),
        ({"x": {"int": [0, 8], "log": True}}, "no logarithm"),
        ({"x": {"uniform": [0, 1], "log": True}}, "for int only"),
        ({"x": {"uniform": [0, 1], "step": 2}}, "at most 1"),
        ({"x": {"uniform": [0, 1], "step": 0}}, "above 0"),
        ({"x": {"int": [0, 8], "step": 0.5}}, "whole for int"),
        ({"x": {"choice": [1], "when": {}}}, "when is"),
        ({"x": {"choice": [1], "when": {"x": 1}}}, "depends on the option itself"),
        ({"x": {"choice": [1], "when": {"y": 1}}, "y": {"choice": [1], "when": {"x": 1}}}, "in a circle"),
        ({"x": 1, "x, y": {"choice": [[1, 2]]}}, "set twice"),
        ({"x, y": {"choice": [[1, 2], [3]]}}, "a list of 2 values"),
        ({"x, y": {"uniform": [0, 1]}}, "by choice only"),
        ({"x,": 1}, "a name is missing"),
    ],
)
def test_what_is_no_space_is_refused(content, words):
    with pytest.raises(UsageError, match=r"^here\.yaml: ") as caught:
        parse_space(content, "here.yaml")
    assert words in str(caught.value)


def test_a_grid_needs_values_that_can_be_counted():
    space = parse_space({"x": {"uniform": [0, 1]}, "y": 1}, "file")
    assert space.count({}) is None
    with pytest.raises(UsageError, match="x is a continuous uniform"):
        next(space.grid({}))


def test_a_file_is_parsed_and_not_evaluated(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("x: {choice: ['__import__(\"os\").getcwd()', 1e-4]}\n")
    assert read_space(file).parameters[0].values == (('__import__("os").getcwd()',), (1e-4,))
    file.write_text("x: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(UsageError, match="not valid YAML"):
        read_space(file)
    with pytest.raises(UsageError, match="cannot read"):
        read_space(tmp_path / "none.yaml")


def test_a_file_may_hold_the_spaces_of_several_models(tmp_path):
    file = tmp_path / "spaces.yaml"
    file.write_text("BPR:\n  learning_rate: {choice: [0.1]}\nEASE:\n  reg_weight: {choice: [1.0, 2.0]}\n")
    assert read_space(file, "EASE").parameters[0].values == ((1.0,), (2.0,))
    assert read_space(file, "EASE").source.endswith("spaces.yaml, EASE")
    with pytest.raises(UsageError, match="learning_rate"):
        read_space(file)
