"""Samplers on sorted arrays: the draws of RecBole's own, from the same generator."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from recbole.data.utils import create_samplers as samplers_of_recbole
from recbole.sampler import RepeatableSampler, Sampler

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, parts_of, prepare_data
from recbole_diffusion.data.sampling import (
    Negatives,
    PairTable,
    RepeatableNegatives,
    UsedItems,
    create_samplers,
)
from recbole_diffusion.errors import UsageError


@pytest.fixture
def split(checkerboard):
    """Return a function that gives configuration, data set and parts."""

    def made(**options):
        config = Config("BPR", overrides={**checkerboard.overrides, **options})
        dataset = create_dataset(config)
        return config, dataset, list(parts_of(config, dataset).values())

    return made


def draws(sampler, users, items, number):
    np.random.seed(3)  # noqa: NPY002
    return sampler.sample_by_user_ids(users, items, number).tolist()


@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
@pytest.mark.parametrize("repeatable", [False, True])
def test_every_phase_draws_what_recboles_sampler_draws(split, distribution, repeatable):
    negatives = {"distribution": distribution, "alpha": 0.5, "sample_num": 1}
    config, dataset, parts = split(repeatable=repeatable, train_neg_sample_args=negatives)
    theirs, ours = samplers_of_recbole(config, dataset, parts), create_samplers(config, dataset, parts)
    kinds = (RepeatableSampler, RepeatableNegatives) if repeatable else (Sampler, Negatives)
    users = np.tile(np.arange(1, 51), 3)
    items = np.resize(np.arange(1, 51), 150)
    for their, our in zip(theirs, ours, strict=True):
        assert (type(their), type(our)) == kinds
        assert (our.phase, our.distribution, our.alpha) == (their.phase, their.distribution, their.alpha)
        for number in (1, 3):
            assert draws(our, users, items, number) == draws(their, users, items, number)
        assert draws(our, [7], [2], 40) == draws(their, [7], [2], 40)
        assert draws(our, [7] * 9, [2] * 9, 40) == draws(their, [7] * 9, [2] * 9, 40)


@pytest.mark.parametrize(
    ("model", "options", "told"),
    [
        ("BPR", {}, "more often; negative_sampler: popularity counts train alone"),
        ("NeuMF", {}, "items of valid and test more often$"),
        ("BPR", {"negative_sampler": "dns"}, None),
        ("BPR", {"train_neg_sample_args": {"distribution": "uniform"}}, None),
        ("EASE", {}, None),
        ("TVDiff", {}, None),
    ],
)
def test_popularity_negatives_are_told_once_where_recboles_loader_draws_them(
    checkerboard, model, options, told
):
    """Whose counts they are; not where nothing or something else is drawn, nor when the data is read anew."""
    asked = {"train_neg_sample_args": {"distribution": "popularity", "sample_num": 1}}
    config = Config(model, overrides={**checkerboard.overrides, **asked, **options})
    found = [note for note in config.notes if "counts, which are those of all parts" in note]
    assert len(found) == (told is not None)
    assert not found or re.search(told, found[0])


def test_a_phase_without_negatives_has_no_sampler(split):
    none = {"distribution": "none", "sample_num": "none", "alpha": 1.0}
    config, dataset, parts = split()
    for phase in ("valid", "train"):  # first valid alone, then both
        config[f"{phase}_neg_sample_args"] = none
        theirs, ours = samplers_of_recbole(config, dataset, parts), create_samplers(config, dataset, parts)
        assert [one is None for one in ours] == [one is None for one in theirs]


def test_used_items_are_those_of_the_phases_so_far(split):
    config, dataset, parts = split()
    wanted: set[int] = set()
    for sampler, part in zip(create_samplers(config, dataset, parts), parts, strict=True):
        wanted |= set(part.inter_feat["item_id"][part.inter_feat["user_id"] == 9].tolist())
        assert sampler.used_ids[9] == wanted
        assert [len(one) for one in sampler.used_ids[np.array([9, 0])]] == [len(wanted), 0]
        found = sampler.used_ids.have(np.full(51, 9), np.arange(51))
        assert set(np.flatnonzero(found).tolist()) == wanted
    assert len(wanted) == 25


@pytest.mark.parametrize(("n_items", "exact"), [(40, True), (100_003, False)])
def test_a_table_of_bits_never_misses_a_pair_and_a_search_settles_the_rest(n_items, exact):
    random, n_users = np.random.default_rng(0), 300
    pairs = random.integers(0, [n_users, n_items], (5000, 2))
    used = UsedItems([SimpleNamespace(user_num=n_users, item_num=n_items)])
    used._keys = np.unique(pairs[:, 0] * n_items + pairs[:, 1])
    table = PairTable(used.keys, n_users * n_items)
    assert table.exact is exact
    assert table.may_have(used.keys).all()
    users, items = random.integers(0, [n_users, n_items], (20_000, 2)).T
    wanted = np.isin(users * n_items + items, used.keys)
    assert (used.have(users, items) == wanted).all()
    assert used.have(*pairs.T).all()
    mistaken = table.may_have(users * n_items + items)[~wanted].mean()
    assert mistaken < (1e-9 if exact else 0.1)
    assert len(table.table) <= 4 * len(used.keys) + 1  # bytes


def test_without_pairs_nothing_is_used():
    used = UsedItems([SimpleNamespace(user_num=3, item_num=5)])
    used._keys = np.zeros(0, np.int64)
    assert not used.have(np.array([0, 2]), np.array([1, 4])).any()


def test_nothing_is_sorted_before_the_first_negative(split):
    config, dataset, parts = split()
    samplers = create_samplers(config, dataset, parts)
    used = [sampler.used_ids for sampler in samplers]
    assert [one._keys for one in used] == [None, None, None]
    samplers[0].sample_by_user_ids([1], [1], 1)
    assert [one._keys is None for one in used] == [False, True, True]


def test_unknown_users_and_users_with_all_items_are_refused(split, write_parts):
    *_, parts = split()
    with pytest.raises(ValueError, match=r"user_id .51. not exist"):
        Negatives(["train"], [parts[0]]).set_phase("train").sample_by_user_ids([51], [1], 1)
    everything = [("u1", f"i{item}") for item in range(30)]
    others = [("u2", f"i{item}") for item in range(5)]
    data = write_parts(train=[*everything[:28], *others[:3]], valid=everything[28:29], test=everything[29:])
    config = Config("BPR", overrides={**data.overrides, "topk": [5]})
    told = r"1 user has interacted with all items \(30\), such as 'u1', .*; remove their rows from the files"
    with pytest.raises(UsageError, match=told):
        prepare_data(config, create_dataset(config))
    for draws_none in ("EASE", "MultiVAE", "DiffRec"):
        config = Config(draws_none, overrides={**data.overrides, "topk": [5]})
        prepare_data(config, create_dataset(config))
    config = Config("EASE", overrides={**data.overrides, "topk": [5], "eval_args": {"mode": "uni5"}})
    with pytest.raises(UsageError, match="interacted with all items"):
        prepare_data(config, create_dataset(config))
    others += [("u3", f"i{item}") for item in range(5, 20)]
    rows = ["user_id:token\titem_id:token", *("\t".join(pair) for pair in [*everything, *others])]
    (data.folder / "toy.inter").write_text("\n".join(rows) + "\n")
    of_one_file = {**data.overrides, "topk": [5], "benchmark_filename": None}
    config = Config("BPR", overrides=of_one_file)
    with pytest.raises(UsageError, match=r"; leave them out with user_inter_num_interval, such as .\[1,30\)"):
        prepare_data(config, create_dataset(config))
    config = Config("BPR", overrides={**of_one_file, "user_inter_num_interval": "[1,30)"})
    prepare_data(config, create_dataset(config))
