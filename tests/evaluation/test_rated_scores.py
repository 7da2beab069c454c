"""Rated items are ranked in the run of any model whose data set has ratings."""

import math

import numpy as np
import pytest
import torch
from support.options import options_of

from recbole_diffusion.evaluation import distribution
from recbole_diffusion.evaluation.lists import load_user_metrics
from recbole_diffusion.evaluation.rated_scores import RatedScores
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.quick_start import run
from recbole_diffusion.testing import make_checkerboard


@pytest.fixture
def checkerboard(tmp_path):
    return make_checkerboard(tmp_path, rated=True)


NEUMF = {
    "epochs": 10,
    "learning_rate": 0.05,
    "train_batch_size": 100,
    "mf_embedding_size": 8,
    "mlp_embedding_size": 8,
    "mlp_hidden_size": [8],
    "train_neg_sample_args": None,
    "valid_metric": "rated_both_ndcg@3",
    "rated_topk": [3],
}


@pytest.mark.parametrize("threshold", [{"rating": 3}, {"rating": 5}])
def test_a_model_of_labels_is_judged_by_the_ratings_behind_them(checkerboard, tmp_path, threshold):
    overrides = {**checkerboard.overrides, **NEUMF, "threshold": threshold, "run_dir": str(tmp_path / "run")}
    result = run("NeuMF", overrides=overrides)
    assert result["best_valid_score"] == result["valid"]["rated_both_ndcg@3"]
    assert (
        result["test"]["rated_ndcg@3"] > 0.95
    )  # 0.6 by chance: three of five are liked, and all three are asked for
    assert "rated_rmse" not in result["test"]  # scores are no ratings
    assert result["rated"]["test"]["users"] == 50


def test_rated_rankings_are_kept_user_by_user(loaded):
    """Their means over users are the metrics of the result."""
    trained = loaded("DGRM")
    kept = load_user_metrics(trained.folder.user_metrics)["test"]
    names = [name for name in trained.result["test"] if name.startswith("rated_") and "@" in name]
    assert len(names) == 14  # two lengths
    for name in names:
        assert kept[name].mean() == pytest.approx(trained.result["test"][name], abs=1e-6)


def test_a_user_without_relevant_items_has_no_ranking(loaded):
    part = loaded("DGRM").parts["test"]
    users, items = (part.inter_feat[name].long() for name in (part.uid_field, part.iid_field))
    ids, rows = torch.unique(users, return_inverse=True)
    rated = RatedScores(
        part, options_of(RatingOptions, rating_scale=[1, 9]), predicts_ratings=True
    )  # relevant: 5 alone
    rated.add(
        torch.rand(len(ids), part.item_num, generator=torch.Generator().manual_seed(0)) * 8 + 1,
        ids,
        rows,
        items,
    )
    able = torch.unique(users[part.inter_feat["rating"] >= 5])
    found = rated.by_user(ids.numpy())
    assert 0 < len(able) < len(ids)
    for name, value in rated.metrics().items():
        if "released" in name:  # 0 for such a user
            assert found[name].mean() == pytest.approx(value)
        elif "@" in name:
            assert ids[~np.isnan(found[name])].tolist() == able.tolist()
            assert np.nanmean(found[name]) == pytest.approx(value)
    assert not np.isnan(found["rated_mae"]).any()


def test_what_is_masked_is_no_prediction_and_the_rest_is_counted_by_its_bin(loaded):
    part = loaded("DGRM").parts["test"]
    rated = RatedScores(part, options_of(RatingOptions, rating_scale=[1, 5]), predicts_ratings=True)
    scores = torch.rand(1, part.item_num, generator=torch.Generator().manual_seed(0)) * 7 - 1  # also outside
    scores[0, :4] = -math.inf
    held_out = torch.tensor([5, 6])
    rated.add(scores, torch.tensor([1]), torch.zeros(2, dtype=torch.long), held_out)
    others = np.delete(scores[0].numpy(), [0, 1, 2, 3, 5, 6])
    assert rated.unrated.tolist() == distribution.histogram(others, 1, 5).tolist()
