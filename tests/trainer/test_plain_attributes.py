"""Counters and histories of a model come back; constants and caches are not stored."""

import torch
from torch import nn

from recbole_diffusion.trainer.plain_attributes import PlainState


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
