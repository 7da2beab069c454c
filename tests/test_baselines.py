"""RecBole's own models run by the same command, on the MovieLens-100K that RecBole ships, with the same folder."""

import json

import pytest
import torch

from recbole_diffusion.cli import main as cli
from recbole_diffusion.quick_start import run

FEW = {"epochs": 1, "learning_rate": 0.05, "train_batch_size": 8192}
USERS = {"epochs": 1, "learning_rate": 0.02, "train_batch_size": 64}
OPTIONS = {
    "BPR": FEW,
    "LightGCN": {**FEW, "n_layers": 1, "embedding_size": 16},
    "NeuMF": {**FEW, "mlp_hidden_size": [4], "mlp_embedding_size": 4, "mf_embedding_size": 4},
    "MultiVAE": {**USERS, "mlp_hidden_size": [32], "latent_dimension": 16},
    "DiffRec": {**USERS, "dims_dnn": [32], "steps": 2},
    "ItemKNN": {},
    "EASE": {},
    "Pop": {},
}
# Items ranked at random give 0.012 = 20 / 1682.
FLOOR = {
    "BPR": 0.08,
    "LightGCN": 0.08,
    "NeuMF": 0.08,
    "MultiVAE": 0.08,
    "DiffRec": 0.08,
    "ItemKNN": 0.25,
    "EASE": 0.3,
    "Pop": 0.1,
}


@pytest.mark.parametrize("model", OPTIONS)
def test_a_baseline_runs_and_its_checkpoint_gives_the_same_metrics(tmp_path, monkeypatch, result_keys, model):
    monkeypatch.chdir(tmp_path)
    words = [f"--{name}={value}" for name, value in OPTIONS[model].items()]
    assert (
        cli.main([f"--model={model}", "--dataset=ml-100k", "--use_gpu=False", "--run_dir=run", *words]) == 0
    )
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert list(result) == result_keys
    assert result["test"]["recall@20"] > FLOOR[model]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]

    best = torch.load(tmp_path / "run/best.pt", weights_only=True)
    assert best["model"] == model
    again = run(
        model,
        "ml-100k",
        overrides={**OPTIONS[model], "use_gpu": False, "epochs": 0, "load_checkpoint": "run/best.pt"},
    )
    assert again["test"] == result["test"]
    assert again["valid"] == result["valid"]


def test_every_kind_of_metric_is_computed(checkerboard):
    metrics = [
        "Recall",
        "MAP",
        "GAUC",
        "ItemCoverage",
        "AveragePopularity",
        "GiniIndex",
        "ShannonEntropy",
        "TailPercentage",
    ]
    overrides = {
        **checkerboard.overrides,
        "epochs": 1,
        "metrics": metrics,
        "topk": [5, 20],
        "valid_metric": "Recall@5",
    }
    result = run("BPR", overrides=overrides)
    by_cut_off = {f"{name.lower()}@{k}" for name in metrics if name != "GAUC" for k in (5, 20)}
    assert set(result["test"]) == by_cut_off | {"gauc"}
    assert 0 < result["test"]["itemcoverage@5"] <= 1
    assert result["test"]["averagepopularity@20"] == pytest.approx(
        20, abs=5
    )  # each item has about 20 interactions in train


def test_value_metrics_of_labelled_rows(tmp_path):
    options = {
        "eval_args": {"mode": "labeled"},
        "metrics": ["RMSE", "MAE"],
        "valid_metric": "RMSE",
        "LABEL_FIELD": "rating",
        "epochs": 1,
    }
    result = run("BPR", "ml-100k", overrides={**options, "use_gpu": False, "runs_path": str(tmp_path)})
    assert result["best_valid_score"] == result["valid"]["rmse"]
    assert result["test"]["mae"] <= result["test"]["rmse"]
