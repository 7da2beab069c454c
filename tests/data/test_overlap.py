"""What parts share is counted, told, and refused where a metric would not be of unseen items."""

import dataclasses
import itertools
import json

import pytest

from recbole_diffusion.compat import init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run

TRAIN = [
    ("a", "1"),
    ("a", "2"),
    ("b", "2"),
    ("b", "3"),
    ("c", "3"),
    ("c", "4"),
    ("c", "1"),
    ("d", "5"),
    ("d", "6"),
]
VALID = [("a", "3"), ("b", "1")]
TEST = [("a", "4"), ("b", "4"), ("c", "2")]
SMALL = {"topk": [1, 2], "valid_metric": "MRR@2", "epochs": 1, "use_gpu": False}


def checked(data, model="BPR", **options):
    """Return what the parts of a run share."""
    config = Config(model, overrides={**data.overrides, **SMALL, **options})
    init_seed(7, True)
    dataset = create_dataset(config)
    prepare_data(config, dataset)
    return dataset.overlap


@pytest.fixture
def repeated(write_parts):
    """Six users with ten items of twelve each, every pair three times in one file."""
    pairs = [(f"u{user}", f"i{(user + item) % 12}") for user in range(6) for item in range(10)]
    data = write_parts("shop", train=pairs * 3)
    rows = (data.folder / "shop.train.inter").read_text().splitlines()
    lines = [f"{rows[0]}\ttimestamp:float", *(f"{row}\t{time}" for time, row in enumerate(rows[1:]))]
    (data.folder / "shop.inter").write_text("\n".join(lines) + "\n")
    return dataclasses.replace(data, overrides={**data.overrides, "benchmark_filename": None})


SPLITS = {
    "random": {},
    "random over all": {"eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "none"}},
    "in time": {"eval_args": {"order": "TO"}},
    "leave one out": {"eval_args": {"split": {"LS": "valid_and_test"}}},
    "leave the last out": {"eval_args": {"split": {"LS": "test_only"}, "order": "TO"}},
    "by time": {"eval_args": {"split": {"TS": [0.6, 0.2, 0.2]}}},
    "sampled": {"eval_args": {"mode": "uni5"}},
}


@pytest.mark.parametrize("split", SPLITS)
def test_repeated_pairs_are_refused_whatever_makes_the_parts(repeated, split):
    with pytest.raises(
        UsageError,
        match=r"pairs of test are also in train, .* rows of train repeat a pair.*--rm_dup_inter=first",
    ):
        checked(repeated, **SPLITS[split])
    once = checked(repeated, **SPLITS[split], rm_dup_inter="first")
    assert (once["pairs"], once["repeated"]) == ({}, {})


def test_rows_that_repeat_a_pair_are_counted_by_part(write_parts):
    pairs = [(f"u{user}", f"i{(user + item) % 12}") for user in range(6) for item in range(10)]
    held_out = [(f"u{user}", f"i{(user + 10) % 12}") for user in range(6)]
    later = [(f"u{user}", f"i{(user + 11) % 12}") for user in range(6)]
    train, valid = [*pairs, *pairs[:7], pairs[0]], [*held_out, *held_out[:2]]
    data = write_parts("shop", train=train, valid=valid, test=later)
    found = checked(data, repeatable=True)
    assert found["repeated"] == {"train": 8, "valid": 2}


@pytest.mark.parametrize("option", ["allow_overlap", "repeatable"])
def test_going_on_is_told(repeated, option, caplog):
    found = checked(repeated, **{option: True})
    assert {"train & valid", "train & test"} <= set(found["pairs"])
    assert found["repeated"]["train"] > 60
    assert f"{found['pairs']['train & test']} of the " in caplog.text
    assert ("not those of unseen items (allow_overlap)" in caplog.text) is (option == "allow_overlap")


RANKED = {
    "train_neg_sample_args": {"distribution": "uniform"},
    "eval_args": {"mode": "full"},
    "metrics": ["MRR"],
}


@pytest.mark.parametrize(("model", "options"), [("TVDiff", {}), ("EASE", {}), ("FM", RANKED)])
def test_rankings_of_all_models_are_refused_alike(repeated, model, options):
    with pytest.raises(UsageError, match="pairs of test are also in train"):
        checked(repeated, model, **options)


def test_labelled_rows_of_a_pair_may_be_in_two_parts_and_are_told(repeated, caplog):
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    found = checked(repeated, "FM", valid_metric="AUC", load_col=columns, threshold={"timestamp": 90})
    assert found["pairs"]
    assert "pairs of test are also in train" in caplog.text


def test_a_sequence_may_come_back_to_an_item(repeated):
    assert checked(repeated, "GRU4Rec", train_neg_sample_args=None)["pairs"]


PARTS = ["train", "valid", "test_iid", "test_ood"]


@pytest.mark.parametrize(("first", "later"), list(itertools.combinations(PARTS, 2)))
def test_a_pair_in_two_given_parts(write_parts, caplog, first, later):
    parts = dict(zip(PARTS, (TRAIN, VALID, TEST[:2], TEST[2:]), strict=True))
    parts[later] = [*parts[later], parts[first][0]]
    said = f"1 of the {len(parts[later])} pairs of {later} is also in {first}"
    data = write_parts(**parts)
    if first == "test_iid":  # two test parts are judged apart
        assert checked(data)["pairs"] == {"test_iid & test_ood": 1}
        assert said in caplog.text
        return
    with pytest.raises(UsageError, match=f"{said}.*remove them from one of the files, .*allow_overlap"):
        checked(data)
    assert checked(data, allow_overlap=True)["pairs"] == {f"{first} & {later}": 1}


def test_three_parts_without_a_common_pair_share_nothing(write_parts, caplog):
    found = checked(write_parts(train=TRAIN, valid=VALID, test=TEST))
    assert found == {"pairs": {}, "repeated": {}, "unknown": {}, "selection": "validation"}
    assert caplog.text == ""


def test_two_parts_with_a_common_pair_are_refused(write_parts):
    with pytest.raises(UsageError, match="1 of the 4 pairs of test is also in train"):
        checked(write_parts(train=TRAIN, test=[*TEST, TRAIN[3]]))


def test_a_labelled_file_is_checked_too(write_parts):
    data = write_parts(train=TRAIN)
    rows = (
        [(*pair, 0) for pair in TRAIN]
        + [(*pair, 1) for pair in VALID]
        + [(*pair, 2) for pair in [*TEST, TRAIN[0]]]
    )
    text = "\n".join("\t".join(map(str, row)) for row in [("userID", "itemID", "x_label"), *rows])
    (data.folder / "toy.inter").write_text(text + "\n")
    options = {"benchmark_filename": None}
    with pytest.raises(UsageError, match="1 of the 4 pairs of test is also in train"):
        checked(data, **options)


def test_validation_that_is_the_test_is_called_test(write_parts, tmp_path, caplog):
    data = write_parts(train=TRAIN, valid=TEST[::-1], test=TEST)
    result = run("EASE", overrides={**data.overrides, **SMALL, "run_dir": str(tmp_path / "run")})
    assert result["selection"] == "test"
    assert (
        "valid and test of data set 'toy' have the same rows (3 pairs): the epoch is chosen on the test"
        in caplog.text
    )
    stored = json.loads((tmp_path / "run" / "result.json").read_text())
    assert stored["overlap"] == {"pairs": {}, "repeated": {}, "unknown": {}}


def test_validation_with_some_of_the_test_is_called_so(write_parts):
    data = write_parts(train=TRAIN, valid=[*VALID, TEST[0]], test=TEST)
    with pytest.raises(UsageError, match="1 of the 3 pairs of test is also in valid"):
        checked(data)
    assert checked(data, allow_overlap=True)["selection"] == "validation, partly test"


@pytest.mark.parametrize(
    "names", [["train", "valid", "test"], ["train", "valid", "test_a", "test_b"], ["train", "test"]]
)
def test_users_and_items_unknown_to_train_are_told_with_any_number_of_parts(write_parts, caplog, names):
    parts = dict(zip(names, (TRAIN, *([VALID] if len(names) > 2 else []), TEST[:2], TEST[2:]), strict=False))
    last = names[-1]
    parts[last] = [*parts[last], ("s1", "1"), ("s2", "9"), ("a", "9")]
    found = checked(write_parts(**parts))
    assert found["unknown"] == {last: 3} | ({"valid": 3} if len(names) == 2 else {})
    assert "2 users (s1, s2) and 1 item (9) without a row in train" in caplog.text


def test_parts_whose_ids_do_not_match_are_refused(write_parts):
    data = write_parts(train=TRAIN, valid=VALID, test=[(f"{user}.0", f"{item}.0") for user, item in TEST])
    with pytest.raises(
        UsageError, match=r"no user and no item of the test part .* has a row in train; check"
    ):
        checked(data)


@pytest.mark.parametrize(
    ("model", "mode", "told"), [("BPR", "full", True), ("BPR", "uni2", True), ("BPR", "pop2", False)]
)
def test_items_of_no_part_are_told_where_they_are_ranked(write_parts, caplog, model, mode, told):
    """RecBole gives a number to each item of a loaded .item file."""
    data = write_parts(train=TRAIN, valid=VALID, test=TEST)
    items = [str(number) for number in range(1, 9)]
    (data.folder / "toy.item").write_text(
        "\n".join(["item_id:token\tsize:float", *(f"{i}\t1" for i in items)])
    )
    load_col = {"inter": ["user_id", "item_id"], "item": ["item_id", "size"]}
    checked(data, model, load_col=load_col, eval_args={"mode": mode})
    said = "2 items of data set 'toy' have no row in any part (7, 8) and are ranked like the others"
    assert (said in caplog.text) == told
    assert ("mode uni2 draws them among its 8 items, an easier test" in caplog.text) == (mode == "uni2")
    caplog.clear()
    checked(data, model)
    assert "no row in any part" not in caplog.text
