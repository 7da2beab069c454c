"""Histories of new users: what is not taken for one."""

import numpy as np
import pandas as pd
import pytest

from recbole_diffusion import load_run, run
from recbole_diffusion.errors import UsageError
from recbole_diffusion.serving.histories import frame_of, new_users, rating_numbers, read_histories
from recbole_diffusion.serving.id_map import IdMap
from recbole_diffusion.serving.ranking import check_k
from recbole_diffusion.serving.service import AnsweringRun, Asked

FIELDS = {
    "USER_ID_FIELD": "user_id",
    "ITEM_ID_FIELD": "item_id",
    "RATING_FIELD": "rating",
    "LABEL_FIELD": "label",
    "encoding": "utf-8",
    "field_separator": "\t",
    "seq_separator": " ",
}


def test_nobody_is_called_padding():
    ids = IdMap(np.array(["[PAD]", "a", "b"]))
    with pytest.raises(UsageError, match=r"have a user '\[PAD\]', which is RecBole's id of no user"):
        new_users(pd.DataFrame({"user": ["me", "[PAD]"], "item": ["a", "b"]}), ids, None)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"user": ["me", None], "item": ["a", "b"]}, "1 row of the histories has no user, first that"),
        ({"user": ["me"] * 2, "item": ["a", np.nan]}, "1 row of the histories has no item, first that"),
    ],
)
def test_a_row_without_user_or_item_is_no_user_called_none(rows, words):
    ids = IdMap(np.array(["[PAD]", "a", "b"], dtype=object))
    with pytest.raises(UsageError, match=words):
        new_users(pd.DataFrame(rows), ids, None)


def test_two_names_of_one_text_are_not_one_user():
    with pytest.raises(UsageError, match="two users of the histories are called '1'"):
        frame_of({1: ["a"], "1": ["b"]})


def test_ratings_in_words_are_told():
    assert rating_numbers(frame_of({"me": {"a": "4", "b": None}}))[0] == 4
    with pytest.raises(
        UsageError, match="1 rating of the histories is no number, first 'good' of user me on"
    ):
        rating_numbers(frame_of({"me": {"a": 4, "b": "good"}}))


@pytest.mark.parametrize(
    ("interval", "line"), [("[4,inf)", 3), ("(4,5]", 2), ("[3,3];[5,5]", 2), ("[3,5]", None), ("(3,5)", 3)]
)
def test_rows_that_the_runs_data_had_left_out_are_no_history(tmp_path, interval, line):
    file = tmp_path / "new"
    file.write_text("user_id:token\titem_id:token\trating:float\nu\ta\t4\nu\tb\t3\nu\tc\t\nu\td\t5\n")
    config = {**FIELDS, "val_interval": {"rating": interval, "user_id": ["u"]}}
    if line is None:
        assert len(read_histories(file, config, False)) == 4
        return
    with pytest.raises(UsageError, match=rf"new, line {line}: \d rows? of 4 ha.* a rating outside"):
        read_histories(file, config, False)


def test_ratings_of_a_request_are_held_against_those_of_the_runs_data(tmp_path):
    rows = [(u, i, 1 + (u + i) % 5) for u in range(20) for i in range(12)]
    folder = tmp_path / "data/rated"
    folder.mkdir(parents=True)
    text = "".join(f"u{u}\ti{i}\t{rating}\n" for u, i, rating in rows)
    (folder / "rated.inter").write_text(f"user_id:token\titem_id:token\trating:float\n{text}")
    overrides = {"data_path": str(tmp_path / "data"), "run_dir": str(tmp_path / "run"), "use_gpu": False}
    overrides |= {"load_col": {"inter": ["user_id", "item_id", "rating"]}, "topk": [3]}
    run("EASE", "rated", overrides={**overrides, "val_interval": {"rating": "[3,inf)"}})
    trained = load_run(tmp_path / "run")
    served = AnsweringRun(trained, "all")
    good, plain, bad = ({"me": one} for one in ({"i1": 3.0, "i2": 5.0}, ["i1", "i2"], {"i1": 3.0, "i2": 2.0}))
    one, other = (served.answer([Asked([], history, 3)])[0].lists[0]["items"] for history in (good, plain))
    assert one == other == trained.recommend_new(good, k=3)["item"].tolist()
    told = r"user me, item i2: 1 row of 2 has a rating outside \[3,inf\), the val_interval of"
    assert isinstance(served.answer([Asked([], bad, 3)])[0], UsageError)
    with pytest.raises(UsageError, match=told):
        trained.recommend_new(bad, k=3)


def test_a_number_of_numpy_is_a_length_of_a_list():
    check_k(np.int64(3), 3)
    for wrong in (np.int64(4), np.bool_(True), 2.0):
        with pytest.raises(UsageError, match="it takes 1 to 3"):
            check_k(wrong, 3)
