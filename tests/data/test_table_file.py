"""Parquet and CSV in the place of atomic files: the same data set, and errors that name file and row."""

import datetime
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.data.reader import opened
from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run

WRITE = {"parquet": pq.write_table, "csv": pa_csv.write_csv}


def as_tables(folder, kind, typed=False):
    """Replace each atomic file of a folder by a table of the same rows."""
    for path in [*folder.glob("*.inter"), *folder.glob("*.item")]:
        head, *lines = path.read_text().splitlines()
        names = head.split("\t")
        columns = list(zip(*(line.split("\t") for line in lines), strict=True))
        values = {
            name if typed else name.split(":")[0]: pa.array(
                [float(value) for value in column] if name.endswith(":float") else column
            )
            for name, column in zip(names, columns, strict=True)
        }
        path.unlink()
        WRITE[kind](pa.table(values), path.with_name(f"{path.name}.{kind}"))


def read(data, **options):
    return create_dataset(Config("BPR", overrides={**data.overrides, **options}))


def write(folder, kind, name="shop.inter", **columns):
    """Write one table as the interactions of a data set ``shop``; return the options that read it."""
    (folder / "shop").mkdir(exist_ok=True)
    WRITE[kind](pa.table(columns), folder / "shop" / f"{name}.{kind}")
    return {
        "dataset": "shop", "data_path": str(folder), "benchmark_filename": None, "use_gpu": False,
        "epochs": 1, "topk": [3], "valid_metric": "recall@3", "metrics": ["Recall"],
    }  # fmt: skip


@pytest.mark.parametrize("kind", WRITE)
@pytest.mark.parametrize("typed", [False, True])
def test_tables_give_the_data_set_of_the_atomic_files(checkerboard, kind, typed):
    atomic = read(checkerboard)
    as_tables(checkerboard.folder, kind, typed)
    table = read(checkerboard)
    assert table.field2type == atomic.field2type
    assert table.file_size_list == atomic.file_size_list
    for field in atomic.inter_feat.columns:
        assert np.array_equal(table.inter_feat[field].to_numpy(), atomic.inter_feat[field].to_numpy())
    assert list(table.field2id_token["item_id"]) == list(atomic.field2id_token["item_id"])


def test_a_run_on_tables_has_the_result_of_one_on_atomic_files(checkerboard, tmp_path):
    options = {**checkerboard.overrides, "epochs": 2, "embedding_size": 8}
    atomic = run("BPR", overrides=options | {"run_dir": str(tmp_path / "atomic")})
    as_tables(checkerboard.folder, "parquet")
    table = run("BPR", overrides=options | {"run_dir": str(tmp_path / "table")})
    assert (table["valid"], table["test"], table["parts"]) == (
        atomic["valid"],
        atomic["test"],
        atomic["parts"],
    )


@pytest.mark.parametrize("kind", WRITE)
def test_dates_are_seconds_and_order_the_rows(tmp_path, kind):
    days = [datetime.datetime(2024, 1, day, 12) for day in (5, 3, 9, 1)]
    other = [datetime.datetime(2023, 1, day) for day in range(1, 6)]
    options = write(
        tmp_path, kind, user_id=["a"] * 4 + ["b"] * 5, item_id=[10, 11, 12, 13, *range(14, 19)],
        rating=[3] * 9, timestamp=days + other,
    )  # fmt: skip
    options |= {
        "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]},
        "eval_args": {"order": "TO", "split": {"LS": "test_only"}}, "topk": [1], "valid_metric": "recall@1",
    }  # fmt: skip
    config = Config("BPR", overrides=options)
    dataset = create_dataset(config)
    assert dataset.times.tolist() == [
        (day - datetime.datetime(1970, 1, 1)).total_seconds() for day in days + other
    ]
    _, _, tests = prepare_data(config, dataset)
    last = tests["test"]._dataset.inter_feat["item_id"]
    assert sorted(dataset.id2token("item_id", last)) == ["12", "18"]


@pytest.mark.parametrize(
    ("zone", "moment"), [(None, 3600), ("UTC", 3600), ("+01:00", 3600)], ids=["none", "utc", "shifted"]
)
def test_a_time_with_a_zone_is_the_moment_itself(tmp_path, zone, moment):
    times = pa.array([moment * 1000, None], pa.timestamp("ms", tz=zone))
    options = write(tmp_path, "parquet", user_id=["a", "a"], item_id=["x", "y"], timestamp=times)
    config = Config("BPR", overrides=options)
    file = opened(tmp_path / "shop" / "shop.inter.parquet", config)
    found = file.read(file.header(), ["timestamp"], 2)["timestamp"]
    assert found[0] == moment and np.isnan(found[1])


def test_ids_that_look_like_missing_values_numbers_or_truth_are_ids(tmp_path):
    users = ["NA", "null", "007", "True", "nan"]
    (tmp_path / "shop").mkdir()
    lines = [f"{user},i{item}" for user in users for item in range(5)]
    (tmp_path / "shop" / "shop.inter.csv").write_text("\n".join(["user_id,item_id", *lines]) + "\n")
    dataset = create_dataset(Config("BPR", overrides=write(tmp_path, "csv", "other", user_id=["a"])))
    assert list(dataset.field2id_token["user_id"]) == ["[PAD]", *users]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"user_id": [1.0, 2.0], "item_id": ["a", "b"]},
            "the column 'user_id' of type double, expected whole",
        ),
        ({"user_id": ["u", "v"], "item_id:float": ["a", "b"]}, "item_id"),
        ({"user_id": ["u", "v"], "item_id": ["a", "b"], "rating": ["good", "bad"]}, "rating' is token"),
        ({"user_id": ["u", "v"], "item_id": ["a", "b"], "rating:float": ["good", "bad"]}, "'rating' of type"),
        (
            {"user_id": ["u", "v"], "item_id": ["a", "b"], "rating:number": [1, 2]},
            "the column 'rating:number'",
        ),
        ({"user_id": ["u", "v"], "item_id": ["a", "b"], "x_label": [0, 1]}, "write a table for each part"),
        ({"user_id": ["u", "v"], "product": ["a", "b"]}, "no column item_id"),
        ({"user_id": ["u"][:0], "item_id": ["a"][:0]}, "at least one row"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(tmp_path, columns, said):
    options = write(tmp_path, "parquet", **columns)
    options |= {
        "load_col": {"inter": ["user_id", "item_id", *(["rating"] if "rating" in str(columns) else [])]}
    }
    with pytest.raises(UsageError, match=said) as error:
        create_dataset(Config("BPR", overrides=options))
    assert "\n" not in str(error.value)


def test_files_that_are_no_tables_and_two_of_one_part_are_refused(tmp_path):
    options = write(tmp_path, "csv", user_id=["u"], item_id=["i"])
    file = tmp_path / "shop" / "shop.inter.csv"
    file.write_text("user_id,item_id\nu,i\nu,i,3\n")
    with pytest.raises(UsageError, match=r"cannot be read as CSV \(','\): .*2 columns.*3"):
        create_dataset(Config("BPR", overrides=options))
    file.write_text("user_id;item_id\nu;i\n")
    with pytest.raises(UsageError, match="name another separator with --field_separator"):
        create_dataset(Config("BPR", overrides=options))
    (tmp_path / "shop" / "shop.inter.parquet").write_text("no parquet")
    with pytest.raises(UsageError, match=r"shop.inter.parquet, shop.inter.csv in .* keep one of them"):
        create_dataset(Config("BPR", overrides=options))
    file.unlink()
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        create_dataset(Config("BPR", overrides=options))


def test_lists_are_sequences_and_the_columns_of_items_come_from_a_table_too(tmp_path):
    users = [user for user in "uvwxy" for _ in range(5)]
    options = write(tmp_path, "parquet", user_id=users, item_id=[f"i{n}" for n in range(5)] * 5)
    write(
        tmp_path, "parquet", "shop.item", item_id=[f"i{n}" for n in range(5)],
        genre=pa.array([["a", "b"], ["b"], [], None, ["c d"]]), price=[1.5, 2, 3, 4, 5],
    )  # fmt: skip
    options |= {"load_col": {"inter": ["user_id", "item_id"], "item": ["item_id", "genre", "price"]}}
    dataset = create_dataset(Config("BPR", overrides=options))
    items = [f"i{number}" for number in range(5)]
    found = dataset.item_feat.set_index("item_id")["genre"].loc[dataset.token2id("item_id", items)]
    tokens = dataset.field2id_token["genre"]
    assert [[str(tokens[one]) for one in row if one] for row in found] == [["a", "b"], ["b"], [], [], ["c d"]]
    assert dataset.item_num == 6


def test_rows_without_ids_are_told_by_their_numbers(tmp_path, caplog):
    users = ["a", None, "b", "", "c", *"abcabcabc"]
    items = ["x", "y", None, "z", "w", *(f"i{number}" for number in range(9))]
    options = write(tmp_path, "parquet", user_id=users, item_id=items)
    dataset = create_dataset(Config("BPR", overrides=options))
    assert len(dataset.inter_feat) == 11
    assert "shop.inter.parquet, row 2, 3, 4" in caplog.text


def test_without_pyarrow_the_message_names_the_extra(tmp_path, monkeypatch):
    options = write(tmp_path, "parquet", user_id=["u"], item_id=["i"])
    config = Config("BPR", overrides=options)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"recbole-diffusion\[parquet\]"):
        create_dataset(config)


def test_a_byte_order_mark_and_columns_of_other_names(tmp_path):
    options = write(tmp_path, "csv", user_id=["u"], item_id=["i"])
    file = tmp_path / "shop" / "shop.inter.csv"
    rows = "".join(f"u{user},i{item}\n" for user in range(4) for item in range(3))
    file.write_bytes(b"\xef\xbb\xbf" + f"customer,product\n{rows}".encode())
    named = {"USER_ID_FIELD": "customer", "ITEM_ID_FIELD": "product"}
    loaded = {"load_col": {"inter": ["customer", "product"]}}
    assert len(create_dataset(Config("BPR", overrides=options | named | loaded)).inter_feat) == 12
    with pytest.raises(
        UsageError, match=r"shop.inter.csv: found the columns customer, product, expected one of"
    ):
        create_dataset(Config("BPR", overrides=options))
    with pytest.raises(UsageError, match="is a CSV file, which one character separates"):
        create_dataset(Config("BPR", overrides=options | {"field_separator": "::"}))


def test_parts_in_tables_win_over_a_labelled_file_beside_them(checkerboard):
    as_tables(checkerboard.folder, "csv")
    name = checkerboard.name
    (checkerboard.folder / f"{name}.inter").write_text("userID\titemID\tx_label\n" + "1\t2\t0\n" * 3)
    assert len(read(checkerboard).inter_feat) == 1250


@pytest.mark.parametrize("values", [[[[1], [2]]] * 2, [[datetime.date(2024, 1, 1)]] * 2])
def test_lists_of_lists_and_of_dates_are_refused(tmp_path, values):
    options = write(tmp_path, "parquet", user_id=["u", "v"], item_id=["i", "j"], tags=pa.array(values))
    options |= {"load_col": {"inter": ["user_id", "item_id", "tags"]}}
    with pytest.raises(UsageError, match="the column 'tags' of type list"):
        create_dataset(Config("BPR", overrides=options))


def test_a_gap_in_a_list_of_numbers_changes_no_other_token(tmp_path):
    values = pa.array([[1, None, 2], [2]])
    options = write(tmp_path, "parquet", user_id=["u", "v"], item_id=["i", "j"], **{"tags:token_seq": values})
    options |= {"load_col": {"inter": ["user_id", "item_id", "tags"]}}
    dataset = create_dataset(Config("BPR", overrides=options))
    assert list(dataset.field2id_token["tags"]) == ["[PAD]", "1", "2"]
