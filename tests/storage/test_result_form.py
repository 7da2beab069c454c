"""Contents that no run has written are refused by their place; those that one has written pass."""

import json

import pytest

from recbole_diffusion.errors import RunError
from recbole_diffusion.storage.result_form import damage_of_epoch, damage_of_result
from recbole_diffusion.storage.run_folder import RunFolder

GOOD = {
    "model": "BPR",
    "dataset": "d",
    "seed": 1,
    "preset": None,
    "best_epoch": -1,
    "best_valid_score": 0.5,
    "valid": {"recall@5": 0.5},
    "test": {"recall@5": 1},
    "test_ood": {"recall@5": 0.0},
    "epoch_seconds": [0.1],
    "groups": {"test": {"item_popularity": [{"group": 0, "recall@5": None}]}},
    "parts": {"train": {"rows": 5, "fingerprint": "ff"}},
    "seconds": {"train": 1.5},
}
DAMAGES = [
    ({"seed": -1}, "seed is -1"),
    ({"seed": True}, "seed is True"),
    ({"parameters": 10**400}, "parameters is a number of many digits"),
    ({"valid": {"recall@5": "x"}}, "valid.recall@5 is 'x'"),
    ({"test_ood": {"recall@5": [1]}}, "test parts.test_ood.recall@5 is [1]"),
    ({"groups": {"test": {"item_popularity": [3]}}}, "groups.test.item_popularity[0] is 3"),
    ({"parts": {"train": {"rows": 5}}}, "parts.train.fingerprint is missing"),
    ({"seconds": {"train": float("inf")}}, "seconds.train is inf"),
    ({"seconds": {"load": 1.0}}, "seconds.train is missing"),
    ({"epoch_seconds": {}}, "epoch_seconds is {}"),
    ({"mine": [[[[[[[[[[[[[1]]]]]]]]]]]]]}, "mine is nested more than 12 deep"),
]


def test_what_a_run_writes_passes():
    assert damage_of_result(GOOD) is None
    assert damage_of_epoch({"epoch": 0, "loss": {"total": float("inf")}, "mine": "text"}) is None


@pytest.mark.parametrize(("change", "told"), DAMAGES)
def test_what_no_run_writes_is_named_by_its_place(change, told):
    assert damage_of_result(GOOD | change) == told


def test_an_epoch_is_an_object_with_numbers():
    assert damage_of_epoch([1]) == "it is not an object"
    assert damage_of_epoch({"epoch": "one"}) == "epoch is 'one'"
    assert damage_of_epoch({"epoch": 1, "loss": {"total": None}}) == "loss.total is None"


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 10_000, json.dumps(GOOD)[:-9], '{"seed": NaN}'])
def test_a_damaged_file_is_one_line(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(RunError, match=r"result.json is damaged: .*; make it again with --resume="):
        RunFolder(tmp_path).read_result()
