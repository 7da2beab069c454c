"""The data set of a run: parts, numbers that belong to it, groups of rows; errors that name what is wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_diffusion.config import Config
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.fingerprint import id_fingerprint
from recbole_diffusion.data.grouping import Groups, cuts_for_last, distinct
from recbole_diffusion.data.part_files import require_files, selects_on_test
from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run

TRAIN = [("a", "1"), ("a", "2"), ("b", "2"), ("c", "3"), ("c", "4")]
VALID = [("a", "3"), ("b", "1")]
TEST = [("b", "4"), ("c", "1"), ("d", "2")]
SMALL = {"topk": [1, 2], "valid_metric": "MRR@2"}


def loaded(data, **options) -> InteractionDataset:
    return InteractionDataset(Config("BPR", overrides={**data.overrides, **SMALL, **options}))


def pairs_of(part) -> list[tuple[str, str]]:
    """Return the interactions of a part as tokens."""
    users, items = (
        part.id2token(field, part.inter_feat[field].numpy()) for field in (part.uid_field, part.iid_field)
    )
    return list(zip(users, items, strict=True))


def test_three_parts_are_taken_as_they_are(write_parts):
    data = write_parts(train=TRAIN, valid=VALID, test=TEST)
    assert [pairs_of(part) for part in loaded(data).build()] == [TRAIN, VALID, TEST]


def test_two_parts_choose_on_the_test_part_and_say_so(write_parts, tmp_path):
    data = write_parts(train=TRAIN, test=TEST)
    assert [pairs_of(part) for part in loaded(data).build()] == [TRAIN, TEST, TEST]
    result = run("BPR", overrides={**data.overrides, **SMALL, "epochs": 1})
    assert result["selection"] == "test"
    assert result["valid"] == result["test"]


def test_three_parts_choose_on_the_validation_part(write_parts):
    data = write_parts(train=TRAIN, valid=VALID, test=TEST)
    assert not selects_on_test(loaded(data).config)
    assert run("BPR", overrides={**data.overrides, **SMALL, "epochs": 1})["selection"] == "validation"


@pytest.mark.parametrize(
    ("valid", "on_test"), [(TEST[::-1], True), (TEST[1:], False), ([TEST[0]] * 3, False)]
)
def test_a_validation_part_with_the_lines_of_the_test_chooses_on_it(write_parts, valid, on_test):
    data = write_parts(train=TRAIN, valid=valid, test=TEST)
    assert selects_on_test(loaded(data).config) is on_test


def test_changing_the_copied_part_leaves_the_test_part_alone(write_parts):
    _, valid, test = loaded(write_parts(train=TRAIN, test=TEST)).build()
    valid.inter_feat.interaction["item_id"][:] = 1
    assert pairs_of(test) == TEST


def test_unseen_users_and_items_of_later_parts_have_numbers(write_parts):
    dataset = loaded(write_parts(train=TRAIN, valid=[*VALID, ("e", "9")], test=TEST))
    assert (dataset.user_num, dataset.item_num) == (6, 6)  # a to e, 1 to 4 and 9, and the padding
    assert dataset.inter_matrix(form="csr")[0].nnz == 0


@pytest.mark.parametrize("empty", ["train", "valid", "test"])
def test_an_empty_part_is_named(write_parts, empty):
    parts = {"train": TRAIN, "valid": VALID, "test": TEST, empty: []}
    with pytest.raises(UsageError, match=f"the {empty} part of data set 'toy' is empty"):
        loaded(write_parts(**parts)).build()


def test_missing_files_are_named(write_parts):
    data = write_parts(train=TRAIN, valid=VALID, test=TEST)
    (data.folder / "toy.valid.inter").unlink()
    (data.folder / "toy.test.inter").unlink()
    with pytest.raises(
        UsageError, match=r"toy.valid.inter, toy.test.inter missing in .*/toy. Put RecBole atomic files there"
    ):
        loaded(data)
    with pytest.raises(UsageError, match=r"data set 'toy' is not there: toy.inter missing in"):
        loaded(data, benchmark_filename=None)
    assert list(data.folder.iterdir()) == [data.folder / "toy.train.inter"]  # nothing was downloaded


def test_parts_that_are_there_are_named_where_another_file_is_asked_for(write_parts):
    data = write_parts(train=TRAIN, valid=VALID, test_iid=TEST, test_ood=TEST)
    for parts, missing in ((None, "toy.inter"), (["train", "valid", "test"], "toy.test.inter")):
        with pytest.raises(
            UsageError,
            match=rf"{missing} missing in .*toy, which has the parts train, valid, test_iid, test_ood; .*"
            r'--benchmark_filename="\[train, valid, test_iid, test_ood\]"',
        ):
            loaded(data, benchmark_filename=parts)


def test_parts_in_tables_are_named_too_in_a_data_set_with_brackets(write_parts):
    data = write_parts("toys[1]", train=TRAIN, valid=VALID)
    for file, ending in zip(sorted(data.folder.iterdir()), (".csv", ".parquet"), strict=True):
        file.rename(file.with_name(file.name + ending))
    config = Config("BPR", data.name, overrides={**data.overrides, **SMALL, "benchmark_filename": None})
    with pytest.raises(UsageError, match=r"missing in .*toys\[1\], which has the parts train, valid; name"):
        require_files(config)


def test_a_missing_folder_names_the_nearest(write_parts):
    data = write_parts("books", train=TRAIN, test=TEST)
    config = Config("BPR", "boks", overrides={**data.overrides, **SMALL})
    with pytest.raises(UsageError, match=r"\(no such folder\) \(did you mean 'books'\?\)\. .*--data_path"):
        require_files(config)


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"load_col": {"inter": ["user_id", "itm_id"]}}, "item_id, itm_id"),
        ({"load_col": {"inter": ["user_id"]}}, "item_id"),
        ({"load_col": {"inter": ["user_id", "item_id", "rating"]}}, "rating"),
        ({"load_col": None, "USER_ID_FIELD": "who"}, "who"),
        ({"load_col": None, "unload_col": {"inter": ["item_id"]}}, "item_id"),
    ],
)
def test_a_missing_column_is_named(write_parts, options, missing):
    data = write_parts(train=TRAIN, valid=VALID, test=TEST)
    with pytest.raises(
        UsageError, match=rf"toy.train.inter has no column {missing}, only .*; check load_col"
    ):
        loaded(data, **options)


def test_ml_100k_needs_no_files(tmp_path):
    dataset = InteractionDataset(Config("BPR", "ml-100k", overrides={"data_path": str(tmp_path)}))
    assert (dataset.user_num, dataset.item_num, dataset.inter_num) == (944, 1683, 100_000)


def test_the_fingerprint_belongs_to_the_numbers_of_users_and_items(write_parts):
    base = id_fingerprint(loaded(write_parts("one", train=TRAIN, valid=VALID, test=TEST)))
    again = id_fingerprint(loaded(write_parts("two", train=TRAIN, valid=VALID, test=TEST)))
    moved = id_fingerprint(loaded(write_parts("three", train=[*TRAIN, *VALID], test=TEST)))
    turned = id_fingerprint(loaded(write_parts("four", train=TRAIN[::-1], valid=VALID, test=TEST)))
    assert base == again
    assert turned != base
    assert moved == base  # the same order of first appearance


KEYS = st.lists(st.integers(0, 6), max_size=40)


@given(KEYS)
def test_distinct_numbers_are_those_of_a_set(keys):
    assert distinct(np.array(keys, dtype=np.int64)).tolist() == sorted(set(keys))


@given(KEYS)
def test_groups_come_in_order_of_their_first_row(keys):
    wanted: dict[int, list[int]] = {}
    for row, key in enumerate(keys):
        wanted.setdefault(key, []).append(row)
    groups = Groups(np.array(keys, dtype=np.int64))
    assert list(groups) == list(wanted.values())
    assert groups.sizes.tolist() == [len(rows) for rows in wanted.values()]


@given(KEYS)
def test_the_parts_of_groups_are_their_slices(keys):
    groups = Groups(np.array(keys, dtype=np.int64))
    parts = groups.divided(lambda size: [size // 2, (size + 1) // 2], 3)
    wanted: list[list[int]] = [[], [], []]
    for rows in groups:
        half, more = len(rows) // 2, (len(rows) + 1) // 2
        for part, some in zip(wanted, (rows[:half], rows[half:more], rows[more:]), strict=True):
            part.extend(some)
    assert [part.tolist() for part in parts] == wanted


def test_the_last_rows_are_alone_as_far_as_the_first_part_keeps_one():
    assert [cuts_for_last(size, 3) for size in (1, 2, 3, 9)] == [[1, 1], [1, 1], [1, 2], [7, 8]]
    assert [cuts_for_last(size, 2) for size in (1, 2, 9)] == [[1], [1], [8]]
