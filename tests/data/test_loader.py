"""PositiveLoader: everything once an epoch, never the padding, ordered by its generator alone."""

import random
from collections import Counter

import numpy as np
import pytest
import torch

from recbole_diffusion.config import Config
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.loader import PositiveLoader


@pytest.fixture
def make(checkerboard):
    """Return a function that builds a loader of the checkerboard's training part."""
    train, *_ = InteractionDataset(Config("TVDiff", overrides=checkerboard.overrides)).build()

    def loader(shuffle: bool = True, **options) -> PositiveLoader:
        options = {"seed": 1, "train_batch_size": 64, "batch_by": "interaction", **options}
        config = Config("TVDiff", overrides={**checkerboard.overrides, **options})
        return PositiveLoader(config, train, shuffle=shuffle)

    return loader


def epoch(loader: PositiveLoader) -> list[tuple]:
    """Return the rows of one epoch."""
    return [
        row
        for batch in loader
        for row in zip(*(column.tolist() for column in batch.interaction.values()), strict=True)
    ]


@pytest.mark.parametrize("size", [1, 64, 999, 1000, 1001])
def test_every_interaction_once_an_epoch(make, size):
    loader = make(train_batch_size=size)
    dataset = loader.dataset
    wanted = Counter(
        zip(dataset.inter_feat["user_id"].tolist(), dataset.inter_feat["item_id"].tolist(), strict=True)
    )
    assert len(wanted) == 1000
    batches = list(loader)
    assert len(batches) == len(loader) == -(-1000 // size)
    assert all(len(batch) == size for batch in batches[:-1])
    for _ in range(2):
        assert Counter(epoch(loader)) == wanted


def test_every_user_once_an_epoch(make):
    loader = make(batch_by="user", train_batch_size=16)
    assert len(loader) == 4
    assert sorted(user for (user,) in epoch(loader)) == list(range(1, 51))
    assert all(list(batch.interaction) == ["user_id"] for batch in loader)


@pytest.mark.parametrize("batch_by", ["interaction", "user"])
def test_the_padding_is_never_in_a_batch(make, batch_by):
    assert all(0 not in row for row in epoch(make(batch_by=batch_by)))


def test_users_without_training_interactions_are_left_out(write_parts):
    data = write_parts(train=[("a", "1"), ("b", "2")], valid=[("c", "1")], test=[("d", "2")])
    config = Config(
        "TVDiff", overrides={**data.overrides, "topk": [1], "valid_metric": "MRR@1", "batch_by": "user"}
    )
    train, *_ = InteractionDataset(config).build()
    assert sorted(epoch(PositiveLoader(config, train))) == [(1,), (2,)]


def test_the_order_depends_on_the_generator_only(make):
    first = make()
    orders = [epoch(first), epoch(first)]
    assert orders[0] != orders[1]  # another order each epoch
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    random.seed(99)
    second = make()
    assert [epoch(second), epoch(second)] == orders
    assert epoch(make(seed=2)) != orders[0]


def test_a_restored_generator_continues(make):
    first, second = make(), make()
    epoch(first)
    second.generator.set_state(first.generator.get_state())
    assert epoch(second) == epoch(first)


def test_drawing_an_epoch_leaves_the_global_streams_alone(make):
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    epoch(make())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002


def test_without_shuffling_the_order_is_the_files(make):
    loader = make(shuffle=False)
    rows = loader.dataset.inter_feat
    assert (
        epoch(loader)
        == epoch(loader)
        == list(zip(rows["user_id"].tolist(), rows["item_id"].tolist(), strict=True))
    )
