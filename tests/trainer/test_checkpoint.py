"""Checkpoints: plain inside, whole on the disk, and nothing in them can run."""

import os
import random
import re

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.trainer import checkpoint

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
