"""A run folder gives back the model that was trained in it, or says why it cannot."""

import json
import random
import shutil

import pytest
import torch

from recbole_diffusion import load_run, run
from recbole_diffusion.errors import RunError, UsageError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A BPR run on a data set that it split at random; user tokens are numbers, not the internal ones."""
    folder = tmp_path_factory.mktemp("whole")
    draw = random.Random(3)
    pairs = [(100 - user, f"i{item}") for user in range(40) for item in draw.sample(range(60), 20)]
    (folder / "whole").mkdir()
    rows = ["user_id:token\titem_id:token", *(f"{user}\t{item}" for user, item in pairs)]
    (folder / "whole/whole.inter").write_text("\n".join(rows) + "\n")
    options = {
        "data_path": str(folder),
        "epochs": 2,
        "use_gpu": False,
        "run_dir": str(folder / "run"),
        "topk": [5],
    }
    run(
        "BPR",
        "whole",
        overrides={**options, "valid_metric": "Recall@5", "load_col": {"inter": ["user_id", "item_id"]}},
    )
    return folder / "run"


def test_weights_and_parts_are_those_of_the_run(trained):
    torch.manual_seed(5)
    loaded = load_run(trained)
    assert torch.initial_seed() == 5
    assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(5))
    assert not loaded.model.training
    from recbole_diffusion.trainer.factory import trainer_for

    loaded.config["checkpoint_dir"] = str(trained)
    metrics = trainer_for(loaded.config, loaded.model, loaded.folder).evaluate(
        loaded.loaders[2]["test"], load_best_model=False
    )
    assert dict(metrics) == loaded.result["test"]
    assert list(loaded.parts) == ["train", "valid", "test"]


def test_ids_go_both_ways(trained):
    loaded = load_run(trained)
    assert (len(loaded.users), len(loaded.items)) == (40, 60)
    numbers = loaded.users.numbers_of(["61", 100, "1", "[PAD]"])
    assert numbers[2:].tolist() == [0, 0]
    assert loaded.users.tokens[numbers[:2]].tolist() == ["61", "100"]


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copy")


@pytest.mark.parametrize("name", ["config.yaml", "best.pt", "result.json"])
def test_an_incomplete_folder_is_refused(copy, name):
    (copy / name).unlink()
    with pytest.raises(UsageError, match=f"{name} is missing"):
        load_run(copy)
    if name == "result.json":
        assert load_run(copy, unfinished=True).model is not None


@pytest.mark.parametrize("name", ["best.pt", "result.json"])
def test_a_damaged_folder_is_refused(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match=f"{name} is damaged"):
        load_run(copy)


def test_another_data_set_is_refused(copy, tmp_path, trained):
    source = trained.parent / "whole/whole.inter"
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole/whole.inter").write_text(source.read_text().replace("i59", "i99"))
    assert "0 new users and 1 new item are left out" in load_run(copy, data_path=str(tmp_path)).changed.news
    (tmp_path / "whole/whole.inter").write_text("user_id:token\titem_id:token\na\tb\n")
    with pytest.raises(UsageError, match=r"no row of .*1 in all.* has a user and an item of the run"):
        load_run(copy, data_path=str(tmp_path))
    (tmp_path / "whole/whole.inter").write_text(source.read_text().replace("i59", "i99"))
    (copy / "data.npz").unlink()
    with pytest.raises(RunError, match="does not fit: users and items had other ids"):
        load_run(copy, data_path=str(tmp_path))
    with pytest.raises(UsageError, match="data set 'whole' is not there"):
        load_run(copy, data_path=str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"cannot change seed; allowed: data_path, "):
        load_run(copy, seed=3)


def test_a_run_shows_itself_in_one_line_and_in_a_notebook(trained):
    run = load_run(trained)
    assert repr(run) == f"LoadedRun(BPR on whole: {len(run.users)} users, {len(run.items)} items, {trained})"
    assert "<tr><th>model</th><td>BPR</td></tr>" in run._repr_html_()


def test_one_user_may_be_given_alone_and_unknown_users_are_told(trained, caplog):
    run = load_run(trained)
    first = run.users.tokens[1]
    assert run.recommend(first, k=3).equals(run.recommend([first], k=3))
    run.recommend([first, "nobody"], k=3)
    assert "1 of the users asked for is not in the run's data set and has no list: nobody" in caplog.text


def test_weights_of_another_model_are_refused(copy):
    text = (copy / "config.yaml").read_text().replace("model: BPR", "model: LightGCN")
    (copy / "config.yaml").write_text(text)
    with pytest.raises(RunError, match="holds weights of BPR, not of LightGCN"):
        load_run(copy)


def test_a_result_that_is_no_object_is_refused(copy):
    (copy / "result.json").write_text(json.dumps([1]))
    with pytest.raises(RunError, match="is not an object"):
        load_run(copy)
