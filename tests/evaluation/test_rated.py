"""Ranking among rated items, against cases worked out by hand, and in the run of any model with ratings."""

import itertools
import math

import numpy as np
import pytest
import torch
from support.small import options_of

from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation import distribution
from recbole_diffusion.evaluation.lists import load_user_metrics
from recbole_diffusion.evaluation.rated import (
    READINGS,
    ListReading,
    errors_by_user,
    rated_rankings,
    rating_errors,
)
from recbole_diffusion.evaluation.rated_scores import RatedScores
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.quick_start import run
from recbole_diffusion.testing import make_checkerboard


def rated_ranking(users, items, ratings, scores, *, median, reading, k=5):
    """Return users, Recall@k and NDCG@k of one length of lists."""
    return rated_rankings(users, items, ratings, scores, median=median, lengths=(k,), reading=reading)[k]


def rank(ratings, scores, k=2, users=None, median=3.0, **reading):
    users = [1] * len(ratings) if users is None else users
    arrays = (np.array(users), np.arange(len(ratings)), np.array(ratings, float), np.array(scores, float))
    who, recall, ndcg = rated_ranking(*arrays, median=median, k=k, reading=ListReading(**reading))
    return list(who), list(recall), list(ndcg)


D = [1 / math.log2(place + 1) for place in range(1, 8)]  # discounts of the places 1, 2, ...


def test_without_ties_by_hand():
    # Actual: items 0 and 1 (5, 4). Predicted: items 1 and 2. One of two is found, in place 1.
    who, recall, ndcg = rank([5, 4, 3.5, 1], [3.1, 4.9, 4.8, 1.0])
    assert who == [1]
    assert recall == [pytest.approx(1 / 2)]
    assert ndcg == [pytest.approx(D[0] / (D[0] + D[1]))]


def test_equal_actual_ratings_share_the_places_by_hand():
    # Item 0 is in every actual list; items 1, 2 and 3 share one place, a third each. Predicted: items 1 and
    # 0, in this order.
    _, recall, ndcg = rank([5, 4, 4, 4], [4.0, 5.0, 3.0, 3.5])
    assert recall == [pytest.approx((1 / 3 + 1) / 2)]
    assert ndcg == [pytest.approx((1 / 3 * D[0] + D[1]) / (D[0] + D[1]))]


def test_equal_predictions_share_the_places_by_hand():
    # Actual: items 0 and 1. Predicted: item 2 first, then 0, 1 and 3 share place 2.
    _, recall, ndcg = rank([5, 4, 3, 1], [4.0, 4.0, 5.0, 4.0])
    assert recall == [pytest.approx(2 / 3 / 2)]
    assert ndcg == [pytest.approx(2 / 3 * D[1] / (D[0] + D[1]))]


def test_items_below_the_median_are_not_relevant_and_a_user_without_one_has_no_metric():
    # User 1 has one relevant item only, |I_a| = 1; user 2 has none.
    who, recall, ndcg = rank([3, 2, 2, 1, 2], [2.0, 5.0, 4.0, 5.0, 4.0], users=[1, 1, 1, 2, 2])
    assert (who, recall, ndcg) == ([1], [0.0], [0.0])
    who, recall, ndcg = rank([3, 2, 2], [4.5, 5.0, 4.0])
    assert (who, recall) == ([1], [1.0])
    assert ndcg == [pytest.approx(D[1])]


def test_the_filter_takes_predictions_below_the_median_out_by_hand():
    ratings, scores = [5, 4, 2], [2.9, 2.8, 2.0]
    assert rank(ratings, scores)[1] == [1.0]
    assert rank(ratings, scores, filter_predicted=True)[1] == [0.0]
    assert rank(ratings, [3.0, 2.8, 2.0], filter_predicted=True)[1] == [0.5]  # 3 is the median itself


def test_the_other_readings_by_hand():
    ratings, scores = [4, 4, 4, 3, 5], [1.0, 2.0, 3.0, 5.0, 4.0]
    # order: items 4 and 0. tied: 4, 0, 1, 2. all: every item. Predicted: items 3 and 4.
    assert rank(ratings, scores, actual="order")[1] == [1 / 2]
    assert rank(ratings, scores, actual="tied")[1] == [1 / 4]
    assert rank(ratings, scores, actual="all")[1] == [2 / 5]
    assert rank(ratings, scores, actual="all")[2] == [pytest.approx(1.0)]
    assert rank(ratings, scores, actual="tied")[2] == [pytest.approx(D[1] / (D[0] + D[1]))]


def plain(ratings, scores, k, median):
    """One user's Recall and NDCG for ratings and scores without ties, written as the paper does."""
    actual = sorted((i for i in range(len(ratings)) if ratings[i] >= median), key=lambda i: -ratings[i])[:k]
    predicted = sorted(range(len(scores)), key=lambda i: -scores[i])[:k]
    gain = sum(D[place] for place, item in enumerate(predicted) if item in actual)
    return len(set(actual) & set(predicted)) / len(actual), gain / sum(D[: len(actual)])


def test_ties_are_the_mean_over_every_order():
    ratings, scores = [4, 5, 4, 4, 2], [2, 2, 3, 1, 3]
    pairs = [
        plain(
            [rating + 1e-3 * order[i] for i, rating in enumerate(ratings)],
            [score + 1e-3 * other[i] for i, score in enumerate(scores)],
            2,
            3.0,
        )
        for order in itertools.permutations(range(5))
        for other in itertools.permutations(range(5))
    ]
    _, recall, ndcg = rank(ratings, scores, k=2)
    assert recall == [pytest.approx(np.mean([one for one, _ in pairs]))]
    assert ndcg == [pytest.approx(np.mean([one for _, one in pairs]))]


def test_the_order_of_rows_does_not_matter_and_users_are_apart():
    draw = np.random.default_rng(0)
    users, items = draw.integers(0, 20, 400), np.arange(400)
    ratings, scores = draw.integers(1, 6, 400).astype(float), draw.integers(1, 9, 400).astype(float)
    shuffled = draw.permutation(400)
    for reading in READINGS.values():
        first = rated_ranking(users, items, ratings, scores, median=3, reading=reading)
        again = rated_ranking(
            *(column[shuffled] for column in (users, items, ratings, scores)), median=3, reading=reading
        )
        for one, other in zip(first, again, strict=True):
            np.testing.assert_allclose(one, other)
        alone = [
            rated_ranking(
                *(c[users == u] for c in (users, items, ratings, scores)), median=3, reading=reading
            )
            for u in first[0]
        ]
        np.testing.assert_allclose(first[1], [one[1][0] for one in alone])
        np.testing.assert_allclose(first[2], [one[2][0] for one in alone])


def test_perfect_scores_are_perfect_and_short_lists_find_everything():
    ratings = [5, 4, 3, 2, 1]
    assert rank(ratings, ratings, k=2)[1:] == ([1.0], [pytest.approx(1.0)])
    assert rank(ratings, ratings[::-1], k=5)[1] == [1.0]


def test_nan_is_refused():
    with pytest.raises(UsageError, match="1 predicted rating is NaN"):
        rank([5, 4], [math.nan, 1.0])
    with pytest.raises(UsageError, match="it takes top, tied, all or order"):
        ListReading("best")


def test_errors_of_ratings_are_taken_on_the_scale_by_hand():
    mae, rmse = rating_errors(np.array([5.0, 1.0, 3.0]), np.array([7.0, 3.0, 2.0]), 1, 5)
    assert (mae, rmse) == (pytest.approx((0 + 2 + 1) / 3), pytest.approx(math.sqrt((0 + 4 + 1) / 3)))


def test_errors_by_user_are_means_over_each_users_ratings():
    users, ratings = np.array([3, 5, 3, 9]), np.array([1.0, 5, 3, 2])
    predicted = np.array([2.0, 7, 3, 2.5])
    absolute, squared = errors_by_user(np.array([9, 3, 4, 5]), users, ratings, predicted, 1.0, 5.0)
    assert absolute[[0, 1, 3]].tolist() == [0.5, 0.5, 0.0]  # 7 counts as 5
    assert squared[[0, 1, 3]].tolist() == [0.25, 0.5, 0.0]
    assert np.isnan(absolute[2])
    unclipped, _ = errors_by_user(np.array([5]), users, ratings, predicted, 1.0, 5.0, clip=False)
    assert unclipped.tolist() == [2.0]


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


def test_with_a_read_out_errors_are_of_its_two_ratings_and_the_scores_own_stand_beside(loaded):
    part = loaded("DGRM").parts["test"]
    users, items = (part.inter_feat[name].long() for name in (part.uid_field, part.iid_field))
    ratings = torch.as_tensor(part.inter_feat["rating"]).float()
    asked = []

    def read_out(who, which, scores):
        asked.append((who, which))
        return scores + 1, scores + 2.25  # the first for absolute errors, the second for squared ones

    options = options_of(RatingOptions, rating_scale=[-9, 19])
    rated = RatedScores(part, options, predicts_ratings=True, read_out=read_out)
    half = len(users) // 2
    for rows in (slice(0, half), slice(half, None)):
        rated.add_values(ratings[rows] - 1.5, users[rows], items[rows])
    found = rated.metrics()
    assert found["rated_raw_mae"] == pytest.approx(1.5)
    assert found["rated_raw_rmse"] == pytest.approx(1.5)
    assert found["rated_mae"] == pytest.approx(0.5)  # of scores + 1
    assert found["rated_rmse"] == pytest.approx(0.75)  # of scores + 2.25
    by_user = rated.by_user(torch.unique(users).numpy())
    assert by_user["rated_mae"] == pytest.approx(0.5)
    assert by_user["rated_mse"] == pytest.approx(0.75**2)
    assert by_user["rated_raw_mse"] == pytest.approx(2.25)
    assert torch.equal(torch.cat([one for one, _ in asked]), users)
