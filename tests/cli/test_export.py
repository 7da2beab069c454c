"""The export command: vectors whose inner products are the scores, row ids, an index, refusals."""

import json
import sys

import faiss
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from safetensors.numpy import load_file

from recbole_diffusion import load_run
from recbole_diffusion.cli import main as cli
from recbole_diffusion.cli.machine import MachineOptions
from recbole_diffusion.errors import UsageError
from recbole_diffusion.serving.loaded_run import LOAD_OPTIONS


@pytest.fixture
def ask(folder_of, tmp_path, capsys):
    def export(*words, model="TVDiff", code=0):
        assert (
            cli.main(["export", f"--run={folder_of(model)}", f"--output={tmp_path / 'vectors'}", *words])
            == code
        )
        text = capsys.readouterr()
        assert not list(tmp_path.glob(".*"))
        return text.err if code else text.out

    return export


@pytest.mark.parametrize("model", ["TVDiff", "BPR"])
def test_inner_products_are_the_scores(ask, loaded, tmp_path, model):
    ask(model=model)
    run, folder = loaded(model), tmp_path / "vectors"
    users, items = (load_file(folder / f"{name}.safetensors")["vectors"] for name in ("users", "items"))
    names, tokens = (
        (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines() for name in ("users", "items")
    )
    assert (len(names), len(tokens)) == (len(users), len(items)) == (40, 60)
    numbers, columns = run.users.numbers_of(names), run.items.numbers_of(tokens)
    scores = run.model.full_sort_predict({run.model.USER_ID: torch.from_numpy(numbers)}).view(40, -1)
    assert np.allclose(users @ items.T, scores.detach().numpy()[:, columns], rtol=1e-5, atol=1e-6)
    record = json.loads((folder / "export.json").read_text())
    assert (record["model"], record["users"], record["items"], record["width"]) == (
        model,
        40,
        60,
        users.shape[1],
    )
    again = run.vectors()
    assert np.array_equal(again[0], users)
    assert np.array_equal(again[1], items)


def test_the_index_finds_the_best_items(ask, tmp_path):
    text = ask("--index=faiss", "--k=5")
    folder = tmp_path / "vectors"
    record = json.loads((folder / "export.json").read_text())["index"]
    assert f"recall  {record['recall']:.4f} of the exact 5 best items, 40 users" in text
    users, items = (load_file(folder / f"{name}.safetensors")["vectors"] for name in ("users", "items"))
    found = faiss.read_index(str(folder / "items.faiss")).search(users, 5)[1]
    best = np.argsort(-(users @ items.T), axis=1)[:, :5]
    assert record["recall"] == pytest.approx(
        np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found, best, strict=True)]), abs=1e-4
    )
    assert record["recall"] > 0.9


def test_what_cannot_be_exported_is_refused(ask, tmp_path):
    assert "the scores of MultiVAE as trained here are not inner products" in ask(model="MultiVAE", code=2)
    assert "k is 61" in ask("--k=61", "--index=flat", code=2)
    assert "k is 5, the length of lists by which an index is compared, but index" in ask("--k=5", code=2)
    assert "'index' is 'annoy'; it takes none | faiss" in ask("--index=annoy", code=2)
    assert list(tmp_path.iterdir()) == []
    ask()
    assert "is there already; replace it with --overwrite" in ask(code=2)
    ask("--overwrite", model="BPR")
    assert json.loads((tmp_path / "vectors/export.json").read_text())["model"] == "BPR"
    (tmp_path / "vectors/export.json").unlink()
    assert "holds other files (no export.json) and is not replaced" in ask("--overwrite", code=2)
    assert cli.main(["export", "--output=x"]) == 2
    assert cli.main(["export", "--help"]) == 0


def test_what_is_given_of_this_machine_and_no_more_is_handed_to_load_run():
    assert MachineOptions(use_gpu=False, gpu_id="0").for_loading() == {"use_gpu": False, "gpu_id": "0"}
    assert MachineOptions().for_loading() == {}
    assert MachineOptions.__dataclass_fields__.keys() == LOAD_OPTIONS | {"model"}


def test_a_full_disk_is_one_line_and_leaves_the_old_folder(ask, tmp_path, monkeypatch):
    ask()
    before = (tmp_path / "vectors/items.safetensors").read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "write_bytes", full)
    assert "No space left on device; the version before it is untouched" in ask("--overwrite", code=1)
    assert (tmp_path / "vectors/items.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["vectors"]


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("safetensors.numpy", ["export", "--output=vectors"]),
        ("faiss", ["export", "--output=vectors", "--index=faiss"]),
        ("pyarrow.parquet", ["recommend", "--all", "--output=out.parquet"]),
    ],
)
def test_a_missing_package_is_named(folder_of, tmp_path, monkeypatch, capsys, package, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    assert cli.main([*words, f"--run={folder_of('TVDiff')}"]) == 2
    name = package.partition(".")[0]
    assert f"needs {name}; install it (pip install 'recbole-diffusion[" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_items_are_left_out_of_vectors_and_index(ask, loaded, tmp_path):
    (tmp_path / "out.txt").write_text("ü3\nü5\n", encoding="utf-8")
    text = ask("--index=flat", "--k=5", f"--without={tmp_path / 'out.txt'}", model="BPR")
    assert "2 items are left out" in text
    (folder,) = (path.parent for path in tmp_path.rglob("export.json"))
    names = (folder / "items.txt").read_text(encoding="utf-8").splitlines()
    assert len(names) == 58
    assert not {"ü3", "ü5"} & set(names)
    rows = loaded("BPR").items.numbers_of(names) - 1
    assert np.array_equal(
        load_file(folder / "items.safetensors")["vectors"], loaded("BPR").vectors()[1][rows]
    )
    assert faiss.read_index(str(folder / "items.faiss")).ntotal == 58


def test_unknown_items_to_leave_out_are_refused(ask, tmp_path):
    (tmp_path / "out.txt").write_text("nobody\n")
    error = ask(f"--without={tmp_path / 'out.txt'}", model="BPR", code=2)
    assert "1 item to be left out is not in the run's data set, first 'nobody'" in error


@pytest.fixture(scope="module")
def with_term(folder_of, served_data):
    """Return a function from ``linear_k`` and ``linear_weight`` to a run of TVDiff with a linear term."""
    from recbole_diffusion import run

    folders = {}

    def get(k, weight="valid"):
        if (k, weight) not in folders:
            options = {"epochs": 0, "linear_term": "ease", "linear_reg_weight": 3.0, "linear_k": k}
            options |= {"linear_weight": weight, "run_dir": str(served_data / f"term-{k}-{weight}")}
            folders[k, weight] = run(continue_from=folder_of("TVDiff"), overrides=options)["run_dir"]
        return folders[k, weight]

    return get


def exported(run_dir, folder, *words):
    assert cli.main(["export", f"--run={run_dir}", f"--output={folder}", *words]) == 0
    names = {name: (folder / f"{name}.txt").read_text().splitlines() for name in ("users", "items")}
    dense = [load_file(folder / f"{name}.safetensors")["vectors"] for name in ("users", "items")]
    sparse = [sp.load_npz(folder / f"{name}_sparse.npz") for name in ("users", "items")]
    return names, dense[0] @ dense[1].T + (sparse[0] @ sparse[1].T).toarray(), sparse


def test_a_pruned_linear_term_is_exported_as_a_sparse_part(with_term, tmp_path, capsys):
    """The lists by the files alone are those of ``recommend``."""
    names, scores, (of_users, of_items) = exported(with_term(7), tmp_path / "vectors")
    run = load_run(with_term(7))
    assert f"sparse  {of_users.nnz:,} entries of users, {of_items.nnz:,} of items" in capsys.readouterr().out
    assert of_items.getnnz(axis=1).max() == 7
    numbers = torch.from_numpy(run.users.numbers_of(names["users"]))
    of_run = run.model.full_sort_predict({run.model.USER_ID: numbers}).detach().numpy()[:, 1:]
    np.testing.assert_allclose(scores, of_run, rtol=1e-4, atol=1e-4)
    best = np.array(names["items"])[np.argsort(-scores, axis=1)[:, :5]]
    lists = run.recommend(k=5, exclude="none").groupby("user")["item"].agg(list)
    for user, found in zip(names["users"], best, strict=True):
        assert lists[user] == found.tolist()


def test_items_left_out_stay_coordinates_of_users(with_term, tmp_path):
    (tmp_path / "out.txt").write_text("ü3\nü5\n", encoding="utf-8")
    names, scores, _ = exported(with_term(7), tmp_path / "all")
    fewer, some, (of_users, of_items) = exported(
        with_term(7), tmp_path / "some", f"--without={tmp_path / 'out.txt'}"
    )
    kept = [names["items"].index(item) for item in fewer["items"]]
    assert len(kept) == 58
    # A product of fewer columns may be summed in another order.
    np.testing.assert_allclose(some, scores[:, kept], rtol=1e-5, atol=1e-6)
    assert (tmp_path / "some/coordinates.txt").read_text().splitlines() == names["items"]
    assert of_users.shape[1] == of_items.shape[1] == 60


def test_what_cannot_be_exported_with_a_linear_term_is_told(with_term, tmp_path, capsys):
    whole, pruned = with_term(None), with_term(7)
    assert cli.main(["export", f"--run={whole}", f"--output={tmp_path / 'x'}"]) == 2
    told = capsys.readouterr().err
    assert "B has 60 x 60 weights" in told
    assert f"--continue_from={whole} --epochs=0 --linear_k=200 makes such a run" in told
    assert cli.main(["export", f"--run={with_term(None, 0.5)}", f"--output={tmp_path / 'x'}"]) == 2
    assert "--linear_k=200 --linear_weight=valid makes such a run" in capsys.readouterr().err
    assert cli.main(["export", f"--run={pruned}", f"--output={tmp_path / 'x'}", "--index=flat"]) == 2
    assert "sparse in part (linear_k is 7); leave --index out" in capsys.readouterr().err
    with pytest.raises(UsageError, match="the command export writes them"):
        load_run(pruned).vectors()
    assert list(tmp_path.iterdir()) == []
