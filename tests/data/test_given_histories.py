"""Histories of given parts of sequential models have the form of those that RecBole makes."""

import logging

import pytest
import torch

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, parts_of, prepare_data
from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run

HEADER = "session_id:token\titem_id_list:token_seq\titem_id:token"
ROWS = [
    ("s0", "i1 i2 i3 i4 i5 i6", "i7"),
    ("s1", "i5 i6", "i7"),
    ("s2", "i2 i3 i4 i5", "i6"),
    ("s3", "i9", "i1"),
]


@pytest.fixture
def sessions(tmp_path):
    """Return a function that writes three equal parts of sessions, and the options that read them."""
    folder = tmp_path / "data" / "sessions"
    folder.mkdir(parents=True)

    def written(rows=ROWS, header=HEADER, **options):
        for part in ("train", "valid", "test"):
            text = "\n".join([header, *("\t".join(row) for row in rows)])
            (folder / f"sessions.{part}.inter").write_text(text + "\n")
        usual = {
            "data_path": str(folder.parent),
            "benchmark_filename": ["train", "valid", "test"],
            "load_col": {"inter": [name.split(":")[0] for name in header.split("\t")]},
            "USER_ID_FIELD": "session_id",
            "MAX_ITEM_LIST_LENGTH": 4,
            "topk": [2],
            "valid_metric": "MRR@2",
            "use_gpu": False,
        }
        return {**usual, **options}

    return written


def histories(options, model="SASRec"):
    """Return the histories of the training rows as tokens, without padding, and their lengths."""
    config = Config(model, "sessions", overrides=options)
    dataset = create_dataset(config)
    train = parts_of(config, dataset)["train"].inter_feat
    items, lengths = train["item_id_list"], train["item_length"].tolist()
    assert items.shape[1] == options["MAX_ITEM_LIST_LENGTH"]
    assert [int(row.count_nonzero()) for row in items] == lengths
    tokens = dataset.id2token("item_id", items.numpy())
    return [row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)]


def test_the_latest_items_of_a_long_history_are_read(sessions, caplog):
    with caplog.at_level(logging.WARNING):
        found = histories(sessions())
    assert found == [given.split()[-4:] for _, given, _ in ROWS]
    assert "MAX_ITEM_LIST_LENGTH is 4, and 3 rows of data set 'sessions' have a longer history" in caplog.text


def test_seq_len_keeps_the_latest_items_too(sessions):
    assert histories(sessions(seq_len={"item_id_list": 2})) == [given.split()[-2:] for _, given, _ in ROWS]


def test_items_that_only_the_beginning_of_a_history_has_are_items(sessions):
    options = sessions([("s0", "i1 i2 i3 i4 i5", "i6"), *ROWS[1:]])
    dataset = create_dataset(Config("SASRec", "sessions", overrides=options))
    assert "i1" in dataset.field2id_token["item_id"]


def test_columns_of_one_history_are_cut_alike(sessions):
    rows = [("s0", "i1 i2 i3 i4 i5", "i6", "1 2 3 4 5", "6"), ("s1", "i3", "i7", "8", "9")]
    header = f"{HEADER}\tstep_list:float_seq\tstep:float"
    config = Config("SASRec", "sessions", overrides=sessions(rows, header))
    train = parts_of(config, create_dataset(config))["train"].inter_feat
    assert torch.equal(train["step_list"], torch.tensor([[2.0, 3, 4, 5], [8, 0, 0, 0]]))


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (
            [*ROWS, ("s4", "", "i2")],
            HEADER,
            r"train.inter, line 6: 3 rows of the parts have no item in item_id_list",
        ),
        (
            [(*ROWS[1], "1", "2")],
            f"{HEADER}\tstep_list:float_seq\tstep:float",
            "line 2: 3 rows .* other numbers of",
        ),
        (
            [("s0", "i1", "i2")],
            HEADER.replace("token_seq", "token"),
            "item_id_list:token_seq, which .* does not",
        ),
        (
            [("s0", "i2")],
            "session_id:token\titem_id:token",
            "item_id_list:token_seq, which load_col does not name",
        ),
    ],
)
def test_histories_of_another_form_are_refused_with_their_lines(sessions, rows, header, message):
    with pytest.raises(UsageError, match=message):
        create_dataset(Config("SASRec", "sessions", overrides=sessions(rows, header)))


@pytest.mark.parametrize("model", ["SASRec", "Caser", "RepeatNet"])  # by positions, and of the option's size
def test_models_take_shorter_and_longer_histories(sessions, tmp_path, model):
    for length in (5, 8):  # the longest history has six items
        options = sessions(MAX_ITEM_LIST_LENGTH=length, epochs=1, train_neg_sample_args=None)
        options |= {"allow_overlap": True, "run_dir": str(tmp_path / f"run{length}")}
        assert run(model, "sessions", overrides=options)["test"]


def test_the_rows_of_a_single_file_are_as_before(tmp_path):
    folder = tmp_path / "data" / "log"
    folder.mkdir(parents=True)
    rows = [f"u{user}\ti{(user + step) % 7}\t{step}" for user in range(4) for step in range(6)]
    (folder / "log.inter").write_text(
        "\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows]) + "\n"
    )
    options = {
        "data_path": str(folder.parent),
        "topk": [2],
        "valid_metric": "MRR@2",
        "MAX_ITEM_LIST_LENGTH": 3,
    }
    config = Config("SASRec", "log", overrides={**options, "use_gpu": False})
    train, _, _ = prepare_data(config, create_dataset(config))
    assert train.dataset.inter_feat["item_id_list"].shape[1] == 3
