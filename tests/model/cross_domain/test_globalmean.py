"""The global mean."""

import torch
from support.contract import Built


def test_everything_is_the_mean_of_the_training_ratings(two_domains):
    model = Built("GlobalMean", two_domains.name, two_domains.overrides).model
    scores = model.full_sort_predict({model.USER_ID: torch.tensor([1, 2, 30])})
    assert torch.allclose(scores, model.ratings.ratings.mean().expand_as(scores))
