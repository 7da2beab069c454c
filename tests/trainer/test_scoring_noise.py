"""What models of RecBole draw while they score: it depends on the user alone, and no training on it."""

import json

import numpy as np
import pytest
import torch

from recbole_diffusion import load_run, run
from recbole_diffusion.model.user_blocks import RowNoise

NOISE = {"steps": 4, "noise_scale": 1.0, "noise_min": 0.1, "noise_max": 0.5, "dims_dnn": [8]}


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("MacridVAE", {}),  # draws, and scores without what it has drawn
        ("DiffRec", {**NOISE, "sampling_steps": 3}),
        ("DiffRec", {**NOISE, "sampling_noise": True}),
        ("LDiffRec", {**NOISE, "sampling_steps": 3}),
        ("Random", {}),
    ],
)
def test_training_metrics_and_lists_do_not_depend_on_the_users_that_are_scored_together(
    checkerboard, tmp_path, model, options
):
    own = {**checkerboard.overrides, **options, "epochs": 2, "eval_step": 1, "topk": [5, 10]}
    own["valid_metric"] = "Recall@10"
    found, losses = {}, {}
    for users in (1, 7, 50):
        folder = tmp_path / f"{users}"
        found[users] = run(model, overrides={**own, "eval_batch_size": 51 * users, "run_dir": str(folder)})
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        losses[users] = [json.loads(line)["loss"] for line in lines]
    assert losses[1] == losses[7] == losses[50]
    for part in ("valid", "test"):
        assert found[1][part] == pytest.approx(found[50][part], abs=1e-6)
        assert found[7][part] == pytest.approx(found[50][part], abs=1e-6)
    trained = load_run(tmp_path / "50")
    assert trained.evaluate("test")["test"] == found[50]["test"]
    lists = trained.recommend(k=10, exclude="history")
    of_users = lists.groupby("user")["item"].agg(set)
    shares = [len(items & of_users[user]) / len(items) for user, items in checkerboard.withheld.items()]
    assert np.mean(shares) == pytest.approx(found[50]["test"]["recall@10"], abs=1e-6)
    alone = trained.recommend(["u7"], k=10, exclude="history")
    assert alone.item.tolist() == lists.item[lists.user == "u7"].tolist()


@pytest.mark.parametrize(
    ("model", "options"), [("Random", {}), ("DiffRec", {**NOISE, "sampling_noise": True})]
)
def test_sampled_items_are_scored_alike_in_each_evaluation(checkerboard, tmp_path, model, options):
    own = {**checkerboard.overrides, **options, "epochs": 1, "topk": [5], "valid_metric": "Recall@5"}
    own |= {"eval_args": {"mode": "uni10"}, "run_dir": str(tmp_path / "run")}
    found = run(model, overrides=own)
    assert 0 < found["test"]["recall@5"] < 1
    assert load_run(tmp_path / "run").evaluate("test")["test"] == found["test"]


def test_random_lists_differ_by_user_and_take_in_all_items(checkerboard):
    metrics = {"metrics": ["Recall", "ItemCoverage"], "topk": [5], "valid_metric": "Recall@5"}
    found = run("Random", overrides={**checkerboard.overrides, **metrics})
    assert found["test"]["itemcoverage@5"] > 0.9  # 250 places of 50 items; one order for all would give 0.3


def test_a_row_of_noise_is_that_of_its_user_and_another_each_time():
    table = torch.zeros(3, 4)
    with RowNoise(torch.tensor([5, 9, 5]), 2020):
        first, second = torch.randn_like(table), torch.randn_like(table)
    with RowNoise(torch.tensor([9]), 2020):
        alone = torch.randn_like(table[:1])
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[1])
    assert torch.equal(alone[0], first[1])
    assert not torch.equal(first, second)
    with RowNoise(torch.tensor([9]), 2021):
        assert not torch.equal(torch.randn_like(table[:1]), alone)


def test_metrics_of_lists_are_there_after_a_first_stage_and_where_nothing_is_trained(
    checkerboard, two_domains
):
    """They count training rows, which RecBole collects where its training begins, and its stages do not."""
    metrics = {"metrics": ["Recall", "AveragePopularity", "ItemCoverage"], "topk": [5]}
    stage = {"train_stage": "actor_pretrain", "pretrain_epochs": 1}
    for model, options in (
        ("RaCT", {**checkerboard.overrides, **stage}),
        ("GlobalMean", two_domains.overrides),
    ):
        found = run(model, overrides={**options, **metrics, "valid_metric": "Recall@5"})
        assert found["test"]["averagepopularity@5"] > 0, model
        assert 0 < found["test"]["itemcoverage@5"] <= 1, model
        assert load_run(found["run_dir"]).evaluate("test")["test"] == found["test"], model
