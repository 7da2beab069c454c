"""Fingerprints of parts: equal for the same pairs in any order or numbering, else different."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recbole_diffusion.compat import Interaction
from recbole_diffusion.data.fingerprint import differences, joined, part_fingerprints

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
