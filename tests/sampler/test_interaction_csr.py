"""User rows: items, masks and membership against a dense matrix."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.interaction_csr import build


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_rows_and_membership_equal_the_dense_matrix(n_users, n_items, seed):
    generator = np.random.default_rng(seed)
    dense = (generator.random((n_users, n_items)) < 0.4).astype(np.float32)
    dense[0, 1] = 1  # at least one pair
    positives = build(dense)
    users = torch.from_numpy(generator.integers(0, n_users, 7))
    items, starts, rows = positives.gather(users)
    rebuilt = np.zeros((7, n_items), dtype=np.float32)
    np.add.at(rebuilt, (rows.numpy(), items.numpy()), 1)
    assert (rebuilt == dense[users.numpy()]).all()
    assert positives.counts(users).tolist() == dense[users.numpy()].sum(1).tolist()
    assert all(rows[start] == k for k, start in enumerate(starts.tolist()) if positives.counts(users)[k] > 0)
    everyone = torch.arange(n_users).repeat_interleave(n_items)
    everything = torch.arange(n_items).repeat(n_users)
    assert (
        positives.contains(everyone, everything).view(n_users, n_items).numpy() == dense.astype(bool)
    ).all()
