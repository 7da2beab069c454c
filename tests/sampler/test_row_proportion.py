"""SL for rows of their own: the law, positives, rows without weight, the budget."""

import numpy as np
import pytest
import torch
from scipy import stats
from support.small import build

from recbole_diffusion.sampler.hard import in_proportion
from recbole_diffusion.sampler.row_proportion import RowProportion


def test_shares_are_those_of_the_positive_scores_row_by_row():
    # Scores of items 1 to 4: (3, 1, 0, -2) for a row, and the other way round for a row of another user.
    items = torch.tensor([[9.0, 9.0], [3.0, -2.0], [1.0, 0.0], [0.0, 1.0], [-2.0, 3.0]])
    vectors = torch.eye(2).repeat(6000, 1)
    users = torch.arange(2).repeat(6000)
    nobody = build(np.zeros((2, 5), dtype=np.float32))
    counts = torch.ones(12_000, dtype=torch.long)
    for power, shares in ((1.0, [3 / 4, 1 / 4]), (0.5, [3**0.5 / (1 + 3**0.5), 1 / (1 + 3**0.5)])):
        drawn = RowProportion(power, 10**9, 1).draw(
            vectors, items, nobody, users, counts, generator=torch.Generator().manual_seed(1)
        )
        even, odd = (np.bincount(drawn[users == user].numpy(), minlength=5) for user in (0, 1))
        assert even[0] == even[3] == even[4] == odd[0] == odd[1] == odd[2] == 0
        for found in (even[[1, 2]], odd[[4, 3]]):
            assert stats.chisquare(found, 6000 * np.array(shares)).pvalue > 1e-3


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_large_power_draws_the_best_items_whatever_the_scale_of_the_scores(scale):
    """0.002^30 is 0 in single precision, 2000^30 infinite; both samplers have the law of (1, 2, 2)^30."""
    items = scale * torch.tensor([[0.0], [1.0], [2.0], [2.0], [3.0]])
    taken = build(np.array([[0, 0, 0, 0, 1]], dtype=np.float32))
    users = torch.zeros(2000, dtype=torch.long)
    vectors, ones = torch.ones(2000, 1), torch.ones(2000, dtype=torch.long)
    source = torch.Generator().manual_seed(1)
    sampler = RowProportion(30.0, 10**9, 1)
    for drawn in (
        sampler.draw(vectors, items, taken, users, ones, generator=source),
        in_proportion(taken, users, vectors, items**10, 30.0, generator=source),
    ):
        found = np.bincount(drawn.numpy(), minlength=5)
        assert found.sum() == found[2] + found[3]
        assert stats.binomtest(int(found[2]), 2000).pvalue > 1e-3


@pytest.mark.parametrize("cells", [10**9, 0])
def test_positives_and_items_without_weight_are_never_drawn(cells):
    source = torch.Generator().manual_seed(3)
    items, vectors = torch.randn(61, 4, generator=source), torch.randn(300, 4, generator=source)
    dense = (np.random.default_rng(0).random((5, 61)) < 0.4).astype(np.float32)
    dense[:, 0] = 0
    users, counts = torch.arange(300) % 5, torch.arange(300) % 4
    drawn = RowProportion(1.0, cells, 40).draw(vectors, items, build(dense), users, counts, generator=source)
    rows = torch.arange(300).repeat_interleave(counts)
    assert len(drawn) == counts.sum()
    assert not dense[users[rows].numpy(), drawn.numpy()].any()
    assert bool(((vectors[rows] * items[drawn]).sum(1) > 0).all())
    # Beyond the budget, a batch draws from 40 items of its own.
    assert len(torch.unique(drawn)) <= (60 if cells else 40)


def test_a_row_without_a_positive_score_gets_a_uniform_negative():
    dense = np.array([[0, 1, 1, 0, 0]], dtype=np.float32)
    drawn = RowProportion(1.0, 10**9, 1).draw(
        torch.ones(2000, 1),
        -torch.ones(5, 1),
        build(dense),
        torch.zeros(2000, dtype=torch.long),
        torch.ones(2000, dtype=torch.long),
        generator=torch.Generator().manual_seed(2),
    )
    found = np.bincount(drawn.numpy(), minlength=5)
    assert found[:3].sum() == 0
    assert stats.chisquare(found[3:]).pvalue > 1e-3
