"""Exact lists: one order of equal scores for every k, batch and block; search and near vectors as ranking."""

import numpy as np
import pytest
import torch

from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation import ranking
from recbole_diffusion.evaluation.near_vectors import best_in_order, for_lists
from recbole_diffusion.evaluation.ranking import best_items, rank_batch, tie_keys
from recbole_diffusion.evaluation.search import VectorSearch
from recbole_diffusion.model.base import InnerProducts

MASKED = -torch.inf


def best_by_vectors(search, vectors, users, k, cells):
    """Return the ``k`` largest scores of users and their items, as evaluation finds them by vectors."""
    return best_in_order(search, vectors, users, *for_lists(vectors, users), k, cells)


def tied_scores(rows=40, n_items=90, levels=6, seed=0):
    """Return scores with few different values, a fifth masked; of the first user, all."""
    draw = torch.Generator().manual_seed(seed)
    scores = torch.randint(levels, (rows, n_items), generator=draw).float()
    scores[torch.rand(rows, n_items, generator=draw) < 0.2] = MASKED
    scores[:, 0], scores[0] = MASKED, MASKED
    return scores


def plain_lists(scores, users, k):
    """Return the items of each row, sorted one by one: by score, then by key; masked ones are left out."""
    lists = []
    for row, user in zip(scores.tolist(), users.tolist(), strict=True):
        keys = tie_keys(torch.tensor(user), torch.arange(len(row))).tolist()
        order = sorted(range(len(row)), key=lambda item: (-row[item], keys[item]))
        lists.append([item for item in order if row[item] != MASKED][:k])
    return lists


def found_lists(values, items):
    return [
        [item for item, value in zip(*row, strict=True) if value != MASKED]
        for row in zip(items.tolist(), values.tolist(), strict=True)
    ]


@pytest.mark.parametrize("k", [1, 2, 10, 27, 64, 89, 90])
@pytest.mark.parametrize("levels", [1, 2, 6, 1000])
def test_lists_are_those_of_a_plain_sort(k, levels, torch_device):
    scores, users = tied_scores(levels=levels), torch.arange(100, 140)
    values, items = best_items(scores.to(torch_device), users.to(torch_device), k)
    assert found_lists(values, items) == plain_lists(scores, users, k)
    assert torch.equal(values.cpu(), scores.topk(k).values)


def test_a_list_is_the_beginning_of_each_longer_one():
    scores, users = tied_scores(levels=3), torch.arange(40)
    longest = found_lists(*best_items(scores, users, 89))
    for k in (1, 5, 26, 27, 50):
        assert found_lists(*best_items(scores, users, k)) == [row[:k] for row in longest]


def test_neither_batch_nor_block_nor_order_of_columns_matters(monkeypatch):
    scores, users = tied_scores(levels=3), torch.arange(40)
    whole = found_lists(*best_items(scores, users, 10))
    rows = torch.tensor([17, 3, 39])
    assert found_lists(*best_items(scores[rows], users[rows], 10)) == [whole[row] for row in rows.tolist()]
    order = torch.randperm(90, generator=torch.Generator().manual_seed(1))
    assert found_lists(*best_items(scores[:, order], users, 10, order)) == whole
    assert found_lists(*best_items(scores[:, order], users, 10, order.expand(40, -1))) == whole
    monkeypatch.setattr(ranking, "CELLS", 200)  # two rows at once
    assert found_lists(*best_items(scores, users, 10)) == whole


def test_two_items_of_a_user_never_have_one_key():
    keys = tie_keys(torch.tensor([[1], [2], [2**31 - 2]]), torch.arange(200_000))
    assert keys.min() >= 0 and keys.max() < 2**32
    assert all(len(row.unique()) == 200_000 for row in keys)


def test_a_constant_model_finds_as_much_as_chance_whatever_is_popular():
    """Held-out items are the first, as where ids follow popularity: 3,000 users, 10 of 100 items."""
    users, n_items, k = torch.arange(1, 3001), 101, 10
    scores = torch.zeros(3000, n_items)
    scores[:, 0] = MASKED
    for held_out in (1, 2, 50, 100):
        ranked = rank_batch(scores, users, torch.arange(3000), torch.full((3000,), held_out), k)
        chance = k / 100
        assert ranked.hits.any(1).double().mean() == pytest.approx(
            chance, abs=4 * np.sqrt(chance * (1 - chance) / 3000)
        )
    counts = torch.bincount(ranked.items.ravel(), minlength=n_items)[1:].double()
    chi_square = ((counts - 300) ** 2 / 300).sum()  # 99 degrees of freedom: 148 is exceeded once in 1,000
    assert chi_square < 148
    both = torch.stack([ranked.items[:-1], ranked.items[1:]])  # of users with consecutive ids
    shared = torch.tensor([len(np.intersect1d(*pair)) for pair in both.transpose(0, 1).numpy()]).double()
    assert shared.mean() == pytest.approx(k * k / 100, abs=0.1)


def test_search_by_vectors_orders_equal_scores_alike():
    draw = torch.Generator().manual_seed(4)
    items = torch.randint(-2, 3, (301, 3), generator=draw).double()  # products are whole numbers
    vectors, users = torch.randint(-2, 3, (50, 3), generator=draw).double(), torch.arange(5, 55)
    scores = vectors @ items.T
    scores[:, 0] = MASKED
    cells = torch.randint(0, 50, (400,), generator=draw), torch.randint(1, 301, (400,), generator=draw)
    scores[cells] = MASKED
    for k in (1, 10, 64, 300):
        found = VectorSearch(items, tile=32).best(vectors, users, k, cells)
        assert found_lists(*found) == plain_lists(scores, users, k)


def test_equal_is_said_only_of_users_who_have_a_choice():
    def equal(*rows, k=2):
        scores = torch.tensor([[MASKED, *row] for row in rows])
        none = torch.zeros(0, dtype=torch.long)
        return rank_batch(scores, torch.arange(len(rows)), none, none, k).equal

    assert equal([3.0, 3.0, 3.0], [1.0, 1.0, MASKED]) is True
    assert equal([3.0, 3.0, 3.0], [1.0, 1.0, MASKED], k=1) is True
    assert equal([3.0, 3.0, 2.0]) is False  # the list alone does not show it
    assert equal([3.0, 3.0, 3.0], [1.0, 2.0, 1.0]) is False
    assert equal([3.0, 3.0, 3.0], [MASKED, 2.0, MASKED]) is True
    assert equal([MASKED, 2.0, MASKED], [MASKED, MASKED, MASKED]) is None


def test_more_places_than_items_are_refused():
    with pytest.raises(UsageError, match="topk asks for 9 items, but the data set has 2"):
        none = torch.zeros(0, dtype=torch.long)
        rank_batch(torch.zeros(1, 3), torch.zeros(1), none, none, 9)


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
