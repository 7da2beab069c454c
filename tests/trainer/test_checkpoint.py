"""Checkpoints: whole, of plain values, with all of a model's state; damaged or strange ones in one line."""

import json
import os
import random
import re
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.plain_attributes import PlainState

STATE = {"state_dict": {"w": torch.arange(6.0).reshape(2, 3)}, "epoch": 3}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.pt"


# What goes in comes out.


def test_everything_that_models_keep_comes_back(path):
    matrix = sp.random(5, 4, density=0.4, format="csr", random_state=0)
    state = {
        **STATE,
        "array": np.arange(6, dtype=np.float64).reshape(2, 3),
        "matrix": np.asmatrix([[1.0, 2.0]]),
        "sparse": matrix,
        "column_sparse": matrix.tocsc(),
        "scalar": np.float32(2.5),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "nested": {"list": [1, 2.5, "a", None, True, (3, 4)], 7: {"deep": torch.tensor([1])}},
        "empty": {},
    }
    checkpoint.save(state, path)
    back = checkpoint.load(path)
    assert back["format"] == checkpoint.FORMAT
    assert torch.equal(back["state_dict"]["w"], STATE["state_dict"]["w"])
    assert back["array"].tolist() == state["array"].tolist()
    assert back["array"].dtype == np.float64
    assert isinstance(back["matrix"], np.matrix)
    assert sp.isspmatrix_csr(back["sparse"])
    for name in ("sparse", "column_sparse"):
        assert (back[name] != matrix).nnz == 0
    assert back["scalar"] == 2.5
    assert isinstance(back["parameter"], torch.nn.Parameter)
    assert back["nested"]["list"] == state["nested"]["list"]
    assert back["nested"][7]["deep"].tolist() == [1]
    assert back["empty"] == {}


def test_the_file_is_readable_without_running_code(path):
    checkpoint.save({**STATE, "array": np.ones(2), "sparse": sp.eye(2, format="csr")}, path)
    assert torch.load(path, weights_only=True)["epoch"] == 3


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, np.array(["a"]), np.array([None]), random.Random],
    ids=lambda value: type(value).__name__,
)
def test_what_a_safe_file_cannot_hold_is_an_error_and_writes_nothing(path, value):
    with pytest.raises(RunError, match=r"checkpoint.pt: a.* cannot be stored"):
        checkpoint.save({**STATE, "bad": value}, path)
    assert list(path.parent.iterdir()) == []


# Files that are no checkpoints.


class Trap:
    """An object whose loading would leave a mark."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def truncated(path):
    checkpoint.save({"state_dict": {"w": torch.rand(1000)}}, path)
    path.write_bytes(path.read_bytes()[:-200])


def half(path):
    checkpoint.save({"state_dict": {"w": torch.rand(1000)}}, path)
    path.write_bytes(path.read_bytes()[:1500])


DAMAGED = {
    "truncated": truncated,
    "half": half,
    "empty": lambda path: path.write_bytes(b""),
    "random": lambda path: path.write_bytes(random.Random(1).randbytes(4000)),
    "text": lambda path: path.write_text("hello"),
    "zip": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(500)),
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("trust", [False, True])
def test_a_damaged_file_is_one_line_that_says_so(path, kind, trust):
    DAMAGED[kind](path)
    with pytest.raises(RunError) as caught:
        checkpoint.load(path, trust=trust)
    what = "it is (truncated or overwritten|no longer a checkpoint)"
    assert re.fullmatch(
        f"{path} is damaged: {what}; take another copy of the file, or train again", str(caught.value)
    )


def test_a_flipped_byte_in_the_weights_is_seen(path):
    checkpoint.save({"state_dict": {"w": torch.zeros(10_000)}}, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"damaged: the checksum of its part .* is wrong"):
        checkpoint.load(path)


def test_a_foreign_file_does_not_run_code_unless_trusted(path, tmp_path):
    torch.save({"state_dict": {}, "config": Trap(str(tmp_path / "mark"))}, path)
    with pytest.raises(RunError, match=r"could run code.*--trust_checkpoint"):
        checkpoint.load(path)
    assert not (tmp_path / "mark").exists()
    checkpoint.load(path, trust=True)
    assert (tmp_path / "mark").exists()


def test_recboles_own_format_is_refused_and_read_when_trusted(path):
    from recbole_diffusion.config import Config

    state = {
        "config": Config("BPR", "ml-100k"),
        "state_dict": {"w": torch.ones(2)},
        "other_parameter": None,
        "optimizer": {},
    }
    torch.save(state, path, pickle_protocol=4)
    with pytest.raises(RunError, match="--trust_checkpoint"):
        checkpoint.load(path)
    assert checkpoint.load(path, trust=True)["state_dict"]["w"].tolist() == [1, 1]


def test_a_plain_file_of_another_program_needs_trust_too(path):
    torch.save({"state_dict": {"w": torch.ones(2)}}, path)
    with pytest.raises(RunError, match=r"not written by this package.*--trust_checkpoint"):
        checkpoint.load(path)
    assert checkpoint.load(path, trust=True)["state_dict"]["w"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "content", [{"weights": 1}, [1, 2], torch.ones(2)], ids=["dictionary", "list", "tensor"]
)
def test_a_file_without_weights_is_refused(path, content):
    torch.save(content, path)
    with pytest.raises(RunError, match="holds no model weights"):
        checkpoint.load(path)


def test_a_missing_file_is_a_wrong_request(path):
    with pytest.raises(UsageError, match="no checkpoint at"):
        checkpoint.load(path)
    with pytest.raises(UsageError, match="no checkpoint at"):
        checkpoint.load(path.parent)


# Random states.


def draw():
    of_numpy = np.random.rand(), np.random.randn()  # noqa: NPY002
    return random.random(), torch.rand(1).item(), random.gauss(0, 1), *of_numpy


def test_random_states_come_back_through_a_file(path):
    np.random.randn()  # noqa: NPY002 leaves a second normal number waiting
    random.gauss(0, 1)
    checkpoint.save({**STATE, "random": checkpoint.random_state()}, path)
    expected = [draw(), draw()]
    checkpoint.restore_random_state(checkpoint.load(path)["random"])
    assert [draw(), draw()] == expected


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
        self.order, self.same = np.arange(4), np.arange(4)
        self.objects = np.array([{1}, {2}])
        self._cache = torch.zeros(4)
        self.late = None
        self.inner = nn.Linear(1, 1)
        self.inner.calls = 0

    def learn(self):
        self.updates += 3
        self.done = True
        self.history[1] = 7
        self.replaced = torch.tensor([1.0, 2.0])
        self.order[:2] = 1, 0  # in place, as LINE shuffles its users
        self.objects[0].add(3)
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
    assert ".order" in values
    assert not {".name", ".weight", ".table", "._cache", ".training", ".same", ".objects"} & set(values)
    fresh = Counting()
    PlainState(fresh).restore(values)
    assert (fresh.updates, fresh.done, fresh.inner.calls) == (3, True, 1)
    assert fresh.order.tolist() == [1, 0, 2, 3]
    with pytest.raises(ValueError, match="where the model has an array"):
        PlainState(fresh).restore({".order": 3})
    for name in ("history", "replaced", "late", "constant"):
        assert torch.equal(getattr(fresh, name), getattr(model, name))
