"""Rated items are ranked in the run of any model whose data set has ratings, whatever the model made of them."""

import pytest
from rated_checkerboard import checkerboard  # noqa: F401 a fixture

from recbole_diffusion.quick_start import run

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
def test_a_model_of_labels_is_judged_by_the_ratings_behind_them(checkerboard, tmp_path, threshold):  # noqa: F811
    overrides = {**checkerboard.overrides, **NEUMF, "threshold": threshold, "run_dir": str(tmp_path / "run")}
    result = run("NeuMF", overrides=overrides)
    assert result["best_valid_score"] == result["valid"]["rated_both_ndcg@3"]
    assert result["test"]["rated_ndcg@3"] > 0.95  # 0.6 by chance: three of five are liked, and all three are asked for
    assert "rated_rmse" not in result["test"]  # scores are no ratings
    assert result["rated"]["test"]["users"] == 50
