"""Lists by vectors that are a little off: what the error could change is made again."""

import pytest
import torch

from recbole_diffusion.evaluation.near_vectors import best_by_vectors
from recbole_diffusion.evaluation.search import VectorSearch
from recbole_diffusion.model.base import InnerProducts


def products(near, doubt, exact, items):
    """Return vectors of which the exact ones are counted, and the list of who asked for them."""
    asked = []

    def exactly(users):
        asked.extend(users.tolist())
        return exact[users]

    return InnerProducts(exactly, items, lambda users: (near[users], doubt[users])), asked


def test_lists_in_doubt_are_made_again_and_others_stand():
    """Two items of one length: apart for user 0, and for user 1 so near that near vectors turn them round."""
    items = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.1, 0.1]])
    exact = torch.tensor([[3.0, 1.0], [2.0, 1.999]])
    near = torch.tensor([[3.0, 1.001], [1.999, 2.0]])
    vectors, asked = products(near, torch.full((2,), 1e-3), exact, items)
    values, found = best_by_vectors(VectorSearch(items), vectors, torch.arange(2), 2, None)
    assert found.tolist() == [[1, 2], [1, 2]]
    assert asked == [1]
    assert torch.equal(values[1], torch.tensor([2.0, 1.999]))  # exact where made again
    assert torch.equal(values[0], torch.tensor([3.0, 1.001]))


def test_the_place_behind_the_list_counts_and_left_out_items_do_not():
    items = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.1, 0.1]])
    exact, near = torch.tensor([[2.0, 1.999]] * 2), torch.tensor([[1.999, 2.0]] * 2)
    cells = torch.tensor([1]), torch.tensor([2])  # user 1 has no item near the best one
    vectors, asked = products(near, torch.full((2,), 1e-3), exact, items)
    found = best_by_vectors(VectorSearch(items), vectors, torch.arange(2), 1, cells)[1]
    assert found.tolist() == [[1], [1]]
    assert asked == [0]
    vectors, asked = products(near, torch.full((2,), 1e-3), exact, items)
    every = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([1, 2, 3, 1, 2, 3])
    values, _ = best_by_vectors(VectorSearch(items), vectors, torch.arange(2), 2, every)
    assert (values == -torch.inf).all()
    assert asked == []


@pytest.mark.parametrize("searched", [6, 512])
def test_left_out_cells_follow_the_users_who_are_made_again(searched, monkeypatch):
    monkeypatch.setattr("recbole_diffusion.evaluation.near_vectors.SEARCHED", searched)
    draw = torch.Generator().manual_seed(1)
    items, exact = torch.randn(60, 5, generator=draw), torch.randn(20, 5, generator=draw)
    cells = torch.randint(0, 20, (200,), generator=draw), torch.randint(1, 60, (200,), generator=draw)
    doubt = torch.zeros(20)
    doubt[::3] = 10.0  # all in doubt
    vectors, asked = products(exact.clone(), doubt, exact, items)
    values, found = best_by_vectors(VectorSearch(items, tile=16), vectors, torch.arange(20), 7, cells)
    scores = exact @ items.T
    scores[:, 0] = scores[cells] = -torch.inf
    assert torch.equal(found, scores.topk(7).indices)
    assert torch.allclose(values, scores.topk(7).values)
    assert asked == list(range(0, 20, 3))


def test_a_long_item_far_behind_puts_a_list_in_doubt():
    """The item at place k + 2 is ten times as long: within the doubt it passes both before it."""
    items = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [0.99, 0, 0], [0.9895, 10, 0]])
    near, exact = torch.tensor([[1.0, 0, 0]]), torch.tensor([[1.0, 0.00107, 0]])
    vectors, asked = products(near, torch.tensor([0.00107]), exact, items)
    _, found = best_by_vectors(VectorSearch(items), vectors, torch.arange(1), 1, None)
    assert found.tolist() == [[3]] and asked == [0]


def test_a_long_item_inside_a_list_may_pass_the_place_before_its_neighbour():
    items = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [0.99, 0, 0], [0.9895, 10, 0], [0.1, 0, 0], [0.0, 0, 1]])
    near, exact = torch.tensor([[1.0, 0, 0]]), torch.tensor([[1.0, 0.00107, 0]])
    vectors, _ = products(near, torch.tensor([0.00107]), exact, items)
    _, found = best_by_vectors(VectorSearch(items), vectors, torch.arange(1), 3, None)
    assert found.tolist() == [[3, 1, 2]]


def test_exact_vectors_are_asked_once():
    items, exact = torch.randn(30, 4), torch.randn(6, 4)
    asked = []
    vectors = InnerProducts(lambda users: (asked.append(len(users)), exact[users])[1], items)
    found = best_by_vectors(VectorSearch(items), vectors, torch.arange(6), 3, None)[1]
    assert torch.equal(found, (exact @ items[1:].T).topk(3).indices + 1)
    assert asked == [6]
