"""The split under distribution shift on arrays: quotas, order in time, who is in train, refusals."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_diffusion.data.split import PARTS, popularity_quotas, rows_to_keep, split_rows, summarize
from recbole_diffusion.data.valid_part import latest_valid
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import read_options
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.storage.properties import default_values

N_ITEMS = 150


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def interactions(
    seed: int = 0, n_users: int = 40, n_items: int = N_ITEMS, rows: int = 900
) -> dict[str, np.ndarray]:
    """Distinct pairs of skewed popularity, with distinct times in random order."""
    draw = generator(seed)
    weights = np.tile(np.arange(1.0, n_items + 1) ** -1.5, n_users)
    pairs = draw.choice(n_users * n_items, rows, replace=False, p=weights / weights.sum())
    return {"users": pairs // n_items, "items": pairs % n_items, "time": draw.permutation(rows).astype(float)}


def exposure(seed: int = 0) -> dict[str, np.ndarray]:
    """A big set with a small one behind it: users 0 to 4, each with all of the items 0 to 9."""
    big = interactions(seed)
    users, items = np.repeat(np.arange(5), 10), np.tile(np.arange(10), 5)
    return {
        "users": np.concatenate([big["users"], users]),
        "items": np.concatenate([big["items"], items]),
        "exposed": np.arange(950) >= 900,
    }


def split_of(kind: str, seed: int = 0, **options):
    data = exposure() if kind == "exposure" else interactions()
    if kind == "popularity":
        del data["time"]
    return data, split_rows(kind, data.pop("users"), data.pop("items"), generator(seed), **data, **options)


def test_the_latest_rows_of_a_user_are_valid_but_the_only_ones_of_an_item():
    users = np.array([0, 0, 0, 0, 1, 1, 2, 0])
    items = np.array([0, 1, 2, 3, 1, 3, 4, 0])
    times = np.array([4, 1, 5, 2, 1, 9, 1, 3])
    # User 0 has five rows and gives floor(5 * 0.4) = 2: items 2 and 0 of times 5 and 4; item 2 has no other
    # row. User 1 gives one of two, user 2 none of one.
    expected = [True, False, False, False, False, True, False, False]
    assert latest_valid(users, items, times, 0.4).tolist() == expected


@pytest.mark.parametrize("kind", ["popularity", "temporal", "exposure"])
def test_another_valid_part_leaves_the_test_parts_as_they_are(kind):
    data = exposure() if kind == "exposure" else interactions()
    data["time"] = generator(4).permutation(len(data["users"])).astype(float)
    users, items = data.pop("users"), data.pop("items")
    iid, latest = (
        split_rows(kind, users, items, generator(), **data, valid_part=valid) for valid in ("iid", "latest")
    )
    for before, after in zip(iid.rows[2:], latest.rows[2:], strict=True):
        assert np.array_equal(before, after)
    pools = [np.sort(np.concatenate(one.rows[:2])) for one in (iid, latest)]
    assert np.array_equal(*pools)
    train, valid = latest.rows[:2]
    assert set(items[np.concatenate(latest.rows)]) == set(items[train])
    assert 0.6 * len(iid.rows[1]) < len(valid) < 1.2 * len(iid.rows[1])
    alone = 0  # rows of train after one of valid of their user: those without which train lacks their item
    for user in range(users.max() + 1):
        first = data["time"][valid[users[valid] == user]].min(initial=np.inf)
        late = train[(users[train] == user) & (data["time"][train] > first)]
        assert all((items[train] == items[row]).sum() == 1 for row in late)
        alone += len(late)
    assert alone < len(valid) / 4


# Quotas.


KNOWN = {
    "enough everywhere": ([10, 10, 10, 10], 8, [2, 2, 2, 2]),
    "the rare give what they can": ([100, 50, 3, 2, 1, 0], 13, [5, 5, 2, 1, 0, 0]),
    "nothing asked": ([5, 5], 0, [0, 0]),
    "all that can go": ([4, 2, 1], 4, [3, 1, 0]),
    "one level below all": ([6, 3], 6, [4, 2]),
}


@pytest.mark.parametrize(("counts", "asked", "quotas"), KNOWN.values(), ids=KNOWN)
def test_quotas_of_known_counts(counts, asked, quotas):
    assert popularity_quotas(np.array(counts), asked, generator()).tolist() == quotas


def test_odd_rows_go_to_random_items_that_have_them():
    drawn = {
        tuple(popularity_quotas(np.array([9, 9, 9, 2]), 5, generator(seed)).tolist()) for seed in range(60)
    }
    assert drawn == {(2, 1, 1, 1), (1, 2, 1, 1), (1, 1, 2, 1)}


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_quotas_sum_to_what_is_asked_and_are_as_equal_as_can_be(counts, share, seed):
    counts = np.array(counts)
    most = np.maximum(counts - 1, 0)
    asked = int(share * most.sum())
    quotas = popularity_quotas(counts, asked, generator(seed))
    assert quotas.sum() == asked
    assert (quotas <= most).all()
    # Who gives less than the largest quota by more than one gives all that it can.
    assert (quotas[quotas < quotas.max() - 1] == most[quotas < quotas.max() - 1]).all()


def test_more_than_the_items_can_give_is_refused():
    with pytest.raises(
        UsageError,
        match=r"would take 5 interactions, but .* at most 4 can go there; give a smaller shift_ratio",
    ):
        popularity_quotas(np.array([4, 2, 1]), 5, generator())


# The three shifts.


def test_popularity_is_uniform_over_the_items_that_have_enough_rows():
    items = np.repeat(np.arange(20), 60 - 2 * np.arange(20))  # 60 rows of item 0 down to 22 of item 19
    users = np.arange(len(items)) % 60
    split = split_rows("popularity", users, items, generator(), share=0.2)
    assert split.moved["test_ood"] == 0
    counts = np.bincount(items[split.rows[3]], minlength=20)
    assert counts.sum() == round(0.2 * len(users))
    assert counts.max() - counts.min() <= 1
    rest = np.bincount(items[np.concatenate(split.rows[:3])], minlength=20)
    assert rest[0] > 3 * rest[19]


def test_temporal_takes_the_latest_rows_of_each_user():
    data, split = split_of("temporal")
    data = interactions()
    assert split.moved["test_ood"] > 0  # items that only late rows have: these are the only exceptions
    ood = np.zeros(900, bool)
    ood[split.rows[3]] = True
    missing = 0
    for user in range(40):
        own = np.flatnonzero(data["users"] == user)
        latest = own[np.argsort(data["time"][own])][-max(1, int(0.2 * len(own) + 1e-9)) :]
        assert set(np.flatnonzero(ood & (data["users"] == user))) <= set(latest)
        missing += (~ood[latest]).sum()
    assert missing == split.moved["test_ood"]


def test_equal_times_are_ordered_by_the_file():
    users, items = np.repeat(np.arange(10), 10), np.tile(np.arange(10), 10)
    items = (items + users) % 10  # so that each item is early for most users
    split = split_rows("temporal", users, items, generator(), time=np.zeros(100))
    assert split.moved["test_ood"] == 0
    assert split.rows[3].tolist() == [10 * user + place for user in range(10) for place in (8, 9)]


@pytest.mark.parametrize(("rows", "taken"), [(2, 1), (4, 1), (5, 1), (9, 1), (10, 2), (15, 3)])
def test_how_many_rows_of_a_user_are_the_latest(rows, taken):
    users = np.concatenate([np.zeros(rows, int), np.repeat(np.arange(1, 9), 20)])
    items = np.concatenate([np.arange(rows), np.tile(np.arange(20), 8)])
    split = split_rows("temporal", users, items, generator(), time=generator(1).random(len(users)))
    assert split.moved["test_ood"] == 0
    assert (users[split.rows[3]] == 0).sum() == taken


def test_the_share_of_a_user_is_exact_in_floating_point():
    users, items = np.divmod(np.arange(2000), 100)
    split = split_rows("temporal", users, items, generator(), time=generator(1).random(2000), share=0.29)
    assert split.moved["test_ood"] == 0
    assert (
        np.bincount(users[split.rows[3]]).tolist() == [29] * 20
    )  # 0.29 * 100 is 28.999... in floating point


def test_a_user_with_one_row_gives_none_to_the_future():
    users, items = np.append(np.repeat(np.arange(8), 20), 8), np.append(np.tile(np.arange(20), 8), 0)
    split = split_rows("temporal", users, items, generator(), time=np.arange(161.0))
    assert 160 in split.rows[0]


def test_exposure_takes_the_given_rows_and_their_pairs_leave_the_rest():
    data, split = split_of("exposure")
    data = exposure()
    assert set(split.rows[3]) == set(range(900, 950))
    pairs = data["users"] * N_ITEMS + data["items"]
    overlap = np.isin(pairs[:900], pairs[900:]).sum()
    assert overlap > 0
    assert split.dropped == {"duplicate_pairs": 0, "pairs_of_exposed": overlap, "exposed_unseen": 0}
    assert sum(map(len, split.rows[:3])) == 900 - overlap


def test_exposed_rows_of_unknown_users_and_items_are_dropped_and_counted():
    data = exposure()
    users, items = np.append(data["users"], [777, 0, 777]), np.append(data["items"], [1, 888, 888])
    split = split_rows("exposure", users, items, generator(), exposed=np.append(data["exposed"], [True] * 3))
    assert split.dropped["exposed_unseen"] == 3
    assert split.rows[3].max() == 949


# What holds for each of them.

KINDS = pytest.mark.parametrize("kind", ["popularity", "temporal", "exposure"])


@KINDS
@pytest.mark.parametrize("seed", range(5))
def test_every_user_and_item_of_a_held_out_part_is_in_train(kind, seed):
    _, split = split_of(kind, seed)
    data = exposure() if kind == "exposure" else interactions()
    for codes in (data["users"], data["items"]):
        for rows in split.rows[1:]:
            assert set(codes[rows]) <= set(codes[split.rows[0]])
    assert sum(split.moved.values()) > 0  # there was something to do


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=80), st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_parts_are_disjoint_and_complete_on_any_data(pairs, seed):
    users, items = np.array(pairs).T
    try:
        split = split_rows("popularity", users, items, generator(seed))
    except UsageError as error:
        assert (
            "part is empty" in str(error) or "cannot be split" in str(error) or "can go there" in str(error)
        )
        return
    taken = np.concatenate(split.rows)
    assert len(set(taken)) == len(taken)
    assert {pairs[row] for row in taken} == set(pairs)
    assert len(taken) == len(set(pairs))
    assert split.dropped["duplicate_pairs"] == len(pairs) - len(set(pairs))
    for codes in (users, items):
        assert set(codes[taken]) == set(codes[split.rows[0]])


@KINDS
def test_the_seed_decides_and_nothing_else(kind):
    (_, one), (_, same), (_, other) = split_of(kind, 1), split_of(kind, 1), split_of(kind, 2)
    assert all((a == b).all() for a, b in zip(one.rows, same.rows, strict=True))
    assert set(one.rows[0]) != set(other.rows[0])
    if kind == "popularity":
        assert set(one.rows[3]) != set(other.rows[3])


def test_the_rest_has_the_shares_asked_for():
    users, items = np.divmod(np.arange(2000), 50)
    split = split_rows("popularity", users, items, generator(), share=0.25, rest=[0.5, 0.3, 0.2])
    assert sum(split.moved.values()) == 0
    assert [len(rows) for rows in split.rows] == [750, 450, 300, 500]


def test_only_rows_that_must_go_to_train_go_there():
    # User 40 and item 60 have one row only; every other has plenty.
    users, items = np.divmod(np.arange(2000), 50)
    users, items = np.append(users, [40, 3]), np.append(items, [7, 60])
    for seed in range(20):
        split = split_rows("popularity", users, items, generator(seed))
        assert {2000, 2001} <= set(split.rows[0])
        assert sum(split.moved.values()) <= 2


def test_rows_of_the_shifted_part_stay_if_another_row_can_go_to_train():
    # User 40 is in the big set once and in the exposed set with ten items.
    users, items = np.divmod(np.arange(2000), 50)
    users, items = np.append(users, [40] * 11), np.append(items, [20, *range(10)])
    for seed in range(20):
        split = split_rows("exposure", users, items, generator(seed), exposed=np.arange(2011) > 2000)
        assert 2000 in split.rows[0]
        assert split.rows[3].tolist() == list(range(2001, 2011))


# Duplicates.


def test_of_equal_pairs_the_first_stays_or_the_latest():
    users, items = np.array([0, 0, 1, 0, 1, 2]), np.array([5, 5, 5, 5, 5, 5])
    keep, dropped = rows_to_keep(users, items)
    assert keep.tolist() == [True, False, True, False, False, True]
    assert dropped == {"duplicate_pairs": 3, "pairs_of_exposed": 0, "exposed_unseen": 0}
    latest, _ = rows_to_keep(users, items, time=np.array([1.0, 9.0, 4.0, 9.0, 2.0, 0.0]))
    assert latest.tolist() == [False, False, True, True, False, True]


def test_an_exposed_pair_stays_with_the_exposed_even_if_it_comes_later():
    users, items = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 1, 0, 2, 0, 0])
    keep, dropped = rows_to_keep(users, items, exposed=np.array([False] * 4 + [True] * 2))
    # Pairs (0, 0) and (1, 0) leave the first four rows, and with them item 0: nothing exposed is left that
    # could be learnt.
    assert keep.tolist() == [False, True, False, True, False, False]
    assert dropped == {"duplicate_pairs": 0, "pairs_of_exposed": 2, "exposed_unseen": 2}


@KINDS
def test_no_pair_is_in_two_parts(kind):
    data = exposure() if kind == "exposure" else interactions()
    again = generator().choice(900, 200)
    users, items = (np.append(data[name], data[name][again]) for name in ("users", "items"))
    extra = {"time": np.append(data["time"], data["time"][again] + 0.5)} if kind == "temporal" else {}
    extra |= {"exposed": np.append(data["exposed"], [False] * 200)} if kind == "exposure" else {}
    split = split_rows(kind, users, items, generator(), **extra)
    pairs = np.concatenate([users[rows] * N_ITEMS + items[rows] for rows in split.rows])
    assert len(np.unique(pairs)) == len(pairs)
    assert split.dropped["duplicate_pairs"] + split.dropped["pairs_of_exposed"] >= len(np.unique(again))


# Errors.


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, "0.2", True])
def test_shares_of_the_shifted_part_out_of_range(share):
    with pytest.raises(UsageError, match=r"'shift_ratio' is .*; it takes a number between 0 and 1"):
        split_of("popularity", share=share)


@pytest.mark.parametrize(
    "rest", [[0.7, 0.3], [0.7, 0.1, 0.1], [0.8, 0.0, 0.2], [1.1, -0.3, 0.2], [7, 1, 2], ["a", 0.5, 0.5], []]
)
def test_shares_of_the_rest_out_of_range(rest):
    with pytest.raises(UsageError, match=r"'shift_rest' is .*three shares between 0 and 1 that sum to 1"):
        split_of("popularity", rest=rest)


def test_shares_that_sum_to_one_but_for_rounding_are_fine():
    assert len(split_of("popularity", rest=[0.7, 0.1, 0.2 + 1e-9])[1].rows) == 4


def test_temporal_needs_times():
    data = interactions()
    data["time"][3] = np.nan
    for time in (None, data["time"]):
        with pytest.raises(
            UsageError, match="needs the time of every interaction; name its column with TIME_FIELD"
        ):
            split_rows("temporal", data["users"], data["items"], generator(), time=time)


def test_exposure_needs_exposed_rows():
    data = interactions()
    for exposed in (None, np.zeros(900, bool)):
        with pytest.raises(
            UsageError, match="needs the fully exposed interactions; name their file with shift_test"
        ):
            split_rows("exposure", data["users"], data["items"], generator(), exposed=exposed)


def test_too_few_rows_and_unknown_kinds():
    few = np.array([0, 0, 1, 1, 1])
    with pytest.raises(UsageError, match="3 interactions cannot be split into 4 parts"):
        split_rows("popularity", few, np.array([0, 0, 1, 1, 2]), generator())
    with pytest.raises(UsageError, match="shift 'none' is unknown; it takes popularity, temporal, exposure"):
        split_rows("none", few, few, generator())


def test_an_empty_part_is_named():
    users, items = np.divmod(np.arange(12), 4)
    with pytest.raises(
        UsageError, match="the valid part is empty after a popularity split of 12 interactions, of which"
    ):
        split_rows("popularity", users, items, generator(), rest=[0.78, 0.02, 0.2])


# Summary.


def test_the_summary_counts_what_is_there():
    # Ten users like all ten items, and 100 more users only item 0: it is the first tenth alone.
    users = np.append(np.repeat(np.arange(10), 10), np.arange(10, 110))
    items = np.append(np.tile(np.arange(10), 10), np.zeros(100, int))
    split = split_rows("popularity", users, items, generator(3), share=0.1)
    told = summarize(split, users, items, kind="popularity", seed=3)
    assert told == json.loads(json.dumps(told))
    assert (told["kind"], told["seed"], told["moved_into_train"], told["dropped"]) == (
        "popularity",
        3,
        split.moved,
        split.dropped,
    )
    deciles = told["popularity_deciles"]
    assert deciles["items"] == [1] * 10
    for name, rows in zip(PARTS, split.rows, strict=True):
        sizes = {"rows": len(rows), "users": len(set(users[rows])), "items": len(set(items[rows]))}
        assert told["parts"][name] == sizes
        assert deciles[name][0] == pytest.approx((items[rows] == 0).mean(), abs=1e-6)
        assert sum(deciles[name]) == pytest.approx(1, abs=1e-5)
    assert deciles["train"][0] > 0.4
    assert deciles["test_ood"][0] < 0.2


def test_deciles_go_from_the_most_to_the_least_popular_by_all_rows():
    data, split = split_of("popularity")
    data = interactions()
    deciles = summarize(split, data["users"], data["items"])["popularity_deciles"]
    assert sum(deciles["items"]) == len(np.unique(data["items"]))
    total = sum(len(rows) * np.array(deciles[name]) for name, rows in zip(PARTS, split.rows, strict=True))
    assert (np.diff(total / deciles["items"]) <= 1e-3).all()
    assert total.sum() == pytest.approx(900, abs=0.01)


# Options.


def test_options_are_checked_when_they_are_read():
    usual = {name: default_values()[name] for name in SplitOptions.__dataclass_fields__}
    assert read_options(SplitOptions, usual).shift == "none"
    assert read_options(SplitOptions, {**usual, "shift": "popularity"}).shift_rest == [0.7, 0.1, 0.2]
    for wrong, message in (
        ({"shift_rest": [0.5, 0.5]}, "'shift_rest' is"),
        ({"shift_ratio": 1.0}, "'shift_ratio' is 1.0"),
        ({"shift": "drift"}, r"'shift' is 'drift'; it takes none \| popularity \| temporal \| exposure"),
        ({"shift_seed": -1}, "'shift_seed' is -1"),
        ({"shift": "exposure"}, "the exposure shift needs an atomic .inter file in shift_test"),
        ({"shift": "temporal", "shift_test": "a.inter"}, "only that shift takes one"),
    ):
        with pytest.raises(UsageError, match=message):
            read_options(SplitOptions, {**usual, "shift": "popularity", **wrong})
