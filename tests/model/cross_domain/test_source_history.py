"""Histories of the source domain: who liked what, softmax within rows, means over neighbours."""

import torch

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.cross_domain import source_history as history
from recbole_diffusion.model.cross_domain.matrix_factorization import MatrixShape
from recbole_diffusion.model.cross_domain.source_history import history_of, means_over_pairs, softmax_by_row

RATINGS = Ratings(
    torch.tensor([3, 1, 3, 1, 3]), torch.tensor([2, 4, 1, 3, 4]), torch.tensor([5.0, 3.0, 4.0, 4.0, 2.0])
)


def test_the_history_is_ascending_and_has_liked_items_alone_if_asked():
    users = torch.arange(4)
    everything, liked = (history_of(RATINGS, MatrixShape(4, 6), floor) for floor in (None, 4.0))
    assert everything.gather(users)[0].tolist() == [3, 4, 1, 2, 4]
    assert everything.gather(users)[2].tolist() == [1, 1, 3, 3, 3]
    assert liked.gather(users)[0].tolist() == [3, 1, 2]
    assert liked.counts(users).tolist() == [0, 1, 0, 2]


def test_softmax_is_within_each_row_however_large_the_scores():
    scores = torch.tensor([1000.0, 1001.0, -1000.0, 2.0, 2.0])
    shares = softmax_by_row(scores, torch.tensor([0, 0, 2, 3, 3]), 4)
    expected = [*torch.softmax(scores[:2], 0).tolist(), 1.0, 0.5, 0.5]
    assert torch.allclose(shares, torch.tensor(expected), atol=1e-6)


def test_means_over_pairs_equal_a_plain_loop(monkeypatch):
    monkeypatch.setattr(history, "BLOCK", 4)
    generator = torch.Generator().manual_seed(1)
    own, others = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (4, 5))
    rows, columns = torch.tensor([0, 0, 2, 2, 2, 3]), torch.tensor([1, 4, 0, 1, 3, 2])
    found = means_over_pairs(own, others, rows, columns)
    for k in range(4):
        near = [others[c] for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if r == k]
        expected = (own[k] + sum(near) / len(near)) / 2 if near else own[k]
        assert torch.allclose(found[k], expected, atol=1e-12)
