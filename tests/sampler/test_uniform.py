"""Uniform negatives: never a positive, never padding, uniform over the rest."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.interaction_csr import build

from recbole_diffusion.sampler.uniform import uniform_negatives


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 12), st.integers(0, 2**31 - 1))
def test_never_a_positive_never_padding(n_items, seed):
    generator = np.random.default_rng(seed)
    dense = (generator.random((5, n_items)) < 0.6).astype(np.float32)
    dense[:, 0], dense[:, 1], dense[:, 2] = 0, 1, 0  # every user has a positive and a negative
    users = torch.from_numpy(generator.integers(0, 5, 50))
    drawn = uniform_negatives(build(dense), users, generator=torch.Generator().manual_seed(seed))
    assert drawn.shape == users.shape
    assert bool((drawn > 0).all())
    assert not dense[users.numpy(), drawn.numpy()].any()


def test_uniform_over_the_negatives_and_repeatable():
    dense = np.zeros((2, 12), dtype=np.float32)
    dense[1, [1, 4, 5]] = 1
    users = torch.ones(20_000, dtype=torch.long)
    drawn = uniform_negatives(build(dense), users, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn, minlength=12)[[2, 3, 6, 7, 8, 9, 10, 11]]
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    assert torch.equal(
        drawn, uniform_negatives(build(dense), users, generator=torch.Generator().manual_seed(0))
    )


def test_a_user_with_every_item_is_an_error_not_an_endless_loop():
    dense = np.ones((2, 4), dtype=np.float32)
    dense[:, 0] = 0
    with pytest.raises(ValueError, match="user 1 has all 3 items"):
        uniform_negatives(build(dense), torch.tensor([1]))
