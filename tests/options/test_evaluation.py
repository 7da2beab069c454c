"""What evaluation's options allow, and the ranges of RecBole's own models."""

from pathlib import Path

import numpy as np
import pytest
import recbole

from recbole_diffusion.config import Config
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.evaluation import (
    EVAL_ARGS,
    check,
    computed_metrics,
    fit,
    modes_of,
    parts_left_out,
)
from recbole_diffusion.options.model_needs import check_files
from recbole_diffusion.options.recbole_ranges import ALLOWED, of_model
from recbole_diffusion.storage.yaml_io import load_yaml


@pytest.mark.parametrize(
    ("split", "left_out"),
    [
        ({"RS": [0.8, 0.1, 0.1]}, set()),
        ({"RS": [0.8, 0, 0.2]}, {"valid"}),
        ({"TS": [8, 2, 0]}, {"test"}),
        ({"LS": "valid_and_test"}, set()),
        ({"LS": "valid_only"}, {"test"}),
        ({"LS": "test_only"}, {"valid"}),
        (None, set()),
    ],
)
def test_a_share_of_zero_leaves_a_part_out(split, left_out):
    assert parts_left_out({"split": split}) == left_out


def test_the_modes_of_both_parts_count():
    assert modes_of({"mode": {"valid": "uni100", "test": "full"}}) == {"uni100", "full"}
    assert modes_of({"mode": "labeled"}) == {"labeled"}


def test_computed_metrics_have_their_cut_offs_where_they_have_any():
    assert computed_metrics(["Recall", "GAUC"], [5, 10]) == ["recall@5", "recall@10", "gauc"]
    assert computed_metrics("NDCG", 3) == ["ndcg@3"]


def values(**given):
    usual = {"metrics": ["Recall"], "topk": [10], "valid_metric": "Recall@10", "eval_args": dict(EVAL_ARGS)}
    return {**usual, "eval_batch_size": 2**24, **given}


def test_single_rows_are_scored_in_smaller_batches_unless_one_is_given():
    sampled = {"eval_args": {**EVAL_ARGS, "mode": "uni100"}}
    final = values(**sampled)
    (note,) = fit(final, sampled)
    assert final["eval_batch_size"] == 2**16
    assert "uni100: all negatives of a user are in one list" in note and "not comparable" in note
    final = values(**sampled)
    fit(final, {**sampled, "eval_batch_size": 2**24})
    assert final["eval_batch_size"] == 2**24
    final = values()
    fit(final, {})
    assert final["eval_batch_size"] == 2**24


def test_nothing_is_chosen_over_what_was_given_or_beside_what_is_wrong():
    final = values(valid_metric="MRR@7")
    assert (fit(final, {"valid_metric": "MRR@7"}), final["valid_metric"]) == ([], "MRR@7")  # check refuses it
    final = values(topk=[0])
    assert (fit(final, {"topk": [0]}), final["valid_metric"]) == ([], "Recall@10")


def test_a_metric_of_rated_items_gives_way_to_one_of_its_name_at_another_length():
    final = values(valid_metric="rated_ndcg@2")
    notes = fit(final, {}, ["rated_recall@5", "rated_ndcg@5"])
    assert final["valid_metric"] == "rated_ndcg@5"
    assert notes == ["valid_metric is rated_ndcg@5: metrics and topk do not give the default rated_ndcg@2"]


@pytest.mark.parametrize("tail_ratio", [0, -0.1, 1.5, 0.0, "0.2", True, [0.1]])
def test_a_tail_that_recbole_would_misread_is_refused(tail_ratio):
    """RecBole takes 0 and less for 0.1, and 1.5 for the items with one row."""
    with pytest.raises(UsageError, match=r"'tail_ratio' is .*share"):
        check(values(metrics=["Recall", "TailPercentage"], tail_ratio=tail_ratio))


def test_a_tail_that_nothing_reads_is_refused_and_a_right_one_taken():
    with pytest.raises(UsageError, match="only the metric TailPercentage reads it"):
        check(values(tail_ratio=0.2))
    for tail_ratio in (0.2, 1, 1.0, 5, None):
        check(values(metrics=["Recall", "TailPercentage"], tail_ratio=tail_ratio))


MODELS = {
    file.stem: load_yaml(file)
    for file in sorted((Path(recbole.__file__).parent / "properties" / "model").glob("*.yaml"))
    if file.stem not in ("lightgbm", "xgboost")
}
# Paths, columns and flags, which RecBole or our own code checks where it reads them.
FREE = {
    *("transform", "pre_model_path", "pretrain_path", "mf_pretrain_path", "mlp_pretrain_path", "warm_up"),
    *("selected_features", "item_attribute", "fields", "reranker_CAN_NUM"),
    *("context_norm", "use_proj_bias", "post_remove_context"),
}


@pytest.mark.parametrize("model", MODELS)
def test_recbole_s_defaults_are_allowed_and_every_number_and_name_has_a_range(model):
    allowed = of_model(model)
    for name, default in MODELS[model].items():
        if name in allowed:
            assert default is None or allowed[name].takes(default), (name, default, allowed[name].text())
        else:
            assert isinstance(default, bool) or name in FREE, name


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        ("LightGCN", "n_layers", -1),
        ("LightGCN", "n_layers", None),
        ("BPR", "embedding_size", None),
        ("NeuMF", "mlp_hidden_size", None),
        ("SASRec", "loss_type", None),
        ("LightGCN", "require_pow", None),
        ("ItemKNN", "k", -5),
        ("EASE", "reg_weight", -1e9),
        ("NeuMF", "dropout_prob", 2),
        ("NeuMF", "dropout_prob", 1.0),
        ("NeuMF", "mlp_hidden_size", []),
        ("NeuMF", "mlp_hidden_size", [64, 0]),
        ("DiffRec", "steps", 0),
        ("DiffRec", "steps", 1),
        ("LDiffRec", "mlp_act_func", "none"),
        ("DiffRec", "embedding_size", 1),
        ("DiffRec", "sampling_steps", 6),
        ("DiffRec", "noise_schedule", "linaer"),
        ("DiffRec", "noise_min", 0.01),
        ("BPR", "embedding_size", 0),
        ("BPR", "embedding_size", 16.5),
        ("SGL", "type", "XX"),
        ("SGL", "ssl_tau", 0),
        ("SimpleX", "margin", 1.5),
        ("SASRec", "n_heads", 3),
        ("SASRec", "n_layers", 0),
        ("DGCF", "n_factors", 5),
        ("AutoInt", "num_heads", 3),
        ("CORE", "n_heads", 3),
        ("FiGNN", "num_heads", 3),
        ("DSSM", "double_tower", False),
        ("HRM", "high_order", 51),  # MAX_ITEM_LIST_LENGTH is 50
        ("FOSSIL", "order_len", 51),
        ("SINE", "interest_size", 51),  # prototype_size is 50
        ("LINE", "order", 3),
        ("KD_DAGFM", "teacher", "print('run')"),
    ],
)
def test_a_value_that_makes_another_model_is_refused_by_name(model, name, value):
    with pytest.raises(UsageError, match=rf"option '{name}' is .*; it takes "):
        Config(model, "ml-100k", overrides={name: value})


def test_one_step_without_noise_is_a_model():
    assert Config("DiffRec", "ml-100k", overrides={"steps": 1, "noise_scale": 0.0})["steps"] == 1


def test_heads_that_nothing_reads_need_not_divide_the_width():
    config = Config("CORE", "ml-100k", overrides={"n_heads": 3, "dnn_type": "ave"})
    assert "no effect of n_heads (dnn_type is ave)" in config.notes


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("clip_grad_norm", {"max_norm": -1}),
        ("clip_grad_norm", {"max_norm": 0}),
        ("clip_grad_norm", {"max_norm": 1, "norm_type": 0}),
        ("metric_decimal_place", 400),
        ("loss_decimal_place", -1),
        ("train_neg_sample_args", {"distribution": "popularity", "alpha": -1}),
        ("train_neg_sample_args", {"distribution": "uniform", "dynamic": True}),
        ("train_neg_sample_args", {"distribution": "uniform", "dynamic": True, "candidate_num": -2}),
        ("train_neg_sample_args", {"distribution": "uniform", "dynamic": "yes", "candidate_num": 2}),
    ],
)
def test_an_option_of_every_model_is_checked_too(option, value):
    with pytest.raises(UsageError, match=option):
        Config("BPR", "ml-100k", overrides={option: value})


@pytest.mark.parametrize(
    "given",
    [
        {"reg_weight": float("nan")},
        {"reg_weight": float("inf")},
        {"threshold": {"rating": float("nan")}},
        {"eval_args": {"split": {"RS": [0.8, float("nan"), 0.1]}}},
    ],
)
def test_what_is_no_number_is_refused_wherever_it_stands(given):
    with pytest.raises(UsageError, match="it takes a finite number"):
        Config("EASE", "ml-100k", overrides=given)


def test_the_largest_norm_may_be_asked_for():
    clipping = {"max_norm": 1.0, "norm_type": float("inf")}
    assert Config("BPR", "ml-100k", overrides={"clip_grad_norm": clipping})["clip_grad_norm"] == clipping


def test_a_model_of_ours_has_its_own_ranges():
    assert Config("FREEDOM", "ml-100k").options is not None
    assert "embedding_size" in ALLOWED  # which FREEDOM declares itself


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.array([[1.0, np.nan]]), "or gaps"),
        (np.array(["a"]), "or gaps"),
        (np.array([{}], dtype=object), "cannot be read as a plain .npy file"),
    ],
)
def test_vectors_of_items_for_ldiffrec_are_plain_numbers(tmp_path, vectors, said):
    np.save(tmp_path / "item_emb.npy", vectors, allow_pickle=True)
    with pytest.raises(UsageError, match=said):
        check_files({"data_path": str(tmp_path), "model": "LDiffRec", "n_cate": 2})


def test_the_page_names_the_ranges_of_today():
    page = (Path(__file__).resolve().parents[2] / "docs" / "recbole.md").read_text(encoding="utf-8")
    for row in (
        page.partition("| model | option | takes |\n|---|---|---|\n")[2].partition("\n\n")[0].splitlines()
    ):
        model, names, texts = (cell.strip() for cell in row.strip("|").split("|"))
        told = {
            name.strip("` "): text
            for line, text in zip(names.split("<br>"), texts.split("<br>"), strict=True)
            for name in line.split(",")
        }
        allowed = {name: known for name, known in of_model(model).items() if name in MODELS[model]}
        read = {name: known.text().removeprefix("a ").replace(" | ", ", ") for name, known in allowed.items()}
        assert told == read, model


@pytest.mark.parametrize("limit", [3, {"rating": "four"}, {"rating": 3, "timestamp": 4}, {}])
def test_a_threshold_is_one_number_of_one_column(limit):
    with pytest.raises(UsageError, match="option 'threshold' is "):
        Config("FM", "ml-100k", overrides={"threshold": limit})


@pytest.mark.parametrize(("metric", "bigger"), [("Recall@10", False), ("GiniIndex@10", True)])
def test_the_direction_of_a_metric_cannot_be_turned_round(metric, bigger):
    options = {"metrics": ["Recall", "GiniIndex"], "valid_metric": metric}
    assert Config("BPR", "ml-100k", overrides=options)["valid_metric_bigger"] is not bigger
    with pytest.raises(UsageError, match=f"valid_metric_bigger is {bigger}, but a .* {metric} is better"):
        Config("BPR", "ml-100k", overrides={**options, "valid_metric_bigger": bigger})
