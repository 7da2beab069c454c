"""Yelp reviews: one JSON object a line; which are positive, their times, and lines that are none."""

import json
import tracemalloc
from datetime import UTC, datetime

import pytest
from support.published_files import write_yelp

from recbole_diffusion.prepare.rows import SourceError
from recbole_diffusion.prepare.table import Counts
from recbole_diffusion.prepare.yelp import read

ROWS = [
    ("mh_-eMZ6K5RLWhZyISBhwA", "XQfwVwDr-v0ZS3_CbbE5Xw", 3.0, "2018-07-07 22:09:11"),
    ("OyoGAe7OKpv6SyGZT5g77Q", "7ATYjTIgM3jUlt4UM3IypQ", 5.0, "2012-01-03 15:28:18"),
    ("mh_-eMZ6K5RLWhZyISBhwA", "7ATYjTIgM3jUlt4UM3IypQ", 4, "2014-02-05"),
]


def test_the_positive_lines_with_their_times(tmp_path):
    path = write_yelp(tmp_path, ROWS)
    found = read({path.name: path}, 4.0)
    pairs = [
        (found.user_tokens[user], found.item_tokens[item])
        for user, item in zip(found.users, found.items, strict=True)
    ]
    assert pairs == [ROWS[1][:2], ROWS[2][:2]]
    moments = [datetime(2012, 1, 3, 15, 28, 18, tzinfo=UTC), datetime(2014, 2, 5, tzinfo=UTC)]
    assert found.time.tolist() == [moment.timestamp() for moment in moments]
    assert found.read == 3
    assert found.counts() == Counts(2, 1, 2)


GOOD = json.dumps({"user_id": "u", "business_id": "b", "stars": 5.0, "date": "2014-02-05 20:30:30"})
MALFORMED = {
    "cut short": (GOOD[:50], r"row 2: found b'\{\"user_id.* \(JSONDecodeError"),
    "blank": ("", r"row 2: found b'\\n' \(JSONDecodeError"),
    "no object": ("[1, 2]", r"row 2: found b'\[1, 2\]\\n' \(TypeError"),
    "a key too few": (
        GOOD.replace("stars", "points"),
        r"row 2: .*\(KeyError: 'stars'\), expected one JSON object with user_id, bus",
    ),
    "stars in words": (GOOD.replace("5.0", '"five"'), "row 2: found 'five' as stars, expected a number"),
    "no user": (GOOD.replace('"u"', "null"), "row 2: found None as user_id, expected an id"),
    "no date": (
        GOOD.replace("2014-02-05 20:30:30", "2014-02-31"),
        "row 2: found '2014-02-31' as date, expected a date",
    ),
    "no text": ('{"user_id": "\udcff"}', r"row 2: found b'\{\"user_id\": \"\\xff.*UnicodeDecodeError"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_line_names_file_and_number(tmp_path, case):
    line, message = MALFORMED[case]
    path = tmp_path / "yelp_academic_dataset_review.json"
    path.write_bytes(f"{GOOD}\n{line}\n{GOOD}\n".encode("utf-8", "surrogateescape"))
    with pytest.raises(SourceError, match=f"^{path.name}, {message}"):
        read({path.name: path}, 4.0)


def test_the_file_is_never_in_memory_as_a_whole(tmp_path):
    path = tmp_path / "yelp_academic_dataset_review.json"
    line = json.dumps({**json.loads(GOOD), "text": "x" * 20_000}) + "\n"
    path.write_text(line * 1000)  # 20 MB
    tracemalloc.start()
    try:
        found = read({path.name: path}, 4.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == 1000
    assert peak < path.stat().st_size / 20
