"""Data that has changed under a trained model without kept rows: said, and refused where they are needed."""

import json
import logging
import shutil

import numpy as np
import pytest
from support.multimodal_data import OPTIONS as MULTIMODAL
from support.multimodal_data import with_features

from recbole_diffusion import load_run, run
from recbole_diffusion.cli import main as cli
from recbole_diffusion.errors import RunError, UsageError
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
    loaded = load_run(folder_of(model), data_path=changed(lambda rows: rows))
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
    assert changed.changed.told == "neighbours words are others than they were"
    with pytest.raises(RunError, match=r"the scores of FREEDOM depend .*neighbours words are"):
        changed.recommend(["u1"], k=5)
    assert cli.main(["export", f"--run={folder}", f"--output={tmp_path / 'out'}"]) == 1
    with pytest.raises(RunError, match="cannot continue, its data has changed: neighbours words are others"):
        run(resume=folder, overrides={"epochs": 2})
    options = {**data.overrides, **MULTIMODAL, "epochs": 0, "load_checkpoint": str(folder / "best.pt")}
    run("FREEDOM", overrides={**options, "run_dir": str(tmp_path / "other")})
    assert "best.pt was trained on other data: neighbours words are others" in caplog.text


def test_a_file_of_neighbours_that_comes_after_the_training_is_told(trained_on_neighbours):
    data, folder, file = trained_on_neighbours
    file.rename(data.folder / "checkerboard.picture_knn5.npz")
    told = load_run(folder).changed.told
    assert told == "neighbours picture are others than they were; neighbours words are others than they were"


def test_other_features_of_the_items_are_told(trained_on_neighbours):
    data, folder, _ = trained_on_neighbours
    path = data.folder / "checkerboard.picture.npy"
    np.save(path, np.load(path) * 2)
    assert load_run(folder).changed.told == "features picture are others than they were"
