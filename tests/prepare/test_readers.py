"""Published files of each form, read into interactions."""

import json
import math
import tracemalloc
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest
from support.published_files import KUAIREC_HEADER, kuairec_matrix, write_food, write_kuairec, write_yelp

from recbole_diffusion.prepare.interactions import InteractionCollector, filtered
from recbole_diffusion.prepare.readers import read_food, read_kuairec, read_yelp
from recbole_diffusion.prepare.recipe import Counts
from recbole_diffusion.prepare.rows import SourceError

# Food.com: quoted text over several lines.

FOOD_ROWS = [
    ("38094", "40893", "2003-02-17", 4, 'Great,\nwith "salad"\r\nand, bread'),
    ("1293707", "40893", "2011-12-21", 5, "So simple"),
    ("38094", "44394", "2003-02-18", 3, "three stars are not positive"),
    ("8937", "44394", "2002-12-01", 0, "no stars given"),
    ("38094", "85009", "2010-02-27", 5, ""),
]


def test_food_gives_the_positive_rows_with_their_times(tmp_path):
    found = read_food({"RAW_interactions.csv": write_food(tmp_path, FOOD_ROWS)}, 4.0)
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


def test_the_threshold_of_food_is_the_lowest_positive_rating(tmp_path):
    files = {"RAW_interactions.csv": write_food(tmp_path, FOOD_ROWS)}
    assert [len(read_food(files, stars)) for stars in (0, 3, 3.5, 5)] == [5, 4, 3, 2]


FOOD_HEAD = 'user_id,recipe_id,date,rating,review\n1,2,2003-02-17,5,"two\nlines"\n'
FOOD_MALFORMED = {
    "no file of this kind": (
        "name,id\nsoup,1\n",
        "its first line: found the columns name,? id, expected user_id, recipe_id, date",
    ),
    "empty": ("", "its first line: found the columns of an empty file"),
    "a field too few": (FOOD_HEAD + "1,2,2003-02-17,5\n", r"row 2 \(line 4\): found 4 fields, expected 5"),
    "a field too many": (
        FOOD_HEAD + "1,2,2003-02-17,5,good,more\n",
        r"row 2 \(line 4\): found 6 fields, expected 5",
    ),
    "no rating": (
        FOOD_HEAD + "1,2,2003-02-17,good,5\n",
        r"row 2 \(line 4\): found 'good' as rating, expected a number",
    ),
    "a rating off the scale": (
        FOOD_HEAD + "1,2,2003-02-17,7,\n",
        r"row 2 \(line 4\): found '7' as rating, expected a number from 0 to 5",
    ),
    "an underscore": (
        FOOD_HEAD + "1,2,2003-02-17,0_5,\n",
        r"row 2 \(line 4\): found '0_5' as rating, expected a number",
    ),
    "two columns of one name": (
        FOOD_HEAD.replace("review", "rating"),
        "its first line: found the column rating 2 times, expected each column once",
    ),
    "infinite": (
        FOOD_HEAD + "1,2,2003-02-17,inf,\n",
        r"row 2 \(line 4\): found 'inf' as rating, expected a number",
    ),
    "no date": (
        FOOD_HEAD + "1,2,last week,5,\n",
        r"row 2 \(line 4\): found 'last week' as date, expected a date such as 2018-07-05",
    ),
    "no user": (FOOD_HEAD + ",2,2003-02-17,5,\n", r"row 2 \(line 4\): found '' as user_id, expected an id"),
    "a tab in an id": (
        FOOD_HEAD + "1,2\t3,2003-02-17,5,\n",
        r"row 2 \(line 4\): found '2\\t3' as recipe_id, expected an id without",
    ),
    "cut inside quotes": (
        FOOD_HEAD + '1,2,2003-02-17,5,"and then',
        "row 2: found a row that cannot be split",
    ),
}


@pytest.mark.parametrize("case", FOOD_MALFORMED)
def test_a_malformed_food_file_names_file_and_row(tmp_path, case):
    text, message = FOOD_MALFORMED[case]
    path = tmp_path / "RAW_interactions.csv"
    path.write_text(text, newline="")
    with pytest.raises(SourceError, match=f"^RAW_interactions.csv, {message}"):
        read_food({path.name: path}, 4.0)


def test_bytes_that_are_no_text_name_the_row(tmp_path):
    path = tmp_path / "RAW_interactions.csv"
    path.write_bytes(FOOD_HEAD.encode() + b"1,2,2003-02-17,5,\xff\xfe\n")
    with pytest.raises(
        SourceError,
        match=r"row 1: found the bytes b'\\xff\\xfe\\n' here or in one of the next rows, expected UTF-8",
    ):
        read_food({path.name: path}, 4.0)


# Yelp: one JSON object a line.

YELP_ROWS = [
    ("mh_-eMZ6K5RLWhZyISBhwA", "XQfwVwDr-v0ZS3_CbbE5Xw", 3.0, "2018-07-07 22:09:11"),
    ("OyoGAe7OKpv6SyGZT5g77Q", "7ATYjTIgM3jUlt4UM3IypQ", 5.0, "2012-01-03 15:28:18"),
    ("mh_-eMZ6K5RLWhZyISBhwA", "7ATYjTIgM3jUlt4UM3IypQ", 4, "2014-02-05"),
]


def test_yelp_gives_the_positive_lines_with_their_times(tmp_path):
    path = write_yelp(tmp_path, YELP_ROWS)
    found = read_yelp({path.name: path}, 4.0)
    pairs = [
        (found.user_tokens[user], found.item_tokens[item])
        for user, item in zip(found.users, found.items, strict=True)
    ]
    assert pairs == [YELP_ROWS[1][:2], YELP_ROWS[2][:2]]
    moments = [datetime(2012, 1, 3, 15, 28, 18, tzinfo=UTC), datetime(2014, 2, 5, tzinfo=UTC)]
    assert found.time.tolist() == [moment.timestamp() for moment in moments]
    assert found.read == 3
    assert found.counts() == Counts(2, 1, 2)


YELP_GOOD = json.dumps({"user_id": "u", "business_id": "b", "stars": 5.0, "date": "2014-02-05 20:30:30"})
YELP_MALFORMED = {
    "cut short": (YELP_GOOD[:50], r"row 2: found b'\{\"user_id.* \(JSONDecodeError"),
    "blank": ("", r"row 2: found b'\\n' \(JSONDecodeError"),
    "no object": ("[1, 2]", r"row 2: found b'\[1, 2\]\\n' \(TypeError"),
    "a key too few": (
        YELP_GOOD.replace("stars", "points"),
        r"row 2: .*\(KeyError: 'stars'\), expected one JSON object with user_id, bus",
    ),
    "stars in words": (YELP_GOOD.replace("5.0", '"five"'), "row 2: found 'five' as stars, expected a number"),
    "stars off the scale": (
        YELP_GOOD.replace("5.0", "9"),
        "row 2: found 9 as stars, expected a number from 0",
    ),
    "stars as a truth value": (YELP_GOOD.replace("5.0", "true"), "row 2: found True as stars, expected a"),
    "a number beyond all": (YELP_GOOD.replace("5.0", "1" + "0" * 400), "row 2: found 10+ as stars, expected"),
    "lists in lists": (YELP_GOOD.replace("5.0", "[" * 10**5 + "]" * 10**5), r"row 2: .*\(RecursionError"),
    "no user": (YELP_GOOD.replace('"u"', "null"), "row 2: found None as user_id, expected an id"),
    "no date": (
        YELP_GOOD.replace("2014-02-05 20:30:30", "2014-02-31"),
        "row 2: found '2014-02-31' as date, expected a date",
    ),
    "no text": ('{"user_id": "\udcff"}', r"row 2: found b'\{\"user_id\": \"\\xff.*UnicodeDecodeError"),
}


@pytest.mark.parametrize("case", YELP_MALFORMED)
def test_a_malformed_yelp_line_names_file_and_number(tmp_path, case):
    line, message = YELP_MALFORMED[case]
    path = tmp_path / "yelp_academic_dataset_review.json"
    path.write_bytes(f"{YELP_GOOD}\n{line}\n{YELP_GOOD}\n".encode("utf-8", "surrogateescape"))
    with pytest.raises(SourceError, match=f"^{path.name}, {message}"):
        read_yelp({path.name: path}, 4.0)


def test_the_yelp_file_is_never_in_memory_as_a_whole(tmp_path):
    path = tmp_path / "yelp_academic_dataset_review.json"
    line = json.dumps({**json.loads(YELP_GOOD), "text": "x" * 20_000}) + "\n"
    path.write_text(line * 1000)  # 20 MB
    tracemalloc.start()
    try:
        found = read_yelp({path.name: path}, 4.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == 1000
    assert peak < path.stat().st_size / 20


# KuaiRec: both matrices out of the archive, whatever its folder.

KUAIREC_BIG = [(0, 3649, 1593878903.438, 2.0), (0, 9598, 1593879221.297, 1.99), (7, 3649, 1593879000, 5.6)]
KUAIREC_SMALL = [(0, 148, "", 2.5), (7, 148, 1593898000.5, 0.3)]


@pytest.mark.parametrize("inside", ["KuaiRec/data", "KuaiRec 2.0/data"])
def test_the_positive_views_of_both_matrices(tmp_path, inside):
    path = write_kuairec(tmp_path, kuairec_matrix(KUAIREC_BIG), kuairec_matrix(KUAIREC_SMALL), inside)
    found = read_kuairec({path.name: path}, 2.0)
    pairs = [
        (found.user_tokens[user], found.item_tokens[item])
        for user, item in zip(found.users, found.items, strict=True)
    ]
    assert pairs == [("0", "3649"), ("7", "3649"), ("0", "148")]
    assert found.exposed.tolist() == [False, False, True]
    assert found.time[:2].tolist() == [1593878903.438, 1593879000.0]
    assert math.isnan(found.time[2])
    assert found.read == 5


def test_a_malformed_matrix_names_matrix_and_row(tmp_path):
    big = kuairec_matrix(KUAIREC_BIG) + "9,1,1,1,2020-07-05,20200705,1593878903.4,long\n"
    path = write_kuairec(tmp_path, big, kuairec_matrix(KUAIREC_SMALL))
    with pytest.raises(
        SourceError, match=r"^KuaiRec 2.0/data/big_matrix.csv, row 4 \(line 5\): found 'long' as watch_ratio"
    ):
        read_kuairec({path.name: path}, 2.0)
    path = write_kuairec(
        tmp_path, kuairec_matrix(KUAIREC_BIG), KUAIREC_HEADER.replace("video_id", "item") + "\n"
    )
    with pytest.raises(
        SourceError, match=r"small_matrix.csv, its first line: found .*expected user_id, video_id, timestamp"
    ):
        read_kuairec({path.name: path}, 2.0)


def test_what_is_no_archive_of_both_matrices_is_refused(tmp_path):
    path = tmp_path / "KuaiRec.zip"
    path.write_bytes(b"<html>please log in</html>")
    with pytest.raises(SourceError, match=r"KuaiRec.zip is not a readable zip archive .*get it again"):
        read_kuairec({path.name: path}, 2.0)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("KuaiRec/data/big_matrix.csv", kuairec_matrix(KUAIREC_BIG))
    with pytest.raises(SourceError, match=r"should hold one small_matrix.csv, found none"):
        read_kuairec({path.name: path}, 2.0)


def test_a_damaged_archive_is_told(tmp_path):
    path = write_kuairec(tmp_path, kuairec_matrix(KUAIREC_BIG * 500), kuairec_matrix(KUAIREC_SMALL))
    raw = bytearray(path.read_bytes())
    raw[200:260] = bytes(60)
    path.write_bytes(raw)
    with pytest.raises(SourceError, match=r"not a readable zip archive|KuaiRec 2.0/data/big_matrix.csv, row"):
        read_kuairec({path.name: path}, 2.0)


def collected(rows):
    """Return interactions from (user, item, time[, exposed])."""
    collector = InteractionCollector()
    for row in rows:
        collector.add(*row)
    collector.read = len(rows) + 7
    return collector.finish()


def left(found):
    return [
        (found.user_tokens[user], found.item_tokens[item], time)
        for user, item, time in zip(found.users, found.items, found.time, strict=True)
    ]


def test_users_are_counted_before_items_and_once():
    rows = [
        ("a", "1", 1),
        ("a", "2", 2),
        ("a", "3", 3),
        ("b", "1", 4),
        ("b", "2", 5),
        ("c", "3", 6),
        ("c", "4", 7),
        ("d", "3", 8),
    ]
    found, steps, _ = filtered(collected(rows), min_user=2, min_item=2, by_time=True)
    # d goes, so that 3 keeps two rows; 4 goes, so that c is left with one row and stays.
    assert left(found) == [(user, item, time) for user, item, time in rows if user != "d" and item != "4"]
    assert steps == {
        "rows_read": 15,
        "positive_rows": 8,
        "distinct_pairs": 8,
        "after_min_user": 7,
        "after_min_item": 6,
    }


def test_an_item_is_counted_without_the_users_that_went():
    rows = [("a", "1", 1), ("a", "2", 2), ("b", "1", 3), ("b", "2", 4), ("c", "1", 5)]
    found, *_ = filtered(collected(rows), min_user=2, min_item=3, by_time=True)
    assert len(found) == 0  # 1 had three rows, one of c


def test_a_repeated_pair_counts_once():
    rows = [("a", "1", 9), ("a", "1", 2), ("a", "2", 5), ("b", "1", 1), ("b", "2", 1), ("b", "3", 1)]
    latest, steps, dropped = filtered(collected(rows), min_user=3, min_item=1, by_time=True)
    assert left(latest) == [("b", "1", 1), ("b", "2", 1), ("b", "3", 1)]
    assert steps["distinct_pairs"] == 5
    assert dropped == {"duplicate_pairs": 1, "pairs_of_exposed": 0, "exposed_unseen": 0}
    assert left(filtered(collected(rows), 2, 2, by_time=True)[0])[0] == ("a", "1", 9)
    assert left(filtered(collected([*rows, ("a", "1", 30)]), 2, 2, by_time=True)[0])[1] == ("b", "1", 1)
    assert left(filtered(collected([*rows, ("a", "1", 30)]), 2, 2, by_time=False)[0])[0] == ("a", "1", 9)


def test_exposed_rows_are_neither_counted_nor_removed():
    rows = [
        ("a", "1", 1),
        ("a", "2", 1),
        ("b", "1", 1),
        ("b", "2", 1),
        ("c", "1", 1),
        ("c", "2", 9, True),
        ("a", "3", 9, True),
    ]
    rows += [("d", "3", 1), ("d", "1", 1)]
    found, *_ = filtered(collected(rows), min_user=2, min_item=2, by_time=False)
    assert left(found) == [
        ("a", "1", 1),
        ("a", "2", 1),
        ("b", "1", 1),
        ("b", "2", 1),
        ("c", "2", 9),
        ("a", "3", 9),
        ("d", "1", 1),
    ]
    np.testing.assert_array_equal(found.exposed, [False, False, False, False, True, True, False])


def test_nothing_is_filtered_without_limits():
    rows = [("a", "1", 1), ("b", "2", 2)]
    assert left(filtered(collected(rows), 0, 0, by_time=False)[0]) == rows


def test_no_rows_at_all():
    found, steps, _ = filtered(collected([]), 2, 2, by_time=True)
    assert len(found) == 0
    assert steps["after_min_item"] == 0
