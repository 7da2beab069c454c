"""Food.com reviews: which rows are positive, quoted text over several lines, and rows that are no reviews."""

from datetime import UTC, datetime

import numpy as np
import pytest
from support.published_files import write_food

from recbole_diffusion.prepare.food import read
from recbole_diffusion.prepare.rows import SourceError
from recbole_diffusion.prepare.table import Counts

ROWS = [
    ("38094", "40893", "2003-02-17", 4, 'Great,\nwith "salad"\r\nand, bread'),
    ("1293707", "40893", "2011-12-21", 5, "So simple"),
    ("38094", "44394", "2003-02-18", 3, "three stars are not positive"),
    ("8937", "44394", "2002-12-01", 0, "no stars given"),
    ("38094", "85009", "2010-02-27", 5, ""),
]


def test_the_positive_rows_with_their_times(tmp_path):
    found = read({"RAW_interactions.csv": write_food(tmp_path, ROWS)}, 4.0)
    pairs = [
        (found.user_tokens[user], found.item_tokens[item])
        for user, item in zip(found.users, found.items, strict=True)
    ]
    assert pairs == [("38094", "40893"), ("1293707", "40893"), ("38094", "85009")]
    days = [
        datetime(2003, 2, 17, tzinfo=UTC),
        datetime(2011, 12, 21, tzinfo=UTC),
        datetime(2010, 2, 27, tzinfo=UTC),
    ]
    np.testing.assert_array_equal(found.time, [day.timestamp() for day in days])
    assert found.read == 5
    assert found.counts() == Counts(users=2, items=2, interactions=3)
    assert not found.exposed.any()


def test_the_threshold_is_the_lowest_positive_rating(tmp_path):
    files = {"RAW_interactions.csv": write_food(tmp_path, ROWS)}
    assert [len(read(files, stars)) for stars in (0, 3, 3.5, 5)] == [5, 4, 3, 2]


HEAD = 'user_id,recipe_id,date,rating,review\n1,2,2003-02-17,5,"two\nlines"\n'
MALFORMED = {
    "no file of this kind": (
        "name,id\nsoup,1\n",
        "its first line: found the columns name,? id, expected user_id, recipe_id, date",
    ),
    "empty": ("", "its first line: found the columns of an empty file"),
    "a field too few": (HEAD + "1,2,2003-02-17,5\n", r"row 2 \(line 4\): found 4 fields, expected 5"),
    "a field too many": (
        HEAD + "1,2,2003-02-17,5,good,more\n",
        r"row 2 \(line 4\): found 6 fields, expected 5",
    ),
    "no rating": (
        HEAD + "1,2,2003-02-17,good,5\n",
        r"row 2 \(line 4\): found 'good' as rating, expected a number",
    ),
    "infinite": (
        HEAD + "1,2,2003-02-17,inf,\n",
        r"row 2 \(line 4\): found 'inf' as rating, expected a number",
    ),
    "no date": (
        HEAD + "1,2,last week,5,\n",
        r"row 2 \(line 4\): found 'last week' as date, expected a date such as 2018-07-05",
    ),
    "no user": (HEAD + ",2,2003-02-17,5,\n", r"row 2 \(line 4\): found '' as user_id, expected an id"),
    "a tab in an id": (
        HEAD + "1,2\t3,2003-02-17,5,\n",
        r"row 2 \(line 4\): found '2\\t3' as recipe_id, expected an id without",
    ),
    "cut inside quotes": (HEAD + '1,2,2003-02-17,5,"and then', "row 2: found a row that cannot be split"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_names_file_and_row(tmp_path, case):
    text, message = MALFORMED[case]
    path = tmp_path / "RAW_interactions.csv"
    path.write_text(text, newline="")
    with pytest.raises(SourceError, match=f"^RAW_interactions.csv, {message}"):
        read({path.name: path}, 4.0)


def test_bytes_that_are_no_text_name_the_row(tmp_path):
    path = tmp_path / "RAW_interactions.csv"
    path.write_bytes(HEAD.encode() + b"1,2,2003-02-17,5,\xff\xfe\n")
    with pytest.raises(
        SourceError,
        match=r"row 1: found the bytes b'\\xff\\xfe\\n' here or in one of the next rows, expected UTF-8",
    ):
        read({path.name: path}, 4.0)
