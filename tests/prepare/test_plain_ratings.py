"""A published table of ratings as it is: repeats and order stay, and other tables are refused."""

import json

import pytest

from recbole_diffusion.cli.prepare import prepare
from recbole_diffusion.errors import UsageError

HEADER = "user_id\titem_id\trating"
ROWS = ["AX4\t0001844423\t4.0", "A1D\t0001844423\t5.0", "AX4\t0001844423\t4.0", "A1D\tB00X\t1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    return tmp_path


def put(here, lines, end="\n"):
    (here / "given/Amazon-Books-Dense.inter").write_bytes("".join(line + end for line in lines).encode())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_stay_as_they_are_under_typed_names(here, end, capsys):
    put(here, [HEADER, *ROWS], end)
    assert prepare(["amazon_books", "--source=given"]) == 0
    header, *rows = (here / "dataset/amazon_books/amazon_books.inter").read_text().splitlines()
    assert header == "user_id:token\titem_id:token\trating:float" and rows == ROWS
    record = json.loads((here / "dataset/amazon_books/prepare.json").read_text())
    assert record["found"] == {"users": 2, "items": 2, "interactions": 3} and record["repeated"] == 1
    said, warned = capsys.readouterr()
    assert "rows     4 ratings; 1 repeat a pair" in said and "expected 1,134,791" in warned


def test_text_that_is_not_utf_8_is_told_as_that(here):
    (here / "given/Amazon-Books-Dense.inter").write_bytes(f"{HEADER}\n\xe9\tB\t3\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"row 1: found .*, expected UTF-8 text"):
        prepare(["amazon_books", "--source=given"])


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["user_id,item_id,rating", *ROWS], "its first line: found the columns user_id,item_id,rating"),
        (["item_id\tuser_id\trating", *ROWS], "found the columns item_id, user_id, rating"),
        (ROWS, "found the columns AX4, 0001844423, 4.0"),
        ([HEADER, *ROWS, "A\tB"], "row 5: found b'A\\tB"),
        ([HEADER, *ROWS, "A\tB\t6"], "row 5: found '6' as rating"),
        ([HEADER, "\tB\t4"], "row 1: found '' as user_id"),
        ([HEADER], "has no row"),
        ([], "has no row"),
    ],
)
def test_other_tables_are_refused(here, lines, words):
    put(here, lines)
    with pytest.raises(UsageError) as caught:
        prepare(["amazon_books", "--source=given"])
    assert words in str(caught.value)
    assert not (here / "dataset/amazon_books").exists()
