"""Which keys are read; names of older releases, RecBole's and ours, answered or translated."""

import json

import pytest

from recbole_diffusion import registry
from recbole_diffusion.compat import recbole_metrics, recbole_transform
from recbole_diffusion.config import Config
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.keys_read import keys_read_by, keys_read_in
from recbole_diffusion.options.old_keys import refuse_old, without_harmless
from recbole_diffusion.options.renamed import (
    CAME_WITH,
    RENAMED,
    REVALUED,
    stored_config,
    stored_space,
    translated,
)
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.tuning.record import SweepRecord, Trial

PARTS = {"benchmark_filename": ["train", "valid", "test"]}
COLUMNS = {"inter": ["user_id", "item_id_list", "item_id"]}


def test_histories_get_the_numbering_of_items():
    config = Config("SASRec", "toy", overrides={**PARTS, "load_col": COLUMNS})
    assert config["alias_of_item_id"] == ["item_id_list"]
    assert any("alias_of_item_id has item_id_list" in note for note in config.notes)


def test_parts_without_histories_are_refused():
    with pytest.raises(UsageError, match="item_id_list:token_seq, which load_col does not name"):
        Config("SASRec", "toy", overrides={**PARTS, "load_col": {"inter": ["user_id", "item_id"]}})


SOURCE = """
class Base:
    def __init__(self, config):
        self.config, self.a = config, config["in_init"]

class Model(Base):
    name, other = "no_option", {"not_config": 1}

    @property
    def width(self):
        return self.config["in_property"]

    @staticmethod
    def made(config, table):
        return [config["in_static"], table["not_config"]]

    @classmethod
    def other_made(cls, config):
        return lambda: config["in_lambda"]

    def assigned(self, key):
        self.config["in_assignment"] = self.config[key]
"""


@pytest.fixture
def model():
    """A class that no file holds."""
    names = {"__name__": "in_a_notebook"}
    exec(compile(SOURCE, "a file that is gone.py", "exec"), names)
    return names["Model"]


def test_a_class_without_a_source_file_is_read(model):
    read = {"in_init", "in_property", "in_static", "in_lambda", "in_assignment"}
    assert keys_read_by(model) == read


def test_what_recboles_metrics_and_transforms_read_is_found():
    assert "tail_ratio" in keys_read_in(recbole_metrics)
    assert {"eta", "beta", "mask_ratio"} <= keys_read_in(recbole_transform)


@pytest.mark.parametrize(
    ("old", "written"),
    [
        (
            {"eval_setting": "RO_RS,full"},
            "eval_args: {split: {RS: [0.8, 0.1, 0.1]}, order: RO, group_by: user, mode: full}",
        ),
        (
            {"eval_setting": "TO_RS, pop50", "split_ratio": [8, 1, 1], "group_by_user": False},
            "eval_args: {split: {RS: [8, 1, 1]}, order: TO, group_by: none, mode: pop50}",
        ),
        (
            {"leave_one_num": 2},
            "eval_args: {split: {LS: valid_and_test}, order: RO, group_by: user, mode: full}",
        ),
        (
            {"neg_sampling": {"popularity": 3}},
            "train_neg_sample_args: {distribution: popularity, sample_num: 3}",
        ),
        ({"neg_sampling": None}, "train_neg_sample_args: null"),
        ({"training_neg_sample_num": 0}, "train_neg_sample_args: null"),
        ({"min_item_inter_num": 5, "max_item_inter_num": 50}, 'item_inter_num_interval: "[5,50]"'),
        ({"max_user_inter_num": 50}, 'user_inter_num_interval: "[0,50]"'),
        (
            {
                "lowest_val": {"rating": 2},
                "highest_val": {"rating": 4, "age": 60},
                "not_equal_val": {"price": 0},
            },
            "val_interval: {'rating': '[2,4]', 'age': '(-inf,60]', 'price': '(-inf,0);(0,inf)'}",
        ),
        ({"equal_val": {"rating": 5}}, "val_interval: {'rating': '[5,5]'}"),
    ],
)
def test_an_old_option_is_written_as_today(old, written):
    with pytest.raises(UsageError) as refused:
        refuse_old(old)
    assert str(refused.value).endswith(f"write {written}")


def test_an_option_that_nothing_replaces_is_to_be_left_out():
    with pytest.raises(
        UsageError, match=r"RecBole no longer has real_time_process: leave real_time_process out$"
    ):
        refuse_old({"real_time_process": True})


def test_what_changes_nothing_is_taken_out_and_told_only_where_it_says_something():
    left, notes = without_harmless(
        {"checkpoint_dir": "saved", "save_dataset": False, "ip": None, "epochs": 3}
    )
    assert (left, notes) == (
        {"epochs": 3},
        ["no effect of checkpoint_dir (a run writes one folder, which run_dir names)"],
    )
    assert without_harmless({"epochs": 3}) == ({"epochs": 3}, [])


def test_each_new_name_is_an_option_and_no_old_one_is():
    options = set(SplitOptions.__dataclass_fields__)
    for name in registry.MODELS:
        options |= set(registry.options_class(name).__dataclass_fields__)
    assert set(RENAMED.values()) <= options
    assert not set(RENAMED) & options
    assert len(set(RENAMED.values())) == len(RENAMED)


@pytest.mark.parametrize("model", CAME_WITH)
def test_a_run_from_before_an_option_does_what_it_did(model):
    new = Config(model, "ml-100k").resolved
    older = {name: value for name, value in new.items() if name not in CAME_WITH[model]}
    read = Config(overrides=stored_config({**older, "model": model}), stored=True)
    for name, value in CAME_WITH[model].items():
        assert getattr(read.options, name) == value
    assert stored_config({**new, "model": model}) == {**new, "model": model}
    assert stored_config({"model": "BPR", "epochs": 3}) == {"model": "BPR", "epochs": 3}


def test_trials_of_an_older_sweep_do_what_its_others_did():
    new = SweepRecord("CCDRec", "baby", {"seed": 1}, {}, *("space.yaml", {}, "ndcg@10", True, 10, 1, "tune"))
    content = new.to_json()
    assert SweepRecord.from_json(content) == new
    content.pop("values_version")
    assert SweepRecord.from_json(content).options == {**CAME_WITH["CCDRec"], "seed": 1}


@pytest.mark.parametrize(
    ("model", "old", "new"),
    [
        ("DiffCDR", "average", "ema_decay"),
        ("TVDiff", "shift_share", "shift_ratio"),
        ("CCDRec", "false_share", "false_ratio"),
    ],
)
def test_an_old_name_is_answered_with_the_new_one(model, old, new):
    with pytest.raises(UsageError, match=f"^option '{old}' is called '{new}' now; write that name$"):
        Config(model, "ml-100k", overrides={old: 0.5})


def test_an_old_name_of_another_models_option_is_unknown():
    with pytest.raises(
        UsageError, match=r"unknown option 'average'.*--model=TVDiff --help lists the options"
    ):
        Config("TVDiff", "ml-100k", overrides={"average": 0.5})


def test_what_an_earlier_version_wrote_is_read_in_its_order():
    old = {"epochs": 3, "shift_reg_weight": None, "topk": [5], "factor_std": 0.1}
    assert list(translated(old).items()) == [
        ("epochs", 3),
        ("item_offset_reg_weight", None),
        ("topk", [5]),
        ("mf_std", 0.1),
    ]
    assert translated(translated(old)) == translated(old)


def test_the_record_of_an_older_sweep_is_read_under_todays_names():
    new = SweepRecord(
        "DiffCDR",
        "ml-100k",
        {"mf_epochs": 2, "seed": 1},
        {"item_offset_reg_weight": {"choice": [4.0, 8.0], "when": {"ema_decay": [0.0, 0.99]}}},
        *("space.yaml", {}, "rated_mae", False, 10, 1, "tune"),
        trials=[Trial(0, "trials/000", {"ema_decay": 0.99}, 1)],
        final=[Trial(1, "final/000", {"ema_decay": 0.0}, 1)],
    )
    old = new.to_json()
    old["options"] = {"factor_epochs": 2, "seed": 1}
    old["space"] = {"shift_reg_weight": {"choice": [4.0, 8.0], "when": {"average": [0.0, 0.99]}}}
    old["trials"][0]["options"] = {"average": 0.99}
    old["final"][0]["options"] = {"average": 0.0}
    assert SweepRecord.from_json(old) == new


def test_an_older_runs_linkprop_is_the_matrix_that_it_was_trained_with():
    old = {"model": "TVDiff", "topology": "linkprop", "gamma": 0.5}
    assert stored_config(old) == {**old, "topology": "three_step", "aggregation": "addition"}
    new = {**old, "aggregation": "gating"}
    assert stored_config(new) == new
    assert stored_config(stored_config(old)) == stored_config(old)
    other = {"model": "DiffCDR", "average": 0.9}
    assert stored_config(other) == {"model": "DiffCDR", "ema_decay": 0.9}
    earlier = {"model": "CNSDiff", "causal_weight": 0.1}  # of which next to nothing reached the encoder
    assert stored_config(earlier) == {**earlier, "causal_encoder_weight": None}
    assert stored_config({**earlier, "causal_encoder_weight": 0.2})["causal_encoder_weight"] == 0.2
    for model, options in REVALUED.items():
        declared = registry.options_class(model).__dataclass_fields__
        for name, values in options.items():
            assert {*values, *values.values()} <= set(declared[name].metadata["choices"])


def test_a_sweep_of_before_searches_the_matrix_that_it_searched():
    new = SweepRecord(
        *("TVDiff", "ml-100k", {"topology": "three_step", "aggregation": "addition"}),
        {
            "topology": {"choice": ["left", "three_step"]},
            "steps, topology": {"choice": [[5, "three_step"], [9, "left"]]},
            "gamma": {"uniform": [0.1, 0.5], "when": {"topology": ["three_step"]}},
        },
        *("space.yaml", {}, "recall@20", True, 10, 1, "tune"),
        trials=[Trial(0, "trials/000", {"topology": "three_step"}, 1)],
        final=[Trial(1, "final/000", {"topology": "three_step"}, 1)],
    )
    assert SweepRecord.from_json(new.to_json()) == new
    old = json.loads(json.dumps(new.to_json()).replace("three_step", "linkprop"))
    assert SweepRecord.from_json(old).space["topology"] == {"choice": ["left", "linkprop"]}
    del old["values_version"]
    assert SweepRecord.from_json(old) == new
    assert stored_space("TVDiff", {"topology": "linkprop"}, 1) == {"topology": "three_step"}
    together = {"shift_share, topology": {"choice": [[0.2, "linkprop"]]}}
    assert stored_space("TVDiff", together, 1) == {"shift_ratio, topology": {"choice": [[0.2, "three_step"]]}}
