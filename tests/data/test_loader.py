"""Loaders: blocks of users, rows of positives, and RecBole's batches by tensors."""

import random
from collections import Counter

import numpy as np
import pytest
import torch
from recbole.data.utils import create_samplers as samplers_of_recbole

from recbole_diffusion.compat import TrainDataLoader, init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.loader import PositiveLoader
from recbole_diffusion.data.preparation import create_dataset, parts_of, prepare_data
from recbole_diffusion.data.train_loader import TensorTrainLoader


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


@pytest.fixture(scope="module")
def featured(tmp_path_factory):
    """The options of a data set of 40 users and 30 items with features of both, ratings and times."""
    draw, folder = random.Random(3), tmp_path_factory.mktemp("featured")
    (folder / "small").mkdir()
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(40):
        items = draw.sample(range(30), draw.randint(5, 15))
        rows += [f"u{user}\ti{item}\t{draw.randint(1, 5)}\t{k}" for k, item in enumerate(items)]
    (folder / "small/small.inter").write_text("\n".join(rows) + "\n")
    users = [f"u{user}\t{user % 7}\t{draw.random()}" for user in range(40)]
    (folder / "small/small.user").write_text("user_id:token\tjob:token\tage:float\n" + "\n".join(users))
    items = [f"i{item}\ta{item % 3} b{item % 5}" for item in range(30)]
    (folder / "small/small.item").write_text("item_id:token\tkinds:token_seq\n" + "\n".join(items))
    load_col = {"inter": ["user_id", "item_id", "rating"], "user": ["user_id", "job", "age"]}
    load_col["item"] = ["item_id", "kinds"]
    return {"dataset": "small", "data_path": str(folder), "use_gpu": False, "topk": [5], "load_col": load_col}


def config_of(model, data, **options):
    return Config(model, overrides={**data, "train_batch_size": 64, "seed": 7, **options})


def both(model, data, **options):
    """Return our loader, and RecBole's with RecBole's own sampler over the same rows."""
    config = config_of(model, data, **options)
    init_seed(7, True)
    ours, *_ = prepare_data(config, create_dataset(config))
    assert type(ours) is TensorTrainLoader
    init_seed(7, True)
    dataset = create_dataset(config)
    parts = list(parts_of(config, dataset).values())
    sampler, *_ = samplers_of_recbole(config, dataset, parts)
    return ours, TrainDataLoader(config, parts[0], sampler, shuffle=config["shuffle"])


def epochs(loader, number=2):
    """Return the batches of some epochs, and the next numbers of the generators that a run stores."""
    init_seed(5, True)
    batches = [dict(batch.interaction) for _ in range(number) for batch in loader]
    return batches, loader.generator.get_state(), np.random.randint(0, 2**31, 4).tolist()  # noqa: NPY002


UNIFORM = {"distribution": "uniform", "sample_num": 1}
PLAIN = {"load_col": {"inter": ["user_id", "item_id"]}}
CASES = {
    "pairs": ("BPR", PLAIN),
    "several negatives": ("BPR", {"train_neg_sample_args": {**UNIFORM, "sample_num": 3}}),
    "popular negatives": (
        "BPR",
        {"train_neg_sample_args": {"distribution": "popularity", "alpha": 0.5, "sample_num": 2}},
    ),
    "repeatable": ("BPR", {"repeatable": True}),
    "in order of the file": ("BPR", {"shuffle": False}),
    "labels": ("NeuMF", {"train_neg_sample_args": {**UNIFORM, "sample_num": 4}}),
    "one batch": ("NeuMF", {"train_batch_size": 10_000}),
    "batches that divide the rows": ("BPR", {"train_batch_size": 1}),
    "features": ("FM", {"train_neg_sample_args": UNIFORM, "eval_args": {"mode": "full"}}),
    "loaded labels": (
        "DeepFM",
        {
            "load_col": {"inter": ["user_id", "item_id", "rating"], "user": ["user_id", "age"]},
            "threshold": {"rating": 3},
            "train_neg_sample_args": None,
            "eval_args": {"mode": "labeled"},
        },
    ),
    "sequences": (
        "SASRec",
        {
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "loss_type": "BPR",
            "train_neg_sample_args": UNIFORM,
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_batch_is_that_of_recboles_loader_and_the_generators_end_alike(featured, case):
    model, options = CASES[case]
    ours, theirs = both(model, featured, **options)
    assert len(ours) == len(theirs)
    (found, *after), (wanted, *after_theirs) = epochs(ours), epochs(theirs)
    assert len(found) == len(wanted) == 2 * len(ours)
    for batch, other in zip(found, wanted, strict=True):
        assert list(batch) == list(other)
        for name, column in batch.items():
            assert column.dtype == other[name].dtype
            assert torch.equal(column, other[name]), name
    assert torch.equal(after[0], after_theirs[0])
    assert after[1] == after_theirs[1]


def test_the_hardest_of_several_candidates_is_that_of_recboles_loader(featured):
    dynamic = {**UNIFORM, "dynamic": True, "candidate_num": 4}
    pair = both("BPR", featured, train_neg_sample_args=dynamic)
    model = pair[0].config.model_class(pair[0].config, pair[0]._dataset)
    for loader in pair:
        loader.get_model(model)
    (found, *_), (wanted, *_) = map(epochs, pair)
    for batch, other in zip(found, wanted, strict=True):
        assert torch.equal(batch["neg_item_id"], other["neg_item_id"])


@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
def test_every_positive_is_there_once_an_epoch_with_items_that_its_user_does_not_have(
    checkerboard, distribution
):
    negatives = {"distribution": distribution, "sample_num": 2}
    config = config_of("BPR", checkerboard.overrides, train_neg_sample_args=negatives)
    loader, *_ = prepare_data(config, create_dataset(config))
    rows = loader._dataset.inter_feat
    positives = Counter(zip(rows["user_id"].tolist(), rows["item_id"].tolist(), strict=True))
    assert len(positives) == 1000
    seen = Counter()
    for batch in loader:
        users, items = batch["user_id"].tolist(), batch["item_id"].tolist()
        pairs = list(zip(users, items, strict=True))
        half = len(pairs) // 2
        assert pairs[:half] == pairs[half:]  # each positive with both of its negatives
        seen.update(pairs[:half])
        assert not positives.keys() & set(zip(users, batch["neg_item_id"].tolist(), strict=True))
        assert min(batch["neg_item_id"]) > 0
    assert seen == positives


def test_a_negative_is_each_item_that_its_user_does_not_have_equally_often(checkerboard):
    config = config_of("BPR", checkerboard.overrides, train_batch_size=1000)
    loader, *_ = prepare_data(config, create_dataset(config))
    rows = loader._dataset.inter_feat
    own = set(rows["item_id"][rows["user_id"] == 3].tolist())
    init_seed(0, True)
    counts = Counter()
    for _ in range(150):
        for batch in loader:
            counts.update(batch["neg_item_id"][batch["user_id"] == 3].tolist())
    assert set(counts) == set(range(1, 51)) - own
    expected = sum(counts.values()) / 30  # 3,000 draws of 30 items
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 58.3  # 29 degrees of freedom: exceeded with probability 0.001


def test_a_restored_generator_goes_on(checkerboard):
    config = config_of("BPR", checkerboard.overrides)
    loader, *_ = prepare_data(config, create_dataset(config))
    epochs(loader, 1)
    state = loader.generator.get_state()
    wanted, *_ = epochs(loader, 1)
    again, *_ = prepare_data(config, create_dataset(config))
    again.generator.set_state(state)
    found, *_ = epochs(again, 1)
    for batch, other in zip(found, wanted, strict=True):
        assert all(torch.equal(batch[name], other[name]) for name in other)


def test_worker_processes_are_recboles(checkerboard):
    config = config_of("BPR", checkerboard.overrides, worker=1)
    loader, *_ = prepare_data(config, create_dataset(config))
    assert type(loader) is TrainDataLoader
