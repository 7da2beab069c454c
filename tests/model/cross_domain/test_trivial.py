"""Global mean, item means, and item mean plus source offset."""

import pytest
import torch

from recbole_diffusion.testing import Built


def test_everything_is_the_mean_of_the_training_ratings(two_domains):
    model = Built("GlobalMean", two_domains.name, two_domains.overrides).model
    scores = model.full_sort_predict({model.USER_ID: torch.tensor([1, 2, 30])})
    assert torch.allclose(scores, model.ratings.ratings.mean().expand_as(scores))


@pytest.mark.parametrize("shrinkage", [0.0, 5.0])
def test_a_rating_is_the_items_mean_pulled_to_the_global_one(two_domains, shrinkage):
    model = Built("ItemMean", two_domains.name, {**two_domains.overrides, "item_shrinkage": shrinkage}).model
    scores = model.full_sort_predict({model.USER_ID: torch.tensor([1, 2])})
    rows, mean = model.ratings, model.ratings.ratings.mean()
    for item in (1, 7):
        own = rows.ratings[rows.items == item]
        expected = (own.sum() + shrinkage * mean) / (len(own) + shrinkage)
        assert torch.allclose(scores[:, item], expected.expand(2), atol=1e-5)
    assert torch.allclose(scores[:, 0], mean.expand(2))  # the padding item has no rating


def test_a_cold_user_keeps_the_offset_of_the_source(two_domains):
    model = Built("SourceOffset", two_domains.name, two_domains.overrides).model
    user = model.is_cold.nonzero().flatten()[1]
    there = model.source_of[user]
    rows, gaps = model.source_ratings, []
    for item, rating in zip(rows.items[rows.users == there], rows.ratings[rows.users == there], strict=True):
        gaps.append(rating - rows.ratings[rows.items == item].mean())
    scores = model.full_sort_predict({model.USER_ID: user[None]})[0]
    own = model.ratings.ratings[model.ratings.items == 3].mean()
    assert torch.allclose(scores[3], own + torch.stack(gaps).mean(), atol=1e-5)


def test_a_user_whom_the_source_does_not_know_has_no_offset(two_domains):
    model = Built("SourceOffset", two_domains.name, two_domains.overrides).model
    unknown = (model.source_of == 0).nonzero().flatten()[1:]
    assert len(unknown) == 10
    assert torch.equal(model.known(unknown), torch.zeros(10, 1))
