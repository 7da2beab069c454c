"""What a checkpoint holds of a model's attributes, and the one line where its content is damaged."""

import json
import sys

import pytest
import torch
from torch import nn

from recbole_diffusion.errors import RunError
from recbole_diffusion.quick_start import run
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.plain_attributes import PlainState


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a BPR run of two epochs, and its options."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "toy").mkdir()
    rows = [
        "user_id:token\titem_id:token",
        *(f"u{u}\ti{(u * 7 + k) % 20}" for u in range(20) for k in range(8)),
    ]
    (folder / "toy/toy.inter").write_text("\n".join(rows) + "\n")
    options = {"data_path": str(folder), "epochs": 2, "use_gpu": False, "topk": [5], "valid_metric": "MRR@5"}
    run("BPR", "toy", overrides={**options, "embedding_size": 4, "run_dir": str(folder / "run")})
    return folder / "run"


def set_to(place, value):
    def damage(state):
        *path, last = place.split("/")
        for name in path:
            state = state[name]
        state[last] = value

    return damage


def without(place):
    return lambda state: state.pop(place)


def nan_in(name):
    def damage(state):
        state["state_dict"][name][1, 1] = torch.nan

    return damage


def other_record(state):
    records = json.loads(state["records"])
    records[state["best_epoch"]]["valid"]["mrr@5"] += 0.1
    state["records"] = json.dumps(records)


DAMAGES = {
    "no optimizer state": (without("random"), "damaged: random is missing"),
    "no records": (set_to("records", None), "damaged: records is None"),
    "records that are no list": (set_to("records", "3"), "damaged: records is 3"),
    "another epoch": (set_to("epoch", 7), "damaged: epoch is 7, that of its last record 1"),
    "a text for weights": (
        set_to("state_dict/user_embedding.weight", "x"),
        "state_dict.user_embedding.weight is 'x'",
    ),
    "no weights of a layer": (set_to("state_dict", {}), "does not fit this model.*Missing key"),
    "whole numbers for weights": (
        set_to("state_dict/item_embedding.weight", torch.ones(2, 2, dtype=torch.long)),
        "item_embedding.weight has whole numbers for weights",
    ),
    "NaN in the weights": (
        nan_in("item_embedding.weight"),
        "item_embedding.weight has NaN or infinite numbers",
    ),
    "a score of NaN": (set_to("best_valid_score", float("nan")), "damaged: best_valid_score is nan"),
    "a best validation that was not": (
        other_record,
        "its best validation is not that of the record of epoch",
    ),
    "an optimizer without groups": (set_to("optimizers/optimizer", {}), "damaged: KeyError"),
    "a random state cut off": (set_to("random/torch", torch.zeros(3, dtype=torch.uint8)), "damaged: "),
    "fingerprints without rows": (set_to("data/train", {"fingerprint": "f"}), "data.train.rows is missing"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_state_stops_a_resume_and_changes_nothing(finished, tmp_path, case):
    damage, told = DAMAGES[case]
    state = torch.load(finished / "checkpoint.pt", weights_only=True)
    damage(state)
    for name in ("config.yaml", "best.pt", "metrics.jsonl"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    torch.save(state, tmp_path / "checkpoint.pt")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "checkpoint.pt"}
    with pytest.raises(RunError, match=rf"checkpoint.pt .*{told}"):
        run(resume=tmp_path, overrides={"epochs": 3})
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_levels_without_end_are_refused(tmp_path):
    deep = []
    for _ in range(2000):
        deep = [deep]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        torch.save({"format": checkpoint.FORMAT, "state_dict": {}, "plain": deep}, tmp_path / "deep.pt")
    finally:
        sys.setrecursionlimit(limit)
    with pytest.raises(RunError, match=r"deep.pt"):
        checkpoint.load(tmp_path / "deep.pt")


class Counting(nn.Module):
    """A model with every kind of attribute."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("table", torch.zeros(2))
        self.updates, self.rate, self.done, self.name = 0, 0.5, False, "text"
        self.constant, self.history, self.replaced = torch.ones(3), torch.zeros(3), torch.zeros(2)
        self._cache = torch.zeros(4)
        self.late = None
        self.inner = nn.Linear(1, 1)
        self.inner.calls = 0

    def learn(self):
        self.updates += 3
        self.done = True
        self.history[1] = 7
        self.replaced = torch.tensor([1.0, 2.0])
        self._cache += 1
        self.late = torch.tensor([5.0])
        self.inner.calls += 1


def test_what_changed_comes_back_and_what_did_not_is_not_stored():
    model = Counting()
    state = PlainState(model)
    model.learn()
    values = state.values()
    tensors = {name for name, value in values.items() if isinstance(value, torch.Tensor)}
    assert tensors == {".history", ".replaced", ".late"}
    assert {".updates", ".done", "inner.calls"} <= set(values)
    assert ".rate" not in values
    assert not {".name", ".weight", ".table", "._cache", ".training"} & set(values)
    fresh = Counting()
    PlainState(fresh).restore(values)
    assert (fresh.updates, fresh.done, fresh.inner.calls) == (3, True, 1)
    for name in ("history", "replaced", "late", "constant"):
        assert torch.equal(getattr(fresh, name), getattr(model, name))
