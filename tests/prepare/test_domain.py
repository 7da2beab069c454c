"""The Amazon domains on small files in the published format."""

import gzip
import json

import numpy as np
import pytest

from recbole_diffusion.cli.prepare import prepare
from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.cores import k_core
from recbole_diffusion.prepare.recipe import Counts
from recbole_diffusion.prepare.recipes import RECIPES
from recbole_diffusion.prepare.rows import SourceError
from recbole_diffusion.quick_start import run


def write_reviews(folder, category, ratings):
    folder.mkdir(exist_ok=True)
    told = [
        {"reviewerID": u, "asin": i, "overall": r, "unixReviewTime": t, "reviewText": "so so"}
        for u, i, r, t in ratings
    ]
    lines = "".join(json.dumps(one) + "\n" for one in told)
    (folder / f"reviews_{category}_5.json.gz").write_bytes(gzip.compress(lines.encode()))


def ratings(users, kind, items):
    return [
        (f"A{user}", f"{kind}{item}", 1 + (user + item) % 5, 1300000000 + user + item)
        for user in users
        for item in range(items)
    ]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_reviews(
        tmp_path / "given",
        "CDs_and_Vinyl",
        [*ratings(range(5, 25), "M", 7), ("A5", "M0", 4, 1), ("A30", "M9", 2, 1)],
    )
    write_reviews(tmp_path / "given", "Movies_and_TV", ratings(range(20), "V", 6))
    return tmp_path


def test_two_domains_are_prepared_and_run(here, capsys):
    for name in ("amazon_music", "amazon_video"):
        assert prepare([name, "--source=given"]) == 0
    rows = (here / "dataset/amazon_music/amazon_music.inter").read_text().splitlines()
    assert rows[0] == "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    assert rows[1] == "A5\tM0\t1\t1300000005"  # the first of two ratings
    assert len(rows) == 1 + 20 * 7 + 1
    record = json.loads((here / "dataset/amazon_music/prepare.json").read_text())
    assert record["found"] == {"users": 21, "items": 8, "interactions": 141}
    assert (record["rows_read"], record["repeated"]) == (142, 1)
    said = capsys.readouterr()
    assert "the counts differ from the paper's" in said.err
    assert "shared   15 users with amazon_music, 18,000 in the paper" in said.out
    assert "amazon_video and amazon_music share 15 users, in the paper 18000" in said.err
    options = {"use_gpu": False, "topk": [5], "warm_start_share": 0.0, "report_groups": 0}
    result = run("SourceOffset", "amazon_video_music", overrides={**options, "run_dir": "run"})
    assert result["diagnostics"]["domains"]["shared_users"] == 15
    with pytest.raises(UsageError, match="is prepared already"):
        prepare(["amazon_music", "--source=given"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"reviewerID": "A1"}', "row 2: .*KeyError"),
        (
            '{"reviewerID": "A1", "asin": "x", "overall": 9, "unixReviewTime": 1}',
            "row 2: found 9 as overall, expected a number from 1 to 5",
        ),
        (
            '{"reviewerID": "A1", "asin": "x", "overall": true, "unixReviewTime": 1}',
            "row 2: found True as overall, expected a number",
        ),
        (
            '{"reviewerID": "A1", "asin": "x", "overall": 4, "unixReviewTime": 1%s}' % ("0" * 400),
            "row 2: found 10+ as unixReviewTime, expected a number",
        ),
        (
            '{"reviewerID": "A\\ud800", "asin": "x", "overall": 4, "unixReviewTime": 1}',
            "row 2: found 'A.+ as reviewerID, expected an id that a text file can hold",
        ),
        (
            '{"reviewerID": "A1", "asin": "x\\u0000y", "overall": 4, "unixReviewTime": 1}',
            "row 2: found 'x.+ as asin, expected an id that a text file can hold",
        ),
    ],
)
def test_a_malformed_review_is_refused_and_nothing_is_written(here, line, message):
    good = '{"reviewerID": "A1", "asin": "y", "overall": 3, "unixReviewTime": 1}\n'
    (here / "given/reviews_Books_5.json.gz").write_bytes(gzip.compress((good + line + "\n").encode()))
    with pytest.raises(SourceError, match=message):
        prepare(["amazon_book", "--source=given"])
    assert not (here / "dataset/amazon_book").exists()


def test_the_papers_counts_are_thousands():
    published = {
        "amazon_video": Counts(123_960, 50_052, 1_697_533),
        "amazon_music": Counts(75_258, 64_443, 1_097_592),
        "amazon_book": Counts(603_668, 367_982, 8_898_041),
    }
    assert all(RECIPES[name].agrees(found) for name, found in published.items())
    assert not RECIPES["amazon_video"].agrees(Counts(123_960, 50_052, 1_600_000))
    assert not RECIPES["baby"].agrees(Counts(19_445, 7_050, 160_793))


def test_apps_for_android_is_made_of_reviews_or_of_all_ratings(here, capsys):
    """The whole file, cut to its 5-core, has the rows of the 5-core reviews."""
    dense = [row for row in ratings(range(9), "P", 8) if (row[2] + int(row[0][1:])) % 7]
    write_reviews(here / "given", "Apps_for_Android", dense)
    assert prepare(["apps_android", "--source=given", "--output=of_reviews"]) == 0
    others = [("A1", "rare", 5, 1), ("B1", "P1", 4, 2), ("B2", "P1", 3, 3), dense[0]]
    (here / "whole").mkdir()
    text = "".join(f"{u},{i},{r:.1f},{t}\n" for u, i, r, t in [*dense[:5], *others, *dense[5:]])
    for header in ("", "user,item,rating,timestamp\n"):
        (here / "whole/ratings_Apps_for_Android.csv").write_text(header + text)
        assert prepare(["apps_android", "--source=whole", f"--output=of_all{len(header)}"]) == 0
        said = capsys.readouterr()
        assert f"rows     {len(dense) + 4:,} reviews, 1 of them repeated" in said.out
        assert "core     3 ratings are of no 5-core" in said.out
        assert "found 9 users, 8 items" in said.err
        made = [
            here / one / "apps_android/apps_android.inter" for one in ("of_reviews", f"of_all{len(header)}")
        ]
        assert made[0].read_text() == made[1].read_text()
        assert len(made[0].read_text().splitlines()) == len(dense) + 1
    file = here / "whole/ratings_Apps_for_Android.csv"
    for wrong in (b"A1,P1,4\n", b"A1,P\xff,4,1\n"):
        file.write_bytes(text.encode() + wrong)
        with pytest.raises(SourceError, match=r"row 69: .* the four fields user,item,rating,timestamp"):
            prepare(["apps_android", "--source=whole", "--output=broken"])
    for content, message in (("", "has no review"), ("A1,P1,4,1\n", "no rating of .*1 row.* is in a 5-core")):
        file.write_text(content)
        with pytest.raises(UsageError, match=message):
            prepare(["apps_android", "--source=whole", "--output=broken"])
    assert not (here / "broken/apps_android/apps_android.inter").exists()
    with pytest.raises(
        UsageError, match=r"lacks reviews_Apps_for_Android_5\.json\.gz or ratings_Apps_for_Android\.csv"
    ):
        prepare(["apps_android", "--source=broken"])


def test_a_file_with_items_before_users_is_refused(here):
    """Amazon's files of ratings of 2018 have the columns of those of 2014 in another order."""
    (here / "whole").mkdir()
    file, ask = here / "whole/ratings_Apps_for_Android.csv", ["apps_android", "--source=whole"]
    rows = [(f"A{user:09}X", f"B{item:09}", 4, 1300000000) for user in range(6) for item in range(7)]
    books = [(user, f"{int(item[1:]):09}X", *more) for user, item, *more in rows]
    for number, good in enumerate((rows, books, [("#oc-A1", *row[1:]) for row in rows[:3]] + rows)):
        file.write_text("".join(",".join(map(str, row)) + "\n" for row in good))
        assert prepare([*ask, f"--output=good{number}"]) == 0
        swapped = "".join(f"{item},{user},{rating},{time}\n" for user, item, rating, time in good)
        for header in ("", "user,item,rating,timestamp\n"):
            file.write_text(header + swapped)
            with pytest.raises(
                SourceError, match=r"has items before users, such as .*files of 2018.*'convert'"
            ):
                prepare([*ask, "--output=bad"])
        file.write_text("item,user,rating,timestamp\n" + swapped)
        with pytest.raises(
            SourceError, match="has the columns item,user,rating,timestamp: that is the order of"
        ):
            prepare([*ask, "--output=bad"])
    assert not (here / "bad/apps_android").exists()


def test_a_core_is_found_in_rounds_by_hand():
    # Item 2 has one row; without it user 1 has one row, and without that item 1 has one.
    users, items = np.array([0, 0, 1, 1, 2, 2, 0]), np.array([0, 1, 1, 2, 0, 3, 3])
    assert k_core(users, items, 2).tolist() == [True, False, False, False, True, True, True]
    assert not k_core(users, items, 3).any()
    assert k_core(users[:0], items[:0], 2).tolist() == []
