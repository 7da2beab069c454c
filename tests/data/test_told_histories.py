"""Histories of sequential models that hold the item to be predicted are told."""

import logging

import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data

HEADER = "session_id:token\titem_id_list:token_seq\titem_id:token"
SESSIONS = {f"s{user}": [f"i{(user + 3 * step) % 20}" for step in range(7)] for user in range(20)}


def row(user, ends):
    """Return the row that asks for one item of a session, by the items before it."""
    return user, SESSIONS[user][:ends], SESSIONS[user][ends]


def good():
    return {
        "train": [row(user, ends) for user in SESSIONS for ends in range(1, 5)],
        "valid": [row(user, 5) for user in SESSIONS],
        "test": [row(user, 6) for user in SESSIONS],
    }


@pytest.fixture
def told(tmp_path, caplog):
    """Return a function that prepares parts for SASRec and returns what is told."""

    def of(parts, model="SASRec"):
        folder = tmp_path / "data" / "sessions"
        folder.mkdir(parents=True)
        for part, rows in parts.items():
            lines = [f"{user}\t{' '.join(history)}\t{item}" for user, history, item in rows]
            (folder / f"sessions.{part}.inter").write_text("\n".join([HEADER, *lines]) + "\n")
        negatives = {} if model != "SASRec" else {"train_neg_sample_args": None}
        options = {
            **negatives,
            "data_path": str(folder.parent),
            "benchmark_filename": list(parts),
            "load_col": {"inter": ["session_id", "item_id_list", "item_id"]},
            "USER_ID_FIELD": "session_id",
            "alias_of_item_id": ["item_id_list"],
            "topk": [2],
            "valid_metric": "MRR@2",
            "use_gpu": False,
        }
        config = Config(model, "sessions", overrides=options)
        with caplog.at_level(logging.WARNING):
            prepare_data(config, create_dataset(config))
        return caplog.text

    return of


def test_parts_as_they_should_be_are_not_told(told):
    text = told(good())
    assert "history" not in text
    assert "histories" not in text


def test_a_model_that_reads_no_histories_takes_files_with_them(told):
    parts = good()
    parts["test"] = [(user, [*history, item], item) for user, history, item in parts["test"]]
    assert "history" not in told(parts, "BPR")


def test_histories_that_end_with_their_item_are_told(told):
    parts = good()
    parts["test"] = [(user, [*history, item], item) for user, history, item in parts["test"]]
    assert (
        "data set 'sessions': in 20 of the 20 rows of test the history ends with the very item that is to be "
        "predicted, which a model need only repeat; if item_id_list was meant to end before item_id"
    ) in told(parts)


def test_histories_that_have_their_item_anywhere_are_told(told):
    parts = good()
    parts["valid"] = [(user, SESSIONS[user], item) for user, _, item in parts["valid"]]
    assert "in 20 of the 20 rows of valid the history has the very item" in told(parts)


def test_training_histories_that_go_on_beyond_held_out_rows_are_told(told):
    parts = {
        "train": [row(user, 6) for user in SESSIONS],
        "valid": [row(user, 2) for user in SESSIONS],
        "test": [row(user, 3) for user in SESSIONS],
    }
    text = told(parts)
    for part in ("valid", "test"):
        assert (
            f"the item to be predicted in 20 of the 20 rows of {part} of data set 'sessions' stands in a "
            "history of the same session_id in train, and not in the row's own"
        ) in text


def test_histories_of_items_that_are_never_predicted_are_told(told):
    parts = {
        part: [(user, [one.replace("i", "") for one in history], item) for user, history, item in rows]
        for part, rows in good().items()
    }
    text = told(parts)
    assert "only 0 of the 200 items in the histories of train of data set 'sessions' are predicted" in text


def test_events_that_stand_twice_in_one_file_are_told(tmp_path, caplog):
    folder = tmp_path / "data" / "log"
    folder.mkdir(parents=True)
    events = [(user, item, step) for user, items in SESSIONS.items() for step, item in enumerate(items)]
    lines = [f"{user}\t{item}\t{10 * step + more}" for user, item, step in events for more in (0, 1)]
    (folder / "log.inter").write_text("\n".join(["user_id:token\titem_id:token\ttimestamp:float", *lines]))
    options = {"data_path": str(folder.parent), "topk": [2], "valid_metric": "MRR@2", "use_gpu": False}
    config = Config("SASRec", "log", overrides={**options, "train_neg_sample_args": None})
    with caplog.at_level(logging.WARNING):
        prepare_data(config, create_dataset(config))
    assert "in 20 of the 20 rows of test the history ends with the very item" in caplog.text
    assert "if one event stands in the file several times" in caplog.text
