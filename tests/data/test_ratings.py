"""Rating rows: on their scale, sparse, and refused where they are wrong."""

import pytest

from recbole_diffusion import run
from recbole_diffusion.config import Config
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.data.ratings import rating_column, rating_rows
from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.comparison import compare
from recbole_diffusion.report.runs import read_run
from recbole_diffusion.testing.checkerboard import write_parts

ROWS = [("a", "1", 5), ("a", "2", 1), ("b", "2", 3), ("b", "3", 4), ("c", "1", 2), ("c", "3", 5)]


@pytest.fixture
def rated(tmp_path):
    """Return a function that writes rated rows as a data set of three equal parts and loads it."""

    def load(rows, others=ROWS[:1], **options):
        folder = tmp_path / "data/toy"
        folder.mkdir(parents=True, exist_ok=True)
        parts = {"train": rows, "valid": others, "test": others}
        for part, own in parts.items():
            text = ["user_id:token\titem_id:token\trating:float", *("\t".join(map(str, row)) for row in own)]
            (folder / f"toy.{part}.inter").write_text("\n".join(text) + "\n")
        overrides = {
            "data_path": str(folder.parent),
            "benchmark_filename": list(parts),
            "load_col": {"inter": ["user_id", "item_id", "rating"]},
            "rating_scale": [1, 5],
            "topk": [1],
            "valid_metric": "rated_ndcg@5",
            **options,
        }
        return InteractionDataset(Config("Pop", "toy", overrides=overrides))

    return load


def test_rows_hold_the_ratings_as_they_are(rated):
    dataset = rated(ROWS)
    rows = rating_rows(dataset.build()[0], 1, 5)
    ids = [(dataset.token2id("user_id", user), dataset.token2id("item_id", item)) for user, item, _ in ROWS]
    assert [rows[pair] for pair in ids] == [5, 1, 3, 4, 2, 5]
    assert (rows.nnz, rows.shape, rows.has_sorted_indices) == (6, (4, 4), 1)


def test_without_a_scale_ratings_are_normalised_as_recbole_does(rated):
    ratings = rated(ROWS, rating_scale=None, valid_metric="MRR@1", normalize_all=True).inter_feat["rating"]
    assert (ratings.min(), ratings.max()) == (0, 1)
    ratings = rated(ROWS, normalize_all=True).inter_feat["rating"]
    assert (ratings.min(), ratings.max()) == (1, 5)


@pytest.mark.parametrize(
    "given", [{"normalize_all": True}, {"normalize_all": None, "normalize_field": ["rating"]}]
)
def test_ratings_that_are_not_normalised_are_told(rated, caplog, given):
    rated(ROWS)
    assert "rating_scale keeps" not in caplog.text
    rated(ROWS, **given)
    name = list(given)[-1]
    assert f"no effect of {name} on rating: rating_scale keeps ratings on their scale" in caplog.text


@pytest.mark.parametrize("wrong", [0.5, 6, float("nan")])
def test_a_rating_outside_the_scale_is_named(rated, wrong):
    with pytest.raises(
        UsageError,
        match=rf"1 rating .* outside rating_scale \[1, 5\].*: {wrong:g} of user c on item 2; correct",
    ):
        rated([*ROWS, ("c", "2", wrong)])


@pytest.mark.parametrize("scale", [[0, 100], [1, 11]])
def test_a_scale_of_which_the_ratings_have_the_lower_half_alone_is_refused(rated, scale):
    with pytest.raises(UsageError, match=r"the ratings of data set 'toy' go from 1 to 5: none reaches"):
        rated(ROWS, rating_scale=scale)
    rated(ROWS, rating_scale=[1, 9])  # the middle is 5


def test_ratings_that_are_all_the_same_are_told(tmp_path, caplog):
    """Rated items are then in the right order whatever a model says of them."""
    for name, ratings in (("one", [5]), ("two", [4, 5])):
        folder = tmp_path / name
        folder.mkdir()
        rows = [f"u{row // 4}\ti{row % 4}\t{ratings[row % len(ratings)]}" for row in range(12)]
        text = "\n".join(["user_id:token\titem_id:token\trating:float", *rows]) + "\n"
        (folder / f"{name}.inter").write_text(text)
        given = {"data_path": str(tmp_path), "load_col": None, "rating_scale": [1, 5], "topk": [1]}
        InteractionDataset(Config("Pop", name, overrides={**given, "valid_metric": "MRR@1"}))
    assert "all 12 ratings of data set 'one' are 5: nothing tells rated items apart" in caplog.text
    assert "of data set 'two' are" not in caplog.text


@pytest.mark.parametrize(
    ("levels", "scale", "said"),
    [
        ([1, 2, 3, 4, 5], [1, 5], None),
        ([1, 2, 3, 4, 5], [0, 8], "[0, 8], but the ratings of data set 'toy' go from 1 to 5: an item is "
         "relevant from 4 on, and by their own ends would be from 3"),
        ([0.5, 2.5, 5], [0, 5], "[0, 5], but the ratings of data set 'toy' go from 0.5 to 5: an item is "
         "relevant from 2.5 on, and by their own ends would be from 2.75"),
        ([0.02, 2.5, 4.98], [0, 5], None),  # ratings of many digits reach no end
    ],
)  # fmt: skip
def test_a_scale_whose_end_no_rating_has_is_told(rated, caplog, levels, scale, said):
    rows = [(f"u{number}", f"i{number % 7}", levels[number % len(levels)]) for number in range(200)]
    parts = [("u0", "i0", levels[0])]
    rated(rows, parts, rating_scale=scale)
    told = [line for line in caplog.messages if line.startswith("rating_scale is")]
    assert [said in line for line in told] == ([True] if said else [])


@pytest.mark.parametrize(("lowest", "told"), [(2, False), (3, True)])
def test_a_small_sample_need_not_have_the_lowest_star(rated, caplog, lowest, told):
    rows = [(f"u{number}", f"i{number % 7}", max(lowest, 1 + number % 5)) for number in range(60)]
    rated(rows, rating_scale=[1, 5])
    assert ("rating_scale is" in caplog.text) == told


def test_ratings_that_were_chosen_need_no_end_of_the_scale(rated, caplog):
    rows = [(f"u{number}", f"i{number % 7}", 1 + number % 5) for number in range(40)]
    rated(rows, rating_scale=[1, 5], val_interval={"rating": "[3,inf)"})
    assert "rating_scale is" not in caplog.text


@pytest.mark.parametrize(
    ("ratings", "scale", "told"),
    [
        ([0, 0, 0, 6, 8, 10], [0, 10], True),  # Book-Crossing's 0: no rating
        ([0, 0, 5, 6, 8, 10, 10, 10], [0, 10], False),
        ([0, 0, 0, 1], [0, 1], False),  # thumbs
    ],
)
def test_zeros_that_may_be_no_ratings_are_told(rated, caplog, ratings, scale, told):
    rows = [(f"u{number}", f"i{number % 7}", ratings[number % len(ratings)]) for number in range(48)]
    rated(rows, [("u0", "i0", 0)], rating_scale=scale)
    assert ("are 0, more than any other, and count as the lowest" in caplog.text) == told
    assert ("(0,inf)" in caplog.text) == told


def test_a_pair_that_is_rated_twice_is_named_with_what_removes_it(rated, tmp_path):
    """No filter reads the files of parts."""
    said = "1 row .* rates an item a second time, first user b on item 3; keep one "
    of_parts = rated([*ROWS, ("b", "3", 1)])
    with pytest.raises(UsageError, match=said + "in the file of the part"):
        rating_rows(of_parts.build()[0], 1, 5)
    folder = tmp_path / "data/toy"
    (folder / "toy.train.inter").rename(folder / "toy.inter")
    given = {name: of_parts.config[name] for name in ("data_path", "load_col", "rating_scale", "topk")}
    given["data_path"] = str(tmp_path / "data")
    whole = InteractionDataset(Config("Pop", "toy", overrides={**given, "valid_metric": "MRR@1"}))
    with pytest.raises(UsageError, match=said + "with --rm_dup_inter=last"):
        rating_rows(whole, 1, 5)


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (2, "6 of the 10 ratings of test are outside of 1 to 4, those of train: if one is on another scale, "
         "write both on one (test goes from 2 to 10)"),
        (0.2, "8 of the 10 ratings of test are outside of 1 to 4"),
        (1, None),  # one rating in five is a five, which train lacks
    ],
)  # fmt: skip
def test_parts_on_other_scales_are_told(tmp_path, caplog, factor, said):
    train = [(f"u{row % 10}", f"i{row // 10}", 1 + row % 4) for row in range(40)]
    test = [(f"u{row}", "i9", (1 + row % 5) * factor) for row in range(10)]
    valid = [(f"u{row}", "i8", 1 + row % 4) for row in range(10)]
    data = write_parts(tmp_path, "toy", {"train": train, "valid": valid, "test": test})
    more = {"topk": [1], "valid_metric": "Recall@1", "rating_scale": [0, max(5, 5 * factor)]}
    config = Config("Pop", overrides={**data.overrides, **more})
    prepare_data(config, create_dataset(config))
    told = [line for line in caplog.messages if "on another scale" in line]
    assert [said in line for line in told] == ([True] if said else [])


@pytest.mark.parametrize(("part", "low"), [("valid", True), ("test", True), ("valid", False)])
@pytest.mark.parametrize("metric", ["rated_both_ndcg@5", "Recall@1", "rated_mae"])
def test_a_part_without_a_relevant_item_has_no_metrics_of_rated_items(tmp_path, caplog, part, low, metric):
    """They were NaN in result.json, which compare called damaged, and NaN chose the epoch."""
    held_out = [("a", "3", 5), ("b", "1", 4), ("c", "2", 4)]
    train = [*ROWS, ("a", "4", 3), ("b", "5", 2)]
    parts = {"train": train, "valid": held_out[:2], "test": held_out[2:]}
    if low:
        parts[part] = [(user, item, 2) for user, item, _ in parts[part]]
    data = write_parts(tmp_path, "toy", parts)
    more = {"topk": [1], "rating_scale": [1, 5], "valid_metric": metric, "rated_topk": [5], "epochs": 1}
    given = {**data.overrides, **more, "run_dir": str(tmp_path / "run"), "use_gpu": False}
    if low and part == "valid" and metric == "rated_both_ndcg@5":
        with pytest.raises(UsageError, match=r"no item of valid is relevant: its ratings go from 2 to 2"):
            run("MF", overrides=given)
        return
    result = run("MF", overrides=given)
    assert (f"no item of {part} is relevant" in caplog.text) == low
    names = {name: {one for one in result[name] if one.startswith("rated_")} for name in ("valid", "test")}
    for name, found in names.items():
        assert {"rated_mae", "rated_released_ndcg@5"} <= found
        assert ("rated_unfiltered_ndcg@5" in found) == (not low or name != part)
    assert compare([read_run(tmp_path / "run")]).metrics


@pytest.mark.parametrize(
    ("again", "scale", "said"),
    [
        ([("a", "3", 1), ("a", "3", 4), ("b", "1", 2)], [1, 5], "1 pair of test of data set 'toy' has diff"),
        ([("a", "3", 1), ("b", "1", 4)], [1, 5], "2 pairs of test of data set 'toy' have different ratings"),
        ([("a", "3", 5), ("b", "1", 2)], [1, 5], None),  # the same ratings once more
        ([("a", "3", 1)], None, None),  # nothing reads ratings
    ],
)
def test_pairs_of_a_held_out_part_with_different_ratings_are_told(tmp_path, caplog, again, scale, said):
    test = [("a", "3", 5), ("b", "1", 2), ("c", "2", 4)]
    data = write_parts(tmp_path, "toy", {"train": ROWS, "valid": test, "test": [*test, *again]})
    more = {"topk": [1], "valid_metric": "Recall@1", "rating_scale": scale}
    config = Config("EASE", overrides={**data.overrides, **more})
    prepare_data(config, create_dataset(config))
    told = [line for line in caplog.messages if "different ratings" in line]
    assert [said in line for line in told] == [True] if said else not told


def test_a_user_without_a_rated_item_is_named(rated):
    with pytest.raises(
        UsageError, match="1 user of data set 'toy' has no rated item in train: a; take their rows out of"
    ):
        rating_rows(rated(ROWS[2:]).build()[0], 1, 5)


def test_a_missing_rating_column_is_named(rated):
    dataset = rated(ROWS, load_col={"inter": ["user_id", "item_id"]})
    with pytest.raises(UsageError, match=r"without the rating column 'rating'; name it in load_col\.inter"):
        rating_rows(dataset.build()[0], 1, 5)


@pytest.mark.parametrize("scale", [[5, 1], [1], [1, "5"], []])
def test_a_scale_is_two_numbers(rated, scale):
    with pytest.raises(UsageError, match=r"'rating_scale' is .*; it takes two numbers, the lower first"):
        rated(ROWS, rating_scale=scale)


def test_ratings_that_became_labels_stay_known_and_hidden(rated):
    plain, labelled = rated(ROWS), rated(ROWS, threshold={"rating": 4})
    for one, part in zip(plain.build(), labelled.build(), strict=True):
        assert "rating" not in part.inter_feat
        assert rating_column(part).tolist() == one.inter_feat["rating"].tolist()
        assert part.inter_feat["label"].tolist() == [rating >= 4 for rating in one.inter_feat["rating"]]
    with pytest.raises(UsageError, match=r"outside rating_scale \[1, 5\].*: 9 of user c"):
        rated([*ROWS, ("c", "2", 9)], threshold={"rating": 4})
