"""The moving average of weights."""

import torch
from torch import nn

from recbole_diffusion.model.ema import EMA


def test_the_average_follows_with_a_growing_memory():
    module = nn.Linear(1, 1, bias=False)
    average = EMA(module, 0.5)
    expected = module.weight.item()
    for n, value in enumerate((2.0, -1.0, 5.0, 7.0), 1):
        nn.init.constant_(module.weight, value)
        average.update(module)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
        assert (
            average.copy.weight.item() == torch.tensor(expected).item()
            or abs(average.copy.weight.item() - expected) < 1e-6
        )
    assert not average.copy.weight.requires_grad


def test_without_decay_it_is_the_module_itself():
    module = nn.Linear(2, 2)
    average = EMA(module, 0.0)
    nn.init.constant_(module.weight, 3.0)
    average.update(module)
    assert torch.equal(average.copy.weight, module.weight)
