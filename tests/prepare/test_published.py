"""Published splits from small files in the authors' forms: parts, the rows left out, and refusals."""

import json
import re
import zipfile

import pytest

from recbole_diffusion.cli.prepare import prepare
from recbole_diffusion.data.part_files import PREPARED
from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.public_splits import PUBLISHED
from recbole_diffusion.prepare.published import PublishedParts, PublishedSplit
from recbole_diffusion.prepare.recipe import Counts
from recbole_diffusion.prepare.recipes import RECIPES
from recbole_diffusion.quick_start import run

USERS, ITEMS = 20, 24


def likes(user):
    """Twelve items of the user's parity, another two of them last for each user."""
    items = [str(item) for item in range(1 + user % 2, ITEMS + 1, 2)]
    return items[user % 12 :] + items[: user % 12]


TRAIN = [(str(user), item) for user in range(1, USERS + 1) for item in likes(user)[:10]]
TEST = [(str(user), item) for user in range(1, USERS + 1) for item in likes(user)[10:]]


def rows(pairs, between, end="\n", value=None):
    return "".join(between.join([*pair, *([value] if value else [])]) + end for pair in pairs)


def lists(pairs):
    found = {}
    for user, item in pairs:
        found.setdefault(user, []).append(item)
    return "".join(f"{user} {' '.join(items)}\n" for user, items in found.items())


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    return tmp_path


def put(folder, **texts):
    for name, text in texts.items():
        (folder / "given" / f"{name}.txt").write_bytes(text.encode())


def made(folder, name, part):
    header, *found = (folder / f"dataset/{name}/{name}.{part}.inter").read_text().splitlines()
    return header, [tuple(row.split("\t")) for row in found]


def record(folder, name):
    return json.loads((folder / f"dataset/{name}/prepare.json").read_text())


def test_rows_with_windows_line_ends_and_a_tenth_held_out(here, capsys):
    strangers = [("99", "2"), ("1", "999")]
    put(here, train=rows(TRAIN, "\t", "\r\n", "7"), test=rows([*TEST, *strangers], "\t", "\r\n", "7"))
    assert prepare(["lastfm", "--source=given"]) == 0
    header, train = made(here, "lastfm", "train")
    assert header == "user_id:token\titem_id:token\tplay_count:float"
    assert train == [(*pair, "7") for pair in TRAIN]
    fit, valid = (made(here, "lastfm", part)[1] for part in ("train_fit", "valid"))
    assert sorted(fit + valid) == sorted(train)
    assert {user for user, *_ in valid} == {str(user) for user in range(1, USERS + 1)}
    assert len(valid) == USERS  # one of ten
    assert [row for row in train if row in set(fit)] == fit  # in the order of the file
    assert made(here, "lastfm", "test")[1] == [(*pair, "7") for pair in TEST]
    said = capsys.readouterr()
    assert "unknown  2 test rows without their user or item in train left out" in said.out
    assert "found    21 users, 25 items, 242 interactions" in said.out
    assert "differ from the paper's by far: found 21 users" in said.err  # of 1,892
    assert "valid    drawn here, seed 2026: as the tables' was, if of their files" in said.out
    assert "no result on them belongs beside a table of lastfm" in said.err
    assert "usable" not in said.err
    told = record(here, "lastfm")
    assert told["validation"] == {"seed": 2026, "tenth": "lowest"}
    assert (told["unknown_in_test"], told["repeated"], told["seed"]) == (2, 0, None)
    options = {"use_gpu": False, "topk": [5], "report_groups": 0}
    for name, words in (("honest", {}), ("paper", {"benchmark_filename": ["train", "test"]})):
        result = run("EASE", "lastfm", overrides={**options, **words, "run_dir": name})
        assert result["selection"] == {"honest": "validation", "paper": "test"}[name]


def test_lists_with_a_published_validation_part(here, capsys):
    """The part is taken as it is, and its users and items are known."""
    held = TRAIN[::10]
    put(here, train=lists(row for row in TRAIN if row not in held), valid=lists([*held, ("1", "77")]))
    put(here, test=lists([*TEST, ("2", "77")]) + "21\n")
    assert prepare(["gowalla", "--source=given"]) == 0
    assert made(here, "gowalla", "valid") == (
        "user_id:token\titem_id:token",
        [held[0], ("1", "77"), *held[1:]],
    )
    assert ("2", "77") in made(here, "gowalla", "test")[1]
    assert "validation" not in record(here, "gowalla")
    assert "unknown" not in capsys.readouterr().out


def test_parts_with_a_shifted_test_part(here):
    """Rows end in a 1, which no part keeps."""
    parts = {"train": TRAIN[1:], "valid_iid": TRAIN[:1], "test_iid": TEST[:5], "test": TEST[5:]}
    put(here, **{name: rows(pairs, " ", value="1") for name, pairs in parts.items()})
    assert prepare(["food_drgo", "--source=given"]) == 0
    for part, file in {
        "train": "train",
        "valid": "valid_iid",
        "test_iid": "test_iid",
        "test_ood": "test",
    }.items():
        assert made(here, "food_drgo", part)[1] == parts[file]
    options = {"use_gpu": False, "topk": [5], "report_groups": 0, "run_dir": "run"}
    assert run("EASE", "food_drgo", overrides=options)["parts"].keys() >= {"test_iid", "test_ood"}


def test_training_rows_are_those_that_are_not_tested(here):
    """Of an archive of all rows; they stand by number, whatever the order of the file."""
    every = [("10", "2"), *reversed(TRAIN), *TEST]
    with zipfile.ZipFile(here / "given/ml-1m.zip", "w") as archive:
        archive.writestr("ml-1m/ratings.dat", rows([(*pair, "4") for pair in every], "::", value="978300760"))
    (here / "given/TESTSET_1M.csv").write_text("u,i,r\n" + rows([*TEST, TEST[0]], ",", value="4"))
    assert prepare(["ml-1m_dgrm", "--source=given"]) == 0
    header, train = made(here, "ml-1m_dgrm", "train")
    assert header.endswith("rating:float")
    assert train == sorted(
        {(*pair, "4") for pair in (("10", "2"), *TRAIN)}, key=lambda row: (int(row[0]), int(row[1]))
    )
    assert record(here, "ml-1m_dgrm")["repeated"] == 1
    # ratings.dat, unpacked, does as well
    (here / "given/ratings.dat").write_text(rows([(*pair, "4") for pair in every], "::", value="978300760"))
    (here / "given/ml-1m.zip").unlink()
    assert prepare(["ml-1m_dgrm", "--source=given", "--force"]) == 0
    assert made(here, "ml-1m_dgrm", "train")[1] == train


def test_ratings_are_one_file(here, capsys):
    (here / "given/ratings.dat").write_text(rows([*TRAIN, TRAIN[3]], "\t", value="3").rstrip("\n"))
    assert prepare(["douban_music", "--source=given"]) == 0
    text = (here / "dataset/douban_music/douban_music.inter").read_text()
    assert text == "user_id:token\titem_id:token\trating:float\n" + rows(TRAIN, "\t", value="3")
    said = capsys.readouterr()
    assert "repeated 1 rows left out" in said.out
    assert "none of DiffCDR's tables counts this set" in said.out
    assert "differ from the paper" not in said.err


def test_movielens_has_ratings_and_times(here):
    text = "1::1193::5::978300760\n1::661::3::978302109\n"
    with zipfile.ZipFile(here / "given/ml-1m.zip", "w") as archive:
        archive.writestr("ml-1m/ratings.dat", text)
    assert prepare(["ml-1m", "--source=given"]) == 0
    assert (here / "dataset/ml-1m/ml-1m.inter").read_text().splitlines() == [
        "user_id:token\titem_id:token\trating:float\ttimestamp:float",
        "1\t1193\t5\t978300760",
        "1\t661\t3\t978302109",
    ]


@pytest.mark.parametrize(
    ("name", "texts", "message"),
    [
        ("lastfm", {"train": ""}, "train.txt has no row"),
        (
            "lastfm",
            {"train": "1\t2\t3\n4\t5\n"},
            r"train.txt, row 2: found b'4\\t5\\n', expected user, item and 1 number",
        ),
        (
            "lastfm",
            {"train": "1\t2\t3\n4\tfive\t6\n"},
            r"row 2: found 'five', expected user, item and 1 number, all whole",
        ),
        (
            "lastfm",
            {"train": "1\t2\t3\n4\t5\tmany\n"},
            "row 2: found 'many' as play_count, expected a number",
        ),
        ("lastfm", {"train": "1\t2\t3\n4\t5\tnan\n"}, "row 2: found 'nan' as play_count, expected a number"),
        (
            "lastfm",
            {"train": rows([*TRAIN, *TEST[:3]], "\t", value="1")},
            "3 rows of lastfm are in train and in test, such as",
        ),
        ("douban-book", {"train": "1 2 3\n2 x\n"}, "row 2: found 'x', expected a user and items, all whole"),
        (
            "douban-book",
            {"train": "1 2 5\n1 3 4\n"},
            "row 2: found a second line of user 1, expected one line",
        ),
        ("lastfm", {"train": "1 2 3\n2 3 4 5\n"}, r"row 2: found b'2 3 4 5\\n', expected 3 fields"),
        ("lastfm", {"train": "1,2,3\n4,,5,6\n"}, "row 2: found '', expected user, item and 1 number"),
        ("lastfm", {"train": "1\t2\t3\n4\t5\t1,000\n"}, r"expected 3 fields, as the rows before"),
        ("lastfm", {"train": "1,2,3\n1,3,\n"}, r"expected 3 fields, as the rows before, and none empty"),
        ("lastfm", {"train": "-1\t2\t3\n4\t5\t6\n"}, "row 1: found '-1', expected user, item and 1 number"),
        ("lastfm", {"train": '"1","2","3"\n4,5,6\n'}, "row 1: found '\"1\"', expected user, item and 1 num"),
        ("lastfm", {"train": ",user,item,n\n0,4,5,6\n"}, "row 1: found an unnamed first column, an index"),
        (
            "lastfm",
            {"train": "item_id,user_id,n\n4,5,6\n"},
            "row 1: found the columns item_id, user_id, n, exp",
        ),
        ("lastfm", {"train": "01\t2\t3\n"}, "row 1: found '01', expected user, item and 1 number, all whole"),
        (
            "lastfm",
            {"train": rows(TEST, "\t", value="7"), "test": rows(TRAIN, "\t", value="7")},
            "test of lastfm has 200 rows, more than the 40 of train; files have each other's names",
        ),
        (
            "lastfm",
            {"test": rows([(f"9{user}", item) for user, item in TEST], "\t", value="7")},
            "no row is left for test of lastfm: its users and items are unknown in train",
        ),
    ],
)
def test_files_that_are_not_the_published_ones_are_refused(here, name, texts, message):
    put(here, train=rows(TRAIN, "\t", value="7"), test=rows(TEST, "\t", value="7"))
    put(here, **texts)
    with pytest.raises(UsageError, match=message):
        prepare([name, "--source=given"])
    assert not (here / "dataset").exists() or not list((here / "dataset").rglob("*.inter"))


@pytest.mark.parametrize("value", ["4", "4.0", "3"])
def test_test_rows_are_among_all_rows_with_their_rating(here, value):
    every = rows([(*pair, "4") for pair in (*TRAIN, *TEST)], "::", value="978300760")
    (here / "given/ratings.dat").write_text(every)
    (here / "given/TESTSET_1M.csv").write_text(rows(TEST, ",", value=value))
    if value == "3":
        with pytest.raises(
            UsageError, match="40 of 40 test rows of ml-1m_dgrm are not among all rows, or not"
        ):
            prepare(["ml-1m_dgrm", "--source=given"])
        return
    assert prepare(["ml-1m_dgrm", "--source=given"]) == 0
    (here / "given/TESTSET_1M.csv").write_text(rows([("30", "1"), *TEST[1:]], ",", value="4"))
    with pytest.raises(UsageError, match=r"1 of 40 test rows of ml-1m_dgrm .* such as user 30, item 1"):
        prepare(["ml-1m_dgrm", "--source=given", "--force"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("9::2::6::978300760", "row 2: found '6' as rating, expected a number from 1 to 5"),
        ("9::2::978300760::4", "found '978300760' as rating"),  # columns in another order
        ("9::2::0::978300760", "found '0' as rating"),
        (
            "9::2::4::978300760000",
            "found '978300760000' as timestamp, expected seconds since 1970, not milli",
        ),
        ("9::2::4::-1", "found '-1' as timestamp, expected seconds since 1970, from 0"),
    ],
)
def test_numbers_that_are_no_ratings_and_times_are_refused(here, row, message):
    with zipfile.ZipFile(here / "given/ml-1m.zip", "w") as archive:
        archive.writestr("ml-1m/ratings.dat", f"1::1193::5::978300760\n{row}\n")
    with pytest.raises(UsageError, match=message):
        prepare(["ml-1m", "--source=given"])
    assert not list(here.glob("dataset/**/*.inter"))


def test_an_archive_without_the_ratings_is_refused(here):
    (here / "given/TESTSET_1M.csv").write_text(rows(TEST, ",", value="4"))
    for content in (b"PK no archive", None):
        if content is None:
            with zipfile.ZipFile(here / "given/ml-1m.zip", "w") as archive:
                archive.writestr("other.dat", "")
        else:
            (here / "given/ml-1m.zip").write_bytes(content)
        with pytest.raises(UsageError, match=r"no whole archive with ml-1m/ratings\.dat in it"):
            prepare(["ml-1m_dgrm", "--source=given"])


def test_these_sets_take_no_seed(here):
    with pytest.raises(UsageError, match="prepare lastfm has no option 'seed'"):
        prepare(["lastfm", "--source=given", "--seed=1"])


@pytest.mark.parametrize(
    ("counts", "alike"),
    [
        ((1_892, 17_632, 92_834), True),
        ((1_887, 15_313, 89_899), True),  # those of the published files
        ((1_262, 17_632, 92_834), True),
        ((1_261, 17_632, 92_834), False),
        ((1_892, 26_448, 92_834), True),
        ((1_892, 26_449, 92_834), False),
        ((22_361, 12_100, 198_487), False),  # those of Amazon-Beauty
    ],
)
def test_counts_far_from_the_papers_are_those_of_another_set(counts, alike):
    assert RECIPES["lastfm"].resembles(Counts(*counts)) is alike
    assert RECIPES["tiktok"].resembles(Counts(*counts))  # which has no counts of a paper


def test_a_file_of_the_size_of_another_set_is_refused(here):
    put(here, train=rows(TRAIN, "\t", value="7"), test=rows(TEST, "\t", value="7"))
    with (here / "given/train.txt").open("ab") as file:
        file.truncate(2_973_830)
    wanted = r"given/train.txt has the 2,973,830 bytes of train.txt of douban-book, another set; .* of lastfm"
    with pytest.raises(UsageError, match=wanted):
        prepare(["lastfm", "--source=given"])
    # Two sets of the same file: each takes it, and complains of what is in it.
    with (here / "given/train.txt").open("ab") as file:
        file.truncate(4_132_444)
    put(here, valid="1 2\n")
    with pytest.raises(UsageError, match=r"train\.txt, row 2"):
        prepare(["gowalla", "--source=given"])


def test_files_of_repositories_are_named_by_a_commit():
    addresses = [file.urls[0] for recipe in PUBLISHED for file in recipe.files if "github" in file.page]
    assert len(addresses) > 15
    assert all(re.search("/[0-9a-f]{40}/", address) for address in addresses)


@pytest.mark.parametrize("name", ["lastfm", "douban_book_music"])
def test_a_set_that_is_not_there_names_the_command_that_makes_it(here, name):
    assert set(RECIPES) == PREPARED
    made = {"lastfm": "lastfm", "douban_book_music": "douban_(book|music)"}[name]
    model = "EASE" if name == "lastfm" else "SourceOffset"
    with pytest.raises(UsageError, match=rf"is not there: .* Make it with '.*prepare {made}', put RecBole"):
        run(model, name, overrides={"run_dir": "run"})


def test_each_file_that_is_read_is_listed():
    for recipe in PUBLISHED:
        if isinstance(recipe.kind, PublishedSplit | PublishedParts):
            split = isinstance(recipe.kind, PublishedSplit)
            parts = (recipe.kind.train, recipe.kind.test) if split else recipe.kind.of.values()
            assert {name for part in parts for name in part.files} == {file.name for file in recipe.files}
