"""A run's metrics do not depend on the cut-offs, are those of the served lists, and need scores that rank."""

import random

import numpy as np
import pytest
import torch

from recbole_diffusion import load_run, run
from recbole_diffusion.errors import RunError
from recbole_diffusion.evaluation.score_check import not_finite
from recbole_diffusion.registry import model_class

SMALL = {"topk": [5], "valid_metric": "Recall@5"}


@pytest.fixture(scope="module")
def few_tastes(tmp_path_factory):
    """40 users and 60 items of few different counts; a tenth of a user's rows are there twice."""
    folder, draw = tmp_path_factory.mktemp("ties"), random.Random(5)
    rows = [(f"u{user}", f"i{item}") for user in range(40) for item in draw.sample(range(60), 20)]
    rows += draw.sample(rows, 80)
    (folder / "ties").mkdir()
    lines = ["user_id:token\titem_id:token", *("\t".join(row) for row in rows)]
    (folder / "ties/ties.inter").write_text("\n".join(lines) + "\n")
    return {
        "data_path": str(folder),
        "use_gpu": False,
        "allow_overlap": True,
        "load_col": {"inter": ["user_id", "item_id"]},
        **SMALL,
    }


def recall_of(trained, exclude, k=5):
    """Return the mean recall of the served lists against the run's test part."""
    lists = trained.recommend(k=k, exclude=exclude)
    items = lists.groupby("user")["item"].agg(set)
    part = trained.parts["test"]
    users, wanted = (
        part.id2token(field, part.inter_feat[field].numpy()) for field in (part.uid_field, part.iid_field)
    )
    held_out = {user: set(wanted[users == user]) for user in np.unique(users)}
    return np.mean([len(found & items[user]) / len(found) for user, found in held_out.items()])


def test_a_metric_does_not_depend_on_the_other_cut_offs_or_on_the_batch(few_tastes, tmp_path):
    options = {**few_tastes, "topk": [5], "eval_batch_size": 61 * 7}
    first = run("Pop", "ties", overrides={**options, "run_dir": str(tmp_path / "a")})
    options = {**few_tastes, "topk": [5, 26, 50]}
    second = run("Pop", "ties", overrides={**options, "run_dir": str(tmp_path / "b")})
    assert {name: second["test"][name] for name in first["test"]} == first["test"]


@pytest.mark.parametrize("repeatable", [False, True])
@pytest.mark.parametrize("model", ["Pop", "ItemKNN"])
def test_the_history_left_out_gives_the_lists_of_the_test(few_tastes, tmp_path, model, repeatable):
    options = {**few_tastes, "repeatable": repeatable, "run_dir": str(tmp_path / "run")}
    result = run(model, "ties", overrides={**options, **({"k": 3} if model == "ItemKNN" else {})})
    assert recall_of(load_run(tmp_path / "run"), "history") == pytest.approx(
        result["test"]["recall@5"], abs=1e-6
    )


@pytest.mark.parametrize(("value", "said"), [(torch.nan, "2,500 are NaN"), (-torch.inf, "2,500 are inf")])
def test_scores_that_are_no_numbers_fail_the_run(checkerboard, tmp_path, monkeypatch, value, said):
    monkeypatch.setattr(
        model_class("EASE"),
        "full_sort_predict",
        lambda self, users: torch.full((len(users), self.n_items), value),
    )
    options = {**checkerboard.overrides, **SMALL, "run_dir": str(tmp_path / "run")}
    with pytest.raises(
        RunError, match=f"EASE cannot be evaluated in epoch 0: .*{said}.*; look at the options"
    ):
        run("EASE", overrides=options)
    assert not (tmp_path / "run/result.json").exists()


@pytest.mark.parametrize("mode", ["full", "uni20"])
def test_weights_that_diverge_in_the_last_epoch_fail_the_run(checkerboard, tmp_path, mode, monkeypatch):
    bpr, steps = model_class("BPR"), []

    def loss(self, interaction):
        steps.append(1)
        if len(steps) == 3:
            self.item_embedding.weight.data[4] = torch.nan
        return self.item_embedding.weight[:2].sum()  # finite: nothing is seen in training

    monkeypatch.setattr(bpr, "calculate_loss", loss)
    options = {**checkerboard.overrides, "train_batch_size": 2000, "epochs": 3}
    options |= {**SMALL, "eval_args": {"mode": mode}}
    with pytest.raises(RunError, match=r"in epoch 2: .*NaN; its training .* smaller learning_rate"):
        run("BPR", overrides={**options, "run_dir": str(tmp_path / "run")})


def test_one_score_for_all_items_of_every_user_fails_the_run(checkerboard, tmp_path, monkeypatch):
    """Users may differ; and one user whose items differ is enough."""

    def alike(self, users):
        return users[self.USER_ID].float()[:, None].repeat(1, self.n_items)

    def alike_but_for_one(self, users):
        scores = alike(self, users)
        scores[users[self.USER_ID] == 17, 3] += 1
        return scores

    options = {**checkerboard.overrides, **SMALL}
    monkeypatch.setattr(model_class("EASE"), "full_sort_predict", alike)
    with pytest.raises(RunError, match="EASE cannot be evaluated in epoch 0: for each user all items"):
        run("EASE", overrides={**options, "run_dir": str(tmp_path / "alike")})
    monkeypatch.setattr(model_class("EASE"), "full_sort_predict", alike_but_for_one)
    assert run("EASE", overrides={**options, "run_dir": str(tmp_path / "one")})["test"]["recall@5"] < 0.4


def test_unseen_items_of_which_nothing_is_known_are_chance_and_said_to_be(write_parts, tmp_path, caplog):
    """Everyone has i0 ... i3; what is held out is in no training row, and all that is unseen scores 0."""
    train = [(f"u{user}", f"i{item}") for user in range(6) for item in range(4)]
    new = [(f"u{user}", f"new{user % 3}") for user in range(6)]
    data = write_parts(train=train, valid=new[:3], test=new[3:])
    options = {**data.overrides, "topk": [3], "valid_metric": "Recall@3", "run_dir": str(tmp_path / "run")}
    assert run("ItemKNN", overrides=options)["test"]["recall@3"] == 1.0
    assert (
        "all items that the user has not seen have the same score; the metrics are those of chance"
        in caplog.text
    )


def test_a_baseline_may_score_all_items_alike(two_domains, tmp_path):
    result = run("GlobalMean", overrides={**two_domains.overrides, "run_dir": str(tmp_path / "run")})
    assert 0 < result["test"]["ndcg@5"] < 1


def test_what_is_not_finite_is_counted():
    scores = torch.tensor([[1.0, torch.nan, torch.inf], [-torch.inf, 0.0, 2.0]])
    assert not_finite(scores) == "of 6 scores, 1 are NaN and 2 are infinite"
    assert not_finite(torch.full((4,), 3e38)) == ""  # whose sum overflows


def test_popularity_is_the_number_of_training_rows_whatever_the_batch(few_tastes, tmp_path):
    found = []
    for size in (7, 4096):
        folder = tmp_path / f"run{size}"
        run("Pop", "ties", overrides={**few_tastes, "train_batch_size": size, "run_dir": str(folder)})
        trained = load_run(folder)
        rows = trained.parts["train"].inter_feat[trained.parts["train"].iid_field]
        assert trained.model.item_cnt.ravel().tolist() == torch.bincount(rows, minlength=61).tolist()
        found.append(trained.result["test"])
    assert found[0] == found[1]


def test_metrics_of_what_is_recommended_come_alone_and_with_a_tail(few_tastes, tmp_path):
    options = {**few_tastes, "valid_metric": "AveragePopularity@5", "run_dir": str(tmp_path / "run")}
    metrics = ["AveragePopularity", "TailPercentage"]
    test = run("Pop", "ties", overrides={**options, "metrics": metrics, "tail_ratio": 0.9})["test"]
    counts = np.bincount(load_run(tmp_path / "run").parts["train"].inter_feat["item_id"])[1:]
    assert counts.mean() < test["averagepopularity@5"] <= counts.max()
    assert 0 < test["tailpercentage@5"] < 0.9
