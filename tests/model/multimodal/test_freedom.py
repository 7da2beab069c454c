"""FREEDOM: the contract, its graphs against plain ones, and the edges of an epoch."""

import math

import numpy as np
import pytest
import torch
from support.small import OPTIONS, with_features

from recbole_diffusion.sampler.uniform import uniform_negatives
from recbole_diffusion.testing import Built, ModelContract

SMALL = {**OPTIONS, "edge_dropout": 0.3}


@pytest.fixture
def checkerboard(checkerboard):
    return with_features(checkerboard)


class TestFREEDOM(ModelContract):
    model = "FREEDOM"
    options = SMALL
    epochs = 10


class TestWithoutModalLoss(ModelContract):
    model = "FREEDOM"
    options = {**SMALL, "modal_weight": 0.0, "edge_dropout": 0.0, "n_negatives": 2}
    epochs = 10


@pytest.fixture
def model(checkerboard):
    built = Built(
        "FREEDOM", checkerboard.name, {**checkerboard.overrides, **SMALL, "modality_weights": [0.25, 0.75]}
    )
    return built.model


def test_high_order_vectors_are_weighted_means_of_neighbours(model, checkerboard):
    built = Built("FREEDOM", checkerboard.name, {**checkerboard.overrides, **SMALL})
    ego, expected = model.ego_items().detach(), torch.zeros(model.n_items, 16)
    for weight, name in zip((0.25, 0.75), built.dataset.modalities, strict=True):
        modality = built.dataset.modalities[name]
        values = modality.values[modality.rows].astype(np.float64)
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        nearest = torch.from_numpy(np.argsort(-(unit @ unit.T), axis=1)[:, :5].copy()) + 1
        expected[1:] += weight * ego[nearest].mean(1)
    assert torch.allclose(model.high_order(), expected, atol=1e-6)


def test_vectors_are_lightgcn_and_the_item_graph(model):
    dense = torch.from_numpy(model.interactions.toarray())
    normal = dense * dense.sum(1).clamp(min=1).rsqrt()[:, None] * dense.sum(0).clamp(min=1).rsqrt()[None]
    users, items = [model.encoder.users], [model.encoder.items]
    for _ in range(2):
        users.append(normal @ items[-1])
        items.append(normal.T @ users[-2])
    model.eval()
    U, V = model.vectors()
    assert torch.allclose(U, torch.stack(users).mean(0), atol=1e-6)
    assert torch.allclose(V, torch.stack(items).mean(0) + model.high_order(), atol=1e-6)


@pytest.mark.parametrize("n_negatives", [1, 3])
def test_the_first_loss_is_bpr_of_inner_products_with_each_negative(checkerboard, n_negatives):
    options = {**checkerboard.overrides, **SMALL, "edge_dropout": 0.0, "n_negatives": n_negatives}
    built = Built("FREEDOM", checkerboard.name, options)
    model, batch = built.model.train(), next(iter(built.train))
    users, items = batch[model.USER_ID], batch[model.ITEM_ID]
    torch.manual_seed(5)
    drawn = uniform_negatives(model.positives, users.repeat(n_negatives))
    U, V = model.vectors()
    terms = [
        math.log1p(math.exp(float(U[user] @ V[negative] - U[user] @ V[item])))
        for user, item, negative in zip(
            users.repeat(n_negatives), items.repeat(n_negatives), drawn, strict=True
        )
    ]
    torch.manual_seed(5)
    assert float(model.calculate_loss(batch)[0]) == pytest.approx(np.mean(terms), rel=1e-5)


def test_an_epoch_keeps_a_share_of_the_interactions_by_degree_and_evaluation_has_all(model):
    torch.manual_seed(0)
    model.train()
    model.begin_epoch(0)
    kept = model.pruned.matrix.to_dense()
    total = model.interactions.nnz
    assert int((kept > 0).sum()) == int(0.7 * total)
    assert not bool(((kept > 0) & (torch.from_numpy(model.interactions.toarray()) == 0)).any())
    degrees = (kept > 0).sum(1).double()
    row, column = (int(one) for one in (kept > 0).nonzero()[0])
    expected = 1 / float(degrees[row].sqrt() * (kept[:, column] > 0).sum().double().sqrt())
    assert float(kept[row, column]) == pytest.approx(expected)
    pruned = model.vectors()[0]
    model.eval()
    assert not torch.allclose(model.vectors()[0], pruned)
    model.begin_epoch(1)
    assert not torch.equal(model.pruned.matrix.to_dense() > 0, kept > 0)


def test_busy_users_lose_more_interactions(write_parts, tmp_path):
    """Chances fall as 1 / sqrt(d_u d_i): an edge of degrees 1 and 1 stays more often than a busy one."""
    pairs = [("busy", f"i{k}") for k in range(40)] + [(f"u{k}", f"x{k}") for k in range(40)]
    data = write_parts(
        "busy", train=pairs, valid=[("busy", "x0"), ("u0", "i0")], test=[("busy", "x1"), ("u1", "i1")]
    )
    np.save(
        data.folder / "busy.picture.npy", np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
    )
    (data.folder / "busy.picture.tokens").write_text(
        "".join(f"{kind}{k}\n" for kind in "ix" for k in range(40))
    )
    model = Built(
        "FREEDOM", "busy", {**data.overrides, **SMALL, "modalities": ["picture"], "edge_dropout": 0.5}
    ).model
    torch.manual_seed(1)
    busy = 0
    for _ in range(50):
        model.prune(0.5)
        busy += int((model.pruned.matrix.to_dense().gt(0).sum(1) > 1).any()) * int(
            model.pruned.matrix.to_dense().gt(0).sum(1).max()
        )
    assert busy / 50 < 12  # a draw without regard to degrees keeps 20 of the 40
    assert busy / 50 > 2
