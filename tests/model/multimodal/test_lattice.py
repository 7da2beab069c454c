"""LATTICE: the contract, and its learned graph against a plain one."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.small import OPTIONS, with_features

from recbole_diffusion.testing import Built, ModelContract


@pytest.fixture
def checkerboard(checkerboard):
    return with_features(checkerboard)


class TestLATTICE(ModelContract):
    model = "LATTICE"
    options = OPTIONS
    epochs = 10


@pytest.fixture
def built(checkerboard):
    return Built("LATTICE", checkerboard.name, {**checkerboard.overrides, **OPTIONS, "original_ratio": 0.7})


def plain_graph(values: torch.Tensor, k: int) -> torch.Tensor:
    """Return D^-1/2 S D^-1/2 of the k largest cosines of each row, [items, items]."""
    cosines = F.normalize(values, dim=1) @ F.normalize(values, dim=1).T
    kept = torch.zeros_like(cosines).scatter(1, cosines.topk(k).indices, 1.0)
    graph = (cosines * kept).clamp(min=0)
    root = graph.sum(1).rsqrt()
    return root[:, None] * graph * root[None]


def test_item_graph_is_the_mix_of_original_and_learned_graphs(built):
    model = built.model.eval()
    model.modality_logits.data = torch.tensor([0.3, -0.8])
    expected = torch.zeros(50, 50)
    for weight, name, projection in zip(
        model.modality_logits.softmax(0), built.dataset.modalities, model.projections, strict=True
    ):
        modality = built.dataset.modalities[name]
        values = torch.from_numpy(modality.values[modality.rows].astype(np.float32))
        learned = plain_graph(projection.linear(values).detach(), 5)
        expected += weight.detach() * (0.7 * plain_graph(values, 5) + 0.3 * learned)
    ego = model.ego_items().detach()
    with torch.no_grad():
        assert torch.allclose(model.high_order()[1:], expected @ ego[1:], atol=1e-5)
        _, items = model.vectors()
        propagated = model.encoder.pooled(model.layers())[1]
    assert torch.allclose((items - propagated)[1:].norm(dim=1), torch.ones(50), atol=1e-5)


def test_graph_is_learned_in_the_first_batch_of_an_epoch_and_held(built):
    model = built.model
    model.train()
    first = model.item_graph()[1]
    assert first.requires_grad
    held = model.item_graph()[1]
    assert not held.requires_grad
    assert torch.equal(held, first)
    model.projections[0].linear.weight.data += torch.randn_like(model.projections[0].linear.weight)
    assert torch.equal(model.item_graph()[1], held)
    model.train()  # the next epoch
    assert not torch.equal(model.item_graph()[1], held)


def test_the_penalty_is_half_the_squared_length_of_a_batch_per_row(checkerboard):
    options = {**checkerboard.overrides, **OPTIONS, "reg_weight": 0.3, "n_negatives": 1}
    model = Built("LATTICE", checkerboard.name, options).model.double()
    users, items, negatives = torch.tensor([1, 2, 2]), torch.tensor([4, 5, 4]), torch.tensor([7, 8, 9])
    found = model.other_losses(torch.empty(0), users, items, negatives)
    e_u, e_i = model.encoder.users.detach(), model.encoder.items.detach()
    squares = sum(
        float((e_u[u] ** 2).sum() + (e_i[i] ** 2).sum() + (e_i[j] ** 2).sum())
        for u, i, j in zip(users, items, negatives, strict=True)
    )
    assert list(found) == ["penalty"]
    assert float(found["penalty"]) == pytest.approx(0.3 * squares / (2 * 3))
