"""The split under distribution shift inside a run: RecBole's data set in, four parts and a summary out."""

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest

from recbole_diffusion.compat import init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.part_files import selects_on_test
from recbole_diffusion.data.split import PARTS
from recbole_diffusion.errors import UsageError

SMALL = {"topk": [1, 2], "valid_metric": "MRR@2", "use_gpu": False}
START = 1_700_000_000  # seconds: float32 cannot tell two of them apart within two minutes


@pytest.fixture
def whole(tmp_path):
    """30 users, 40 items, 15 rows a user, skewed popularity, ratings 1 to 5, times a second apart."""
    draw = random.Random(11)
    rows = []
    for user in range(30):
        items = set()
        while len(items) < 15:
            items.add(min(int(draw.expovariate(0.12)), 39))
        rows += [(f"u{user}", f"i{item}", draw.randint(1, 5)) for item in sorted(items)]
    draw.shuffle(rows)
    order = draw.sample(range(len(rows)), len(rows))
    lines = [
        f"{user}\t{item}\t{rating}\t{START + when}"
        for (user, item, rating), when in zip(rows, order, strict=True)
    ]
    folder = tmp_path / "data" / "toy"
    folder.mkdir(parents=True)
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "toy.inter").write_text("\n".join([header, *lines]) + "\n")
    columns = ["user_id", "item_id", "rating", "timestamp"]
    return {"dataset": "toy", "data_path": str(folder.parent), "load_col": {"inter": columns}, **SMALL}


@pytest.fixture
def exposed(tmp_path):
    """Return a function that writes rows (user, item, rating) as a fully exposed set and returns its path."""

    def write(rows) -> str:
        lines = [f"{user}\t{item}\t{rating}\t{START}" for user, item, rating in rows]
        file = tmp_path / "small.inter"
        file.write_text(
            "\n".join(["user_id:token\titem_id:token\trating:float\ttimestamp:float", *lines]) + "\n"
        )
        return str(file)

    return write


def loaded(options, **more) -> InteractionDataset:
    return InteractionDataset(Config("BPR", overrides={**options, **more}))


def pairs_of(part) -> list[tuple[str, str]]:
    users, items = (
        part.id2token(field, np.asarray(part.inter_feat[field])) for field in (part.uid_field, part.iid_field)
    )
    return list(zip(map(str, users), map(str, items), strict=True))


def test_no_shift_leaves_the_split_to_recbole(whole):
    dataset = loaded(whole)
    assert len(dataset.build()) == 3
    assert dataset.split_summary is None


@pytest.mark.parametrize("shift", ["popularity", "temporal"])
def test_a_run_has_four_parts_and_their_summary(whole, shift):
    dataset = loaded(whole, shift=shift)
    parts = dataset.build()
    pairs = [pairs_of(part) for part in parts]
    assert sorted(itertools.chain(*pairs)) == sorted(pairs_of(dataset))
    assert [dataset.split_summary["parts"][name]["rows"] for name in PARTS] == [len(part) for part in parts]
    assert json.loads(json.dumps(dataset.split_summary)) == dataset.split_summary
    assert (dataset.split_summary["kind"], dataset.split_summary["seed"], dataset.split_summary["share"]) == (
        shift,
        2024,
        0.2,
    )
    assert parts[0].split_summary == dataset.split_summary
    for column in (0, 1):
        for held_out in pairs[1:]:
            assert {pair[column] for pair in held_out} <= {pair[column] for pair in pairs[0]}


def test_the_split_depends_on_shift_seed_and_not_on_seed(whole):
    def split(**options):
        return [pairs_of(part) for part in loaded(whole, shift="popularity", **options).build()]

    assert split(seed=1) == split(seed=2)
    assert split(shift_seed=1) != split(shift_seed=2)


def test_temporal_tells_seconds_apart(whole):
    dataset = loaded(whole, shift="temporal", normalize_all=False)
    frame = dataset.inter_feat
    latest = {}
    for user, own in frame.groupby("user_id"):
        own = own.sort_values("timestamp")
        latest[str(dataset.id2token("user_id", user))] = {
            str(one) for one in dataset.id2token("item_id", own["item_id"][-3:])
        }
    parts = dataset.build()
    found = {user: set() for user in latest}
    for user, item in pairs_of(parts[3]):
        found[user].add(item)
    moved = dataset.split_summary["moved_into_train"]["test_ood"]
    assert all(found[user] <= latest[user] for user in latest)
    assert sum(len(latest[user] - found[user]) for user in latest) == moved < 20


def test_the_split_comes_after_the_filters(whole):
    options = {"shift": "popularity", "val_interval": {"rating": "[4,inf)"}, "normalize_all": False}
    dataset = loaded(whole, **options)
    parts = dataset.build()
    assert min(part.inter_feat["rating"].min() for part in parts) >= 4
    assert sum(map(len, parts)) == dataset.inter_num < 300


def test_exposed_rows_are_the_second_test_part(whole, exposed):
    known = pairs_of(loaded(whole))
    fresh = [
        (f"u{user}", f"i{item}")
        for user in range(3)
        for item in range(12)
        if (f"u{user}", f"i{item}") not in known
    ]
    overlap = [pair for pair in known if pair[0] == "u5"][:4]
    rows = [(*pair, 5) for pair in [*fresh, *overlap]]
    path = exposed([*rows, rows[0], ("stranger", "i1", 5), ("u1", "novelty", 5)])
    dataset = loaded(whole, shift="exposure", shift_test=path)
    assert (dataset.user_num, dataset.item_num) == (
        loaded(whole).user_num,
        loaded(whole).item_num,
    )  # no phantoms
    parts = dataset.build()
    assert sorted(pairs_of(parts[3])) == sorted([*fresh, *overlap])
    assert sorted(itertools.chain(*map(pairs_of, parts[:3]))) == sorted(set(known) - set(overlap))
    assert dataset.split_summary["dropped"] == {
        "duplicate_pairs": 1,
        "pairs_of_exposed": 4,
        "exposed_unseen": 2,
    }
    assert "share" not in dataset.split_summary


def test_exposed_rows_pass_the_same_value_filter_and_get_the_same_labels(whole, exposed):
    known = pairs_of(loaded(whole))
    fresh = [("u1", f"i{item}") for item in range(12) if ("u1", f"i{item}") not in known]
    path = exposed([(*pair, number % 5 + 1) for number, pair in enumerate(fresh)])
    options = {
        "shift": "exposure",
        "shift_test": path,
        "val_interval": {"rating": "[2,inf)"},
        "threshold": {"rating": 4},
    }
    part = loaded(whole, **options).build()[3]
    ratings = {pair: number % 5 + 1 for number, pair in enumerate(fresh)}
    found = dict(zip(pairs_of(part), part.inter_feat["label"].tolist(), strict=True))
    assert found == {pair: float(rating >= 4) for pair, rating in ratings.items() if rating >= 2}


def test_rows_that_are_left_out_are_told(whole, exposed, caplog):
    path = exposed([("u1", "i0", 3), ("u2", "i1", 3), ("stranger", "i1", 5)])
    loaded(whole, shift="exposure", shift_test=path)
    assert "1 of 3 interactions of" in caplog.text


# Errors.


def test_temporal_without_times(whole):
    with pytest.raises(
        UsageError, match=r"by time, but .*toy.inter has no column 'when', only user_id, item_id"
    ):
        loaded(whole, shift="temporal", TIME_FIELD="when")
    with pytest.raises(
        UsageError, match=r"temporal shift .*, but data set 'toy' has no column 'when'; add it"
    ):
        loaded(whole, shift="temporal", TIME_FIELD="when", load_col=None)
    with pytest.raises(
        UsageError, match=r"line 1: the column 'item_id' is token and not a number, but the temporal"
    ):
        loaded(whole, shift="temporal", TIME_FIELD="item_id")


def test_the_time_is_loaded_by_itself(whole):
    config = Config(
        "BPR", overrides={**whole, "shift": "temporal", "load_col": {"inter": ["user_id", "item_id"]}}
    )
    assert config["load_col"]["inter"] == ["user_id", "item_id", "timestamp"]
    assert any("timestamp is loaded too: the temporal shift" in note for note in config.notes)


def test_exposure_without_its_file_or_its_columns(whole, exposed, tmp_path):
    with pytest.raises(UsageError, match=r"shift_test names .*nowhere.inter, which is not a file"):
        loaded(whole, shift="exposure", shift_test=str(tmp_path / "nowhere.inter"))
    (tmp_path / "thin.inter").write_text("user_id:token\titem_id:token\nu1\ti1\n")
    for columns in (None, whole["load_col"]):
        with pytest.raises(UsageError, match=r"thin.inter.* has no column rating, timestamp"):
            loaded(whole, shift="exposure", shift_test=str(tmp_path / "thin.inter"), load_col=columns)
    with pytest.raises(
        UsageError,
        match=r"no interaction of .*shift_test, 1 row.* has a user and an item with other interactions in",
    ):
        loaded(whole, shift="exposure", shift_test=exposed([("stranger", "i1", 3)]))


def test_an_impossible_split_names_the_data_set(whole):
    with pytest.raises(UsageError, match="data set 'toy': test_ood would take 446 interactions, but"):
        loaded(whole, shift="popularity", shift_ratio=0.99).build()


# Four parts that are given.

TRAIN = [("a", "1"), ("a", "2"), ("b", "2"), ("c", "3"), ("c", "4"), ("b", "3")]
FOUR = {
    "train": TRAIN,
    "valid": [("a", "3")],
    "test_first": [("b", "1"), ("c", "2")],
    "test_second": [("a", "4"), ("b", "4")],
}


def test_four_given_parts_are_taken_as_they_are(write_parts):
    data = write_parts(**FOUR)
    assert [pairs_of(part) for part in loaded({**data.overrides, **SMALL}).build()] == list(FOUR.values())


def test_a_shift_of_given_parts_divides_train_and_valid_anew(write_parts, caplog):
    rows = [(f"u{user}", f"i{(user + step) % 12}") for user in range(12) for step in range(6)]
    parts = {"train": rows[:50], "valid": rows[50:64], "test": rows[64:]}
    data = write_parts(**parts)
    dataset = loaded({**data.overrides, **SMALL}, shift="popularity")
    found = [pairs_of(part) for part in dataset.build()]
    assert len(found) == 4
    assert sorted(itertools.chain(*found)) == sorted(rows[:64])
    assert "the 64 rows of train and valid are split again; test, not read, has no effect" in caplog.text
    two = loaded({**data.overrides, **SMALL}, shift="popularity", benchmark_filename=["train", "test"])
    assert sorted(itertools.chain(*map(pairs_of, two.build()))) == sorted(rows[:50])
    assert not selects_on_test(two.config)  # though two parts are named


# The valid part by time.

WAYS = {
    "at random": {"eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "RO", "group_by": "user"}},
    "at random over all": {"eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "RO", "group_by": None}},
    "one left out": {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "RO"}},
    "shift": {"shift": "popularity", "shift_rest": [0.6, 0.2, 0.2]},
    "given": {"benchmark_filename": ["first", "second", "third"]},
}


@pytest.mark.parametrize("way", WAYS)
def test_valid_has_the_latest_rows_of_train_and_valid_and_test_stays(whole, way):
    folder = Path(whole["data_path"], "toy")
    header, *lines = (folder / "toy.inter").read_text().splitlines()
    for number, part in enumerate(("first", "second", "third")):
        (folder / f"toy.{part}.inter").write_text("\n".join([header, *lines[number::3]]) + "\n")
    when = {tuple(line.split("\t")[:2]): int(line.split("\t")[3]) for line in lines}
    init_seed(3, True)
    iid = [pairs_of(part) for part in loaded(whole, **WAYS[way]).build()]
    init_seed(3, True)
    columns = {"inter": ["user_id", "item_id"]}  # the time is loaded by itself
    parts = loaded(whole, load_col=columns, valid_part="latest", **WAYS[way]).build()
    latest = [pairs_of(part) for part in parts]
    assert latest[2:] == iid[2:]
    assert sorted(latest[0] + latest[1]) == sorted(iid[0] + iid[1])
    assert sorted(latest[1]) != sorted(iid[1])
    items = [item for _, item in latest[0]]
    for user in {user for user, _ in latest[1]}:
        first = min(when[pair] for pair in latest[1] if pair[0] == user)
        assert all(when[pair] < first or items.count(pair[1]) == 1 for pair in latest[0] if pair[0] == user)
    assert [list(part.inter_feat.interaction) for part in parts] == [
        ["user_id", "item_id", "timestamp"]
    ] * len(parts)
    # The columns of a row stay together.
    for part in parts[:2]:
        seconds = part.inter_feat["timestamp"].double().numpy()
        assert all(
            abs(when[pair] - second) < 128 for pair, second in zip(pairs_of(part), seconds, strict=True)
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"eval_args": {"order": "TO"}}, "divides by time, so that valid is later than train already"),
        ({"benchmark_filename": ["a", "b"]}, "names no valid part"),
        ({"eval_args": {"split": {"RS": [0.8, 0.0, 0.2]}}}, "the split has no valid part"),
        (
            {"TIME_FIELD": "when"},
            "valid_part is latest, but .* has no column 'when', .* or leave out valid_part",
        ),
    ],
)
def test_where_valid_cannot_be_the_latest_it_is_refused(whole, options, said):
    with pytest.raises(UsageError, match=said):
        loaded(whole, valid_part="latest", **options).build()


def test_sequential_and_cross_domain_models_have_no_other_valid_part(whole):
    with pytest.raises(UsageError, match=r"SASRec is a sequential model, .* leave valid_part out"):
        Config("SASRec", overrides={**whole, "valid_part": "latest", "train_neg_sample_args": None})


@pytest.mark.parametrize("empty", FOUR)
def test_an_empty_one_of_four_parts_is_named_by_its_file(write_parts, empty):
    data = write_parts(**{**FOUR, empty: []})
    with pytest.raises(UsageError, match=f"the {empty} part of data set 'toy' is empty"):
        loaded({**data.overrides, **SMALL}).build()


def test_a_row_of_the_exposed_set_keeps_its_columns(whole, exposed):
    known = pairs_of(loaded(whole))
    fresh = next(("u1", f"i{item}") for item in range(39) if ("u1", f"i{item}") not in known and item < 9)
    path = exposed([(*fresh, 2.5), ("u2", "i0", 4)])
    part = loaded(whole, shift="exposure", shift_test=path, normalize_all=False).build()[3]
    values = dict(zip(pairs_of(part), part.inter_feat["rating"].tolist(), strict=True))
    assert values[fresh] == 2.5
    assert np.isclose(part.inter_feat["timestamp"].numpy(), START, rtol=1e-6).all()
