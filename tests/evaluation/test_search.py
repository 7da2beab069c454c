"""Exact search by inner products: as ranking all scores, with fewer products if lengths differ."""

import pytest
import torch

from recbole_diffusion.evaluation.search import VectorSearch


def plain(users, items, k, cells):
    scores = users @ items.T
    scores[:, 0] = -torch.inf
    if cells is not None:
        scores[cells] = -torch.inf
    return scores.topk(k)


@pytest.mark.parametrize("k", [1, 7, 40, 299])
@pytest.mark.parametrize("skew", [0.0, 2.0])
def test_equals_ranking_all_scores(k, skew):
    draw = torch.Generator().manual_seed(k)
    items = (
        torch.randn(300, 6, generator=draw, dtype=torch.float64)
        * torch.rand(300, 1, generator=draw).double() ** skew
    )
    users = torch.randn(50, 6, generator=draw, dtype=torch.float64)
    cells = torch.randint(0, 50, (400,), generator=draw), torch.randint(1, 300, (400,), generator=draw)
    for left_out in (cells, None):
        search = VectorSearch(items, tile=32)
        values, found = search.best(users, torch.arange(50), k, left_out)
        expected, numbers = plain(users, items, k, left_out)
        assert torch.allclose(values, expected, rtol=1e-12)
        there = expected > -torch.inf  # where nothing is left the item means nothing
        assert torch.equal(found[there], numbers[there])
        if k <= 7 and skew:
            assert search.products < 0.8 * 50 * 299


def test_a_user_who_is_done_early_does_not_end_the_others():
    """The first user's best items are the longest; the second's is the shortest, the others point away."""
    items = torch.zeros(101, 2, dtype=torch.float64)
    items[1:100, 0] = torch.linspace(9, 5, 99)
    items[100, 1] = 0.1
    users = torch.tensor([[1.0, 0.0], [-1.0, 1.0]], dtype=torch.float64)
    values, found = VectorSearch(items, tile=10).best(users, torch.tensor([1, 2]), 1, None)
    assert found.ravel().tolist() == [1, 100]
    assert values.ravel().tolist() == pytest.approx([9, 0.1])
