"""Runs whose data have changed or grown: what is served by token, what is told, what is refused."""

import importlib.util
import json
import logging
import random
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from support.small import OPTIONS as MULTIMODAL
from support.small import with_features

from recbole_diffusion import load_run, run
from recbole_diffusion.cli import main as cli
from recbole_diffusion.data.fingerprint import part_fingerprints
from recbole_diffusion.data.kept_rows import KeptRows, read_rows, rows_of, write_rows
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.model.user_blocks import noise_seed
from recbole_diffusion.serving.changed_data import ChangedData
from recbole_diffusion.serving.histories import frame_of
from recbole_diffusion.serving.recommend import users_of_histories
from recbole_diffusion.trainer import checkpoint

HISTORIES = {"one": ["ü1", "ü2", "ü3"], "two": ["ü9", "ü8"]}


@pytest.fixture
def changed(served_data, tmp_path):
    """Return a function that writes the data set with its rows changed by a function; it gives the folder."""

    def write(change):
        (tmp_path / "mine").mkdir()
        lines = (served_data / "mine/mine.inter").read_text(encoding="utf-8").splitlines()
        text = "\n".join([lines[0], *change(lines[1:])]) + "\n"
        (tmp_path / "mine/mine.inter").write_text(text, encoding="utf-8")
        return str(tmp_path)

    return write


@pytest.fixture
def old_folder_of(folder_of, tmp_path):
    """Return a function from a model's name to a run without kept rows, as in earlier versions."""

    def copied(model):
        copy = shutil.copytree(folder_of(model), tmp_path / f"old-{model}")
        (copy / "data.npz").unlink()
        return copy

    return copied


def grown(rows):
    """Return rows with 40 more, of users and items that are known."""
    had = {tuple(row.split("\t")[:2]) for row in rows}
    users, items = (
        [f"u{user}" for user in range(40) if user != 7],
        [f"ü{item}" for item in range(60) if item != 7],
    )
    new = [(user, next(item for item in items if (user, f'"{item}"') not in had)) for user in users]
    return [*rows, *(f'{user}\t"{item}"\t3' for user, item in new)]


def other_ratings(rows):
    return [f"{row[:-1]}{6 - int(row[-1])}" for row in rows]


@pytest.mark.parametrize("model", ["BPR", "DGRM"])
def test_data_that_is_the_same_is_found_so(folder_of, changed, caplog, model):
    folder, data_path = folder_of(model), changed(lambda rows: rows)
    caplog.clear()  # of the training, where this test is the first to ask for it
    loaded = load_run(folder, data_path=data_path)
    assert loaded.changed.parts == {}
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
    loaded.recommend(["u1"], exclude="history")


def test_a_model_that_is_all_weights_serves_on_and_says_what_is_new(loaded, old_folder_of, changed, caplog):
    before = loaded("BPR").recommend(k=5, exclude="none")
    now = load_run(old_folder_of("BPR"), data_path=changed(grown))
    assert list(now.changed.parts) == ["train", "valid", "test"]
    assert "train has 710 rows where it had 671" in now.changed.told
    assert now.changed.told in caplog.text
    assert now.recommend(k=5, exclude="none").equals(before)
    with pytest.raises(
        UsageError, match=r"exclude is history.*train has 710 rows.*put the old files back, or give"
    ):
        now.recommend(k=5, exclude="history")


def test_what_is_left_out_by_default_is_todays_data(folder_of, changed):
    now = load_run(folder_of("BPR"), data_path=changed(grown))
    lists = now.recommend(["u1"], k=59)["item"]
    assert len(lists) == 60 - 21  # 20 rows of the training's data and a new one


@pytest.mark.parametrize("model", ["TVDiff", "MultiVAE"])
def test_a_model_that_keeps_rows_outside_its_weights_refuses_known_users(old_folder_of, changed, model):
    now = load_run(old_folder_of(model), data_path=changed(grown))
    with pytest.raises(
        RunError, match=f"the scores of {model} depend on data beside its weights.*train has 710"
    ):
        now.recommend(["u1"], k=5, exclude="none")


def test_new_users_are_served_where_their_histories_and_the_weights_are_enough(
    loaded, old_folder_of, changed
):
    data = changed(grown)
    now = load_run(old_folder_of("MultiVAE"), data_path=data)
    assert now.recommend_new(HISTORIES, k=5).equals(loaded("MultiVAE").recommend_new(HISTORIES, k=5))
    graph = load_run(old_folder_of("TVDiff"), data_path=data)  # its item vectors come from the training graph
    with pytest.raises(RunError, match="the scores of TVDiff depend on data beside its weights"):
        graph.recommend_new(HISTORIES, k=5)


@pytest.mark.parametrize(
    ("histories", "words"),
    [
        ({"me": "12"}, "the history of user me is '12', of type str; give a list of items"),
        ({"me": 12}, "the history of user me is 12, of type int; give a list of items"),
        (["ü1"], "histories are list; give a dict of items by user"),
        ({"me": {"ü1": 4}, "you": ["ü2"]}, "some histories have ratings and others none"),
        ({"me": []}, "the histories have no item; give one at least"),
        ({}, "the histories have no item"),
    ],
)
def test_histories_that_are_none_are_refused(loaded, histories, words):
    with pytest.raises(UsageError, match=re.escape(words)):
        loaded("MultiVAE").recommend_new(histories, k=5)


def test_an_empty_history_is_told_among_those_without_a_list(loaded):
    table = loaded("MultiVAE").recommend_new({"a": [], "b": ["ü1"], "c": ["x"]}, k=5)
    assert set(table["user"]) == {"b"}
    assert table.attrs["unknown"] == ["a", "c"]


def test_ratings_count(old_folder_of, changed):
    now = load_run(old_folder_of("DGRM"), data_path=changed(other_ratings))
    assert now.changed.told == "; ".join(
        f"{part} has other values of rating" for part in ("train", "valid", "test")
    )
    with pytest.raises(RunError, match="the scores of DGRM depend on data beside its weights"):
        now.recommend(["u1"])


def test_vectors_that_depend_on_old_rows_are_not_exported(old_folder_of, changed, tmp_path, capsys):
    words = [f"--data_path={changed(grown)}", f"--output={tmp_path / 'out'}"]
    assert cli.main(["export", f"--run={old_folder_of('TVDiff')}", *words]) == 1
    assert "put the old files back, or train again" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert cli.main(["export", f"--run={old_folder_of('BPR')}", *words]) == 0


def test_a_resume_refuses_and_leaves_the_folder_as_it_was(folder_of, changed, tmp_path):
    copy = shutil.copytree(folder_of("BPR"), tmp_path / "copy")
    state = (copy / "checkpoint.pt").read_bytes(), (copy / "result.json").read_bytes()
    with pytest.raises(
        RunError, match=r"cannot continue, its data has changed: train has 710 rows where it had 671"
    ):
        run(resume=copy, overrides={"epochs": 3, "data_path": changed(grown)})
    assert ((copy / "checkpoint.pt").read_bytes(), (copy / "result.json").read_bytes()) == state


def test_weights_of_other_data_are_told_at_the_start_of_a_run(folder_of, changed, tmp_path, caplog):
    overrides = {"data_path": changed(grown), "epochs": 0, "topk": [5], "valid_metric": "Recall@5"}
    overrides |= {"load_checkpoint": str(folder_of("BPR") / "best.pt"), "run_dir": str(tmp_path / "run")}
    overrides |= {"load_col": {"inter": ["user_id", "item_id"]}, "use_gpu": False, "seed": 1}
    with caplog.at_level(logging.WARNING):
        run("BPR", "mine", overrides=overrides)
    assert "best.pt was trained on other data: train has 710 rows where it had 671" in caplog.text


def test_a_run_older_than_fingerprints_says_that_nothing_can_be_compared(folder_of, tmp_path, caplog):
    copy = shutil.copytree(folder_of("BPR"), tmp_path / "copy")
    state = checkpoint.load(copy / "best.pt")
    del state["data"]
    checkpoint.save(state, copy / "best.pt")
    assert load_run(copy).changed.parts == {}
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]  # result.json has the parts
    result = json.loads((copy / "result.json").read_text())
    del result["parts"]
    (copy / "result.json").write_text(json.dumps(result))
    load_run(copy)
    assert "whether its data has changed is not known" in caplog.text


def test_the_split_is_that_of_split_seed(served_data, tmp_path):
    overrides = {
        "data_path": str(served_data),
        "epochs": 1,
        "topk": [5],
        "valid_metric": "Recall@5",
        "split_seed": 7,
    }
    overrides |= {
        "run_dir": str(tmp_path / "run"),
        "use_gpu": False,
        "load_col": {"inter": ["user_id", "item_id"]},
    }
    result = run("EASE", "mine", overrides=overrides)
    loaded = load_run(tmp_path / "run")
    assert loaded.changed.parts == {}
    hits = loaded.recommend(k=5, exclude="history")
    test = loaded.parts["test"].inter_feat
    of_test = {
        (loaded.users.tokens[user], loaded.items.tokens[item])
        for user, item in zip(test["user_id"].tolist(), test["item_id"].tolist(), strict=True)
    }
    counts = {user: sum(one == user for one, _ in of_test) for user, _ in of_test}
    found = [
        sum((user, item) in of_test for item in hits["item"][hits["user"] == user]) / counts[user]
        for user in counts
    ]
    assert sum(found) / len(found) == pytest.approx(result["test"]["recall@5"], abs=1e-4)


@pytest.fixture
def trained_on_neighbours(checkerboard, tmp_path):
    """A finished run of FREEDOM with a file of neighbours; its data set, its folder, and the file."""
    data = with_features(checkerboard)
    rows = np.arange(50)
    file = data.folder / "checkerboard.words_knn5.npz"
    np.savez(file, neighbours=np.stack([(rows + step) % 50 for step in range(5)], 1))
    options = {**data.overrides, **MULTIMODAL, "epochs": 1, "run_dir": str(tmp_path / "run")}
    run("FREEDOM", overrides=options)
    return data, tmp_path / "run", file


@pytest.mark.parametrize("how", ["other rows", "other cosines", "gone"])
def test_neighbours_of_a_file_are_data_that_a_model_rests_on(trained_on_neighbours, tmp_path, how, caplog):
    data, folder, file = trained_on_neighbours
    assert load_run(folder).changed.parts == {}
    load_run(folder).recommend(["u1"], k=5)
    table = np.load(file)["neighbours"]
    if how == "gone":
        file.unlink()
    elif how == "other rows":
        np.savez(file, neighbours=(table + np.array([0, 4, 4, 4, 4])) % 50)
    else:
        np.savez(file, neighbours=table, cosine=np.full(table.shape, 0.5, np.float32))
    changed = load_run(folder)
    assert changed.changed.told == "neighbours words are not what they were"
    with pytest.raises(RunError, match=r"the scores of FREEDOM depend .*neighbours words are"):
        changed.recommend(["u1"], k=5)
    assert cli.main(["export", f"--run={folder}", f"--output={tmp_path / 'out'}"]) == 1
    with pytest.raises(RunError, match="its data has changed: neighbours words are not what"):
        run(resume=folder, overrides={"epochs": 2})
    options = {**data.overrides, **MULTIMODAL, "epochs": 0, "load_checkpoint": str(folder / "best.pt")}
    run("FREEDOM", overrides={**options, "run_dir": str(tmp_path / "other")})
    assert "best.pt was trained on other data: neighbours words are not what" in caplog.text


def test_a_file_of_neighbours_that_comes_after_the_training_is_told(trained_on_neighbours):
    data, folder, file = trained_on_neighbours
    file.rename(data.folder / "checkerboard.picture_knn5.npz")
    told = load_run(folder).changed.told
    assert told == "neighbours picture are not what they were; neighbours words are not what they were"


def test_other_features_of_the_items_are_told(trained_on_neighbours, caplog, capsys):
    data, folder, _ = trained_on_neighbours
    path = data.folder / "checkerboard.picture.npy"
    np.save(path, np.load(path) * 2)
    changed = load_run(folder)
    assert changed.changed.told == "features picture are not what they were"
    assert "The weights and the parts are those of the training" in caplog.text
    for evaluated in (changed.evaluate, changed.rated_reports):
        with pytest.raises(
            UsageError, match=r"features picture are .* its scores are not those of the training"
        ):
            evaluated()
    assert cli.main(["evaluate", f"--run={folder}"]) == 2
    assert "recall" not in capsys.readouterr().out
    np.save(path, np.load(path) / 2)
    found = load_run(folder).evaluate()
    assert found["test"]["ndcg@10"] == pytest.approx(
        json.loads((folder / "result.json").read_text())["test"]["ndcg@10"], abs=1e-6
    )


def test_features_in_another_order_of_the_items_are_not_said_to_have_changed(checkerboard, tmp_path, caplog):
    """Their fingerprint goes by the numbers of the items, which follow the order of the rows."""
    data = with_features(checkerboard)
    options = {**data.overrides, **MULTIMODAL, "epochs": 1, "run_dir": str(tmp_path / "one")}
    run("VBPR", overrides={name: value for name, value in options.items() if name != "knn_k"})
    file = next(data.folder.glob("*.train.inter"))
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head, *rows[::-1]]) + "\n")
    run(continue_from=tmp_path / "one", overrides={"epochs": 0, "run_dir": str(tmp_path / "two")})
    assert "are not what they were" not in caplog.text
    assert "features picture cannot be compared, as users or items have another order" in caplog.text


MODELS = ["TVDiff", "DGRM", "BPR", "LightGCN", "MultiVAE", "EASE"]
NEW_ROW = 'new1\t"ü3"\t5'
NEW_USER = [NEW_ROW, 'new1\t"ü5"\t1', 'new1\t"another"\t4', 'new2\t"another"\t2']


@pytest.fixture
def tomorrow(served_data, tmp_path):
    """Return a function that writes the data set with its rows changed by a function; it gives the folder."""

    def write(change):
        (tmp_path / "mine").mkdir(exist_ok=True)
        lines = (served_data / "mine/mine.inter").read_text(encoding="utf-8").splitlines()
        text = "\n".join([lines[0], *change(lines[1:])]) + "\n"
        (tmp_path / "mine/mine.inter").write_text(text, encoding="utf-8")
        return str(tmp_path)

    return write


def shuffled(rows):
    return random.Random(5).sample(rows, len(rows))


def had(rows, user):
    return {row.split("\t")[1].strip('"') for row in rows if row.startswith(f"{user}\t")}


def items_of(lists, user):
    return lists["item"][lists["user"] == user].tolist()


def assert_same(lists, others):
    assert lists[["user", "item", "rank"]].equals(others[["user", "item", "rank"]])
    assert np.abs(lists["score"] - others["score"]).max() <= 1e-6


@pytest.mark.parametrize("model", MODELS)
def test_another_order_of_the_file_gives_the_same_lists(loaded, folder_of, tomorrow, model):
    now = load_run(folder_of(model), data_path=tomorrow(shuffled))
    for exclude in ("all", "history", "none"):
        assert_same(now.recommend(k=5, exclude=exclude), loaded(model).recommend(k=5, exclude=exclude))
    assert now.users.tokens.tolist() == loaded(model).users.tokens.tolist()
    assert now.evaluate() == loaded(model).evaluate()


@pytest.mark.parametrize("model", MODELS)
def test_new_users_and_items_at_the_top_of_the_file_change_no_list(
    loaded, folder_of, tomorrow, model, caplog
):
    now = load_run(folder_of(model), data_path=tomorrow(lambda rows: [*NEW_USER, *rows]))
    assert_same(now.recommend(k=5), loaded(model).recommend(k=5))
    assert now.changed.parts == {}  # the rows of known users and items are those of the training
    assert "2 new users and 1 new item are left out, with 4 rows" in caplog.text
    assert "new1" not in now.users.tokens and now.evaluate() == loaded(model).evaluate()


@pytest.mark.parametrize("model", ["TVDiff", "DGRM", "MultiVAE", "EASE"])
def test_new_rows_of_a_known_user_change_the_list_and_are_left_out_of_it(loaded, folder_of, tomorrow, model):
    before = loaded(model).recommend(k=20)
    new = items_of(before, "u1")[:3]
    rows = [f'u1\t"{item}"\t5' for item in new]
    now = load_run(folder_of(model), data_path=tomorrow(lambda old: [rows[0], *old, *rows[1:]]))
    lists = now.recommend(k=20)
    assert not set(new) & set(items_of(lists, "u1"))
    places = before["user"] == "u1"
    scores = before[places].set_index("item")["score"]
    mine = lists[lists["user"] == "u1"].set_index("item")["score"]
    both = scores.index.intersection(mine.index)
    assert len(both) > 5 and not np.allclose(scores[both], mine[both], rtol=1e-4)
    assert_same(*(table[table["user"] != "u1"].reset_index(drop=True) for table in (lists, before)))
    # What the model makes of these items: its fold-in of the training's rows and the new ones.
    train = now.parts["train"].inter_feat
    number = int(now.users.numbers_of(["u1"])[0])
    of_user = train["user_id"].numpy() == number
    items = now.items.tokens[train["item_id"].numpy()[of_user]].tolist()
    history = dict.fromkeys(items, 1)
    if model == "DGRM":
        history = dict(zip(items, train["rating"].numpy()[of_user].tolist(), strict=True))
    history |= dict.fromkeys(new, 5)
    alone = users_of_histories(now, frame_of({"u1": history if model == "DGRM" else list(history)}))
    seed = noise_seed(now.config.general.seed, number)
    with torch.no_grad():
        expected = now.model.fold_in_scores(alone.block(0, 1, "cpu"), seed)[0].numpy()
    assert np.allclose(expected[now.items.numbers_of(mine.index)], mine, atol=1e-5)


@pytest.mark.parametrize(("model", "words"), [("DGRM", "2 ratings have changed"), ("TVDiff", "")])
def test_a_changed_rating_is_a_new_row_for_a_model_of_ratings_alone(
    loaded, folder_of, tomorrow, model, words, caplog
):
    """Of two changed ratings of u1, one is in train and one held out; DGRM's list is that of the new ones."""
    run, before = loaded(model), loaded(model).recommend(k=20)
    number, changed, history = int(run.users.numbers_of(["u1"])[0]), {}, {}
    for name in ("train", "test"):
        rows = run.parts[name].inter_feat
        of_user = rows["user_id"].numpy() == number
        items = run.items.tokens[rows["item_id"].numpy()[of_user]].tolist()
        if model == "DGRM" and name == "train":
            history = dict(zip(items, rows["rating"].numpy()[of_user].tolist(), strict=True))
        changed[items[0]] = 0

    def rated_anew(lines):
        found = []
        for line in lines:
            user, item, rating = line.split("\t")
            token = item.strip('"').replace('""', '"')
            if user == "u1" and token in changed:
                rating = changed[token] = 6 - int(rating) if rating != "3" else 5
            found.append(f"{user}\t{item}\t{rating}")
        return found

    now = load_run(folder_of(model), data_path=tomorrow(rated_anew))
    lists = now.recommend(k=20)
    assert words in caplog.text and (
        "the list of 1 user is made from the new ratings" in caplog.text
    ) == bool(words)
    mine, others = (table for _, table in lists.groupby(lists["user"] != "u1"))
    assert_same(*(one[one["user"] != "u1"].reset_index(drop=True) for one in (others, before)))
    if model == "TVDiff":
        assert_same(mine.reset_index(drop=True), before[before["user"] == "u1"].reset_index(drop=True))
        return
    alone = users_of_histories(now, frame_of({"u1": {**history, **changed}}))
    with torch.no_grad():
        expected = now.model.fold_in_scores(alone.block(0, 1, "cpu"), noise_seed(1, number))[0].numpy()
    assert np.allclose(expected[now.items.numbers_of(mine["item"])], mine["score"], atol=1e-5)


def test_a_model_of_trained_users_leaves_new_rows_out_of_its_lists(loaded, folder_of, tomorrow):
    before = loaded("BPR").recommend(["u1"], k=20)
    new = items_of(before, "u1")[:3]
    now = load_run(
        folder_of("BPR"), data_path=tomorrow(lambda rows: [*rows, *(f'u1\t"{i}"\t5' for i in new)])
    )
    assert items_of(now.recommend(["u1"], k=17), "u1") == items_of(before, "u1")[3:]
    assert items_of(now.recommend(["u1"], k=20, exclude="none"), "u1") == items_of(
        loaded("BPR").recommend(["u1"], k=20, exclude="none"), "u1"
    )


def test_rows_that_are_gone_change_nothing_but_what_is_left_out(loaded, folder_of, tomorrow):
    gone = load_run(
        folder_of("TVDiff"), data_path=tomorrow(lambda rows: [row for row in rows if row[:3] != "u1\t"])
    )
    before = loaded("TVDiff")
    assert_same(gone.recommend(k=5, exclude="history"), before.recommend(k=5, exclude="history"))
    assert len(gone.recommend(["u1"], k=60)) == 60  # nothing of u1 is in today's data
    assert gone.evaluate() == before.evaluate()


@pytest.mark.parametrize("model", ["TVDiff", "DGRM", "MultiVAE"])
def test_new_users_are_listed_by_their_rows(folder_of, tomorrow, model):
    now = load_run(folder_of(model), data_path=tomorrow(lambda rows: [*NEW_USER, NEW_ROW, *rows]))
    histories = now.new_users()
    assert histories["item"].tolist() == ["ü5", "ü3"] and set(histories["user"]) == {"new1"}
    if model == "DGRM":
        assert histories["rating"].tolist() == [1, 5]
    lists = now.recommend_new(histories, k=5)
    assert len(lists) == 5 and not set(lists["item"]) & {"ü3", "ü5"}


def test_the_command_lists_new_users_and_counts_those_without_a_list(folder_of, tomorrow, tmp_path, capsys):
    data = tomorrow(lambda rows: [*NEW_USER, *rows])
    words = [f"--data_path={data}", "--all", "--k=3"]

    def table(model, *more):
        file = tmp_path / f"{model}{len(more)}.csv"
        assert cli.main(["recommend", f"--run={folder_of(model)}", f"--output={file}", *words, *more]) == 0
        return pd.read_csv(file)

    known = table("MultiVAE")
    assert "2 new users have no list: --new_users lists them by their rows" in capsys.readouterr().out
    every = table("MultiVAE", "--new_users")
    told = capsys.readouterr().out
    assert "1 new user is listed by its rows" in told
    assert "1 new user has no known item and no list" in told
    assert every[: len(known)].equals(known) and every["user"].tolist()[len(known) :] == ["new1"] * 3
    table("BPR")
    assert "2 new users have no list: train again for them" in capsys.readouterr().out
    refused = [
        "recommend",
        f"--run={folder_of('BPR')}",
        f"--output={tmp_path / 'no.csv'}",
        *words,
        "--new_users",
    ]
    assert cli.main(refused) == 2
    assert "only knows its training users" in capsys.readouterr().err
    assert cli.main([*refused[:3], "--users=x", "--new_users"]) == 2
    assert "--new_users goes with --all" in capsys.readouterr().err


def test_vectors_are_those_of_the_training(loaded, folder_of, tomorrow):
    now = load_run(folder_of("LightGCN"), data_path=tomorrow(lambda rows: [NEW_ROW, *shuffled(rows)]))
    for mine, others in zip(now.vectors(), loaded("LightGCN").vectors(), strict=True):
        assert np.allclose(mine, others, atol=1e-6)


def test_users_below_a_filter_are_not_new_and_known_ones_below_it_stay(checkerboard, tmp_path):
    file = checkerboard.folder / "checkerboard.inter"
    rows = [row for part in ("train", "valid", "test") for row in _rows_of(checkerboard, part)]
    few = ["rare\ti1", "u2\tseldom"]  # a user and an item with one row
    file.write_text("\n".join(["user_id:token\titem_id:token", *few, *rows]) + "\n")
    options = {
        **checkerboard.overrides,
        "benchmark_filename": None,
        "epochs": 0,
        "run_dir": str(tmp_path / "run"),
    }
    options |= {"user_inter_num_interval": "[5,inf)", "item_inter_num_interval": "[5,inf)"}
    run("BPR", overrides=options)
    same = load_run(tmp_path / "run")
    assert same.changed.news == "" and len(same.users) == 50
    fewer = [row for row in rows if not row.startswith("u4\t")][:-1] + rows[-1:] + ["u4\ti2"]
    more = [f"fresh\ti{item}" for item in range(6)] + ["once\ti1"]
    file.write_text("\n".join(["user_id:token\titem_id:token", *few, *more, *fewer]) + "\n")
    now = load_run(tmp_path / "run")
    assert now.changed.new.users.tolist() == ["fresh"] and "1 new user and 0 new items" in now.changed.news
    assert len(now.recommend(["u4"], k=49)) == 49  # u4 has one row today


def _rows_of(data, part):
    text = (data.folder / f"checkerboard.{part}.inter").read_text(encoding="utf-8")
    return text.splitlines()[1:]


def test_parts_in_files_keep_their_sizes_without_the_new_rows(checkerboard, tmp_path):
    options = {**checkerboard.overrides, "epochs": 1, "run_dir": str(tmp_path / "run")}
    run("LightGCN", overrides=options)
    before = load_run(tmp_path / "run")
    lists = before.recommend(k=5, exclude="history")
    sizes = {name: len(part) for name, part in before.parts.items()}
    for part in sizes:
        file = checkerboard.folder / f"checkerboard.{part}.inter"
        head, *rows = file.read_text(encoding="utf-8").splitlines()
        file.write_text("\n".join([head, "new\ti1", "u1\tnew", *rows, "new\tnew"]) + "\n", encoding="utf-8")
    now = load_run(tmp_path / "run")
    assert {name: len(part) for name, part in now.today.items()} == sizes and now.changed.parts == {}
    assert now.changed.new.rows == 9
    assert_same(now.recommend(k=5, exclude="history"), lists)


def test_item_features_are_found_by_token(checkerboard, tmp_path):
    data = with_features(checkerboard)
    run("FREEDOM", overrides={**data.overrides, **MULTIMODAL, "epochs": 1, "run_dir": str(tmp_path / "run")})
    before = load_run(tmp_path / "run").recommend(k=5, exclude="history")
    file = data.folder / "checkerboard.train.inter"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([head, "new\tno features", *shuffled(rows)]) + "\n", encoding="utf-8")
    now = load_run(tmp_path / "run")
    assert_same(now.recommend(k=5, exclude="history"), before)
    path = data.folder / "checkerboard.picture.npy"
    np.save(path, np.load(path) * 2)
    with pytest.raises(RunError, match=r"depend on data beside its weights.*features picture are not what"):
        load_run(tmp_path / "run").recommend(k=5)


def test_every_token_and_column_survives_the_file(tmp_path):
    tokens = np.array(["[PAD]", "a\nb", "ü", " x ", "日本", "1.0", "", "\ud800"])
    parts = {
        "train": {"u": np.array([1, 7, 2]), "i": np.array([1, 2, 3]), "r": np.array([0.5, 2, 3], np.float32)},
        "test": {"u": np.array([3]), "i": np.array([7]), "r": np.array([5], np.float32)},
    }
    kept = KeptRows("u", "i", {"u": tokens, "i": tokens}, parts, {"train": np.array([1.0, 2.0, 3.5])})
    write_rows(tmp_path / "data.npz", kept)
    found = read_rows(tmp_path / "data.npz")
    assert found.tokens["u"].tolist() == tokens.tolist()
    for name, columns in parts.items():
        for column, values in columns.items():
            assert found.parts[name][column].dtype == values.dtype
            assert found.parts[name][column].tolist() == values.tolist()
    assert found.ratings["train"].tolist() == [1.0, 2.0, 3.5]


def test_the_kept_rows_have_the_fingerprints_of_the_run(loaded):
    run_ = loaded("DGRM")
    kept = read_rows(run_.folder.rows)
    assert part_fingerprints(kept.in_place_of(run_.parts)) == part_fingerprints(run_.parts)
    assert rows_of(run_.parts).tokens["user_id"].tolist() == kept.tokens["user_id"].tolist()
    with np.load(run_.folder.rows, allow_pickle=False) as file:  # nothing in it needs pickle
        assert all(file[name].dtype != object for name in file.files)


@pytest.mark.parametrize("damage", ["cut", "other", "numbers"])
def test_a_damaged_file_of_rows_is_told_in_one_line(folder_of, tmp_path, damage):
    copy = shutil.copytree(folder_of("BPR"), tmp_path / "copy")
    file = copy / "data.npz"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:500])
    elif damage == "other":
        np.savez(file, neighbours=np.zeros(3))
    else:
        kept = read_rows(file)
        kept.parts["valid"]["user_id"][0] = 400
        write_rows(file, kept)
    with pytest.raises(RunError, match=r"data\.npz is damaged: .*; restore it, or remove it and") as error:
        load_run(copy)
    assert "\n" not in str(error.value)
    file.unlink()
    load_run(copy).recommend(["u1"], k=3)


def test_keep_rows_false_and_runs_without_a_test_write_no_rows(checkerboard, tmp_path):
    for name, options, test in (("no", {"keep_rows": False}, True), ("trial", {}, False), ("yes", {}, True)):
        run(
            "BPR",
            overrides={**checkerboard.overrides, "epochs": 0, "run_dir": str(tmp_path / name), **options},
            test=test,
        )
        assert (tmp_path / name / "data.npz").is_file() == (name == "yes")
    file = checkerboard.folder / "checkerboard.train.inter"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([head, "new\ti1", *rows]) + "\n", encoding="utf-8")
    with pytest.raises(RunError, match="users and items had other ids"):
        load_run(tmp_path / "no")
    with pytest.raises(UsageError, match=r"has not kept its ids"):
        file.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
        run(
            "MultiVAE",
            overrides={
                **checkerboard.overrides,
                "epochs": 0,
                "keep_rows": False,
                "run_dir": str(tmp_path / "v"),
            },
        )
        load_run(tmp_path / "v").new_users()


# Training on.


def grown_run(model, origin, data, place, **more):
    return run(
        continue_from=origin, overrides={"data_path": data, "run_dir": str(place), "epochs": 0, **more}
    )


def weights(folder, model=None):
    """Return the weights of a run by name, its users and its items."""
    from recbole_diffusion.trainer import checkpoint

    kept = read_rows(folder / "data.npz")
    return checkpoint.load(folder / "best.pt")["state_dict"], kept.tokens["user_id"], kept.tokens["item_id"]


@pytest.mark.parametrize("model", MODELS[:5])
def test_known_rows_keep_their_weights_and_new_ones_begin_anew(folder_of, tomorrow, tmp_path, model):
    data = tomorrow(lambda rows: [*NEW_USER, *shuffled(rows)])
    result = grown_run(model, folder_of(model), data, tmp_path / "run")
    assert result["origin"]["checkpoint"] == str(folder_of(model) / "best.pt")
    old, old_users, old_items = weights(folder_of(model))
    new, users, items = weights(tmp_path / "run")
    assert len(users) == len(old_users) + 2 and len(items) == len(old_items) + 1
    places = {
        len(users): (
            [list(old_users).index(one) for one in users if one in old_users],
            np.isin(users, old_users),
        ),
        len(items): (
            [list(old_items).index(one) for one in items if one in old_items],
            np.isin(items, old_items),
        ),
    }
    moved = 0
    for name, values in new.items():
        values, before = values.numpy(), old[name].numpy()
        assert np.isfinite(values).all()
        for axis, size in enumerate(values.shape):
            if size in places:
                numbers, known = places[size]
                before = before.take(numbers, axis)
                values = values.compress(known, axis)
                moved += 1
        assert np.array_equal(values, before), name
    assert moved >= 2
    load_run(tmp_path / "run").recommend(["new1"], k=3)


def test_a_width_that_is_the_number_of_users_is_not_taken_for_users(tmp_path):
    folder = tmp_path / "square"
    folder.mkdir()
    rows = [f"u{user}\ti{item}" for user in range(15) for item in range(15) if (user + item) % 2]
    options = {"data_path": str(tmp_path), "embedding_size": 16, "topk": [3], "valid_metric": "Recall@3"}
    options |= {"use_gpu": False, "epochs": 0, "load_col": {"inter": ["user_id", "item_id"]}}

    def write(lines):
        (folder / "square.inter").write_text("\n".join(["user_id:token\titem_id:token", *lines]) + "\n")

    write(rows)
    run("BPR", "square", overrides={**options, "run_dir": str(tmp_path / "one")})
    write(
        rows[::-1]
    )  # as many users and items as before, with the padding 16 each, and vectors of 16 numbers
    run(continue_from=tmp_path / "one", overrides={"run_dir": str(tmp_path / "two")})
    old, old_users, old_items = weights(tmp_path / "one")
    new, users, items = weights(tmp_path / "two")
    assert old["user_embedding.weight"].shape == (16, 16) and users.tolist() != old_users.tolist()
    for name, tokens, before in (("user", users, old_users), ("item", items, old_items)):
        order = [before.tolist().index(token) for token in tokens]
        assert torch.equal(new[f"{name}_embedding.weight"], old[f"{name}_embedding.weight"][order])


def test_weights_of_multimodal_models_move_by_token(checkerboard, tmp_path):
    data = with_features(checkerboard)
    run("FREEDOM", overrides={**data.overrides, **MULTIMODAL, "epochs": 1, "run_dir": str(tmp_path / "one")})
    file = data.folder / "checkerboard.train.inter"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([head, "new\ti1", *shuffled(rows)]) + "\n", encoding="utf-8")
    run(continue_from=tmp_path / "one", overrides={"epochs": 0, "run_dir": str(tmp_path / "two")})
    old, old_users, old_items = weights(tmp_path / "one")
    new, users, items = weights(tmp_path / "two")
    assert users[1] == "new" and sorted(items) == sorted(old_items)
    order = [old_users.tolist().index(token) for token in users if token != "new"]
    assert torch.equal(new["encoder.users"][torch.from_numpy(users != "new")], old["encoder.users"][order])
    order = [old_items.tolist().index(token) for token in items]
    assert torch.equal(new["encoder.items"], old["encoder.items"][order])


def test_averages_of_weights_move_by_token_with_them(checkerboard, tmp_path):
    """They were left as the new run drew them, and scored its items (``ema_decay``)."""
    data = with_features(checkerboard)
    options = {**data.overrides, **MULTIMODAL, "ema_decay": 0.5, "epochs": 2}
    run("CCDRec", overrides={**options, "run_dir": str(tmp_path / "one")})
    file = data.folder / "checkerboard.train.inter"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([head, *shuffled(rows)]) + "\n", encoding="utf-8")
    run(continue_from=tmp_path / "one", overrides={"epochs": 0, "run_dir": str(tmp_path / "two")})
    old, *old_tokens = weights(tmp_path / "one")
    new, *tokens = weights(tmp_path / "two")
    numbers = {name: n for n, (name, _) in enumerate(load_run(tmp_path / "two").model.named_parameters())}
    assert new["average.updates"] == old["average.updates"] > 0
    for number, name in ((0, "users"), (1, "items")):
        assert tokens[number].tolist() != old_tokens[number].tolist()
        order = [old_tokens[number].tolist().index(token) for token in tokens[number]]
        free = f"backbone.encoder.{name}"
        average = f"average.weight_{numbers[free]}"
        assert not torch.equal(old[average], old[free])  # else the weights alone would tell nothing
        assert torch.equal(new[average], old[average][order])


def test_held_out_rows_that_were_trained_on_are_told(folder_of, tomorrow, tmp_path, caplog):
    data = tomorrow(shuffled)  # a random split of another order is another split
    result = grown_run("BPR", folder_of("BPR"), data, tmp_path / "run")
    train = set(_pairs(folder_of("BPR"), "train"))
    seen = {part: len(train & set(_pairs(tmp_path / "run", part))) for part in ("valid", "test")}
    assert result["origin"]["seen_rows"] == seen and seen["test"] > 20
    assert (
        f"{seen['test']} of the" in caplog.text and "its metrics are not those of unseen items" in caplog.text
    )
    again = run(continue_from=folder_of("BPR"), overrides={"epochs": 0, "run_dir": str(tmp_path / "same")})
    assert again["origin"]["seen_rows"] == {"valid": 0, "test": 0}


def test_what_earlier_weights_were_trained_on_is_kept_from_run_to_run(folder_of, tomorrow, tmp_path, caplog):
    """The second run has today's split, and so has the third: but the weights of both come from the first."""
    data = tomorrow(shuffled)
    second = grown_run("BPR", folder_of("BPR"), data, tmp_path / "second")
    third = grown_run("BPR", tmp_path / "second", data, tmp_path / "third", epochs=2)
    assert third["origin"]["seen_rows"] == second["origin"]["seen_rows"]
    (tmp_path / "third/result.json").unlink()
    resumed = run(resume=tmp_path / "third", overrides={"epochs": 3})
    assert resumed["origin"]["seen_rows"] == second["origin"]["seen_rows"]
    assert "has not kept what these were trained on" not in caplog.text
    kept = read_rows(tmp_path / "second/data.npz")
    del kept.parts["earlier"]  # as an earlier version wrote it
    write_rows(tmp_path / "second/data.npz", kept)
    grown_run("BPR", tmp_path / "second", data, tmp_path / "fourth")
    assert "second/best.pt began with weights of another one and has not kept what these" in caplog.text


def _pairs(folder, part):
    kept = read_rows(folder / "data.npz")
    columns = kept.parts[part]
    users, items = kept.tokens["user_id"][columns["user_id"]], kept.tokens["item_id"][columns["item_id"]]
    return zip(users.tolist(), items.tolist(), strict=True)


def test_a_model_that_is_computed_is_computed_anew(folder_of, tomorrow, tmp_path, caplog):
    data = tomorrow(lambda rows: [*NEW_USER, *rows])
    grown_run("EASE", folder_of("EASE"), data, tmp_path / "run", epochs=1)
    assert "EASE is computed anew from all of today's data" in caplog.text
    assert len(load_run(tmp_path / "run").recommend(["new1"], k=3)) == 3


def test_what_continue_from_refuses(folder_of, tomorrow, tmp_path):
    data, origin = (
        tomorrow(lambda rows: [NEW_ROW, *rows]),
        shutil.copytree(folder_of("BPR"), tmp_path / "old"),
    )
    with pytest.raises(UsageError, match="has the model 'BPR', not 'TVDiff'"):
        run("TVDiff", continue_from=origin)
    with pytest.raises(UsageError, match="leave --load_checkpoint out"):
        run(continue_from=origin, overrides={"load_checkpoint": "x.pt"})
    with pytest.raises(UsageError, match="give one of them"):
        run(continue_from=origin, resume=origin)
    with pytest.raises(UsageError, match="no run in"):
        run(continue_from=tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"does not fit this model or its options: user_embedding.weight has"):
        grown_run("BPR", origin, data, tmp_path / "wide", embedding_size=8)
    shutil.copy(folder_of("EASE") / "data.npz", origin / "data.npz")
    kept = read_rows(origin / "data.npz")
    kept.tokens["user_id"][1] = "somebody"
    write_rows(origin / "data.npz", kept)
    with pytest.raises(RunError, match=r"other ids when it was made than the data\.npz beside it"):
        grown_run("BPR", origin, data, tmp_path / "other")
    (origin / "data.npz").unlink()
    with pytest.raises(RunError, match="users and items had other ids"):
        grown_run("BPR", origin, data, tmp_path / "none")
    (origin / "best.pt").unlink()
    with pytest.raises(UsageError, match="has no weights to continue from"):
        run(continue_from=origin)


# The guide.

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "nightly.py"


def test_the_commands_of_the_guide(tmp_path, monkeypatch, capsys):
    write_log = runpy.run_path(str(EXAMPLE))["write_log"]
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "nightly.md").read_text(encoding="utf-8")
    (tmp_path / "nightly.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    commands = [line for kind, block in blocks if not kind for line in block.splitlines()]
    assert len(commands) == 9
    (tmp_path / "runs").mkdir()
    write_log(tmp_path / "data", 1)
    for number, command in enumerate(commands):
        words = command.split()
        if words[0] == "ln":
            link = tmp_path / words[3]
            link.unlink(missing_ok=True)
            link.symlink_to(words[2], target_is_directory=True)
            continue
        words = words[2:]  # python run_recbole_diff.py
        if words[0] == "export" and not importlib.util.find_spec("faiss"):
            words.remove("--index=faiss")
        assert cli.main([*words, "--use_gpu=False"]) == 0
        if number == 2:
            write_log(tmp_path / "data", 2)
    out = capsys.readouterr().out
    assert (
        "4 new users are listed by their rows" in out
        and "origin" in (tmp_path / "runs/tuesday/result.json").read_text()
    )


@pytest.mark.parametrize("part", ["train", "valid", "valid_iid"])
def test_a_list_without_the_history_needs_each_part_that_a_model_is_chosen_on(tmp_path, part):
    changed = ChangedData(tmp_path, {part: "it has 3 rows where it had 2"}, False, lambda: None)
    with pytest.raises(UsageError, match="put the old files back"):
        changed.check_exclude("history")
    changed.check_exclude("none")
