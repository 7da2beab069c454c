"""Features of a projection: held as they are stored, in 16 or 32 bits, and read as float32."""

import numpy as np
import pytest
import torch

from recbole_diffusion.data.features import Modality
from recbole_diffusion.model.multimodal.projections import Projection


@pytest.mark.parametrize(
    ("stored", "held"), [("<f2", torch.float16), ("<f4", torch.float32), ("<f8", torch.float32)]
)
def test_features_are_held_as_they_are_stored_and_read_as_float32(stored, held):
    values = np.random.default_rng(0).normal(size=(5, 3)).astype(stored)
    rows = np.array([4, 0, 2])  # of items 1, 2, 3
    projection = Projection(Modality("image", "made up", values, rows), 2)
    assert projection.table.dtype == held
    found = projection.features(torch.tensor([3, 0, 1, 3]))
    assert found.dtype == torch.float32
    assert torch.equal(found[[0, 2, 3]], torch.from_numpy(values[[2, 4, 2]].astype(np.float32)))
    assert torch.equal(found[1], torch.zeros(3))
    expected = found @ projection.linear.weight.T + projection.linear.bias
    assert torch.allclose(projection(torch.tensor([3, 0, 1, 3])), expected)
