"""The evaluate command: a run's own numbers again, other metrics by hand, parts, groups, refusals."""

import json
import shutil

import numpy as np
import pytest

from recbole_diffusion import load_run, run
from recbole_diffusion.cli import main as cli
from recbole_diffusion.errors import UsageError


@pytest.fixture
def ask(folder_of, capsys):
    def evaluate(*words, model="TVDiff", code=0):
        folder = folder_of(model)
        before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
        assert cli.main(["evaluate", f"--run={folder}", *words]) == code
        assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before
        text = capsys.readouterr()
        return text.err if code else text.out

    return evaluate


@pytest.mark.parametrize("model", ["TVDiff", "DGRM", "BPR", "MultiVAE"])
def test_without_options_it_gives_the_numbers_of_the_run(ask, folder_of, tmp_path, model, caplog):
    out = ask(f"--output={tmp_path / 'again.json'}", "--part=valid,test", model=model)
    result = json.loads((folder_of(model) / "result.json").read_text())
    again = json.loads((tmp_path / "again.json").read_text())["metrics"]
    assert again == {"valid": pytest.approx(result["valid"]), "test": pytest.approx(result["test"])}
    assert f"recall@5 {result['test']['recall@5']:.4f}" in out and "another draw" not in caplog.text


def test_other_cut_offs_and_metrics_are_those_of_the_lists(ask, loaded, tmp_path):
    ask("--metrics=recall,itemcoverage", "--topk=3", f"--output={tmp_path / 'again.json'}")
    values = json.loads((tmp_path / "again.json").read_text())["metrics"]["test"]
    run = loaded("TVDiff")
    test = run.parts["test"].inter_feat
    wanted: dict[str, set[str]] = {}
    for user, item in zip(test["user_id"].tolist(), test["item_id"].tolist(), strict=True):
        wanted.setdefault(run.users.tokens[user], set()).add(run.items.tokens[item])
    lists = run.recommend(list(wanted), k=3, exclude="history").groupby("user")["item"].agg(set)
    recall = np.mean([len(lists[user] & items) / len(items) for user, items in wanted.items()])
    assert values["recall@3"] == pytest.approx(recall, abs=1e-6)
    assert values["itemcoverage@3"] == pytest.approx(len(set().union(*lists)) / 60, abs=1e-6)


def test_metrics_of_rated_items_are_left_out_where_others_are_asked_for(ask, tmp_path):
    assert "rated_mae" in ask("--topk=3", model="DGRM")
    assert "rated_mae" not in ask("--metrics=recall", f"--output={tmp_path / 'again.json'}", model="DGRM")
    assert json.loads((tmp_path / "again.json").read_text())["rated"] == {}


def test_groups_are_told_and_a_loaded_run_evaluates_too(ask, folder_of):
    out = ask("--groups=2")
    assert "test, item popularity, highest first" in out
    assert "test, user activity, highest first" in out
    run = load_run(folder_of("BPR"), topk=[2], metrics=["Hit"])
    assert run.evaluate(["valid"]).keys() == {"valid"}
    assert run.evaluate(["valid"])["valid"].keys() == {"hit@2"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--part=tests"], "no part 'tests' (did you mean 'test'?); there are valid, test"),
        (["--metrics=recal"], "did you mean"),
        (["--topk=5,x"], "option 'topk' is '5,x'; it takes whole numbers"),
        (["--topk=5,1_0"], "it takes whole numbers from 1"),
        (["--topk=٥,١٠"], "it takes whole numbers from 1"),
        (["--topk=0"], "topk"),
        (["--topk=1000"], "topk is 1000, but data set"),
        (["--topk=61"], "has only 60 items; give smaller cut-offs"),
        (["--metrics=AUC"], "it cannot give AUC, which needs mode labeled"),
        (["--groups=-1"], "groups"),
        (["--part=,"], "option 'part' is ','; it takes names of parts"),
        (["--epochs=3"], "has no option 'epochs'"),
    ],
)
def test_bad_requests_are_one_line(ask, words, message):
    said = ask(*words, code=2)
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_sampled_items_are_those_of_the_run_and_others_are_told(served_data, tmp_path, caplog):
    sampled = {"eval_args": {"mode": "uni20"}, "run_dir": str(tmp_path / "run"), "epochs": 1}
    options = {"data_path": str(served_data), "use_gpu": False, "topk": [5], "valid_metric": "Recall@5"}
    columns = {"load_col": {"inter": ["user_id", "item_id"]}}
    result = run("BPR", "mine", overrides={**options, **columns, **sampled})
    caplog.clear()
    np.random.seed(7)  # noqa: NPY002, RecBole's generator
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    trained = load_run(tmp_path / "run")
    assert trained.evaluate(parts=["valid", "test"]) == {part: result[part] for part in ("valid", "test")}
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert "result.json" not in caplog.text
    result["test"]["recall@5"] += 0.01
    (tmp_path / "run/result.json").write_text(json.dumps(result))
    trained.evaluate()
    assert "recall@5 of test is not that of result.json: the items beside the held-out ones" in caplog.text
    assert result.pop("candidates_seed") == result["seed"]  # of an earlier version
    (tmp_path / "run/result.json").write_text(json.dumps(result))
    trained.evaluate()
    assert "recall@5 of test is not that of result.json: an earlier version drew other" in caplog.text


def test_a_file_of_the_run_is_never_its_output(ask, folder_of):
    file = folder_of("TVDiff") / "result.json"
    assert "is a file of the run" in ask(f"--output={file}", "--overwrite=True", code=2)


def test_changed_data_is_refused_where_the_run_has_not_kept_its_rows(ask, folder_of, served_data, tmp_path):
    (tmp_path / "mine").mkdir()
    rows = (served_data / "mine" / "mine.inter").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "mine" / "mine.inter").write_text("".join(rows[:-1]), encoding="utf-8")
    ask(f"--data_path={tmp_path}", f"--output={tmp_path / 'again.json'}")
    again = json.loads((tmp_path / "again.json").read_text())["metrics"]
    result = json.loads((folder_of("TVDiff") / "result.json").read_text())
    assert again == {"test": pytest.approx(result["test"])}
    copy = shutil.copytree(folder_of("TVDiff"), tmp_path / "run")
    (copy / "data.npz").unlink()
    with pytest.raises(UsageError, match="may hold rows that it was trained on"):
        load_run(copy, data_path=str(tmp_path)).evaluate()


def test_held_out_rows_that_the_weights_were_trained_on_are_told(folder_of, tmp_path, caplog):
    copy = shutil.copytree(folder_of("BPR"), tmp_path / "run")
    result = json.loads((copy / "result.json").read_text())
    result["origin"] = {"checkpoint": "best.pt", "seen_rows": {"valid": 3, "test": 1}}
    (copy / "result.json").write_text(json.dumps(result))
    load_run(copy).evaluate(["test"])
    assert "it began with were trained on 1 row of test; these metrics are not those of unseen" in caplog.text
    load_run(copy).evaluate(["valid", "test"])
    assert "were trained on 3 rows of valid and 1 row of test;" in caplog.text
