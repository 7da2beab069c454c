"""Lists that hold all candidates of a user are told.

Of 50 items a user has 20 in train, 2 in valid and 3 in test.
"""

import pytest
from data.test_preparation import prepared

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.testing.checkerboard import write_parts


def said(caplog):
    return [line for line in caplog.messages if "holds all candidates" in line]


# Candidates of a user: in valid 2 * (N + 1) items or the 30 that the user had not, in test 3 * (N + 1) or 28.
@pytest.mark.parametrize(
    ("mode", "topk", "told"),
    [
        ("full", [10, 27], {}),
        ("full", [10, 28], {"test": 28}),
        ("full", [30], {"valid": 30, "test": 30}),
        ("uni4", [9], {}),
        ("uni4", [10], {"valid": 10}),
        ("pop4", [5, 15], {"valid": 15, "test": 15}),
        ("uni40", [27], {}),
        ("uni40", [28], {"test": 28}),
    ],
)
def test_a_list_of_all_candidates_is_told_from_the_first_such_length_on(
    checkerboard, caplog, mode, topk, told
):
    metric = f"NDCG@{topk[0]}"
    prepared("BPR", checkerboard, eval_args={"mode": mode}, topk=topk, valid_metric=metric)
    lines = said(caplog)
    assert len(lines) == len(told)
    for line, (part, k) in zip(lines, told.items(), strict=True):
        assert f"a list of {k} holds all candidates of 50 of the 50 users of {part}" in line
        assert "says little" not in line


def test_an_epoch_chosen_by_such_a_metric_is_told(checkerboard, caplog):
    prepared("BPR", checkerboard, eval_args={"mode": "uni4"}, topk=[5, 10], metrics=["NDCG", "Recall"])
    (line,) = said(caplog)
    assert (
        "recall@10 of theirs would be the same for every model; as valid_metric recall@10 says little" in line
    )


@pytest.mark.parametrize(
    ("held_out", "few", "told"),
    [
        (1, 30, "30 of the 30 users of test have rated 1 item, so that rated_unfiltered_recall@2, "
         "rated_unfiltered_recall@5, rated_unfiltered_ndcg@2, rated_unfiltered_ndcg@5 of theirs would be 1"),
        (3, 30, "30 of the 30 users of test have rated 5 items or fewer, so that rated_unfiltered_recall@5 "),
        (3, 23, "23 of the 30 users of test have rated 5 items or fewer, so that rated_unfiltered_recall@5 "),
        (3, 22, None),
        (6, 30, None),
    ],
)  # fmt: skip
def test_lists_of_all_items_that_users_have_rated_are_told(tmp_path, caplog, held_out, few, told):
    (tmp_path / "toy").mkdir()
    for number, (part, size) in enumerate((("train", 6), ("valid", 6), ("test", held_out))):
        rows = [f"u{user}\ti{10 * number + item}\t{1 + (user + item) % 5}"
                for user in range(30) for item in range(size if user < few else 6)]  # fmt: skip
        text = "\n".join(["user_id:token\titem_id:token\trating:float", *rows]) + "\n"
        (tmp_path / f"toy/toy.{part}.inter").write_text(text)
    given = {
        "data_path": str(tmp_path),
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": ["user_id", "item_id", "rating"]},
        "rating_scale": [1, 5],
        "rated_topk": [2, 5],
    }
    config = Config("ItemRidge", "toy", overrides={**given, "topk": [1], "valid_metric": "MRR@1"})
    prepare_data(config, create_dataset(config))
    lines = [line for line in caplog.messages if "have rated" in line]
    assert len(lines) == (told is not None)
    assert told is None or told in lines[0]


@pytest.mark.parametrize(("alike", "told"), [(30, True), (23, True), (22, False), (0, False)])
def test_users_who_have_rated_all_alike_are_told(tmp_path, caplog, alike, told):
    """Rated items of one rating are in the right order in any; users without a relevant one do not count."""
    parts = {}
    for number, part in enumerate(("train", "valid", "test")):
        rows = [
            (f"u{user}", item, 5 if part == "test" and user < alike else 1 + (user + item) % 5)
            for user in range(30) for item in range(6)
        ]  # fmt: skip
        rows += [(f"low{user}", item, 1) for user in range(100) for item in range(6)]
        parts[part] = [(user, f"i{10 * number + item}", rating) for user, item, rating in rows]
    given = {**write_parts(tmp_path, "toy", parts).overrides, "rating_scale": [1, 5], "rated_topk": [2]}
    config = Config("ItemRidge", "toy", overrides={**given, "topk": [1], "valid_metric": "MRR@1"})
    prepare_data(config, create_dataset(config))
    said = (
        f"{alike} of the 30 users of test with a relevant item have given one rating to all that they rated "
        "there, so that rated_unfiltered_recall@2, rated_unfiltered_ndcg@2 of theirs would be the same"
    )
    assert (said in caplog.text) == told
    assert "users of valid" not in caplog.text
