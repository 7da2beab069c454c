"""The export command: vectors whose inner products are the scores, row ids, an index, refusals."""

import json
import sys

import faiss
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from recbole_diffusion.cli import main as cli
from recbole_diffusion.cli.machine import MachineOptions
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
    assert "k is 61" in ask("--k=61", code=2)
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
