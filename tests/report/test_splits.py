"""Runs on different splits are refused; the same random splits of several seeds are not."""

import pytest
from support.finished_runs import PARTS

from recbole_diffusion.data.fingerprint import joined
from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.splits import group_by_split

RANDOM = {"benchmark_filename": None, "eval_args": {"order": "RO", "split": {"RS": [0.8, 0.1, 0.1]}}}


def other(**prints: str) -> dict:
    return PARTS | {name: {"rows": 4, "fingerprint": value} for name, value in prints.items()}


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_one_other_part_is_another_split(make_run, part):
    one, two = make_run("a"), make_run("b", model="EASE", parts=other(**{part: "f" * 16}))
    with pytest.raises(UsageError, match=r"'x' alone has a \(seed 0.*'y' alone has b"):
        group_by_split({"x": [one], "y": [two]})


def test_equal_splits_are_one(make_run):
    methods = {"x": [make_run("a"), make_run("b", seed=1)], "y": [make_run("c")]}
    by_split, notes = group_by_split(methods)
    assert {name: [len(runs) for runs in splits] for name, splits in by_split.items()} == {"x": [2], "y": [1]}
    assert notes == []


def test_a_run_chosen_on_test_learns_from_the_validation_part_too(make_run):
    both = joined(PARTS["train"]["fingerprint"], PARTS["valid"]["fingerprint"])
    on_test = make_run("paper", selection="test", parts=other(train=both, valid=PARTS["test"]["fingerprint"]))
    assert len(group_by_split({"honest": [make_run("a")], "paper": [on_test]})[0]["paper"]) == 1
    late = make_run("late", selection="last epoch", parts=on_test.result["parts"])  # of equal parts, unchosen
    for others in ({"honest": [make_run("b")]}, {"paper": [on_test]}):
        assert len(group_by_split({**others, "late": [late]})[0]["late"]) == 1
    fewer = make_run("fewer", selection="test", parts=other(valid=PARTS["test"]["fingerprint"]))
    with pytest.raises(UsageError, match="different splits"):
        group_by_split({"honest": [make_run("c")], "paper": [fewer]})


def test_runs_with_another_valid_part_of_the_same_rows_are_compared_and_said(make_run):
    train, valid = (int(PARTS[name]["fingerprint"], 16) for name in ("train", "valid"))
    cut = other(train=f"{train + 5:016x}", valid=f"{valid - 5:016x}")  # the same rows, cut otherwise
    latest = make_run("later", config={"valid_part": "latest"}, parts=cut)
    by_split, notes = group_by_split({"iid": [make_run("a")], "latest": [latest]})
    assert len(by_split["latest"]) == 1
    assert "the latest of each user in others (valid_part)" in notes[0]
    with pytest.raises(UsageError, match="different splits"):
        group_by_split({"iid": [make_run("b")], "latest": [make_run("c", parts=cut)]})
    fewer = make_run("d", config={"valid_part": "latest"}, parts=other(test="0" * 16))
    with pytest.raises(UsageError, match="different splits"):
        group_by_split({"iid": [make_run("e")], "latest": [fewer]})


def test_runs_with_a_shifted_valid_part_out_of_the_same_train_are_compared_and_said(make_run):
    train = int(PARTS["train"]["fingerprint"], 16)
    cut = other(train=f"{train - 7:016x}", valid="7".zfill(16), valid_iid=PARTS["valid"]["fingerprint"])
    config = {"valid_shift": "popularity"}
    by_split, notes = group_by_split({"iid": [make_run("a")], "x": [make_run("b", config=config, parts=cut)]})
    assert len(by_split["x"]) == 1
    assert "shifted ones cut from train: the split's own; valid_shift=popularity." in notes[0]
    # Two shares, or two draws, are two ways to cut one train.
    ratios = {ratio: {**config, "valid_shift_ratio": ratio} for ratio in (0.1, 0.3)}
    less = other(train=f"{train - 9:016x}", valid="9".zfill(16), valid_iid=PARTS["valid"]["fingerprint"])
    one, two = make_run("f", config=ratios[0.1], parts=cut), make_run("g", config=ratios[0.3], parts=less)
    _, notes = group_by_split({"x": [one], "y": [two]})
    assert "valid_shift_ratio=0.1; valid_shift=popularity valid_shift_ratio=0.3" in notes[0]
    fewer = make_run("d", config=config, parts=cut | other(valid="8".zfill(16), train=f"{train - 7:016x}"))
    with pytest.raises(UsageError, match="different splits"):
        group_by_split({"iid": [make_run("e")], "x": [fewer]})


def test_random_splits_must_be_the_same_for_all(make_run):
    def runs(name, seeds):
        prints = [
            {"train": f"{9 - seed:016x}", "test": f"{seed:016x}"} for seed in seeds
        ]  # the same rows, cut otherwise
        of_seeds = zip(seeds, prints, strict=True)
        return [
            make_run(f"{name}-{seed}", seed=seed, config=RANDOM, parts=other(**cut)) for seed, cut in of_seeds
        ]

    x, y, z = runs("x", (0, 1)), runs("y", (1, 0)), runs("z", (0,))
    by_split, notes = group_by_split({"x": x, "y": y})
    assert by_split["y"] == [[y[1]], [y[0]]]  # in the order of the splits of the first
    assert "the same 2 splits" in notes[0]
    with pytest.raises(UsageError, match=r"'x' alone has x-1 .*give every method the same seeds"):
        group_by_split({"x": x, "z": z})


def test_older_runs_are_told_apart_by_settings(make_run):
    old, shifted = make_run("a", parts=None), make_run("b", parts=None, config={"shift": "popularity"})
    assert "judged by their settings" in group_by_split({"x": [old], "y": [make_run("c")]})[1][0]
    with pytest.raises(UsageError, match="different splits"):
        group_by_split({"x": [old], "y": [shifted]})
    seeds = [make_run(f"s{seed}", parts=None, seed=seed, config=RANDOM) for seed in (0, 1)]
    with pytest.raises(UsageError, match="the seed of a run decides its split"):
        group_by_split({"x": seeds[:1], "y": seeds[1:]})


def test_older_runs_with_one_split_seed_are_on_one_split(make_run):
    old = [make_run(f"s{seed}", parts=None, seed=seed, config={**RANDOM, "split_seed": 7}) for seed in (0, 1)]
    assert len(group_by_split({"x": old[:1], "y": old[1:]})[0]["y"]) == 1


def test_other_data_of_one_name_are_told_from_other_seeds(make_run):
    """A cross-domain run takes its domains out of the same ratings."""
    parts = {"train": "a", "valid": "b", "test": "c", "test_cold": "d", "test_warm": "e"}
    parts = {name: {"rows": 1000, "fingerprint": print_ * 16} for name, print_ in parts.items()}
    one, two = (
        make_run("a", config=RANDOM),
        make_run("b", config={**RANDOM, "cold_user_ratio": 0.2}, parts=parts),
    )
    with pytest.raises(
        UsageError, match=r"their data differ.* 'x' has 12 interactions, 'y' 3,000; b has two domains"
    ) as told:
        group_by_split({"x": [one], "y": [two]})
    assert "seeds" not in str(told.value)


def test_one_seed_and_another_split_of_the_same_data_blames_no_seed(make_run):
    swapped = PARTS | {"train": PARTS["test"], "test": PARTS["train"]}
    with pytest.raises(UsageError, match=r"compare runs on the same parts$"):
        group_by_split(
            {"x": [make_run("a", config=RANDOM)], "y": [make_run("b", config=RANDOM, parts=swapped)]}
        )


def test_other_data_sets_are_refused(make_run):
    with pytest.raises(UsageError, match=r"toy \(a\) and else \(b\)"):
        group_by_split({"x": [make_run("a")], "y": [make_run("b", dataset="else")]})


def test_interactions_that_a_sequential_run_has_in_histories_alone_are_of_its_split(make_run):
    whole = joined(PARTS["train"]["fingerprint"], "5" * 16)
    general = make_run("general", parts=other(train=whole))
    first = {"rows": 3, "fingerprint": "5" * 16}
    methods = {"x": [general], "y": [make_run("sequential", model="SASRec", first_rows=first)]}
    assert [len(runs) for runs in group_by_split(methods)[0].values()] == [1, 1]
    with pytest.raises(UsageError, match="different splits"):
        group_by_split({"x": [general], "y": [make_run("other", model="GRU4Rec")]})


def test_a_sequential_run_of_an_earlier_version_is_on_the_split_of_a_later_one_with_equal_parts(make_run):
    earlier = make_run("earlier", model="SASRec", config=RANDOM)
    first = {"rows": 3, "fingerprint": "5" * 16}
    later = make_run("later", model="GRU4Rec", seed=1, config=RANDOM, first_rows=first)
    general = make_run("general", parts=other(train=joined(PARTS["train"]["fingerprint"], "5" * 16)))
    by_split, _ = group_by_split({"x": [earlier], "y": [later], "z": [general]})
    assert [len(runs) for of_method in by_split.values() for runs in of_method] == [1, 1, 1]
    swapped = PARTS | {"train": PARTS["test"], "test": PARTS["train"]}
    there = make_run("there", model="SASRec", config=RANDOM, parts=swapped)
    with pytest.raises(UsageError, match="a run decides its split") as told:
        group_by_split({"x": [there], "y": [later]})
    assert "data differ" not in str(told.value)  # it has all rows, and does not tell those of histories
