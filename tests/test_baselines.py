"""RecBole's own models run by the same command, on its MovieLens-100K, with the same folder."""

import json
import random
import re

import pytest
import torch

from recbole_diffusion.cli import main as cli
from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.report.runs import read_run
from recbole_diffusion.serving.loaded_run import load_run

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


def test_value_metrics_of_labelled_rows(tmp_path, caplog):
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
    told = (
        r"mae, rmse compare the scores of BPR, from -?0\.\d+ to 0\.\d+, with numbers up to 5, which it does"
    )
    assert len(re.findall(told, caplog.text)) == 1


@pytest.mark.parametrize(
    ("model", "metrics", "told"),
    [
        (
            "BPR",
            ["LogLoss", "MAE", "AUC"],
            "logloss, mae compare scores with labels 0 and 1, but those of BPR",
        ),
        ("BPR", ["AUC"], None),
        ("NeuMF", ["LogLoss", "MAE"], None),  # its scores are probabilities
    ],
)
def test_errors_of_scores_that_are_no_probabilities_are_told_once(checkerboard, caplog, model, metrics, told):
    given = {"epochs": 2, "metrics": metrics, "valid_metric": metrics[0], "eval_args": {"mode": "uni5"}}
    run(model, overrides={**checkerboard.overrides, **given})
    assert caplog.text.count("are no probabilities: they go from -") == (told is not None)
    assert (told or "") in caplog.text


@pytest.mark.parametrize("metric", ["AUC", "MAE"])
def test_rows_that_have_one_score_are_told_once_beside_an_auc(checkerboard, caplog, monkeypatch, metric):
    monkeypatch.setattr(
        "recbole.model.general_recommender.bpr.BPR.predict",
        lambda self, rows: torch.full((len(rows),), 0.25),
    )
    given = {"epochs": 2, "metrics": [metric], "valid_metric": metric, "eval_args": {"mode": "uni5"}}
    result = run("BPR", overrides={**checkerboard.overrides, **given})
    told = "in epoch 0: all rows have the same score, 0.25, so that auc is 0.5, as"
    assert [caplog.text.count(told), caplog.text.count("all rows have the same score")] == 2 * [
        metric == "AUC"
    ]
    assert metric == "MAE" or result["test"]["auc"] == 0.5


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The options of runs on the data set ``small``: 30 users with 12 of 40 items each, rated and in time."""
    draw, folder = random.Random(5), tmp_path_factory.mktemp("baselines")
    rows = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(30):
        first = draw.randrange(40)
        steps = [
            f"u{user}\ti{(first + 3 * k) % 40}\t{draw.randint(1, 5)}\t{100 * user + k}" for k in range(12)
        ]
        rows += draw.sample(steps, len(steps))  # the file is not in time
    (folder / "small").mkdir()
    (folder / "small/small.inter").write_text("\n".join(rows) + "\n")
    options = {
        "data_path": str(folder),
        "runs_path": str(folder / "runs"),
        "use_gpu": False,
        "report_groups": 0,
    }
    return {"dataset": "small", "epochs": 1, **options}


# RecBole's configuration files of 2021 to 2024 hold these, whatever the model.
TEMPLATE = {
    "gpu_id": 0,
    "use_gpu": True,
    "seed": 2020,
    "state": "INFO",
    "reproducibility": True,
    "data_path": "dataset/",
    "checkpoint_dir": "saved",
    "show_progress": False,
    "save_dataset": False,
    "dataset_save_path": None,
    "save_dataloaders": False,
    "dataloaders_save_path": None,
    "log_wandb": False,
    "USER_ID_FIELD": "user_id",
    "ITEM_ID_FIELD": "item_id",
    "load_col": {"inter": ["user_id", "item_id"]},
    "epochs": 1,
    "train_batch_size": 2048,
    "learner": "adam",
    "learning_rate": 0.001,
    "eval_step": 1,
    "stopping_step": 10,
    "clip_grad_norm": None,
    "weight_decay": 0.0,
    "loss_decimal_place": 4,
    "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "order": "RO", "mode": "full"},
    "repeatable": False,
    "metrics": ["Recall", "MRR", "NDCG", "Hit", "Precision"],
    "topk": [10],
    "valid_metric": "MRR@10",
    "valid_metric_bigger": True,
    "eval_batch_size": 4096,
    "metric_decimal_place": 4,
}
UNIFORM = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": False, "candidate_num": 0}
OLD_FILES = {
    "BPR": {"embedding_size": 64, "train_neg_sample_args": UNIFORM},
    "LightGCN": {"embedding_size": 64, "n_layers": 2, "reg_weight": 1e-05, "train_neg_sample_args": UNIFORM},
    "DiffRec": {
        "dims_dnn": [300],
        "steps": 5,
        "noise_scale": 0.001,
        "norm": False,
        "train_neg_sample_args": None,
    },
    "LDiffRec": {"n_cate": 1, "in_dims": [300], "out_dims": [], "steps": 5, "train_neg_sample_args": None},
    "SGL": {"type": "ED", "n_layers": 3, "ssl_tau": 0.5, "drop_ratio": 0.1, "ssl_weight": 0.05},
    "SimpleX": {"margin": 0.9, "aggregator": "mean", "train_neg_sample_args": {**UNIFORM, "sample_num": 10}},
    "NCL": {"n_layers": 3, "num_clusters": 1000, "warm_up_step": 0, "m_step": 1, "proto_reg": 1e-7},
}


@pytest.mark.parametrize("model", OLD_FILES)
def test_an_old_configuration_file_of_recbole_runs_unchanged(small, tmp_path, model):
    from recbole_diffusion.storage.yaml_io import dump_yaml

    old = tmp_path / "old.yaml"
    old.write_text(dump_yaml({"model": model, "dataset": "ml-100k", **TEMPLATE, **OLD_FILES[model]}))
    machine = {name: small[name] for name in ("dataset", "data_path", "runs_path")}
    result = run(config_files=[old], overrides={**machine, "run_dir": str(tmp_path / "run")})
    assert (result["model"], set(result["test"])) == (
        model,
        {f"{name}@10" for name in ("recall", "mrr", "ndcg", "hit", "precision")},
    )
    log = (tmp_path / "run/log.txt").read_text()
    assert log.count("no effect of checkpoint_dir (a run writes one folder, which run_dir names)") == 1
    assert ("num_clusters is 30, not 1000: NCL cannot make more clusters" in log) == (model == "NCL")


SEQUENTIAL = {
    "GRU4Rec": {"embedding_size": 8, "hidden_size": 8},
    "SASRec": {"hidden_size": 8, "inner_size": 8, "n_layers": 1, "loss_type": "BPR"},
    "BERT4Rec": {"hidden_size": 8, "inner_size": 8, "n_layers": 1, "transform": "mask_itemseq"},
}


@pytest.mark.parametrize("model", SEQUENTIAL)
def test_a_sequential_model_learns_the_next_item_and_can_be_resumed(small, tmp_path, model):
    options = {**small, **SEQUENTIAL[model], "learning_rate": 0.01, "train_batch_size": 32, "topk": [5]}
    whole = run(model, overrides={**options, "epochs": 2, "run_dir": str(tmp_path / "whole")})
    run(model, overrides={**options, "epochs": 1, "run_dir": str(tmp_path / "parts")})
    resumed = run(resume=tmp_path / "parts", overrides={"epochs": 2})
    assert (resumed["valid"], resumed["test"]) == (whole["valid"], whole["test"])
    assert {name: part["rows"] for name, part in whole["parts"].items()} == {
        "train": 30 * 9,  # 12 steps: the first has nothing before it, the last two are held out
        "valid": 30,
        "test": 30,
    }
    assert whole["selection"] == "validation"
    with pytest.raises(UsageError, match=f"{model} is not a general recommender"):
        load_run(tmp_path / "whole")


def test_a_sequential_model_is_told_what_it_lacks_before_data_loads(small):
    with pytest.raises(UsageError, match="has no column 'time', only user_id, item_id"):
        run("GRU4Rec", overrides={**small, "TIME_FIELD": "time"})


def test_what_no_validation_chose_is_not_said_to_be_chosen_on_it(small, tmp_path):
    options = {**small, "topk": [5]}
    last = run("BPR", overrides={**options, "epochs": 2, "eval_step": 3, "run_dir": str(tmp_path / "last")})
    assert (last["selection"], last["best_epoch"]) == ("last epoch", 1)
    assert last["valid"].keys() == last["test"].keys()
    weights = {"epochs": 0, "load_checkpoint": str(tmp_path / "last/best.pt")}
    given = run("BPR", overrides={**options, **weights, "run_dir": str(tmp_path / "given")})
    assert (given["selection"], given["test"]) == ("given weights", last["test"])
    log = (tmp_path / "given/log.txt").read_text()
    assert "untrained" not in log
    untrained = run("BPR", overrides={**options, "epochs": 0, "run_dir": str(tmp_path / "drawn")})
    assert untrained["selection"] == "no epoch"
    assert "epochs is 0 and no weights are given: BPR is evaluated as it was drawn, untrained" in (
        (tmp_path / "drawn/log.txt").read_text()
    )
    for model in ("EASE", "Pop"):
        place = tmp_path / model
        found = run(model, overrides={**options, "epochs": 0, "run_dir": str(place)})
        assert found["selection"] == "validation"
        assert "untrained" not in (place / "log.txt").read_text()


@pytest.mark.parametrize(
    ("split", "selection", "test"),
    [
        ({"RS": [0.8, 0, 0.2]}, "last epoch", 2),
        ({"LS": "test_only"}, "last epoch", 1),
        ({"RS": [0.8, 0.2, 0]}, "validation", 0),
        ({"LS": "valid_only"}, "validation", 0),
    ],
)
def test_a_split_may_have_no_validation_or_no_test_part(small, tmp_path, split, selection, test):
    options = {
        **small,
        "epochs": 2,
        "eval_args": {"split": split},
        "topk": [5],
        "run_dir": str(tmp_path / "run"),
    }
    result = run("BPR", overrides=options)
    assert result["selection"] == selection
    log = (tmp_path / "run/log.txt").read_text()
    if selection == "last epoch":
        assert (result["valid"], result["best_valid_score"], result["best_epoch"]) == ({}, None, 1)
        assert log.count("no validation part: every epoch is trained, and the last one is kept") == 1
        assert set(result["parts"]) == {"train", "test"}
        assert result["parts"]["test"]["rows"] == 30 * test
        assert read_run(tmp_path / "run").selection == "last epoch"
    else:
        assert result["test"] is None
        assert result["best_valid_score"] == result["valid"]["recall@5"]
        assert set(result["parts"]) == {"train", "valid"}
    assert json.loads((tmp_path / "run/result.json").read_text())["selection"] == selection


def test_a_list_longer_than_the_catalogue_is_refused_before_training(small, tmp_path):
    with pytest.raises(UsageError, match="topk is 41, but data set 'small' has only 40 items"):
        run("BPR", overrides={**small, "topk": [41], "run_dir": str(tmp_path / "run")})
    assert not (tmp_path / "run").exists()


def test_what_ldiffrec_reads_beside_the_interactions_is_asked_for_before_data_loads(
    small, tmp_path, monkeypatch
):
    monkeypatch.setattr("recbole_diffusion.data.dataset.InteractionDataset.__init__", None)
    with pytest.raises(
        UsageError, match=r"n_cate is 2: LDiffRec clusters items by their vectors in .*item_emb.npy"
    ):
        run("LDiffRec", overrides={**small, "n_cate": 2, "run_dir": str(tmp_path / "run")})


def test_the_evaluation_batch_of_a_sequential_model_is_counted_in_cells(small):
    from recbole_diffusion.config import Config
    from recbole_diffusion.data.preparation import create_dataset, prepare_data

    config = Config("GRU4Rec", overrides={**small, "topk": [5], "eval_batch_size": 41 * 7})
    _, valid, _ = prepare_data(config, create_dataset(config))
    assert [len(batch[0]) for batch in valid] == [7, 7, 7, 7, 2]  # 41 items with the padding
