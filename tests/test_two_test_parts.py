"""A run with two test parts: metrics of both, masks of each, groups, users' metrics, and resume."""

import json

import numpy as np
import pytest
import torch

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.lists import load_user_metrics
from recbole_diffusion.quick_start import run

SMALL = {
    "embedding_size": 8,
    "denoiser_size": 8,
    "time_size": 4,
    "steps": 4,
    "start": 1,
    "stride": 2,
    "learning_rate": 0.02,
}
PARTS = ["train", "valid", "test_iid", "test_ood"]


@pytest.fixture
def shifted(write_parts):
    """Eight users and twelve items; each user's row in each part is another item."""
    parts = {part: [] for part in PARTS}
    for user in range(8):
        items = [(user + step) % 12 for step in range(7)]
        for part, chosen in zip(PARTS, (items[:4], items[4:5], items[5:6], items[6:7]), strict=True):
            parts[part] += [(f"u{user}", f"i{item}") for item in chosen]
    parts["train"] += [("u0", f"i{item}") for item in range(8, 12)]  # every item has a training row
    return write_parts("shifted", **parts)


def test_each_part_masks_train_and_valid_but_not_the_other_test_part(shifted):
    config = Config("BPR", overrides={**shifted.overrides, "topk": [5], "valid_metric": "Recall@5"})
    dataset = create_dataset(config)
    _, _, tests = prepare_data(config, dataset)
    assert list(tests) == ["test_iid", "test_ood"]
    user = int(dataset.token2id(dataset.uid_field, "u3"))
    for name, loader in tests.items():
        masked = {}
        for interaction, history, _, _ in loader:
            rows = interaction[dataset.uid_field][history[0]]
            for one, item in zip(rows.tolist(), history[1].tolist(), strict=True):
                masked.setdefault(one, set()).add(dataset.id2token(dataset.iid_field, item))
        assert masked[user] == {"i3", "i4", "i5", "i6", "i7"}, name  # i8 is test_iid, i9 is test_ood


def test_the_result_has_both_parts_groups_and_users(shifted, tmp_path):
    options = {
        **shifted.overrides,
        **SMALL,
        "epochs": 2,
        "topk": [2, 5],
        "valid_metric": "Recall@5",
        "report_groups": 2,
    }
    result = run(
        "CNSDiff", overrides={**options, "run_dir": str(tmp_path / "run"), "false_negative_part": "test_ood"}
    )
    assert result["test"] == result["test_iid"]
    assert result["selection"] == "validation"
    stored = load_user_metrics(tmp_path / "run" / "user_metrics.npz")
    assert sorted(stored) == ["test_iid", "test_ood"]
    for part, columns in stored.items():
        assert sorted(columns["users"]) == [f"u{k}" for k in range(8)]
        for metric, value in result[part].items():
            assert float(np.mean(columns[metric])) == pytest.approx(value, abs=1e-5)
        of_items, of_users = (
            result["groups"][part]["item_popularity"],
            result["groups"][part]["user_activity"],
        )
        assert sum(group["held_out"] for group in of_items) == 8
        assert sum(group["users"] for group in of_users) == 8
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(0 <= line["diagnostics"]["false_negative_rate"] <= 1 for line in lines)
    without = run("CNSDiff", overrides={**options, "run_dir": str(tmp_path / "other"), "report_groups": 0})
    assert without["groups"] == {}


def test_the_second_test_part_changes_nothing_but_its_own_metrics(shifted, tmp_path):
    """Training and choice ignore test parts: with other rows in test_ood all else is equal."""
    options = {
        **shifted.overrides,
        **SMALL,
        "epochs": 3,
        "topk": [5],
        "valid_metric": "Recall@5",
        "report_groups": 0,
    }
    first = run("CNSDiff", overrides={**options, "run_dir": str(tmp_path / "first")})
    file = shifted.folder / "shifted.test_ood.inter"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head, *rows[:3]]) + "\n")
    second = run("CNSDiff", overrides={**options, "run_dir": str(tmp_path / "second")})
    for key in ("valid", "test_iid", "best_epoch", "best_valid_score"):
        assert first[key] == second[key]
    weights = [
        torch.load(tmp_path / name / "best.pt", weights_only=True)["state_dict"]
        for name in ("first", "second")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_resume_under_a_shift_continues_as_if_never_stopped(tmp_path):
    options = {**SMALL, "shift": "popularity", "train_batch_size": 8192, "use_gpu": False, "eval_step": 1}
    straight = run(
        "CNSDiff", "ml-100k", overrides={**options, "epochs": 3, "run_dir": str(tmp_path / "straight")}
    )
    run("CNSDiff", "ml-100k", overrides={**options, "epochs": 1, "run_dir": str(tmp_path / "stopped")})
    resumed = run(resume=tmp_path / "stopped", overrides={"epochs": 3})
    for key in ("valid", "test_iid", "test_ood", "groups", "split", "best_epoch"):
        assert resumed[key] == straight[key]
    assert straight["split"]["kind"] == "popularity"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["train", "valid", "test", "test"], "names a part twice"),
        (["train", "valid", "seed", "model"], "need names that begin with test_"),
        (["train", "train"], "names a part twice"),
    ],
)
def test_part_names_are_checked(shifted, parts, message):
    with pytest.raises(UsageError, match=message):
        Config("BPR", overrides={**shifted.overrides, "benchmark_filename": parts})


def test_an_unknown_part_to_count_against_names_those_there_are(shifted, tmp_path):
    options = {**shifted.overrides, **SMALL, "epochs": 1, "topk": [5], "valid_metric": "Recall@5"}
    with pytest.raises(UsageError, match="this run has valid, test_iid, test_ood"):
        run("CNSDiff", overrides={**options, "false_negative_part": "test", "run_dir": str(tmp_path / "run")})


def test_a_user_without_popular_negatives_is_named(write_parts):
    pairs = [("full", f"i{item}") for item in range(6)] + [("other", "i0"), ("other", "i1")]
    data = write_parts("full", train=pairs, valid=[("other", "i2"), ("other", "new")], test=[("other", "i3")])
    with pytest.raises(UsageError, match="user 'full' has all 6 items that have interactions"):
        run(
            "CNSDiff",
            overrides={
                **data.overrides,
                "negative_sampler": "popularity",
                "topk": [2],
                "valid_metric": "Recall@2",
            },
        )
