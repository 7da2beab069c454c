"""A shifted validation part cut from train: its rows under every split, and what a run does with it."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from recbole_diffusion.compat import init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.preparation import create_dataset, parts_of, prepare_data
from recbole_diffusion.data.valid_shift import choices, shifted_rows
from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.serving.loaded_run import load_run

START = 1_700_000_000
WAYS = {
    "at random": {"eval_args": {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "RO", "group_by": "user"}},
    "one left out": {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "RO"}},
    "shift": {"shift": "popularity", "shift_rest": [0.6, 0.2, 0.2]},
    "given": {"benchmark_filename": ["first", "second", "third"]},
    "four given": {"benchmark_filename": ["first", "second", "test_iid", "test_ood"]},
}


@pytest.fixture
def whole(tmp_path):
    """30 users, 40 items, 15 rows a user, skewed popularity, times a second apart; also as given parts."""
    draw, rows = random.Random(11), []
    for user in range(30):
        items = set()
        while len(items) < 15:
            items.add(min(int(draw.expovariate(0.12)), 39))
        rows += [(f"u{user}", f"i{item}") for item in sorted(items)]
    draw.shuffle(rows)
    lines = [f"{user}\t{item}\t{START + when}" for when, (user, item) in enumerate(rows)]
    draw.shuffle(lines)
    folder, header = tmp_path / "toy", "user_id:token\titem_id:token\ttimestamp:float"
    folder.mkdir()
    parts = {"": lines, ".first": lines[:300], ".second": lines[300:340], ".third": lines[340:]}
    for name, some in (parts | {".test_iid": lines[340:400], ".test_ood": lines[400:]}).items():
        (folder / f"toy{name}.inter").write_text("\n".join([header, *some]) + "\n")
    return {
        "dataset": "toy",
        "data_path": str(tmp_path),
        "load_col": {"inter": ["user_id", "item_id"]},
        "topk": [5],
        "valid_metric": "Recall@5",
        "metrics": ["Recall", "NDCG"],
        "use_gpu": False,
        "embedding_size": 8,
        "runs_path": str(tmp_path / "runs"),
    }


def named_parts(options, **more):
    config = Config("BPR", overrides={**options, **more})
    init_seed(3, True)
    return parts_of(config, create_dataset(config))


def pairs_of(part) -> list[tuple[str, str]]:
    users, items = (
        part.id2token(field, np.asarray(part.inter_feat[field])) for field in (part.uid_field, part.iid_field)
    )
    return list(zip(map(str, users), map(str, items), strict=True))


# The rows.


def test_popularity_takes_equal_quotas_but_at_most_half_of_an_item():
    items = np.repeat(np.arange(5), [40, 20, 8, 3, 1])
    users = np.arange(len(items)) % 9
    chosen = shifted_rows("popularity", users, items, 18 / 72, np.random.default_rng(0))
    # Asked for are 18 of 72 rows. Halves are 20, 10, 4, 1 and 0: the level is between 6 and 7.
    counts = np.bincount(items[chosen], minlength=5).tolist()
    assert counts[2:] == [4, 1, 0]
    assert sorted(counts[:2]) == [6, 7]


def test_popularity_leaves_each_user_a_row():
    items = np.tile(np.arange(4), 6)
    users = np.r_[np.arange(12), np.zeros(12, int)]  # most users have a single row
    for seed in range(20):
        chosen = shifted_rows("popularity", users, items, 0.5, np.random.default_rng(seed))
        assert set(users[~chosen]) == set(range(12))
        assert chosen.any()


def test_other_seeds_draw_other_rows_of_the_same_law():
    items, users = np.repeat(np.arange(6), 20), np.tile(np.arange(20), 6)
    one, again, two = (
        shifted_rows("popularity", users, items, 0.2, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, two)
    assert np.bincount(items[one]).tolist() == np.bincount(items[two]).tolist() == [4] * 6


def test_more_than_half_of_train_is_refused():
    items = np.repeat(np.arange(4), 3)
    with pytest.raises(UsageError, match="6 rows of train, but at most half of the rows of each item, 4 in"):
        shifted_rows("popularity", np.arange(12), items, 0.5, np.random.default_rng(0))


def test_temporal_takes_the_latest_of_each_user():
    users, items = np.repeat([0, 1], 5), np.tile(np.arange(5), 2)
    times = np.array([5, 4, 3, 2, 1, 1, 2, 3, 4, 5])
    chosen = shifted_rows("temporal", users, items, 0.4, np.random.default_rng(0), times)
    assert np.flatnonzero(chosen).tolist() == [0, 1, 8, 9]


# Every way of splitting.


@pytest.mark.parametrize("kind", ["popularity", "temporal"])
@pytest.mark.parametrize("way", WAYS)
def test_the_part_is_cut_from_train_and_the_others_stay(whole, way, kind):
    before = named_parts(whole, **WAYS[way])
    parts = named_parts(whole, **WAYS[way], valid_shift=kind, valid_shift_ratio=0.15)
    tests = list(before)[2:]
    assert list(parts) == ["train", "valid", "valid_iid", *tests]
    assert pairs_of(parts["valid_iid"]) == pairs_of(before["valid"])
    assert [pairs_of(parts[name]) for name in tests] == [pairs_of(before[name]) for name in tests]
    train, cut = pairs_of(parts["train"]), pairs_of(parts["valid"])
    assert sorted(train + cut) == sorted(pairs_of(before["train"]))
    assert 0.06 < len(cut) / len(train + cut) < 0.16
    assert {user for user, _ in cut} <= {user for user, _ in train}
    assert {item for _, item in cut} <= {item for _, item in train}
    if kind == "popularity":  # an item of train has about equal chances, however popular
        counts = np.unique([item for _, item in cut], return_counts=True)[1]
        assert counts.max() <= 3
    else:
        lines = (Path(whole["data_path"]) / "toy" / "toy.inter").read_text().splitlines()[1:]
        when = {tuple(line.split("\t")[:2]): float(line.split("\t")[2]) for line in lines}
        items = [item for _, item in train]
        for user, first in {pair[0]: when[pair] for pair in sorted(cut, key=when.get, reverse=True)}.items():
            later = [pair for pair in train if pair[0] == user and when[pair] > first]
            assert all(items.count(pair[1]) == 1 for pair in later)


def test_test_parts_have_no_say(whole):
    """With other test rows the cut is the same."""
    given = WAYS["four given"]
    one = named_parts(whole, **given, valid_shift="popularity")
    file = Path(whole["data_path"]) / "toy" / "toy.test_ood.inter"
    file.write_text("\n".join(file.read_text().splitlines()[:9]) + "\n")
    two = named_parts(whole, **given, valid_shift="popularity")
    assert sorted(pairs_of(one["valid"])) == sorted(pairs_of(two["valid"]))


def test_the_seed_of_the_split_decides_the_cut_and_the_seed_of_the_run_does_not(whole):
    given = {**WAYS["given"], "valid_shift": "popularity"}
    one, run_seed, split_seed = (
        pairs_of(named_parts(whole, **given, **more)["valid"])
        for more in ({}, {"seed": 5}, {"shift_seed": 5})
    )
    assert one == run_seed
    assert one != split_seed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"valid_shift": "temporal", "eval_args": {"order": "TO"}}, "valid is later than train already"),
        ({"valid_shift": "popularity", "benchmark_filename": ["a", "b"]}, "names no valid part to stand"),
        ({"valid_shift": "popularity", "valid_part": "latest"}, "each makes a validation part: leave one"),
        (
            {"valid_shift": "popularity", "eval_args": {"split": {"RS": [0.8, 0.0, 0.2]}}},
            "has no validation part to stand beside",
        ),
        (
            {"valid_shift": "temporal", "TIME_FIELD": "when"},
            "valid_shift is temporal, but .* has no column 'when', .* or leave out valid_shift",
        ),
        ({"valid_shift": "later"}, "'valid_shift' is 'later'; it takes none . popularity"),
        ({"valid_shift": "popularity", "valid_shift_ratio": 1.0}, "'valid_shift_ratio' is 1.0"),
    ],
)
def test_where_there_can_be_no_such_part_it_is_refused_in_one_line(whole, options, said):
    with pytest.raises(UsageError, match=said) as told:
        InteractionDataset(Config("BPR", overrides={**whole, **options})).build()
    assert "\n" not in str(told.value)


def test_sequential_models_have_no_such_part(whole):
    options = {**whole, "valid_shift": "popularity", "train_neg_sample_args": None}
    del options["embedding_size"]
    with pytest.raises(UsageError, match=r"SASRec is a sequential model, .* leave valid_shift out"):
        Config("SASRec", overrides=options)


# What a run does with it.


def masked_of(dataset, loader) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for interaction, history, _, _ in loader:
        users = interaction[dataset.uid_field][history[0]]
        for user, item in zip(users.tolist(), history[1].tolist(), strict=True):
            name = str(dataset.id2token(dataset.uid_field, user))
            found.setdefault(name, set()).add(str(dataset.id2token(dataset.iid_field, item)))
    return found


def test_each_part_is_ranked_without_all_that_is_learned_or_validated(whole):
    config = Config("BPR", overrides={**whole, **WAYS["four given"], "valid_shift": "popularity"})
    parts = named_parts(whole, **WAYS["four given"], valid_shift="popularity")
    dataset = create_dataset(config)
    _, valid, tests = prepare_data(config, dataset)
    loaders = {"valid": valid, "valid_iid": valid.unshifted, **tests}
    assert list(loaders) == ["valid", "valid_iid", "test_iid", "test_ood"]
    learned = ["train", "valid", "valid_iid"]
    for name, loader in loaders.items():
        expected: dict[str, set[str]] = {}
        held_out = set(pairs_of(parts[name]))
        for user, item in {pair for one in learned if one != name for pair in pairs_of(parts[one])}:
            if user in {one for one, _ in held_out}:
                expected.setdefault(user, set()).add(item)
        assert masked_of(dataset, loader) == expected, name


def test_the_shifted_part_chooses_and_the_other_is_reported(whole, tmp_path):
    options = {**whole, **WAYS["shift"], "valid_shift": "popularity", "epochs": 4, "learning_rate": 0.05}
    result = run("BPR", overrides={**options, "run_dir": str(tmp_path / "run")})
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert result["best_valid_score"] == max(line["valid"]["recall@5"] for line in lines)
    best = lines[result["best_epoch"]]
    assert (result["valid"], result["valid_iid"]) == (best["valid"], best["valid_iid"])
    other = max(lines, key=lambda line: line["valid_iid"]["recall@5"])
    assert result["valid_choices"]["valid_iid"] == {
        "epoch": other["epoch"],
        "valid": other["valid"]["recall@5"],
        "valid_iid": other["valid_iid"]["recall@5"],
    }
    assert set(result["parts"]) == {"train", "valid", "valid_iid", "test_iid", "test_ood"}
    loaded = load_run(tmp_path / "run")
    assert loaded.evaluate(["valid", "valid_iid"]) == {
        name: pytest.approx(result[name], abs=1e-6) for name in ("valid", "valid_iid")
    }
    user = next(user for user, _ in pairs_of(loaded.parts["valid_iid"]))
    had = {
        item
        for name in ("train", "valid", "valid_iid")
        for one, item in pairs_of(loaded.parts[name])
        if one == user
    }
    assert not had & set(loaded.recommend([user], k=5, exclude="history")["item"])
    stopped = run("BPR", overrides={**options, "epochs": 2, "run_dir": str(tmp_path / "stopped")})
    resumed = run(resume=stopped["run_dir"], overrides={"epochs": 4})
    for name in ("valid", "valid_iid", "valid_choices", "test_ood", "best_epoch"):
        assert resumed[name] == result[name]


def test_choices_are_the_last_best_epoch_of_each_part_as_a_runs_own_is():
    records = [
        {"epoch": epoch, "valid": {"r": shifted}, "valid_iid": {"r": iid}}
        for epoch, (shifted, iid) in enumerate([(1, 5), (3, 4), (3, 9), (2, 9)])
    ]
    assert choices(records, "r", True) == {
        "valid": {"epoch": 2, "valid": 3, "valid_iid": 9},
        "valid_iid": {"epoch": 3, "valid": 2, "valid_iid": 9},
    }
    assert choices(records, "r", False)["valid_iid"]["epoch"] == 1
    assert choices([{"epoch": 0, "valid": {"r": 1}}], "r", True) == {}


def test_pairs_that_repeat_in_the_file_of_train_are_told_as_such_where_valid_is_cut_out_of_it(whole):
    first = Path(whole["data_path"], "toy", "toy.first.inter")
    lines = first.read_text().splitlines()
    first.write_text("\n".join([*lines, *lines[1:200]]) + "\n")
    options = {**whole, **WAYS["given"], "valid_shift": "popularity"}
    with pytest.raises(UsageError, match="keep one row of each pair in that of train, out of which"):
        run("BPR", overrides=options)


def test_a_train_part_of_one_row_a_user_has_none_to_cut_by_time_whatever_the_ratio(whole):
    folder = Path(whole["data_path"], "toy")
    header, *rows = (folder / "toy.inter").read_text().splitlines()
    alone = list({line.split("\t")[0]: line for line in rows}.values())
    (folder / "toy.first.inter").write_text("\n".join([header, *alone]) + "\n")
    others = [line for line in rows if line not in alone]
    for name, some in (("second", others[:100]), ("third", others[100:])):
        (folder / f"toy.{name}.inter").write_text("\n".join([header, *some]) + "\n")
    with pytest.raises(UsageError, match="none can be cut; give more rows of a user, or leave"):
        named_parts({**whole, **WAYS["given"]}, valid_shift="temporal")
