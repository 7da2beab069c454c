"""Negatives among ratings: what is drawn, who trains on it, and how new users are folded in."""

from types import SimpleNamespace

import pytest
import torch

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain.matrix_factorization import MatrixFactorization, MatrixShape
from recbole_diffusion.model.cross_domain.rating_negatives import NegativePool, with_negatives
from recbole_diffusion.quick_start import run
from recbole_diffusion.testing import FAST
from recbole_diffusion.testing.built import StagedBuilt

RATINGS = Ratings(
    torch.tensor([3, 1, 1, 3, 2, 2, 2, 2]), torch.tensor([4, 2, 3, 4, 1, 2, 3, 4]), torch.arange(8.0)
)  # user 2 has all four items, user 3 one of them twice


def test_each_rating_brings_unobserved_items_of_its_user():
    found = with_negatives(RATINGS, 5, 50, 0.5, 7)
    for name in ("users", "items", "ratings"):
        assert torch.equal(getattr(found, name)[:8], getattr(RATINGS, name))
    users, items = found.users[8:], found.items[8:]
    assert {user: sorted(set(items[users == user].tolist())) for user in (1, 2, 3)} == {
        1: [1, 4],
        2: [],
        3: [1, 2, 3],
    }
    assert torch.bincount(users).tolist() == [0, 100, 0, 100]
    assert (found.ratings[8:] == 0.5).all()
    assert found.users.dtype == found.items.dtype == torch.long
    again, other = with_negatives(RATINGS, 5, 50, 0.5, 7), with_negatives(RATINGS, 5, 50, 0.5, 8)
    assert torch.equal(found.items, again.items)
    assert not torch.equal(found.items, other.items)
    assert with_negatives(RATINGS, 5, 0, 0.5, 7) is RATINGS


def test_a_folded_user_is_where_the_loss_over_all_draws_has_no_slope():
    options = SimpleNamespace(
        embedding_size=3, bias=True, mf_std=1.0, mf_reg_weight=0.2, mf_bias_reg_weight=2.0
    )
    factors = MatrixFactorization(MatrixShape(3, 9), options, 3.2, 0).double()
    items, ratings = torch.tensor([2, 5, 6]), torch.tensor([1.0, 4, 5], dtype=torch.double)
    history = FoldInHistories(items, torch.tensor([0]), torch.zeros(3, dtype=torch.long), ratings)
    with torch.no_grad():
        factors.item_bias.normal_()
    found = factors.fold_in(history, pool=NegativePool(2, -1.0, first=4))[0].requires_grad_()
    vectors, offsets = factors.item_vectors().detach(), factors.item_offsets().detach()

    def errors(chosen, wanted):
        return (vectors[chosen] @ found + offsets[chosen] - wanted).square()

    # Two of the items 4 to 8 for each of three ratings: six times their mean error; a penalty for all nine.
    loss = errors(items, ratings).sum() + 6 * errors(torch.arange(4, 9), -1.0).mean()
    loss = loss + 9 * 0.2 * found[:3].square().sum() + 2.0 * found[3].square()
    loss.backward()
    assert found.grad.abs().max() < 1e-10


@pytest.mark.parametrize("model", ["EMCDR", "DiffCDR", "CMF", "PTUPCDR", "TGT", "ItemMean"])
def test_every_model_trains_on_the_same_negatives_and_histories_stay_as_they_are(two_domains, model):
    plain, with_them = (
        StagedBuilt(model, two_domains.name, {**two_domains.overrides, **FAST, **more}).model
        for more in ({}, {"negatives_per_rating": 2, "valid_metric": "NDCG@10"})
    )
    assert len(with_them.ratings) == 3 * len(plain.ratings)
    assert len(with_them.source_trained) == 3 * len(plain.source_ratings)
    assert torch.equal(with_them.is_cold, plain.is_cold)
    assert len(with_them.source_ratings) == len(plain.source_ratings)
    if model != "ItemMean":
        trained = [len(stage.rows) for stage in with_them.stages()]
        assert trained[0] > 2 * len(plain.stages()[0].rows)
    again = StagedBuilt(
        "GlobalMean",
        two_domains.name,
        {**two_domains.overrides, **FAST, "negatives_per_rating": 2, "valid_metric": "NDCG@10"},
    ).model
    assert torch.equal(again.ratings.items, with_them.ratings.items)
    assert plain.list_note()
    assert with_them.list_note() is None


def test_an_error_of_ratings_cannot_choose_the_epoch(two_domains):
    options = {**two_domains.overrides, **FAST, "negatives_per_rating": 2, "valid_metric": "rated_mae"}
    with pytest.raises(UsageError, match="--valid_metric=NDCG@20"):
        run("EMCDR", two_domains.name, overrides=options)
