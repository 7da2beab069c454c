"""MCDRec: the contract, and what its diffusion does to the graph."""

import numpy as np
import pytest
import torch
from support.small import OPTIONS, with_features

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


def test_the_loss_is_the_pairwise_one_over_all_negatives_and_the_modal_one_over_the_first(
    checkerboard, monkeypatch
):
    options = {**OPTIONS, "n_negatives": 3, "modal_weight": 0.4, "diffusion_weight": 0.7}
    built = Built("MCDRec", checkerboard.name, {**checkerboard.overrides, **options})
    model = built.model
    users, items = torch.tensor([1, 2, 5, 5]), torch.tensor([4, 9, 11, 4])
    drawn = torch.tensor([[20, 21, 22, 23], [20, 31, 32, 4], [40, 41, 9, 43]])
    monkeypatch.setattr(
        "recbole_diffusion.model.multimodal.mcdrec.uniform_negatives", lambda positives, of: drawn.flatten()
    )
    seen = {}
    of_batch = type(model.fusion).of_batch

    def kept(fusion, backbone, distinct, some_users):
        seen["fused"], seen["items"] = of_batch(fusion, backbone, distinct, some_users), distinct
        seen["users"] = {int(user): row for row, user in enumerate(some_users)}
        return seen["fused"]

    monkeypatch.setattr(type(model.fusion), "of_batch", kept)
    model.begin_epoch(0)
    bpr, modal, diffusion = model.calculate_loss({model.USER_ID: users, model.ITEM_ID: items})
    fused, place = seen["fused"], {int(item): row for row, item in enumerate(seen["items"])}
    assert set(place) == {4, 9, 11, 20, 21, 22, 23, 31, 32, 40, 41, 43}
    pairs, modal_pairs = [], []
    for row in range(4):
        u, positive = fused.users[seen["users"][int(users[row])]], place[int(items[row])]
        for number in range(3):
            negative = place[int(drawn[number, row])]
            gap = (u * (fused.items[positive] - fused.items[negative])).sum()
            pairs.append(float(-torch.nn.functional.logsigmoid(gap)))
            if number == 0:  # for each modality
                gaps = (u * (fused.modal[positive] - fused.modal[negative])).sum(1)
                modal_pairs.append((-torch.nn.functional.logsigmoid(gaps)).tolist())
    assert float(bpr) == pytest.approx(sum(pairs) / len(pairs), rel=1e-5)
    assert float(diffusion) == pytest.approx(0.7 * float(fused.loss), rel=1e-5)
    per_modality = [sum(one) / 4 for one in zip(*modal_pairs, strict=True)]
    assert float(modal) == pytest.approx(0.4 * sum(per_modality), rel=1e-5)
