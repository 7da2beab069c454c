"""The recommend command: lists in original ids, formats, unknown and new users, and what it refuses."""

import csv
import json
import re
import shutil
from collections import defaultdict

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch

from recbole_diffusion.cli import main as cli
from recbole_diffusion.cli.serve import ServeOptions, _loaded
from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.serving import ranking, writers
from recbole_diffusion.serving.loaded_run import load_run
from recbole_diffusion.testing.checkerboard import write_parts


@pytest.fixture
def ask(folder_of, tmp_path, capsys):
    """Return a function that runs the command and returns its text; an error must be one line."""

    def recommend(*words, model="TVDiff", output="out.csv", code=0):
        asked = ["recommend", f"--run={folder_of(model)}", f"--output={tmp_path / output}", *words]
        assert cli.main(asked) == code
        text = capsys.readouterr()
        if code:
            assert [line.startswith("error: ") for line in text.err.splitlines() if "error" in line] == [True]
        assert not list(tmp_path.glob(".*"))
        return text.err if code else text.out

    return recommend


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return [
            (row["user"], row["item"], int(row["rank"]), float(row["score"])) for row in csv.DictReader(file)
        ]


def lists_of(rows):
    lists = defaultdict(list)
    for user, item, rank, _ in rows:
        lists[user].append(item)
        assert rank == len(lists[user])
    return lists


def pairs(part, run):
    users, items = (part.inter_feat[name].numpy() for name in (part.uid_field, part.iid_field))
    return zip(run.users.tokens[users], run.items.tokens[items], strict=True)


def test_lists_are_those_that_the_test_judged(ask, loaded, tmp_path):
    """Recall@5 of the written lists is the one in result.json, and nothing of train and valid is in them."""
    ask("--all", "--k=5", "--exclude=history")
    run, lists = loaded("TVDiff"), lists_of(read(tmp_path / "out.csv"))
    held_out = defaultdict(set)
    for user, item in pairs(run.parts["test"], run):
        held_out[user].add(item)
    recall = np.mean([len(items & set(lists[user])) / len(items) for user, items in held_out.items()])
    assert recall == pytest.approx(run.result["test"]["recall@5"], abs=1e-6)
    known = {pair for name in ("train", "valid") for pair in pairs(run.parts[name], run)}
    assert not known & {(user, item) for user, items in lists.items() for item in items}
    assert len(lists) == 40


@pytest.mark.parametrize("model", ["TVDiff", "MultiVAE"])
def test_seen_items_stay_out_unless_asked(ask, loaded, tmp_path, model):
    run = loaded(model)
    ask("--all", "--k=60", model=model)
    seen = {pair for part in run.parts.values() for pair in pairs(part, run)}
    lists = lists_of(read(tmp_path / "out.csv"))
    assert {(user, item) for user, items in lists.items() for item in items} == (
        {(user, item) for user in run.users.tokens[1:] for item in run.items.tokens[1:]} - seen
    )
    assert len(lists["u7"]) == 3
    ask("--all", "--k=60", "--exclude=none", "--overwrite", model=model)
    assert all(len(items) == 60 for items in lists_of(read(tmp_path / "out.csv")).values())


def test_formats_hold_the_same(ask, tmp_path):
    for ending in ("csv", "jsonl", "parquet"):
        ask("--all", "--k=9", "--exclude=none", output=f"out.{ending}")
    ask("--all", "--k=9", "--exclude=none", "--format=jsonl", output="lists.txt")
    expected = read(tmp_path / "out.csv")
    assert 'i,"7' in {row[1] for row in expected}
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert lines == (tmp_path / "lists.txt").read_text(encoding="utf-8")
    assert [tuple(json.loads(line).values()) for line in lines.splitlines()] == expected
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [tuple(row)[:3] for row in map(dict.values, table)] == [row[:3] for row in expected]
    assert [row["score"] for row in table] == pytest.approx([row[3] for row in expected], rel=1e-6)


def test_each_id_is_one_field_of_a_line_whatever_is_in_it(tmp_path):
    odd = np.array(["[PAD]", "a\nb", "c\rd", 'e"f', "g,h", " i ", "j\tk"], object)
    lists = ranking.RecommendationBlock(0, np.array([[n] for n in range(1, 7)]), np.ones((6, 1)))
    with writers.table_file(tmp_path / "out.csv", "csv", odd[1:], odd) as write:
        write(lists)
    assert [row[:2] for row in read(tmp_path / "out.csv")] == [(one, one) for one in odd[1:]]
    table = pd.read_csv(tmp_path / "out.csv")
    assert [table["user"].tolist(), table["item"].tolist()] == [odd[1:].tolist()] * 2


@pytest.mark.parametrize("model", ["TVDiff", "DGRM"])
def test_blocks_do_not_change_the_lists(ask, tmp_path, monkeypatch, model):
    ask("--all", model=model)
    whole = read(tmp_path / "out.csv")
    monkeypatch.setattr(ranking, "LARGEST", 7)
    ask("--all", "--overwrite", model=model)
    parts = read(tmp_path / "out.csv")
    assert [row[:3] for row in parts] == [row[:3] for row in whole]
    assert [row[3] for row in parts] == pytest.approx([row[3] for row in whole], rel=1e-5)


def test_unknown_users_are_counted_and_listed(ask, tmp_path):
    (tmp_path / "users").write_text("u3\nnobody\nu1\nü\n", encoding="utf-8")
    text = ask(f"--users={tmp_path / 'users'}", "--k=4")
    assert "8 rows for 2 users" in text
    assert f"2 unknown, in {tmp_path / 'out.csv.unknown.txt'}" in text
    assert (tmp_path / "out.csv.unknown.txt").read_text(encoding="utf-8") == "nobody\nü\n"
    assert list(lists_of(read(tmp_path / "out.csv"))) == ["u3", "u1"]
    (tmp_path / "users").write_text("u3\n")
    assert "there already" in ask(f"--users={tmp_path / 'users'}", output="out.csv", code=2)
    ask(f"--users={tmp_path / 'users'}", "--overwrite")
    assert not (tmp_path / "out.csv.unknown.txt").exists()  # it told of an output that is gone


USERS = {
    "": "holds no id",
    "\n\n": "holds no id",
    "u1\n\nu2\n": "1 line is empty: 2; remove 1 line",
    "u1\nu2\nu1\nu2\n": r"2 lines name a user a second time: u1 in line 3 \(first in line 1\), u2 in line 4",
    "u1\n\nu1\n\n\n": (
        "3 lines are empty: 2, 4, 5; 1 line names a user a second time: u1 in line 3.*; remove 4 lines"
    ),
    "x\ny\n": "no user of .*2 users.* is in the run's data set: x, y; it takes original ids, such as 'u",
    b"u1\n\xff\n": "is not UTF-8 text",
}


@pytest.mark.parametrize("content", USERS)
def test_a_wrong_users_file_is_refused(ask, tmp_path, content):
    (tmp_path / "users").write_bytes(content if isinstance(content, bytes) else content.encode())
    line = ask(f"--users={tmp_path / 'users'}", code=2)
    assert re.search(USERS[content], line)
    assert [path.name for path in tmp_path.iterdir()] == ["users"]


REQUESTS = {
    "": "recommend takes one of --all, --users=FILE and --histories=FILE; none of them is given",
    "--all --users=x": "--all and --users are given",
    "--users=nowhere": "cannot read the users file nowhere: No such file",
    "--all --k=61": "k is 61, but the run's data set has 60 items; it takes 1 to 60",
    "--all --k=0": "'k' is 0; it takes int in [1, inf)",
    "--all --k=many": "'k' is 'many'",
    "--all --exclude=some": "'exclude' is 'some'; it takes all | history | none",
    "--all --formt=csv": "recommend has no option 'formt' (did you mean 'format'?)",
    "--all --format=xls": "'format' is 'xls'",
    "--all --data_path=/nowhere": "data set 'mine' is not there",
    "--all --ray_workers=2": "ray_workers is 2, but no --ray_address names a Ray cluster",
    "--histories=x --ray_address=auto": "--ray_address ranks known users, of --all or --users",
    "--all --ray_address=auto --use_gpu": "--ray_address ranks on processors, use_gpu is True",
    "--histories=nowhere": "cannot read the histories nowhere: No such file",
}


@pytest.mark.parametrize("words", REQUESTS)
def test_a_wrong_request_is_refused(ask, tmp_path, words):
    assert REQUESTS[words] in ask(*words.split(), code=2)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(ask, tmp_path):
    (tmp_path / "out.csv").write_text("mine")
    assert "is there already; replace it with --overwrite" in ask("--all", code=2)
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert "there is no folder" in ask("--all", output="no/out.csv", code=2)
    assert "has no known ending" in ask("--all", output="out.tsv", code=2)
    (tmp_path / "folder.csv").mkdir()
    assert "is a folder" in ask("--all", output="folder.csv", code=2)
    assert "are both" in ask("--all", f"--unknown={tmp_path / 'a.csv'}", output="a.csv", code=2)


def test_runs_that_cannot_be_used(folder_of, tmp_path, capsys):
    def refused(folder, code):
        assert cli.main(["recommend", f"--run={folder}", "--all", f"--output={tmp_path / 'out.csv'}"]) == code
        assert not (tmp_path / "out.csv").exists()
        return capsys.readouterr().err

    assert "no run in" in refused(tmp_path / "nowhere", 2)
    copy = shutil.copytree(folder_of("TVDiff"), tmp_path / "copy")
    (copy / "best.pt").write_bytes((copy / "best.pt").read_bytes()[:-200])
    assert "best.pt is damaged" in refused(copy, 1)
    (copy / "result.json").unlink()
    assert "has not ended" in refused(copy, 2)
    assert cli.main(["recommend", "--help"]) == 0


def test_a_full_disk_leaves_the_old_file(ask, tmp_path, monkeypatch):
    (tmp_path / "out.csv").write_text("mine")

    def fail(file, form, columns):
        file.write("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers, "_lines", fail)
    assert "No space left on device; " in ask("--all", "--overwrite", code=1)
    assert (tmp_path / "out.csv").read_text() == "mine"


def test_scores_that_are_no_numbers_are_refused(folder_of, tmp_path, capsys, monkeypatch):
    from recbole_diffusion.model.rows.tvdiff import TVDiff

    inner = TVDiff.inner_products

    def broken(self):
        found = inner(self)
        found.items[3] = float("nan")
        return found

    monkeypatch.setattr(TVDiff, "inner_products", broken)
    assert (
        cli.main(["recommend", f"--run={folder_of('TVDiff')}", "--all", f"--output={tmp_path / 'out.csv'}"])
        == 1
    )
    assert "scores that are not finite" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# New users.


def histories(path, rows, header="user_id:token\titem_id:token"):
    path.write_text("\n".join([header, *("\t".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return f"--histories={path}"


def own_rows(run, user, rating=False):
    part = run.parts["train"]
    mine = part.inter_feat[part.uid_field].numpy() == run.users.numbers_of([user])[0]
    items = run.items.tokens[part.inter_feat[part.iid_field].numpy()[mine]]
    tokens = ['"' + item.replace('"', '""') + '"' for item in items]
    extra = [part.inter_feat["rating"].numpy()[mine]] if rating else []
    return [("new", *values) for values in zip(tokens, *extra, strict=True)]


@pytest.mark.parametrize("model", ["TVDiff", "MultiVAE"])
def test_the_history_of_a_known_user_gives_its_list(ask, loaded, tmp_path, model):
    run = loaded(model)
    rows = own_rows(run, "u7")
    ask(
        histories(tmp_path / "new", [*rows, rows[0]]), "--exclude=none", model=model
    )  # one pair twice: it counts once
    (tmp_path / "users").write_text("u7\n")
    ask(f"--users={tmp_path / 'users'}", "--exclude=none", output="known.csv", model=model)
    new, known = read(tmp_path / "out.csv"), read(tmp_path / "known.csv")
    assert [row[1:3] for row in new] == [row[1:3] for row in known]
    assert [row[3] for row in new] == pytest.approx([row[3] for row in known], rel=1e-5)
    ask(histories(tmp_path / "new", rows), "--overwrite", model=model)
    assert not {row[1] for row in read(tmp_path / "out.csv")} & {
        row[1].strip('"').replace('""', '"') for row in rows
    }


def test_unknown_items_of_histories_are_counted(ask, tmp_path):
    rows = [("b", "ü1"), ("a", "ü2"), ("a", "gone"), ("c", "gone"), ("c", "lost"), ("b", "ü3")]
    text = ask(histories(tmp_path / "new", rows), "--k=3")
    assert "6 rows for 2 users" in text
    assert "3 of 6 rows name 2 unknown items; 1 user has no known item and no list" in text
    assert (tmp_path / "out.csv.unknown.txt").read_text() == "user\tc\nitem\tgone\nitem\tlost\n"
    assert list(lists_of(read(tmp_path / "out.csv"))) == ["b", "a"]


def test_a_history_takes_the_place_of_what_is_known_of_its_user(ask, loaded, tmp_path, caplog):
    """Names of visitors may be those of users by accident: nothing of theirs is mixed in, which is told."""
    run = loaded("MultiVAE")
    (item,), mine = [row[1] for row in own_rows(run, "u7")][:1], {row[1] for row in own_rows(run, "u7")}
    text = ask(histories(tmp_path / "new", [("u7", item), ("new", item)]), "--k=59", model="MultiVAE")
    lists = lists_of(read(tmp_path / "out.csv"))
    assert lists["u7"] == lists["new"]
    assert len(mine) > 1
    told = "1 user of the histories has the name of a known user (u7): the history takes the place of what"
    assert told in text
    run.recommend_new({"u7": [lists["u7"][0]]}, k=3)
    assert told in caplog.text
    assert "of a known user" not in ask(
        histories(tmp_path / "new", [("new", item)]), "--overwrite", model="MultiVAE"
    )


def test_an_unknown_id_is_one_line_whatever_is_in_it(ask, tmp_path):
    odd = ["a\nb", "c\rd", "e\tf", '"g"', "ü h"]
    rows = [("u", "ü1"), *(("u", '"' + one.replace('"', '""') + '"') for one in odd)]
    ask(histories(tmp_path / "new", rows), "--k=3")
    lines = (tmp_path / "out.csv.unknown.txt").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    kinds, texts = zip(*(line.split("\t") for line in lines), strict=True)
    assert set(kinds) == {"item"}
    assert sorted(json.loads(text) if text[0] == '"' else text for text in texts) == sorted(odd)


def test_ratings_of_histories(ask, loaded, tmp_path):
    header = "user_id:token\titem_id:token\trating:float"
    rows = own_rows(loaded("DGRM"), "u7", rating=True)
    ask(histories(tmp_path / "new", rows, header), "--exclude=none", "--k=60", model="DGRM")
    scores = {row[1]: row[3] for row in read(tmp_path / "out.csv")}
    assert len(scores) == 60
    assert all(0 <= score <= 5 for score in scores.values())
    new = str(tmp_path / "new")
    for wrong, message in (
        ([*rows, rows[0]], "rate an item a second time: user new"),
        ([("new", "ü1", 9)], "1 rating of the histories is outside the scale 1 to 5"),
        ([("new", "ü1", "")], f"{new}, line 2: the rating is missing"),
        ([("new", "ü1", "good")], f"{new}, line 2: found 'good' in the column 'rating'"),
    ):
        assert message in ask(histories(tmp_path / "new", wrong, header), "--overwrite", model="DGRM", code=2)
    assert f"{new} has no column rating" in ask(
        histories(tmp_path / "new", [("a", "ü1")]), "--overwrite", model="DGRM", code=2
    )


def test_wrong_histories_are_refused(ask, tmp_path):
    new = tmp_path / "new"
    assert "BPR as trained here only knows its training users" in ask(
        histories(new, [("a", "ü1")]), model="BPR", code=2
    )
    assert "no user of the histories has an item" in ask(histories(new, [("a", "b")]), code=2)
    assert "has no column item_id" in ask(histories(new, [("a", "b")], "user_id:token\tthing:token"), code=2)
    assert "there are no rows below its header" in ask(histories(new, []), code=2)
    labels = [("a", "ü1", 1), ("a", "ü2", 0), ("b", "ü3", -1)], "user_id:token\titem_id:token\tlabel:float"
    assert "line 3: 2 of 3 rows have the label 0, but every item of" in ask(histories(new, *labels), code=2)
    numbers = histories(new, [("a", 1)], "user_id:token\titem_id:float")
    assert "line 1: the column 'item_id' is float, but the item takes token" in ask(numbers, code=2)
    assert "line 3: the item is missing" in ask(histories(new, [("a", "ü1"), ("a", "")]), code=2)
    assert "line 2: found 3 fields" in ask(histories(new, [("a", "ü1", "x")]), code=2)
    ask(histories(new, labels[0][:1], labels[1]))
    (tmp_path / "out.csv").unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


# Python.


def test_the_same_from_python(ask, loaded, tmp_path):
    run = loaded("TVDiff")
    ask("--all", "--k=4")
    table = run.recommend(k=4)
    assert [tuple(row)[:3] for row in table.itertuples(index=False)] == [
        row[:3] for row in read(tmp_path / "out.csv")
    ]
    some = run.recommend(users=["u3", "nobody"], k=2)
    assert some["user"].tolist() == ["u3", "u3"]
    assert some.attrs["unknown"] == ["nobody"]
    new = run.recommend_new({"me": ["ü1", "ü2"], "you": ["gone"]}, k=3)
    assert new["user"].tolist() == ["me"] * 3
    assert new.attrs["unknown"] == ["you"]
    with pytest.raises(UsageError, match="has no column user; it takes user, item"):
        run.recommend_new(pd.DataFrame({"item": ["ü1"]}))
    with pytest.raises(UsageError, match="this model reads ratings"):
        loaded("DGRM").recommend_new({"me": ["ü1"]})
    rated = loaded("DGRM").recommend_new({"me": {"ü1": 5, "ü2": 1}}, k=3)
    assert len(rated) == 3


def test_lists_by_predicted_rating_of_cold_users_come_with_a_warning(two_domains, tmp_path, capsys):
    from recbole_diffusion import run
    from recbole_diffusion.testing import FAST

    for name, more in (("plain", {}), ("lists", {"negatives_per_rating": 2, "valid_metric": "NDCG@10"})):
        options = {**two_domains.overrides, **FAST, "run_dir": str(tmp_path / name), **more}
        run("ItemMean", two_domains.name, overrides=options)
        capsys.readouterr()
        words = ["recommend", f"--run={tmp_path / name}", "--all", f"--output={tmp_path / name}.csv"]
        assert cli.main(words) == 0
        warned = [
            line for line in capsys.readouterr().out.splitlines() if "worse than by item popularity" in line
        ]
        assert len(warned) == (name == "plain")
        assert all("--negatives_per_rating=4" in line for line in warned)


def toy_run(folder, parts):
    """Run EDLAE on a data set of these parts; the run's folder is ``run``."""
    toy = write_parts(folder, "toy", parts)
    given = {"reg_weight": 1.0, "topk": [2], "valid_metric": "Recall@2", "run_dir": str(folder / "run")}
    run("EDLAE", "toy", overrides={**toy.overrides, **given})


def test_lists_of_one_score_are_told(tmp_path, capsys):
    """A user whose rows are all in test, and one whose only item nobody else has."""
    parts = {
        "train": [("a", 1), ("a", 2), ("b", 1), ("b", 3), ("c", 2), ("c", 3), ("d", 4)],
        "valid": [("a", 3)],
        "test": [("b", 2), ("e", 1)],
    }
    toy_run(tmp_path, parts)
    asked = ["recommend", f"--run={tmp_path / 'run'}", f"--output={tmp_path / 'out.csv'}", "--all", "--k=2"]
    assert cli.main([*asked, "--exclude=none"]) == 0
    chance = {user for user, *_ in read(tmp_path / "out.csv")} - {"a", "b", "c"}
    assert chance == {"d", "e"}
    told = capsys.readouterr().out
    assert "2 lists have one score throughout, so that the order is chance" in told
    assert "shorter than asked for" not in told


def test_lists_shorter_than_asked_for_are_told(tmp_path, capsys):
    """Of four items, users a and b have three, c has all and d one."""
    parts = {
        "train": [("a", 1), ("a", 2), ("b", 1), ("b", 3), ("c", 1), ("c", 2), ("c", 3), ("d", 4)],
        "valid": [("a", 3)],
        "test": [("b", 2), ("c", 4)],
    }
    toy_run(tmp_path, parts)
    asked = ["recommend", f"--run={tmp_path / 'run'}", f"--output={tmp_path / 'out.csv'}", "--all", "--k=2"]
    assert cli.main(asked) == 0
    users = [user for user, *_ in read(tmp_path / "out.csv")]
    assert [users.count(user) for user in "abcd"] == [1, 1, 0, 2]
    told = "3 lists are shorter than asked for: what is left out leaves no more items; 1 user has none at all"
    assert told in capsys.readouterr().out


def test_items_without_a_row_in_train_are_told(tmp_path, capsys, caplog):
    draw = np.random.default_rng(0)
    pairs = [(f"u{user}", f"i{item}") for user in range(8) for item in draw.permutation(9)[:5]]
    parts = {"train": pairs, "valid": [("u0", "late")], "test": [("u1", "late")]}
    data = write_parts(tmp_path, "late", parts)
    overrides = {**data.overrides, "epochs": 1, "topk": [3], "valid_metric": "Recall@3"}
    folder = run("BPR", overrides=overrides)["run_dir"]
    ask = ["recommend", f"--run={folder}", "--all", f"--output={tmp_path / 'out.csv'}", "--exclude=none"]
    assert cli.main([*ask, "--k=10"]) == 0
    listed = "8 of 80 places have an item without a row in train (1 item: late), about which the model has"
    assert listed in capsys.readouterr().out
    assert cli.main([*ask, "--k=1", "--overwrite"]) == 0
    places = [item for _, item, *_ in read(tmp_path / "out.csv")].count("late")
    assert (f"{places} of 8 places" in capsys.readouterr().out) == bool(places)
    load_run(folder).recommend(k=10, exclude="none")
    assert listed in caplog.text
    said = "1 item has no row in train (late), so that the model has learned nothing about it: a list that"
    words = ["export", f"--run={folder}", f"--output={tmp_path / 'vectors'}", "--overwrite"]
    assert cli.main(words) == 0
    assert f"warning {said}" in capsys.readouterr().out
    (tmp_path / "late").write_text("late\n")
    assert cli.main([*words, f"--without={tmp_path / 'late'}"]) == 0
    assert said not in capsys.readouterr().out
    _loaded(folder, ServeOptions(run=folder, threads=torch.get_num_threads(), k=2), gently=False)
    assert f"warning: {said}" in capsys.readouterr().err


def test_users_without_a_row_in_train_are_told(tmp_path, capsys, caplog):
    draw = np.random.default_rng(0)
    pairs = [(f"u{user}", f"i{item}") for user in range(8) for item in draw.permutation(9)[:5]]
    parts = {"train": pairs[:-5], "valid": pairs[-5:-2], "test": pairs[-2:]}  # u7 is in valid and test alone
    data = write_parts(tmp_path, "late", parts)
    overrides = {**data.overrides, "epochs": 1, "topk": [3], "valid_metric": "Recall@3"}
    folder = run("BPR", overrides=overrides)["run_dir"]
    for options, told in ((["--all"], True), ([f"--users={tmp_path / 'users'}"], False)):
        (tmp_path / "users").write_text("u3\nu1\n")
        words = [f"--run={folder}", f"--output={tmp_path / 'out.csv'}", "--k=2", "--overwrite", *options]
        assert cli.main(["recommend", *words]) == 0
        said = (
            "1 user has no row in train (u7), so that the model has learned nothing about them: the list is"
        )
        assert (said in capsys.readouterr().out) == told
    load_run(folder).recommend(["u7", "u1"], k=2)
    assert "1 user has no row in train (u7)" in caplog.text
    assert cli.main(["export", f"--run={folder}", f"--output={tmp_path / 'vectors'}"]) == 0
    assert f"warning {said}" in capsys.readouterr().out
    _loaded(folder, ServeOptions(run=folder, threads=torch.get_num_threads(), k=2), gently=False)
    assert f"warning: {said}" in capsys.readouterr().err
