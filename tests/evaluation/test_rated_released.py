"""The released reading of the ranking of rated items, by hand and against a plain loop."""

import math

import numpy as np
import pytest
import torch
from support.small import options_of

from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.rated_released import released_rankings, row_means
from recbole_diffusion.evaluation.rated_scores import RatedScores
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.testing import Built, make_checkerboard
from recbole_diffusion.trainer.factory import trainer_for

D = [1 / math.log2(place + 1) for place in range(1, 8)]  # discounts of the places 1, 2, ...


def rank(ratings, scores, k=5, users=None, floor=-math.inf, order=None):
    n = len(ratings)
    users, order = ([1] * n if users is None else users), (range(n) if order is None else order)
    floors = np.broadcast_to(np.asarray(floor, float), n)
    columns = (np.array(users), np.array(order), np.array(ratings, float), np.array(scores, float), floors)
    who, recall, ndcg = released_rankings(*columns, median=3.0, lengths=[k])[k]
    return who.tolist(), recall.tolist(), ndcg.tolist()


def test_the_ideal_list_has_five_places_however_few_items_are_relevant():
    # Two relevant items in places 1 and 2, all that can be found: recall 1, NDCG below 1.
    _, recall, ndcg = rank([5, 4, 1], [4.9, 4.8, 1.0])
    assert recall == [1.0]
    assert ndcg == [pytest.approx((D[0] + D[1]) / sum(D[:5]))]
    # A shorter list is held against five places too, a longer one against its own.
    assert rank([5, 4], [2, 1], k=1)[2] == [pytest.approx(D[0] / sum(D[:5]))]
    assert rank([5, 4], [2, 1], k=7)[2] == [pytest.approx((D[0] + D[1]) / sum(D[:7]))]


def test_equal_values_stay_in_the_order_of_the_rows():
    # Actual list of two: rows 1 and 3 (both 5). Predicted: rows 0 and 1, the first two of four equal scores.
    _, recall, ndcg = rank([4, 5, 4, 5], [3, 3, 3, 3], k=2)
    assert recall == [1 / 2]
    assert ndcg == [pytest.approx(D[1] / sum(D[:5]))]
    # The same rows in the opposite order of the file: predicted 3 and 2, of which 3 is in the actual list.
    assert rank([4, 5, 4, 5], [3, 3, 3, 3], k=2, order=[3, 2, 1, 0])[2] == [pytest.approx(D[0] / sum(D[:5]))]
    # Three equal fives for two places: rows 0 and 1 are the actual list, and row 2 is not found.
    assert rank([5, 5, 5], [1, 2, 3], k=2)[1] == [1 / 2]


def test_a_user_without_a_relevant_item_counts_as_zero():
    assert rank([2, 1, 5], [5, 4, 3], users=[7, 7, 9]) == (
        [7, 9],
        [0.0, 1.0],
        [0.0, pytest.approx(D[0] / sum(D[:5]))],
    )


def test_a_row_below_the_mean_of_the_masked_scores_is_not_predicted():
    # Eight items scored 1..8; the user has two of them (scores 7 and 8) in train.
    mean = float(row_means(torch.tensor([36.0]), torch.tensor([0, 0]), 8)[0])
    assert mean == (36 - 2 * 99) / 8
    assert rank([5, 5], [1, 2], floor=mean)[1] == [1.0]  # far below every score: nothing is taken out
    # Without a training item the mean is 4.5: of the scores 1, 4.5 and 6, the first is taken out.
    assert rank([5, 5, 5], [1, 4.5, 6], floor=4.5)[1] == [pytest.approx(2 / 3)]


def test_users_have_means_of_their_own():
    found = row_means(torch.tensor([10.0, 20.0, 30.0]), torch.tensor([0, 2, 2]), 10)
    assert found.tolist() == [(10 - 99) / 10, 2.0, (30 - 198) / 10]


def plain(users, order, ratings, scores, floors, k):
    """The reading as one loop over users."""
    found = []
    for user in sorted(set(users)):
        rows = sorted(np.flatnonzero(users == user), key=lambda row: order[row])
        actual = sorted([r for r in rows if ratings[r] >= 3], key=lambda r: -ratings[r])[:k]
        listed = sorted([r for r in rows if scores[r] >= floors[r]], key=lambda r: -scores[r])[:k]
        gain = sum(D[place] for place, row in enumerate(listed) if row in actual)
        hits = len(set(actual) & set(listed))
        found.append((hits / len(actual) if actual else 0.0, gain / sum(D[: max(k, 5)])))
    return np.array(found).T


@pytest.mark.parametrize("k", [2, 5, 6])
def test_many_users_are_as_a_loop_has_them(k):
    draw = np.random.default_rng(k)
    users, order = draw.integers(0, 40, 300), draw.permutation(300)
    ratings, scores = draw.integers(1, 6, 300).astype(float), draw.integers(1, 9, 300).astype(float)
    floors = draw.uniform(0, 6, 40)[users]
    found = released_rankings(users, order, ratings, scores, floors, median=3.0, lengths=[k])[k]
    np.testing.assert_array_equal(found[0], np.unique(users))
    np.testing.assert_allclose(found[1:], plain(users, order, ratings, scores, floors, k))


def test_nan_is_refused():
    with pytest.raises(UsageError, match="1 predicted rating is NaN"):
        rank([5, 4], [math.nan, 1.0])


def test_rows_are_in_the_order_of_the_file_and_means_are_those_of_their_users(loaded):
    """Held against the loop, with scores of few values, so that ties decide."""
    part = loaded("DGRM").parts["test"]
    users, items = (part.inter_feat[name].long() for name in (part.uid_field, part.iid_field))
    ids, rows = torch.unique(users, return_inverse=True)
    scores = torch.randint(
        1, 6, (len(ids), part.item_num), generator=torch.Generator().manual_seed(0)
    ).float()
    rated = RatedScores(part, options_of(RatingOptions, rating_scale=[1, 5]), predicts_ratings=True)
    floors = torch.linspace(0, 5, len(ids))
    rated.add_floors(ids, floors)
    shuffled = torch.randperm(len(users), generator=torch.Generator().manual_seed(1))
    rated.add(scores, ids, rows[shuffled], items[shuffled])  # in any order: the file's counts
    recall, ndcg = plain(
        users.numpy(),
        np.arange(len(users)),
        part.inter_feat["rating"].numpy(),
        scores[rows, items].numpy(),
        floors[rows].numpy(),
        5,
    )
    found = rated.metrics()
    assert found["rated_released_recall@5"] == pytest.approx(recall.mean())
    assert found["rated_released_ndcg@5"] == pytest.approx(ndcg.mean())
    assert rated.report()["readings"]["released"]["ndcg@5"] == pytest.approx(ndcg.mean())


@pytest.mark.parametrize("metrics", [["Recall"], ["Recall", "GAUC"]], ids=["by vectors", "by all scores"])
def test_an_evaluation_takes_the_means_before_it_masks(tmp_path, metrics):
    checkerboard = make_checkerboard(tmp_path, rated=True)
    built = Built("BPR", checkerboard.name, {**checkerboard.overrides, "metrics": metrics, "topk": [5]})
    folder = RunFolder.create("BPR", checkerboard.name, str(tmp_path / "runs"), None)
    built.config["checkpoint_dir"] = str(folder.path)
    trainer = trainer_for(built.config, built.model, folder)
    trainer.evaluate(built.test, load_best_model=False)
    users = built.users(list(range(1, built.model.n_users)))
    scores = built.model.eval().full_sort_predict(users).view(-1, built.model.n_items).detach().numpy()
    scores = scores.astype(float)
    for part in (built.train, built.valid):  # the parts before test
        rows = part._dataset.inter_feat
        scores[rows["user_id"] - 1, rows["item_id"]] -= 99
    np.testing.assert_allclose(trainer.rated._floors[1:], scores[:, 1:].mean(1), rtol=1e-5)
