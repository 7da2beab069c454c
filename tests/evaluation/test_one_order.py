"""Lists that are all parts of one order of the items."""

import logging

import numpy as np
import pytest
from recbole.model.general_recommender import BPR

from recbole_diffusion import run
from recbole_diffusion.evaluation.one_order import in_one_order


def lists(orders, seen, k=10):
    """Return the first k items of each order without the seen ones, 0 where none is left."""
    found = np.zeros((len(orders), k), np.int32)
    for row, (order, items) in enumerate(zip(orders, seen, strict=True)):
        left = [item for item in order if item not in items][:k]
        found[row, : len(left)] = left
    return found


def one_order(orders, seen, k=10):
    """Return what is said of the lists that these orders leave without the seen items."""
    return in_one_order(lists(orders, seen, k), lambda row: np.array(sorted(seen[row])))


@pytest.fixture
def users():
    """Return 60 users' seen items among 80, and a generator."""
    draw = np.random.default_rng(4)
    return [set(draw.choice(np.arange(1, 81), 25, replace=False)) for _ in range(60)], draw


def test_one_order_without_seen_items_is_one_order(users):
    seen, draw = users
    order = draw.permutation(np.arange(1, 81))
    found = lists([order] * 60, seen)
    assert len(np.unique(found[:, 0])) > 3  # the lists themselves differ
    assert one_order([order] * 60, seen)
    assert one_order([order] * 60, [one | set(range(1, 65)) for one in seen])  # shorter than the places


def test_orders_of_their_own_are_not_one(users):
    seen, draw = users
    assert not one_order([draw.permutation(np.arange(1, 81)) for _ in range(60)], seen)
    # A common order and a little of each user's own.
    common = np.arange(80)
    mixed = [np.argsort(common + draw.normal(0, 6, 80)) + 1 for _ in range(60)]
    assert not one_order(mixed, seen)


def test_two_tastes_are_not_one_order(users):
    seen, draw = users
    one, other = (draw.permutation(np.arange(1, 81)) for _ in range(2))
    assert not one_order([one, other] * 30, seen)
    apart = [np.arange(1, 41), np.arange(41, 81)] * 30  # with no item in both
    assert not one_order(apart, seen)


def test_items_that_a_list_lacks_without_having_been_seen_are_not_one_order(users):
    seen, draw = users
    order = draw.permutation(np.arange(1, 81))
    found = lists([order] * 60, seen)
    assert not in_one_order(found, lambda row: np.zeros(0, int))


def test_too_few_lists_or_places_say_nothing(users):
    seen, draw = users
    order = draw.permutation(np.arange(1, 81))
    assert not one_order([order] * 15, seen[:15])
    assert not one_order([order] * 60, seen, k=2)
    apart = np.arange(1, 601).reshape(60, 10)  # nothing is listed twice
    assert not in_one_order(apart, lambda row: np.zeros(0, int))


class Alike(BPR):
    """BPR whose users have one vector."""

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.user_embedding.weight.data[:] = self.user_embedding.weight.data[1]


@pytest.mark.parametrize(("model", "told"), [(Alike, True), ("BPR", False), ("Pop", False)])
def test_a_model_that_ranks_for_all_alike_is_told(checkerboard, caplog, model, told):
    options = {**checkerboard.overrides, "epochs": 0, "topk": [5], "valid_metric": "Recall@5"}
    if model is Alike:
        options["embedding_size"] = 8
    with caplog.at_level(logging.WARNING):
        run(model, options.pop("dataset", "checkerboard"), overrides=options)
    assert ("are parts of one order of the items: Alike ranks for all alike" in caplog.text) == told
    assert ("one order" in caplog.text) == told
