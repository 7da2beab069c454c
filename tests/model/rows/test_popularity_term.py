"""The term for popularity that models of ratings may add to their predictions."""

import math

import pytest
import torch

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.rows.popularity_term import popularity_term
from recbole_diffusion.testing import Built, histories_of, make_checkerboard

BUILDS = [
    ("MF", {}),
    ("ItemRidge", {}),
    ("DGRM", {}),
    ("DGRM", {"base": "ridge"}),
    ("DGRM", {"prediction": "posterior"}),
]


@pytest.fixture
def checkerboard(tmp_path):
    return make_checkerboard(tmp_path, rated=True)


def built(checkerboard, model, **options):
    torch.manual_seed(1)
    return Built(
        model, checkerboard.name, {**checkerboard.overrides, "valid_metric": "rated_ndcg@5", **options}
    )


def test_the_term_is_the_logarithm_of_what_is_known_of_an_item_less_its_mean_over_ratings():
    # Items with 0, 1 and 3 ratings; the mean over the four ratings is (log 2 + 3 log 4) / 4.
    mean = (math.log(2) + 3 * math.log(4)) / 4
    wanted = [0.5 * (log - mean) for log in (0.0, math.log(2), math.log(4))]
    found = popularity_term(torch.tensor([0, 1, 3]), 0.5)
    assert found.tolist() == pytest.approx(wanted)
    assert found.dtype == torch.float32
    assert popularity_term(torch.tensor([0, 1, 3]), 0.0).abs().sum() == 0


@pytest.mark.parametrize(("model", "options"), BUILDS)
def test_scores_of_trained_and_of_new_users_have_the_term_and_pairs_do_too(checkerboard, model, options):
    plain, other = (built(checkerboard, model, popularity_weight=w, **options) for w in (0.0, 0.7))
    rows = other.train._dataset.inter_feat
    for one in (plain, other):
        one.model.eval()
    term = popularity_term(torch.bincount(rows["item_id"], minlength=other.model.n_items), 0.7)
    assert term[1:].std() > 0.01
    everyone = list(range(1, other.model.n_users))
    columns = [rows[name] for name in ("user_id", "item_id", "rating")]
    for score in (
        lambda one: one.model.full_sort_predict(one.users(everyone)),
        lambda one: one.model.fold_in_scores(histories_of(*columns, everyone), 0),
    ):
        with torch.no_grad():
            torch.testing.assert_close(score(other), score(plain) + term)
    with torch.no_grad():
        pairs = other.model.predict(rows)
        whole = other.model.full_sort_predict(other.users(rows["user_id"].tolist()))
    torch.testing.assert_close(pairs, whole.gather(1, rows["item_id"][:, None]).squeeze(1))


def test_training_does_not_know_the_term(checkerboard):
    losses = []
    for weight in (0.0, 0.7):
        one = built(checkerboard, "DGRM", popularity_weight=weight, base="ridge")
        torch.manual_seed(3)
        losses.append([float(loss.detach()) for loss in one.model.generator_loss(one.users([1, 2, 3]))])
    assert losses[0] == losses[1]


def test_levels_are_fitted_to_predictions_with_the_term(checkerboard):
    """The shares of the levels are those of ratings, whatever the term adds."""
    one = built(checkerboard, "DGRM", popularity_weight=3.0, level_share=1.0)
    one.model.eval()
    predictions, ratings = one.model._unseen()
    with torch.no_grad():
        read = one.model._read_out(predictions / one.model.ratings.high, torch.zeros(()))
    levels, counts = ratings.unique(return_counts=True)
    nearest = (read[:, None] - levels).abs().argmin(1).bincount(minlength=len(levels))
    assert (nearest - counts).abs().max() <= 1


def test_factors_without_biases_have_no_place_for_it(checkerboard):
    with pytest.raises(UsageError, match=r"popularity_weight is 0.7 and bias False; .* use bias True"):
        built(checkerboard, "MF", popularity_weight=0.7, bias=False)
