"""How conditions are fused, and what trains the projections of features."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.small import OPTIONS, with_features

from recbole_diffusion.data.features import Modality
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.multimodal.projections import Projection
from recbole_diffusion.testing import Built

SMALL = {
    **OPTIONS,
    "steps": 8,
    "edge_dropout": 0.0,
    "feed_forward_size": 16,
    "curriculum_interval": 2,
    "curriculum_end": 8,
    "candidate_ratio": 1.0,
    "top_ratio": 0.2,
    "negative_weight": 0.5,
    "diffused_ratio": 0.3,
}
# What the released code does, but for batch, step size and number of steps.
RELEASED = {
    "gradient_path": "full",
    "diffusion_error": "mean",
    "diffused_scale": "raw",
    "identity_path": False,
    "estimator": "attention",
    "outside_batch": "high_order",
    "noise_schedule": "linear",
    "noise_min": 1e-4,
    "noise_max": 0.02,
    "modal_weight": 0.0,
    "diffused_ratio": 0.5,
}
DISTINCT, OTHERS, USERS = torch.tensor([3, 7, 20, 31]), torch.tensor([7, 12, 40]), torch.tensor([2, 5, 6])


@pytest.fixture
def build(checkerboard):
    with_features(checkerboard)
    return lambda **more: Built("CCDRec", checkerboard.name, {**checkerboard.overrides, **SMALL, **more})


@pytest.fixture
def still(monkeypatch):
    """Fix noise and steps of the diffusion; return them."""
    generator = torch.Generator().manual_seed(4)
    noise = torch.randn(len(DISTINCT), 16, generator=generator, dtype=torch.float64)
    t = torch.tensor([0, 3, 5, 7])
    monkeypatch.setattr(torch, "randn_like", lambda _: noise)
    monkeypatch.setattr("recbole_diffusion.model.multimodal.item_diffusion.uniform_steps", lambda *_, **__: t)
    return noise, t


def weights_of(model) -> dict[str, list[torch.Tensor]]:
    """Return the weights by what they are of."""
    return {
        "estimator": list(model.fusion.item_diffusion.estimator.parameters()),
        "projections": list(model.backbone.projections.parameters()),
        "items": [model.backbone.encoder.items],
        "users": [model.backbone.encoder.users],
    }


def plain_estimator(estimator, x, conditions, t):
    """Return f_theta of rows, one by one, [n, d]."""
    rows, width = [], estimator.key_size
    for row in range(len(x)):
        tokens = torch.stack([x[row], *conditions[row], estimator.time_table[t[row]]])  # [tokens, d]
        tokens = estimator.token_norm(tokens)
        projected = estimator.attention(tokens)
        q, k, v = projected[:, :width], projected[:, width : 2 * width], projected[:, 2 * width :]
        attended = torch.softmax(q @ k.T / math.sqrt(width), dim=1) @ v
        if not hasattr(estimator, "output"):  # attention alone
            rows.append(attended.mean(0))
            continue
        pooled = (tokens + attended).mean(0)
        rows.append(estimator.output(pooled) + estimator.feed_forward(estimator.pooled_norm(pooled)))
    return torch.stack(rows)


def plain_item_graph(model) -> torch.Tensor:
    """Return the item graph as a dense matrix."""
    backbone = model.backbone
    if model.options.backbone == "FREEDOM":
        return backbone.item_graph.matrix.to_dense()
    ids, weights = backbone.item_graph()
    every = torch.arange(len(ids))[:, None].expand_as(ids)
    return weights.new_zeros(len(ids), len(ids)).index_put((every, ids), weights, accumulate=True)


def plain_batch(built, noise, t, others):
    """Return users, items, projected features and loss of a batch, by dense matrices and loops."""
    model, o = built.model, built.model.options
    fusion, backbone, diffusion = model.fusion, model.backbone, model.fusion.item_diffusion
    e, h = backbone.encoder.items, plain_item_graph(model) @ backbone.encoder.items
    # h^m: item i has row i - 1 of its features.
    modal = []
    for modality, projection in zip(built.dataset.modalities.values(), backbone.projections, strict=True):
        values = torch.from_numpy(modality.values[modality.rows].astype(np.float64))[DISTINCT - 1]
        modal.append(values @ projection.linear.weight.T + projection.linear.bias)
    modal = torch.stack(modal, 1)  # [n, modalities, d]
    scale = e.detach()[1:].square().mean().sqrt() if o.diffused_scale == "unit" else 1.0
    abar = torch.cumprod(1 - o.betas(), 0)[t][:, None]
    x = abar.sqrt() * e[DISTINCT] / scale + (1 - abar).sqrt() * noise
    found = plain_estimator(diffusion.estimator, x, modal, t)
    estimate = (found + abar.sqrt() * x if o.identity_path else found) * scale
    loss = (estimate - e[DISTINCT]).square().mean()
    if o.diffusion_error == "norm":
        loss = 16 * loss
    if o.gradient_path == "cut":
        loss = loss / scale**2
    fused = (1 - o.diffused_ratio) * h[DISTINCT] + o.diffused_ratio * estimate
    if o.fusion == "output":
        start, joined = e, h.index_copy(0, DISTINCT, fused)
    elif o.outside_batch == "high_order":
        start, joined = h.index_copy(0, DISTINCT, fused), h
    else:
        start = (1 - o.diffused_ratio) * h + o.diffused_ratio * fusion.end
        start, joined = start.index_copy(0, DISTINCT, fused), h
    graph = torch.from_numpy(backbone.interactions.toarray()).double()
    graph = graph / (graph.sum(1).clamp(min=1e-9)[:, None] * graph.sum(0).clamp(min=1e-9)).sqrt()
    layers = [(backbone.encoder.users, start)]
    for _ in range(o.n_layers):
        of_users, of_items = layers[-1]
        layers.append((graph @ of_items, graph.T @ of_users))
    users, items = (sum(one) / len(layers) for one in zip(*layers, strict=True))
    items = items + (F.normalize(joined, dim=1) if o.backbone == "LATTICE" else joined)
    asked = DISTINCT if others is None else torch.cat([DISTINCT, others])
    return users[USERS], items[asked], modal, loss


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fusion": "output"},
        {"gradient_path": "cut", "modal_weight": 0.0},
        {"gradient_path": "full", "noise_max": 0.9, "modal_weight": 0.0},
        {"outside_batch": "high_order", "identity_path": False, "noise_max": 0.9},
        {"outside_batch": "high_order", "fusion": "output", "estimator": "attention", "key_size": 5},
        {"backbone": "LATTICE", "gradient_path": "full"},
        RELEASED,
    ],
)
def test_a_batch_is_what_dense_matrices_and_loops_give(build, still, options):
    built = build(**options)
    model = built.model.double().train()
    model.begin_epoch(0)
    others = OTHERS if model.fusion.leaves_others else None
    if model.options.backbone == "LATTICE":
        model.backbone.item_graph()  # that of the epoch, held from here on
    found = model.fusion.of_batch(model.backbone, DISTINCT, USERS, others)
    expected = plain_batch(built, *still, others)
    generator = torch.Generator().manual_seed(1)
    sums = []
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
        some = torch.randn(one.shape, generator=generator, dtype=one.dtype)
        sums.append(((one * some).sum(), (other * some).sum()))
    # Gradients of users and items, those of the ranking losses, are all there; those of Eq. 5 if not cut.
    ranked = [sum(pair) for pair in zip(*sums[:2], strict=True)]
    pairs = [ranked] + ([sums[3]] if model.options.gradient_path == "full" else [])
    for one, other in pairs:
        for name, weights in weights_of(model).items():
            gradients = [
                torch.autograd.grad(total, weights, retain_graph=True, allow_unused=True)
                for total in (one, other)
            ]
            assert (name == "users" and one is not ranked[0]) or any(g is not None for g in gradients[0])
            for mine, plain in zip(*gradients, strict=True):
                assert (mine is None) == (plain is None)
                assert mine is None or torch.allclose(mine, plain, atol=1e-6)


@pytest.mark.parametrize("backbone", ["FREEDOM", "LATTICE"])
@pytest.mark.parametrize("modal_weight", [0.0, 0.1])
@pytest.mark.parametrize("path", ["full", "ranking", "cut"])
def test_which_losses_reach_what(build, path, modal_weight, backbone):
    built = build(gradient_path=path, modal_weight=modal_weight, backbone=backbone)
    model = built.model.train()
    model.begin_epoch(0)
    if backbone == "LATTICE":
        model.backbone.item_graph()  # its learned graph reaches the projections in its first call alone
    parts = dict(zip(model.loss_names, model.calculate_loss(built.batch()), strict=True))
    reached = {
        (loss, name)
        for loss in ("random", "hard", "diffusion")
        for name, weights in weights_of(model).items()
        if any(
            one is not None and bool(one.any())
            for one in torch.autograd.grad(parts[loss], weights, retain_graph=True, allow_unused=True)
        )
    }
    # FREEDOM trains the projections by its own loss, if that has a weight.
    own = backbone == "FREEDOM" and modal_weight > 0
    expected = {(loss, name) for loss in ("random", "hard") for name in weights_of(model)}
    expected |= {("diffusion", "estimator")}
    if path == "full":
        expected |= {("diffusion", "projections"), ("diffusion", "items")}
    if path == "ranking" and not own:
        expected |= {("diffusion", "projections")}
    if path == "cut":  # LATTICE counted as training them
        if own or backbone == "LATTICE":
            expected -= {("random", "projections"), ("hard", "projections")}
        else:
            expected |= {("diffusion", "projections")}
    assert reached == expected


@pytest.mark.parametrize(
    ("path", "low", "high"), [("full", 0, 1000), ("ranking", 0, 1000), ("cut", 1e4, 1e9)]
)
def test_the_losses_gradients_are_of_one_order_unless_cut(build, path, low, high):
    built = build(gradient_path=path, modal_weight=0.0)
    model = built.model.train()
    model.backbone.encoder.items.data *= 0.05  # as short as on a large data set
    model.backbone.encoder.users.data *= 0.05
    model.begin_epoch(0)
    parts = dict(zip(model.loss_names, model.calculate_loss(built.batch()), strict=True))
    norms = [
        math.sqrt(
            sum(
                float(one.square().sum())
                for one in torch.autograd.grad(
                    parts[loss], weights_of(model)["estimator"], retain_graph=True, allow_unused=True
                )
            )
        )
        for loss in ("diffusion", "hard")
    ]
    assert low < norms[0] / norms[1] < high


def trained(build, steps=25, **options):
    """Return a model after some batches, all random numbers from one seed."""
    built = build(**options)
    model, batch = built.model.train(), built.batch()
    torch.manual_seed(3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.begin_epoch(0)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.stack(model.calculate_loss(batch)).sum().backward()
        optimizer.step()
    return model


@torch.no_grad()
def error(model) -> float:
    """Return Eq. 5 over all items, at fixed noise."""
    diffusion, backbone = model.fusion.item_diffusion, model.backbone
    torch.manual_seed(8)
    e = backbone.ego_items().detach()[1:]
    every, scale = torch.arange(1, len(e) + 1), diffusion.scale(backbone.ego_items())
    t = every % diffusion.diffusion.steps
    x = diffusion.diffusion.q_sample(e / scale, t, torch.randn(e.shape))
    estimate = diffusion.estimate(x, t, diffusion.estimator.prepare(backbone.modal_items(every))) * scale
    return float((estimate - e).square().mean())


@pytest.mark.parametrize("path", ["full", "ranking"])
def test_a_larger_lambda_gives_a_lower_error_of_the_diffusion(build, path):
    models = [
        trained(build, gradient_path=path, diffusion_weight=weight, noise_max=0.9, modal_weight=0.0)
        for weight in (0.05, 20.0)
    ]
    assert error(models[0]) > 1.05 * error(models[1])


def test_the_ranking_losses_move_the_estimator_in_proportion_to_mu(build):
    sizes, weights = [], []
    for mu in (0.0, 0.3, 0.8):
        options = {"diffused_ratio": mu, "diffusion_weight": 0.0, "modal_weight": 0.0, "fusion": "output"}
        built = build(**options)
        model = built.model.train()
        torch.manual_seed(3)
        model.begin_epoch(0)
        parts = dict(zip(model.loss_names, model.calculate_loss(built.batch()), strict=True))
        output = model.fusion.item_diffusion.estimator.output.weight
        sizes.append(float(torch.autograd.grad(parts["random"] + parts["hard"], output)[0].norm()))
        weights.append(trained(build, 3, **options).fusion.item_diffusion.estimator.output.weight.detach())
    assert sizes[0] == 0
    assert sizes[2] / sizes[1] == pytest.approx(0.8 / 0.3, rel=0.1)
    assert not torch.allclose(weights[1], weights[2], atol=1e-5)


def test_more_noise_is_harder_to_take_out_and_gives_other_vectors(build):
    models = [trained(build, noise_max=noise, gradient_path="full") for noise in (0.05, 0.9)]
    assert error(models[0]) < 0.5 * error(models[1])
    first, second = (model.backbone.encoder.items.detach() for model in models)
    assert float((first - second).abs().mean()) > 0.05 * float(first.abs().mean())


def test_pools_get_harder_with_the_curriculum_where_the_noise_is_large(build, monkeypatch):
    """With a perfect estimator: how many of an item's neighbours in a pool are its neighbours by e."""
    found = {}
    for curriculum in (True, False):
        model = build(noise_max=0.99, curriculum=curriculum).model.train()
        e = torch.randn(51, 16, generator=torch.Generator().manual_seed(5))
        model.backbone.encoder.items.data = e
        diffusion = model.fusion.item_diffusion
        scale = diffusion.scale(e)
        monkeypatch.setattr(diffusion, "estimate", lambda *_, e=e, scale=scale: e / scale)
        nearest = (e @ e[1:].T).topk(10).indices + 1  # candidates are all items, a fifth is kept
        shares = []
        for epoch in (0, 2, 4, 6):
            model.begin_epoch(epoch)
            shared = (model._nearest[:, :, None] == nearest[:, None]).any(2)
            shares.append(float(shared[1:].float().mean()))
        found[curriculum] = shares
    assert found[True] == sorted(found[True])
    assert found[True][0] < 0.6 < 0.99 < found[True][-1]
    assert min(found[False]) > 0.99


@pytest.mark.parametrize(("outside", "kinds"), [("chain", 3), ("high_order", 2)])
def test_hard_negatives_outside_the_batch_are_not_estimated(build, monkeypatch, outside, kinds):
    built = build(outside_batch=outside)
    model = built.model.train()
    model.begin_epoch(0)
    batch = built.batch()
    users, items = batch[model.USER_ID], batch[model.ITEM_ID]
    ids = torch.stack([items, items.roll(1), items.roll(2)])
    seen = []
    of_batch = model.fusion.of_batch
    monkeypatch.setattr(model.fusion, "of_batch", lambda *one: seen.append(one) or of_batch(*one))
    torch.manual_seed(2)
    u, v, modal, _ = model._batch(users, ids)
    assert torch.equal(seen[0][1], torch.unique(ids[:kinds]))
    # The vector of a hard negative is that of the same item among the others, where it is one of them.
    assert torch.allclose(v[2], v[0].roll(2, 0), atol=1e-6)
    expected = model.backbone.modal_items(torch.stack([items, items.roll(1)]))
    assert torch.allclose(modal, expected, atol=1e-6)
    assert u.shape == v[0].shape


def test_raw_vectors_have_no_identity_path(build):
    with pytest.raises(UsageError, match="identity_path=False or --diffused_scale=unit"):
        build(diffused_scale="raw")


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
