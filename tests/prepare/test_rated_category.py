"""Categories of a MATLAB file of ratings: the latest row of a pair, the core, and files that are none."""

import json

import numpy as np
import pytest
from scipy.io import savemat

from recbole_diffusion.cli.prepare import prepare
from recbole_diffusion.errors import UsageError

FILE = "epinions_rating_with_timestamp.mat"
# user, item, category, rating, helpfulness, time
ROWS = [
    (user, item, 3, 1 + (user + item) % 5, 4, 1 + item % 11)
    for user in range(5, 0, -1)
    for item in range(1, 5)
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    return tmp_path


def put(here, rows, key="rating", file=FILE):
    savemat(here / "given" / file, {key: np.array(rows)})


def made(here, category=3):
    name = f"epinions_c{category}"
    header, *rows = (here / f"dataset/{name}/{name}.inter").read_text().splitlines()
    assert header == "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    return [tuple(row.split("\t")) for row in rows]


def refusal(here):
    with pytest.raises(UsageError) as caught:
        prepare(["epinions_c3", "--source=given"])
    assert not (here / "dataset/epinions_c3").exists()
    return str(caught.value)


def test_a_category_by_user_and_time_with_the_latest_row_of_a_pair(here, capsys):
    other = [(user, item, 4, 5, 0, 1) for user in range(1, 9) for item in range(21, 25)]
    # Before the pairs' rows: later in time, earlier in time, and in the same period.
    again = [(1, 1, 3, 5, 0, 9), (1, 2, 3, 5, 0, 2), (1, 3, 3, 5, 0, 4)]
    few = [(77, 1, 3, 3, 0, 1), (77, 2, 3, 3, 0, 1), (1, 99, 3, 3, 0, 1)]
    put(here, [*other, *again, *ROWS, *few])
    assert prepare(["epinions_c3", "--source=given"]) == 0
    rows = made(here)
    plain = {(user, item): (rating, time) for user, item, _, rating, _, time in ROWS}
    plain[1, 1] = (5, 9)  # the latest, though it stands first
    wanted = [(*pair, *value) for pair, value in plain.items()]
    wanted.sort(key=lambda row: (row[0], row[3]))
    assert rows == [tuple(map(str, row)) for row in wanted]
    record = json.loads((here / "dataset/epinions_c3/prepare.json").read_text())
    assert (record["category"], record["core"], record["repeated"]) == (3, 3, 3)
    said, warned = capsys.readouterr()
    assert "the set of the tables has 8,141 users, 8,819 items, 134,234 interactions" in warned
    assert "category 3: 26 of 58 ratings of the site" in said and "3 ratings are of no 3-core" in said


def test_the_core_is_that_of_one_category(here):
    # User 8 has three rows on the site, two of them in category 3.
    put(here, [*ROWS, (8, 1, 3, 3, 0, 1), (8, 2, 3, 3, 0, 1), (8, 30, 4, 3, 0, 1)])
    prepare(["epinions_c3", "--source=given"])
    assert "8" not in {user for user, *_ in made(here)}


def test_a_file_under_its_other_name_is_taken(here):
    put(here, ROWS, file="rating_with_timestamp.mat")
    assert prepare(["epinions_c3", "--source=given/rating_with_timestamp.mat"]) == 0
    assert len(made(here)) == len(ROWS)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row[:4] for row in ROWS], r"has one of shape (20, 4), not a MATLAB file"),
        ([*ROWS, (1, 9, 3, 6, 0, 1)], "row 21 of 'rating': found [1.0, 9.0, 3.0, 6.0, 0.0, 1.0]"),
        ([*ROWS, (1.5, 9, 3, 5, 0, 1)], "row 21 of 'rating': found [1.5, "),
        ([*ROWS, (1, 9, 3, np.nan, 0, 1)], "a cell of 'rating' that is no number"),
        ([(user, item, 7, *rest) for user, item, _, *rest in ROWS], "no row of category 3; it has 7"),
        (ROWS[:2], "no user and item of category 3 has 3 rows or more"),
        (np.empty((0, 6)), "no row of category 3; it has no row"),
    ],
)
def test_other_matrices_are_refused(here, rows, words):
    put(here, rows)
    assert words in refusal(here)


def test_times_keep_all_digits(here):
    seconds = [(*row[:5], 1_301_234_567 + row[5]) for row in ROWS]
    put(here, seconds)
    prepare(["epinions_c3", "--source=given"])
    assert {row[3] for row in made(here)} == {str(row[5]) for row in seconds}


def test_files_that_are_no_such_file_are_refused(here):
    put(here, ROWS, key="trust")
    assert "has none, not a MATLAB file (up to version 7) with a matrix 'rating'" in refusal(here)
    whole = (here / "given" / FILE).read_bytes()
    for text in (b"", b"user,item\n1,2\n" * 50, whole[: len(whole) // 2]):
        (here / "given" / FILE).write_bytes(text)
        assert "get the" in refusal(here)
