"""MCDRec: the contract, and what its diffusion does to the graph."""

import numpy as np
import pytest
import torch
from support.multimodal_data import OPTIONS, with_features

from recbole_diffusion.testing import Built, ModelContract

SMALL = {**OPTIONS, "steps": 6, "edge_dropout": 0.2}


@pytest.fixture
def checkerboard(checkerboard):
    return with_features(checkerboard)


class TestMCDRec(ModelContract):
    model = "MCDRec"
    options = SMALL
    epochs = 10


@pytest.fixture
def model(checkerboard):
    more = {"edge_dropout": 0.0, "graph_temperature": 0.5}
    return Built("MCDRec", checkerboard.name, {**checkerboard.overrides, **SMALL, **more}).model


def test_interactions_weigh_by_the_cosine_of_user_and_diffused_item(model):
    model.train()
    model.begin_epoch(0)
    users = torch.nn.functional.normalize(model.encoder.users.detach(), dim=1)
    items = torch.nn.functional.normalize(model.fusion.end, dim=1)
    weights = (1 + 0.5 * users @ items.T).numpy() * model.interactions.toarray()
    expected = weights / np.sqrt(
        np.maximum(weights.sum(1), 1e-9)[:, None] * np.maximum(weights.sum(0), 1e-9)[None]
    )
    assert np.allclose(model.pruned.matrix.to_dense().numpy(), expected, atol=1e-5)


def test_scores_use_the_end_of_the_chain(model):
    model.eval()
    _, before = model.vectors()
    model.fusion.item_diffusion.estimator.output.bias.data += 1
    model.train()
    model.eval()
    assert not torch.allclose(model.vectors()[1], before)
