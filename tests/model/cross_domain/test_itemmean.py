"""Item means."""

import pytest
import torch
from support.contract import Built


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
