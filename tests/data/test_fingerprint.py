"""Fingerprints of parts: equal for the same pairs in any order; who is cold, and which records come first."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recbole_diffusion.compat import Interaction
from recbole_diffusion.config import Config
from recbole_diffusion.data.cold_start import divide_users, first_records, users_cut_within_a_time
from recbole_diffusion.data.fingerprint import differences, first_rows, joined, part_fingerprints
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.errors import UsageError

PAIRS = [("7", "a"), ("7", "b"), ("12", "a"), ("12", "c"), ("x", "b")]


def part(pairs, shuffled=False):
    """Return what a fingerprint reads of a data set: tokens by id, and a column of ids a field."""
    users, items = (["[PAD]", *sorted({pair[k] for pair in PAIRS}, reverse=shuffled)] for k in (0, 1))
    columns = {
        "user_id": [users.index(user) for user, _ in pairs],
        "item_id": [items.index(item) for _, item in pairs],
    }
    return SimpleNamespace(
        uid_field="user_id",
        iid_field="item_id",
        field2id_token={"user_id": np.array(users, object), "item_id": np.array(items, object)},
        inter_feat=Interaction({name: torch.tensor(values) for name, values in columns.items()}),
    )


def print_of(pairs, **named):
    return part_fingerprints({"test": part(pairs, **named)})["test"]


def test_order_and_internal_numbers_do_not_matter():
    assert print_of(PAIRS) == print_of(PAIRS[::-1], shuffled=True)
    assert print_of(PAIRS)["rows"] == 5


@pytest.mark.parametrize(
    "other",
    [
        PAIRS[:4],
        [*PAIRS[:4], ("x", "c")],
        [*PAIRS, PAIRS[0]],
        [("7", "a"), ("12", "b"), ("7", "c"), ("12", "a"), ("x", "b")],
    ],
)
def test_other_pairs_give_another_fingerprint(other):
    assert print_of(other)["fingerprint"] != print_of(PAIRS)["fingerprint"]


def test_user_and_item_are_told_apart():
    pairs = [("7", "7"), ("7", "8")]
    swapped = [("7", "7"), ("8", "7")]
    found = []
    for some in (pairs, swapped):
        tokens = np.array(["[PAD]", "7", "8"], object)
        columns = {
            f"{kind}_id": torch.tensor([int(pair[k]) - 6 for pair in some])
            for k, kind in enumerate(("user", "item"))
        }
        columns = Interaction(columns)
        fields = {"user_id": tokens, "item_id": tokens}
        one = SimpleNamespace(
            uid_field="user_id", iid_field="item_id", field2id_token=fields, inter_feat=columns
        )
        found.append(part_fingerprints({"test": one})["test"]["fingerprint"])
    assert found[0] != found[1]


def test_parts_join():
    apart = part_fingerprints({"train": part(PAIRS[:2]), "valid": part(PAIRS[2:])})
    assert (
        joined(apart["train"]["fingerprint"], apart["valid"]["fingerprint"]) == print_of(PAIRS)["fingerprint"]
    )


def with_columns(**columns):
    one = part(PAIRS)
    one.inter_feat.update(Interaction({name: torch.tensor(values) for name, values in columns.items()}))
    return one


def test_ratings_and_times_have_their_own_fingerprints():
    before = part_fingerprints({"train": with_columns(rating=[1.0, 2, 3, 4, 5], timestamp=[9.0, 8, 7, 6, 5])})
    other = part_fingerprints({"train": with_columns(rating=[1.0, 2, 3, 5, 4], timestamp=[9.0, 8, 7, 6, 5])})
    assert before["train"]["fingerprint"] == other["train"]["fingerprint"] == print_of(PAIRS)["fingerprint"]
    assert differences(before, other) == {"train": "train has other values of rating"}
    assert differences(before, before) == {}


def test_differences_name_what_is_new_and_compare_only_what_was_recorded():
    before, fewer, swapped = (
        part_fingerprints({"train": part(some)}) for some in (PAIRS, PAIRS[:4], [*PAIRS[:4], ("x", "c")])
    )
    assert differences(before, fewer) == {"train": "train has 4 rows where it had 5"}
    assert differences(before, swapped) == {"train": "train has other rows, 5 as before"}
    assert differences(before, before | {"test": fewer["train"]}) == {"test": "test is now there"}
    assert differences({}, before) == {}
    assert differences(before, part_fingerprints({"train": with_columns(rating=[1.0] * 5)})) == {}
    older = {"train": {name: before["train"][name] for name in ("rows", "fingerprint")}}
    assert differences(older, before) == {}


def test_users_are_divided_by_share_and_seed_whatever_their_order():
    names = np.array([f"u{number}" for number in range(100)])
    test, valid, train = divide_users(names, 0.2, 0.1, 3)
    assert (len(test), len(valid), len(train)) == (20, 8, 72)
    assert sorted(np.concatenate([test, valid, train])) == list(range(100))
    turned = names[::-1]
    again = divide_users(turned, 0.2, 0.1, 3)
    assert [set(turned[part]) for part in again] == [set(names[part]) for part in (test, valid, train)]
    assert set(divide_users(names, 0.2, 0.1, 4)[0]) != set(test)


@pytest.mark.parametrize(
    ("users", "cold", "valid"), [(3, 0.9, 0.1), (10, 0.01, 0.1), (2, 0.5, 0.5), (20, 0.5, 0.99)]
)
def test_a_part_without_users_is_refused(users, cold, valid):
    with pytest.raises(UsageError, match=r"cold_user_ratio .* makes .* test users"):
        divide_users(np.arange(users).astype(str), cold, valid, 0)


def test_the_first_records_are_the_earliest_half_rounded_down():
    users = np.array([1, 2, 1, 1, 2, 1, 1, 3])
    time = np.array([5.0, 1, 1, 3, 0, 2, 4, 9])
    first = first_records(users, time, 0.5, 0)
    assert first.tolist() == [
        False,
        False,
        True,
        False,
        True,
        True,
        False,
        False,
    ]  # user 1: times 1 and 2 of five


def test_without_time_half_of_each_users_records_are_drawn():
    users = np.repeat(np.arange(5), 10)
    first = first_records(users, None, 0.5, 1)
    assert np.bincount(users[first]).tolist() == [5] * 5
    assert (first != first_records(users, None, 0.5, 2)).any()


def test_equal_times_are_divided_by_the_seed_and_earlier_ones_never_come_later():
    users, time = np.repeat([1, 2], 8), np.array([1, 1, 2, 2, 2, 2, 3, 3, 1, 1, 1, 1, 2, 2, 2, 2.0])
    drawn = {tuple(first_records(users, time, 0.5, seed)) for seed in range(20)}
    assert len(drawn) > 3  # two of the four rows of user 1's time 2
    for first in map(np.array, drawn):
        assert first[[0, 1]].all()
        assert not first[[6, 7]].any()
        assert first[2:6].sum() == 2
        assert first[8:].tolist() == [True] * 4 + [False] * 4
        assert users_cut_within_a_time(users, time, first) == 1


def test_no_user_is_cut_within_a_time_where_a_half_is_empty():
    users, time = np.array([4, 4, 5]), np.array([1.0, 1.0, 1.0])
    assert users_cut_within_a_time(users, time, np.array([True, False, False])) == 1
    assert users_cut_within_a_time(users, time, np.array([False, False, True])) == 0
    assert users_cut_within_a_time(users[:0], time[:0], np.zeros(0, bool)) == 0


@pytest.mark.parametrize("split", [{"LS": "valid_and_test"}, {"RS": [0.6, 0.2, 0.2]}])
def test_a_sequential_split_and_the_rows_without_a_history_are_the_split_of_other_models(tmp_path, split):
    (tmp_path / "shop").mkdir()
    draw = np.random.default_rng(0)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(12):
        bought = enumerate(draw.permutation(30)[: 4 + user % 7])
        lines += [f"u{user}\ti{item}\t{time}" for time, item in bought]
    (tmp_path / "shop/shop.inter").write_text("\n".join(lines) + "\n")
    found = {}
    for model in ("BPR", "SASRec"):
        given = {"split": split, "order": "TO", "group_by": "user", "mode": "full"}
        options = {"data_path": str(tmp_path), "use_gpu": False, "repeatable": True, "eval_args": given}
        config = Config(model, "shop", overrides={**options, "MAX_ITEM_LIST_LENGTH": 3})
        train, valid, tests = prepare_data(config, create_dataset(config))
        parts = {"train": train._dataset, "valid": valid._dataset, "test": tests["test"]._dataset}
        found[model] = part_fingerprints(parts), first_rows(parts)
    (whole, nothing), (parts, first) = found["BPR"], found["SASRec"]
    assert nothing is None
    assert first["rows"] == 12
    if "LS" in split:
        for name in ("valid", "test"):
            assert parts[name]["fingerprint"] == whole[name]["fingerprint"]
        together = joined(parts["train"]["fingerprint"], first["fingerprint"])
        assert together == whole["train"]["fingerprint"]
    everything = [joined(*(one["fingerprint"] for one in some.values())) for some in (whole, parts)]
    assert joined(everything[1], first["fingerprint"]) == everything[0]


def test_histories_of_one_item_do_not_tell_which_ones_are_first(tmp_path):
    (tmp_path / "shop").mkdir()
    lines = [f"u{user}\ti{(3 * user + time) % 10}\t{time}" for user in range(4) for time in range(5)]
    (tmp_path / "shop/shop.inter").write_text(
        "\n".join(["user_id:token\titem_id:token\ttimestamp:float", *lines]) + "\n"
    )
    found = []
    for length in (1, 2):
        options = {"data_path": str(tmp_path), "use_gpu": False, "topk": [2], "valid_metric": "MRR@2"}
        config = Config("SASRec", "shop", overrides={**options, "MAX_ITEM_LIST_LENGTH": length})
        train, valid, tests = prepare_data(config, create_dataset(config))
        parts = {"train": train._dataset, "valid": valid._dataset, "test": tests["test"]._dataset}
        found.append(first_rows(parts))
    assert found[0] is None
    assert found[1]["rows"] == 4
