"""``prepare`` from the command line to the files of a set, for each recipe; refusals and messages."""

import hashlib
import json
import shutil
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from support.published_files import kuairec_matrix, write_food, write_kuairec, write_yelp
from support.range_server import running_mirror

from recbole_diffusion.cli.prepare import prepare
from recbole_diffusion.data.split import PARTS
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.prepare.recipes import RECIPES

USERS, ITEMS = 20, 10
PAIRS = {(str(user), f"{item}") for user in range(USERS) for item in range(100, 100 + ITEMS)}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with the folder ``given`` for published files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    return tmp_path


def food_rows():
    """Twenty users who rate ten recipes well, the item 100 + k on day k, and one badly."""
    first = date(2010, 1, 1)
    rows = [
        (u, i, first + timedelta(days=i - 100), 5, "good,\nreally")
        for i in range(100 + ITEMS)
        if i >= 100
        for u in range(USERS)
    ]
    return rows + [(u, 999, first, 1, "bad") for u in range(USERS)]


def kuairec_files(folder):
    big = [(user, item, 1593878903.5, 3.0) for user in range(USERS) for item in range(100, 105)]
    small = [(user, item, "", 2.5) for user in range(3) for item in range(104, 110)]
    return write_kuairec(folder, kuairec_matrix(big), kuairec_matrix(small))


def parts_of(folder, name):
    """Return the rows of each part, as tuples of texts, and check their header."""
    parts = {}
    for part in PARTS:
        header, *rows = (folder / f"{name}.{part}.inter").read_text().splitlines()
        assert header == "user_id:token\titem_id:token\ttimestamp:float"
        parts[part] = [tuple(row.split("\t")) for row in rows]
    return parts


def test_food_from_a_folder(here, capsys):
    path = write_food(here / "given", food_rows())
    words = ["food", "--source=given", "--min_user=10", "--min_item=20", "--seed=3"]
    assert prepare(words) == 0
    folder = here / "dataset/food"
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        [*(f"food.{part}.inter" for part in PARTS), "split.json", "prepare.json"]
    )
    parts = parts_of(folder, "food")
    days = {str(item): str(1262304000 + 86400 * (item - 100)) for item in range(100, 110)}
    assert all(days[item] == moment for rows in parts.values() for _, item, moment in rows)
    pairs = [row[:2] for rows in parts.values() for row in rows]
    assert len(pairs) == len(set(pairs)) == 200
    assert set(pairs) == PAIRS
    # The last two of the ten days of each user, unless an item would be left without a training row.
    latest = {pair for pair in PAIRS if pair[1] in ("108", "109")}
    ood = {row[:2] for row in parts["test_ood"]}
    assert ood < latest
    assert latest - ood <= {row[:2] for row in parts["train"]}
    assert len(latest - ood) == 2  # one row of each of the two items
    split = json.loads((folder / "split.json").read_text())
    assert split["parts"]["test_ood"]["rows"] == 38
    assert (split["kind"], split["seed"]) == ("temporal", 3)
    record = json.loads((folder / "prepare.json").read_text())
    assert record["sources"][0]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["found"] == {"users": 20, "items": 10, "interactions": 200}
    assert record["paper"] == {"users": 7809, "items": 6309, "interactions": 216407}
    assert record["filters"] == {"min_rating": 4.0, "min_user": 10, "min_item": 20}
    assert record["rows"]["rows_read"] == 220
    assert (
        record["command"]
        == "recbole-diffusion prepare food --source=given --min_user=10 --min_item=20 --seed=3"
    )
    out, err = capsys.readouterr()
    assert f"SHA-256 {record['sources'][0]['sha256']} (nothing to check against" in out
    assert (
        "WARNING: the counts differ from the paper's: found 20 users, 10 items, 200 interactions; paper "
        "7,809 users" in err
    )
    assert "The filters are not the paper's." in err


def test_the_papers_filters_are_the_defaults(here):
    write_food(here / "given", food_rows())
    with pytest.raises(
        UsageError,
        match=r"no row left \(rows read 220, positive rows 200, .*after min user 0, .*_user=15 --min_item=50",
    ):
        prepare(["food", "--source=given"])
    assert not (here / "dataset").exists()


def test_counts_that_are_the_papers_give_no_warning(here, capsys, monkeypatch):
    paper = replace(RECIPES["food"].paper, users=20, items=10, interactions=200)
    monkeypatch.setitem(RECIPES, "food", replace(RECIPES["food"], paper=paper))
    write_food(here / "given", food_rows())
    prepare(["food", "--source=given", "--min_user=1", "--min_item=1"])
    out, err = capsys.readouterr()
    assert err == ""
    assert (
        "found    20 users, 10 items, 200 interactions\npaper    20 users, 10 items, 200 interactions" in out
    )


def test_yelp_gets_a_uniform_test_part(here):
    draw = np.random.default_rng(0)
    popularity = [400, 200, 100, 50, 50]
    rows = [
        (f"u{user}", f"i{item}", 5.0, "2018-01-01 00:00:00")
        for item, count in enumerate(popularity)
        for user in draw.choice(400, count, replace=False)
    ]
    write_yelp(here / "given", rows)
    assert prepare(["yelp2018", "--source=given", "--output=sets", "--min_user=1"]) == 0
    ood = [row[1] for row in parts_of(here / "sets/yelp2018", "yelp2018")["test_ood"]]
    counts = [ood.count(f"i{item}") for item in range(5)]
    # 160 of 800 rows, 32 an item however popular it is; a few rows go to train, of users whom it lacks.
    assert all(20 <= count <= 32 for count in counts), counts
    assert json.loads((here / "sets/yelp2018/split.json").read_text())["kind"] == "popularity"


def test_kuairec_tests_on_the_fully_exposed_matrix(here):
    kuairec_files(here / "given")
    assert prepare(["kuairec", "--source=given/KuaiRec.zip"]) == 0
    parts = parts_of(here / "dataset/kuairec", "kuairec")
    # Of the exposed videos only 104 is known to the log; its three pairs are taken out of the log.
    assert sorted(parts["test_ood"]) == [("0", "104", ""), ("1", "104", ""), ("2", "104", "")]
    logged = [row for part in ("train", "valid", "test_iid") for row in parts[part]]
    expected = {(u, i) for u, i in PAIRS if int(i) < 105 and not (int(u) < 3 and i == "104")}
    assert {row[:2] for row in logged} == expected
    assert len(logged) == 97
    assert {row[2] for row in logged} == {"1593878903.5"}
    dropped = json.loads((here / "dataset/kuairec/split.json").read_text())["dropped"]
    assert dropped == {"duplicate_pairs": 0, "pairs_of_exposed": 3, "exposed_unseen": 15}


def test_the_watch_ratio_is_an_option(here):
    kuairec_files(here / "given")
    prepare(["kuairec", "--source=given", "--min_watch_ratio=2.4", "--force"])
    record = json.loads((here / "dataset/kuairec/prepare.json").read_text())
    assert record["filters"]["min_watch_ratio"] == 2.4
    assert record["rows"]["positive_rows"] == 118
    with pytest.raises(UsageError, match="exposure shift needs the fully exposed interactions"):
        prepare(["kuairec", "--source=given", "--min_watch_ratio=2.6", "--output=other"])


def test_the_same_seed_gives_the_same_files_and_another_seed_others(here):
    write_food(here / "given", food_rows())
    for output, seed in (("a", 1), ("b", 1), ("c", 2)):
        prepare(
            ["food", "--source=given", f"--output={output}", f"--seed={seed}", "--min_user=1", "--min_item=1"]
        )
    first, second, third = (parts_of(here / output / "food", "food") for output in "abc")
    assert first == second
    assert first["valid"] != third["valid"]


def test_a_prepared_set_loads_as_a_data_set(here):

    from recbole_diffusion.config import Config
    from recbole_diffusion.data.preparation import create_dataset

    kuairec_files(here / "given")
    prepare(["kuairec", "--source=given"])
    load_col = {"inter": ["user_id", "item_id", "timestamp"]}
    overrides = {
        "dataset": "kuairec",
        "data_path": "dataset",
        "benchmark_filename": ["train", "valid", "test_ood"],
    }
    small = {"topk": [3], "valid_metric": "MRR@3", "use_gpu": False}
    dataset = create_dataset(Config("BPR", overrides={**overrides, **small, "load_col": load_col}))
    train, valid, test = dataset.build()
    assert len(test) == 3
    assert len(train) + len(valid) < 97  # test_iid is not among them
    assert set(dataset.id2token("item_id", test.inter_feat["item_id"].numpy())) == {"104"}


# Files that are not there, or not the right ones.


@pytest.mark.parametrize("name", ["food", "yelp2018"])
def test_without_a_file_the_error_says_where_to_get_it(here, name):
    file = RECIPES[name].files[0]
    with pytest.raises(UsageError) as caught:
        prepare([name])
    for part in (file.name, file.page, f"recbole-diffusion prepare {name} --source="):
        assert part in str(caught.value)
    with pytest.raises(UsageError, match=f"--source=given lacks {file.name}. Get it by hand"):
        prepare([name, "--source=given"])
    assert not (here / "dataset").exists()


def test_a_file_put_into_the_kept_folder_is_found(here, capsys):
    (here / "dataset/food/source").mkdir(parents=True)
    write_food(here / "dataset/food/source", food_rows())
    prepare([])
    assert "not prepared, its files are in dataset/food/source" in capsys.readouterr().out
    assert prepare(["food", "--min_user=1", "--min_item=1"]) == 0


@pytest.fixture
def served(here, monkeypatch):
    """Serve KuaiRec.zip on this machine, behind a dead address; return the mirror and the archive."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    archive = kuairec_files(here / "given")
    with running_mirror() as mirror:
        urls = (mirror.url("/dead"), mirror.serve("/KuaiRec.zip", archive.read_bytes()))
        file = replace(RECIPES["kuairec"].files[0], urls=urls, size=archive.stat().st_size, md5=None)
        monkeypatch.setitem(RECIPES, "kuairec", replace(RECIPES["kuairec"], files=(file,)))
        yield mirror, archive


def test_a_set_is_downloaded_once(here, served, capsys):
    mirror, archive = served
    assert prepare(["kuairec"]) == 0
    assert prepare(["kuairec", "--force"]) == 0
    assert [path for path, _ in mirror.requests] == ["/dead", "/KuaiRec.zip"]
    out, err = capsys.readouterr()
    assert f"SHA-256 {hashlib.sha256(archive.read_bytes()).hexdigest()} (equal in size)" in out
    assert "WARNING: cannot get KuaiRec.zip from" in err


def test_a_failed_download_names_files_addresses_and_the_command(here, served):
    mirror, _ = served
    del mirror.files["/KuaiRec.zip"]
    with pytest.raises(RunError) as caught:
        prepare(["kuairec"])
    for part in (
        "KuaiRec.zip",
        mirror.url("/dead"),
        mirror.url("/KuaiRec.zip"),
        "https://kuairec.com",
        "HTTP status 404",
    ):
        assert part in str(caught.value)
    assert "run: recbole-diffusion prepare kuairec --source=" in str(caught.value)


def test_a_damaged_kept_file_is_refused_and_a_given_one_told(here, served, capsys):
    _, archive = served
    prepare(["kuairec"])
    kept = here / "dataset/kuairec/source/KuaiRec.zip"
    kept.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(
        UsageError,
        match=r"source/KuaiRec.zip has .* bytes, expected .*; it is damaged or another version: remove it",
    ):
        prepare(["kuairec", "--force"])
    capsys.readouterr()
    shutil.copy(kept, here / "given")
    prepare(["kuairec", "--force", "--source=given"])
    told = capsys.readouterr().err
    assert "another version than the one that this recipe was written for, or damaged" in told


# Refusals.


def test_a_prepared_set_is_replaced_only_by_force(here):
    write_food(here / "given", food_rows())
    words = ["food", "--source=given", "--min_user=1", "--min_item=1"]
    prepare(words)
    before = (here / "dataset/food/prepare.json").read_text()
    with pytest.raises(
        UsageError,
        match=r"dataset/food is prepared already; replace it with --force, or name another folder with --out",
    ):
        prepare([*words, "--seed=9"])
    assert (here / "dataset/food/prepare.json").read_text() == before
    prepare([*words, "--seed=9", "--force"])
    assert json.loads((here / "dataset/food/prepare.json").read_text())["seed"] == 9


def test_files_of_another_split_are_never_mixed_with_ours(here):
    folder = here / "dataset/yelp2018"
    folder.mkdir(parents=True)
    for part in ("train", "test"):
        (folder / f"yelp2018.{part}.inter").write_text("mine")
    for words in (["yelp2018"], ["yelp2018", "--force"]):
        with pytest.raises(UsageError, match=r"holds yelp2018.test.inter, of another split of the same name"):
            prepare(words)
    (folder / "yelp2018.test.inter").unlink()
    with pytest.raises(UsageError, match=r"holds yelp2018.train.inter, not made by prepare"):
        prepare(["yelp2018"])
    assert (folder / "yelp2018.train.inter").read_text() == "mine"


REFUSED = {
    "fod": r"no recipe for data set 'fod' \(did you mean 'food'\?\); there are food, kuairec, yelp2018",
    "--source=given": "prepare needs the name of a data set; there are food, kuairec",
    "food --source": "option 'source' is given without a value",
    "food --output=": "option 'output' is given without a value",
    "food --min_watch_ratio=2": r"prepare food has no option 'min_watch_ratio'.*--min_rating",
    "kuairec --min_rating=4": "prepare kuairec has no option 'min_rating'.*--min_watch_ratio",
    "food --sead=1": r"no option 'sead' \(did you mean 'seed'\?\)",
    "food --seed=x": r"option 'seed' is 'x'; it takes int in \[0, 4294967295\]",
    "food --min_user=-1": r"option 'min_user' is -1; it takes int in \[0, inf\)",
    "food --min_user=2.5": r"option 'min_user' is 2.5; it takes int",
    "food --min_rating=6": r"option 'min_rating' is 6.0; it takes float in \[0, 5\]",
    "food kuairec": "prepare makes one data set at a time; food and kuairec are given",
    "--force": "prepare needs the name of a data set",
    "food --text=tfidf": "prepare food has no option 'text'",
    "food --force=1": "option 'force' is 1; it takes bool: replace an existing set",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_wrong_request(here, line):
    with pytest.raises(UsageError, match=REFUSED[line]):
        prepare(line.split())
    assert [path.name for path in here.iterdir()] == ["given"]


def test_a_malformed_file_leaves_nothing(here):
    write_food(here / "given", [*food_rows(), ("1", "2", "soon", 5, "")])
    with pytest.raises(UsageError, match=r"RAW_interactions.csv, row 221 \(line 422\): found 'soon' as date"):
        prepare(["food", "--source=given"])
    assert not (here / "dataset").exists()


# The list.


def test_without_a_name_the_sets_are_listed_with_source_licence_and_state(here, capsys):
    write_food(here / "given", food_rows())
    prepare(["food", "--source=given", "--min_user=1", "--min_item=1"])
    (here / "dataset/yelp2018").mkdir()
    (here / "dataset/yelp2018/yelp2018.train.inter").write_text("")
    capsys.readouterr()
    assert prepare([]) == 0
    text = capsys.readouterr().out
    food, kuairec, yelp = (text[text.index(f"{name}: ") :] for name in ("food", "kuairec", "yelp2018"))
    assert "state    prepared in dataset/food" in food.split("kuairec")[0]
    assert "state    not in dataset\n" in kuairec.split("yelp2018")[0]
    assert "holds files of that name that prepare did not make" in yelp
    for recipe in RECIPES.values():
        assert recipe.licence in text
        assert all(file.name in text and file.page in text for file in recipe.files)
    assert prepare(["--output=elsewhere"]) == 0
    assert capsys.readouterr().out.count("state    not in elsewhere") == len(RECIPES)


def test_the_help_names_every_option_with_the_papers_values(capsys):
    prepare(["--help"])
    text = capsys.readouterr().out
    assert "--min_user=food 15, kuairec 0, yelp2018 25" in text
    assert "--min_item=food 50, kuairec 0, yelp2018 50" in text
    for name in ("source", "output", "force", "seed", "min_rating", "min_watch_ratio"):
        assert f"--{name}" in text
