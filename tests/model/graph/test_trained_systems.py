"""The trained systems of TV-Diff's Table 1: the contract, cases worked out by hand, and closed forms."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.small import built_of_rows

from recbole_diffusion import load_run, run
from recbole_diffusion.model.graph import hyperboloid as geometry
from recbole_diffusion.model.graph.conditional_denoiser import random_triples
from recbole_diffusion.model.graph.sgcl import symmetric_contrast
from recbole_diffusion.testing import ModelContract, make_checkerboard
from recbole_diffusion.trainer import checkpoint

# Three users and four items; degrees (2, 2, 3) and (2, 2, 2, 1).
X = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1]])


class TestCODIGEM(ModelContract):
    model = "CODIGEM"
    options = {"hidden_size": 16, "n_layers": 2, "train_batch_size": 10, "learning_rate": 0.01}


class TestCODIGEMWithItsChain(ModelContract):
    model = "CODIGEM"
    options = {
        **TestCODIGEM.options,
        "train_chain": True,
        "sampling_noise": False,
        "beta": 0.1,
    }
    epochs = 15


class TestGiffCF(ModelContract):
    model = "GiffCF"
    epochs = 15
    options = {"embedding_size": 16, "ideal_weight": 0.2, "ideal_rank": 4, "train_batch_size": 10}
    options |= {"learning_rate": 0.01}


class TestDDRM(ModelContract):
    model = "DDRM"
    epochs = 12
    options = {"embedding_size": 16, "encoder_epochs": 8, "denoiser_sizes": [16, 32], "steps": 5}
    options |= {"train_batch_size": 256, "learning_rate": 0.01, "encoder_learning_rate": 0.02}


class TestSGCL(ModelContract):
    model = "SGCL"
    epochs = 12
    options = {"embedding_size": 16, "candidate_items": 4, "learning_rate": 0.02, "train_batch_size": 256}


class TestHGCF(ModelContract):
    model = "HGCF"
    epochs = 8
    options = {"embedding_size": 16, "train_batch_size": 256, "learning_rate": 0.02, "margin": 0.2}


class TestHDRM(ModelContract):
    model = "HDRM"
    epochs = 6
    options = {"embedding_size": 16, "encoder_epochs": 8, "denoiser_sizes": [16, 32], "steps": 5}
    options |= {"train_batch_size": 256, "learning_rate": 0.01, "encoder_learning_rate": 0.02}


# CODIGEM


def ridge(R, b):
    """Return the minimiser of the expected |x - (sqrt(1 - b) x + sqrt(b) eps) W|^2 over the rows x of R."""
    G = R.T @ R
    return np.linalg.solve((1 - b) * G + len(R) * b * np.eye(R.shape[1]), np.sqrt(1 - b) * G)


def test_steps_of_one_variance_have_the_closed_mean_and_variance(tmp_path):
    model = built_of_rows(tmp_path, "CODIGEM", X, beta=0.2)[0].model
    torch.manual_seed(1)
    x = torch.full((40_000, 5), 2.0)
    z = x
    for _ in range(3):
        z, _ = model.noised(z)
    assert z[:, 1:].mean().item() == pytest.approx(2 * 0.8**1.5, abs=0.01)
    assert z[:, 1:].var().item() == pytest.approx(1 - 0.8**3, abs=0.01)
    assert z[:, 0].unique().tolist() == pytest.approx([2 * 0.8**1.5])  # no noise on the padding


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_no_gradient_of_the_chain_reaches_the_decoder(tmp_path, steps):
    options = {"hidden_size": 6, "n_layers": 2, "train_chain": True, "steps": steps}
    built = built_of_rows(tmp_path, "CODIGEM", X, **options)[0]
    found = built.model.double()
    batch = built.batch()
    deeper = [*found.decoder.parameters(), *found.output.parameters()]
    gradients = []
    for parts in (slice(0, 1), slice(0, 2)):
        torch.manual_seed(3)
        torch.set_default_dtype(torch.float64)
        try:
            loss = sum(found.calculate_loss(batch)[parts])
        finally:
            torch.set_default_dtype(torch.float32)
        gradients.append(torch.autograd.grad(loss, deeper))
    for alone, whole in zip(*gradients, strict=True):
        assert torch.equal(alone, whole)
    assert len(found.reverse) == steps - 1


def test_a_linear_decoder_is_ridge_regression_of_the_rows_on_themselves(tmp_path, monkeypatch):
    """The squared error of noised rows, without tanh: W = ((1 - b) R^T R + U b I)^-1 sqrt(1 - b) R^T R."""
    b, size = 0.3, 4
    built, _, ids = built_of_rows(tmp_path, "CODIGEM", X, hidden_size=size + 1, n_layers=1, beta=b)
    model, W = built.model, np.zeros((size + 1, size + 1))
    W[np.ix_(ids, ids)] = ridge(X.astype(float), b)
    with torch.no_grad():
        model.decoder.W.copy_(torch.tensor(W))
        model.decoder.bias.zero_()
        model.decoder.rest[0].weight.fill_(1.0)  # PReLU of slope 1: linear
        model.output.weight.copy_(torch.eye(size + 1))
        model.output.bias.zero_()
    monkeypatch.setattr(torch, "tanh", lambda one: one)
    users = torch.arange(1, 4).repeat(20_000)
    torch.manual_seed(2)
    model.calculate_loss({model.USER_ID: users}).backward()
    assert model.decoder.W.grad.abs().max() < 0.01
    with torch.no_grad():
        model.decoder.W.mul_(1.1)
    model.decoder.W.grad = None
    model.calculate_loss({model.USER_ID: users}).backward()
    assert model.decoder.W.grad.abs().max() > 0.02


# GiffCF


def by_item(ids, row):
    return row[:, torch.as_tensor(ids)].double().numpy()


def test_smoothing_of_three_users_is_the_rows_worked_out_by_hand(tmp_path):
    options = {"ideal_rank": 1, "ideal_weight": 0.3}
    built, _, ids = built_of_rows(tmp_path / "a", "GiffCF", X, **options)
    with_ideal = built.model
    built, _, _ = built_of_rows(tmp_path / "b", "GiffCF", X)
    plain = built.model
    x = torch.zeros(1, 5)
    x[0, ids[[0, 1]]] = 1.0
    found = by_item(ids, plain.smooth(x))[0]
    np.testing.assert_allclose(found, [0.637536, 0.679074, 0.411178, 0.261376], atol=2e-6)
    found = by_item(ids, with_ideal.smooth(x))[0]
    np.testing.assert_allclose(found, [0.615461, 0.625805, 0.44134, 0.30476], atol=2e-6)


def test_the_networks_begin_as_those_of_keras(tmp_path):
    """The authors' framework draws by Glorot and begins without biases; torch does neither."""
    model = built_of_rows(tmp_path, "GiffCF", X)[0].model
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    assert len(layers) == 8
    assert all(not layer.bias.any() for layer in layers)
    bounds = [(6 / (layer.in_features + layer.out_features)) ** 0.5 for layer in layers]
    shares = [layer.weight.abs().max().item() / bound for layer, bound in zip(layers, bounds, strict=True)]
    assert max(shares) <= 1
    of_torch = [layer.in_features**-0.5 / bound for layer, bound in zip(layers, bounds, strict=True)]
    assert shares[4] > 0.95 > of_torch[4]  # 400 weights of the first network of the step


def test_a_step_smooths_by_its_share_of_alpha(tmp_path, monkeypatch):
    """F_1 x and F_3 x of row 0, as the denoiser meets them in training and at the beginning of the chain."""
    built, _, ids = built_of_rows(tmp_path, "GiffCF", X)
    model, met = built.model, []
    known = model.denoised
    monkeypatch.setattr(model, "denoised", lambda z, c, s, t: met.append((z, t)) or known(z, c, s, t))
    model.full_sort_predict(built.users([1]))
    np.testing.assert_allclose(
        by_item(ids, met[0][0])[0], [0.456305, 0.518611, 0.616768, 0.392064], atol=2e-6
    )
    met.clear()
    while not met or met[-1][1].item() != 1:
        model.calculate_loss(built.users([1]))
    np.testing.assert_allclose(
        by_item(ids, met[-1][0])[0], [0.818768, 0.839537, 0.205589, 0.130688], atol=2e-6
    )


@pytest.mark.parametrize("decay", [0.0, 0.1, 1.0])
def test_a_perfect_denoiser_ends_the_chain_at_the_row(tmp_path, monkeypatch, decay):
    built, _, ids = built_of_rows(tmp_path, "GiffCF", X, noise_decay=decay)
    monkeypatch.setattr(built.model, "denoised", lambda z, c, s, t: c)
    scores = built.model.full_sort_predict(built.users([1, 2, 3]))
    np.testing.assert_allclose(by_item(ids, scores), X, atol=1e-6)


def test_the_residual_decays_by_gamma_in_each_step(tmp_path, monkeypatch):
    """A denoiser that always answers y: z - F_t y shrinks by gamma from step to step."""
    built, _, ids = built_of_rows(tmp_path, "GiffCF", X, noise_decay=0.5)
    y = torch.tensor(np.random.default_rng(0).random((1, 5)), dtype=torch.float32)
    y[0, 0] = 0.0
    monkeypatch.setattr(built.model, "denoised", lambda z, c, s, t: y.expand_as(z))
    x = torch.zeros(1, 5)
    x[0, ids[[0, 1]]] = 1.0
    first = x + 1.5 * (built.model.smooth(x) - x) - (y + 1.5 * (built.model.smooth(y) - y))
    found = built.model.full_sort_predict(built.users([1]))
    torch.testing.assert_close(found, y + 0.5**3 * first, atol=1e-5, rtol=1e-5)


# DDRM

SMALL = {"embedding_size": 6, "denoiser_sizes": [4, 8], "encoder_epochs": 1}


@pytest.mark.parametrize(
    ("steps", "scale", "most", "last", "kept"),
    [(30, 1e-4, 1e-2, 1.1e-5, 0.91), (50, 1e-2, 1e-3, 1.9e-5, 0.53)],  # Yelp, Amazon-book
)
def test_the_schedule_of_ddrm_is_almost_constant(tmp_path, steps, scale, most, last, kept):
    """The first beta exceeds all that the linear variance grows to: 1 - abar begins at 1.00e-5."""
    options = {"steps": steps, "noise_scale": scale, "noise_min": 1e-4, "noise_max": most}
    diffusion = built_of_rows(tmp_path, "DDRM", X, **SMALL, **options)[0].model.diffusion
    variance = diffusion.noise.square()
    assert variance[0].item() == pytest.approx(1.0e-5, rel=1e-4)
    assert variance[-1].item() == pytest.approx(last, rel=5e-3)
    assert (diffusion.posterior_x0[0], diffusion.posterior_xt[0]) == (1.0, 0.0)
    # What the start keeps of itself up to step 0.
    assert diffusion.posterior_xt[1:].prod().item() == pytest.approx(kept, abs=0.005)


@pytest.mark.parametrize("steps", [1, 4, 6])
def test_a_chain_whose_network_changes_nothing_multiplies_its_start(tmp_path, monkeypatch, steps):
    """Also past the end of the schedule, where its last entries stand in and the network sees the number."""
    options = {"steps": 4, "noise_scale": 0.1, "noise_min": 0.1, "noise_max": 1.0}
    model = built_of_rows(tmp_path, "DDRM", X, **SMALL, **options, sampling_steps=steps)[0].model
    met = []
    monkeypatch.setattr(model.of_items, "forward", lambda x, u, t: met.append(int(t[0])) or x)
    model.diffusion.noise.zero_()  # the start itself
    start = torch.randn(4, 6)
    found = model.chain(torch.zeros(4, 6), start)
    factor = 1.0
    for t in range(steps):
        factor *= float(model.diffusion.posterior_x0[min(t, 3)] + model.diffusion.posterior_xt[min(t, 3)])
    torch.testing.assert_close(found, start * factor * model.diffusion.signal[3])
    assert met == list(range(steps))[::-1]
    model.options = replace(model.options, sampling_steps=None)
    assert model.options.chain_steps() == 5


def test_the_chain_of_a_user_begins_with_the_mean_of_the_items(tmp_path):
    built, _, ids = built_of_rows(tmp_path, "DDRM", X, **SMALL)
    items = torch.randn(5, 6)
    items[0] = 1e9  # the padding item enters no mean
    means = built.model.history_means(items)
    assert means[0].tolist() == [0.0] * 6
    for user, row in enumerate(X, 1):
        torch.testing.assert_close(means[user], items[torch.as_tensor(ids[row == 1])].mean(0))


def test_with_lambda_one_and_gamma_zero_ddrm_only_reconstructs(tmp_path, monkeypatch):
    options = {"reconstruction_weight": 1.0, "reweight_power": 0.0}
    built = built_of_rows(tmp_path, "DDRM", X, **SMALL, **options)[0]
    model, pairs = built.model, []
    known = model.denoised_pairs
    monkeypatch.setattr(model, "denoised_pairs", lambda u, v: pairs.append(known(u, v)) or pairs[-1])
    users, items, negatives = random_triples(model.positives, torch.arange(7))
    found = model.denoising_loss(users, items, negatives)
    (u, v), (U, V) = pairs[0], model.frozen()
    expected = torch.stack([(U[users] - u).square().mean(1), (V[items] - v).square().mean(1)]).mean()
    torch.testing.assert_close(found, expected)
    found.backward()
    assert model.encoder.users.grad is None
    assert model.encoder.items.grad is None


def test_the_rank_and_the_weight_of_a_pair_are_of_its_estimates(tmp_path, monkeypatch):
    options = {"reconstruction_weight": 0.25, "reweight_power": 2.0}
    model = built_of_rows(tmp_path, "DDRM", X, **SMALL, **options)[0].model
    u, v, n = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([[3.0, 1.0]])
    model._frozen = (u, torch.cat([v, n]))
    monkeypatch.setattr(model, "denoised_pairs", lambda u, v: (u + 1, v + 1))
    zero, one = torch.tensor([0]), torch.tensor([1])
    found = model.denoising_loss(zero, zero, one).item()
    # u^ = (2, 1), i^ = (1, 3): u^ . i^ = 5, u^ . n = 7; each coordinate is off by one.
    weight = (1 / (1 + np.exp(-5.0))) ** 2
    assert found == pytest.approx(weight * (0.75 * np.log1p(np.exp(2.0)) + 0.25), rel=1e-6)


# The two stages of DDRM and HDRM.


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A run of DDRM with two epochs a stage, and the cache of its encoder."""
    folder = tmp_path_factory.mktemp("staged")
    board = make_checkerboard(folder)
    options = {**board.overrides, **TestDDRM.options, "encoder_epochs": 2, "epochs": 2, "report_groups": 0}
    return board.name, options | {"stage_cache": str(folder / "stages")}, folder


def test_a_trained_encoder_serves_runs_that_differ_in_the_second_stage(staged):
    name, options, folder = staged
    first = run("DDRM", name, overrides={**options, "run_dir": str(folder / "first")})
    again = run("DDRM", name, overrides={**options, "run_dir": str(folder / "again")})
    assert again["test"] == first["test"]
    assert len(list((folder / "stages").iterdir())) == 1
    stages = [json.loads(line)["stage"] for line in (folder / "again/metrics.jsonl").open()]
    assert stages == ["denoiser", "denoiser"]
    run("DDRM", name, overrides={**options, "steps": 3, "run_dir": str(folder / "steps")})
    assert len(list((folder / "stages").iterdir())) == 1
    # What chooses the encoder's epoch, and what its weights depend on.
    others = (
        {"valid_metric": "Recall@10"},
        {"n_layers": 1},
        {"seed": 1},
        {"clip_grad_norm": {"max_norm": 0.1}},
        {"repeatable": True},
    )
    for number, more in enumerate(others, 2):
        run("DDRM", name, overrides={**options, **more, "run_dir": str(folder / f"other{number}")})
        assert len(list((folder / "stages").iterdir())) == number


def test_an_encoder_that_begins_with_other_weights_is_another_one(staged):
    """The denoisers' weights are drawn first, so that their widths decide how the encoder's begin."""
    name, options, folder = staged
    cache = str(folder / "widths")
    run("DDRM", name, overrides={**options, "stage_cache": cache, "run_dir": str(folder / "narrow")})
    wide = {**options, "denoiser_sizes": [11]}
    beside, alone = (
        run("DDRM", name, overrides={**wide, "stage_cache": where, "run_dir": str(folder / f"wide{k}")})
        for k, where in enumerate((cache, None))
    )
    assert beside["valid"] == alone["valid"]
    assert beside["test"] == alone["test"]
    assert len(list(Path(cache).iterdir())) == 2


def test_a_run_that_begins_with_other_weights_leaves_the_cache_alone(staged):
    name, options, folder = staged
    cache = folder / "warm_stages"
    first = run(
        "DDRM", name, overrides={**options, "run_dir": str(folder / "cold"), "stage_cache": str(cache)}
    )
    (kept,) = cache.iterdir()
    before = kept.read_bytes()
    warm = {**options, "load_checkpoint": f"{first['run_dir']}/best.pt"}
    alone, beside = (
        run("DDRM", name, overrides={**warm, "run_dir": str(folder / f"warm{k}"), "stage_cache": where})
        for k, where in enumerate((None, str(cache)))
    )
    assert beside["test"] == alone["test"]
    assert len((folder / "warm1/metrics.jsonl").read_text().splitlines()) == 4  # both stages
    assert [file.read_bytes() for file in cache.iterdir()] == [before]


def test_the_first_stage_is_judged_by_its_encoder_which_the_second_leaves_alone(staged):
    name, options, folder = staged
    result = run("DDRM", name, overrides={**options, "stage_cache": None, "run_dir": str(folder / "plain")})
    encoder, best = (
        checkpoint.load(folder / f"plain/{file}.pt")["state_dict"] for file in ("encoder", "best")
    )
    assert not encoder["denoises"]
    assert best["denoises"]
    for key in ("encoder.users", "encoder.items"):
        assert torch.equal(encoder[key], best[key])
    assert not torch.equal(encoder["of_items.layers.0.weight"], best["of_items.layers.0.weight"])
    trained = load_run(result["run_dir"])
    users, items = (
        trained.model.inner_products().users(torch.tensor([3])),
        trained.model.inner_products().items,
    )
    torch.testing.assert_close(items, trained.model.encoder.vectors()[1].detach())
    assert not torch.allclose(users, trained.model.encoder.vectors()[0][3])


# SGCL

FIRST = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
SECOND = torch.tensor([[0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize(("q", "expected"), [(0.01, -1.561918), (1.0, -64.619571), (1e-7, -1.512720)])
def test_the_contrast_of_two_pairs_is_the_number_worked_out_by_hand(q, expected):
    found = symmetric_contrast(FIRST, SECOND, 0.2, q, 0.1)
    assert found.item() == pytest.approx(expected, abs=2e-6)
    # Lengths do not count; float32 keeps its digits.
    scaled = symmetric_contrast(3 * FIRST.float(), 0.1 * SECOND.float(), 0.2, q, 0.1)
    assert scaled.item() == pytest.approx(expected, rel=1e-5)
    if q < 1:  # one-sided; at 1 the sum over all cells is the same
        swapped = symmetric_contrast(SECOND, FIRST, 0.2, q, 0.1)
        assert swapped.item() != pytest.approx(expected, rel=1e-4)


def test_a_view_without_an_edge_less_is_the_graph_and_each_epoch_has_its_own(tmp_path):
    R = np.ones((6, 5), dtype=int) - np.eye(6, 5, dtype=int)
    R[5, 0] = 0  # nobody has all items
    whole = built_of_rows(tmp_path / "a", "SGCL", R, edge_dropout_prob=0.0)[0].model
    for view in (whole.first_view, whole.second_view):
        torch.testing.assert_close(view.matrix.to_dense(), whole.encoder.graph.matrix.to_dense())
    model = built_of_rows(tmp_path / "b", "SGCL", R, edge_dropout_prob=0.3)[0].model
    drawn = [[view.matrix.to_dense() for view in (model.first_view, model.second_view)]]
    for epoch in (1, 0):
        model.begin_epoch(epoch)
        drawn.append([view.matrix.to_dense() for view in (model.first_view, model.second_view)])
    assert (drawn[0][0] > 0).sum() == int(0.7 * 24)
    assert not torch.equal(drawn[0][0], drawn[0][1])
    assert not torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[2][1])  # the same epoch, the same views
    kept = (drawn[0][0] > 0).double()
    degrees = kept.sum(1), kept.sum(0)
    expected = kept / (degrees[0][:, None] * degrees[1]).clamp(min=1).sqrt()
    torch.testing.assert_close(drawn[0][0].double(), expected, atol=1e-6, rtol=0)


def test_mixed_negatives_lie_between_the_positive_and_a_negative_in_each_coordinate(tmp_path, monkeypatch):
    R = np.eye(6, dtype=int)
    model = built_of_rows(tmp_path, "SGCL", R, candidate_items=50, embedding_size=2)[0].model
    # Layer 0: the positive is 0 and all others 1; layer 1: a coordinate of its own sign.
    tables = [torch.ones(7, 2), torch.tensor([[1.0, -1.0]]).repeat(7, 1)]
    for table in tables:
        table[1] = 0.0
    user = torch.tensor([[1.0, 1.0]])
    monkeypatch.setattr("recbole_diffusion.model.graph.sgcl.CELLS", 100)
    torch.manual_seed(0)
    one = torch.tensor([1])
    found = torch.cat([model.mixed_negatives([(None, table)], user, one, one) for table in tables])
    # The hardest of 50: both coordinates near the negative; then one near it and the other near the positive.
    assert found[0].min() > 0.7
    assert found[1, 0] > 0.7
    assert found[1, 1] > -0.3
    both = model.mixed_negatives([(None, table) for table in tables], user, one, one)
    assert both.shape == (1, 2)
    assert both[0, 0] > 0.7
    assert both[0, 1].abs() < 0.6


# HGCF and HDRM

TANGENT = torch.tensor([[9.0, 0.3, 0.4], [-7.0, -0.1, 0.2]], dtype=torch.float64)  # the first is ignored


def test_two_points_of_the_hyperboloid_are_those_worked_out_by_hand():
    points = geometry.exp_origin(TANGENT)
    expected = [[1.127626, 0.312657, 0.416876], [1.025104, -0.100835, 0.201671]]
    np.testing.assert_allclose(points, expected, atol=1e-6)
    assert geometry.inner(*points).item() == pytest.approx(-1.103389, abs=1e-6)
    np.testing.assert_allclose(geometry.inner(points, points), -1, atol=1e-12)
    assert geometry.squared_distance(*TANGENT).item() == pytest.approx(0.203311, abs=1e-6)
    origin = torch.zeros(3, dtype=torch.float64)
    assert geometry.squared_distance(TANGENT[0], origin).item() == pytest.approx(0.25)
    back = geometry.log_origin(points)
    np.testing.assert_allclose(back[:, 1:], TANGENT[:, 1:], atol=1e-12)
    assert back[:, 0].tolist() == [0, 0]


def test_distances_keep_their_digits_in_float32_and_have_a_gradient_at_zero():
    torch.manual_seed(0)
    direction = torch.nn.functional.normalize(torch.randn(1, 5), dim=1)
    far = torch.cat([torch.zeros(1, 1), 8 * direction], 1).requires_grad_()
    near = torch.cat([torch.zeros(1, 1), 8.001 * direction], 1)
    found = geometry.squared_distance(far, near)
    assert found.item() == pytest.approx(
        1e-6, rel=0.01
    )  # of points whose product is -1.5 million parts of one
    found.backward()
    assert far.grad.norm().item() == pytest.approx(2e-3, rel=0.01)
    zero = torch.zeros(2, 5, requires_grad=True)
    geometry.hinge(zero, zero, zero, 0.1).sum().backward()
    assert bool(torch.isfinite(zero.grad).all())


def test_a_step_of_size_one_down_half_the_squared_distance_arrives():
    """The gradient of d^2(x, y) / 2 is minus the way from x to y: sign, projection and geodesic at once."""
    x = torch.nn.Parameter(geometry.exp_origin(TANGENT[:1]))
    descent = geometry.RiemannianSGD([x], lr=1.0)
    (geometry.squared_distance(geometry.log_origin(x), TANGENT[1:]) / 2).sum().backward()
    g = x.grad.clone()
    g[:, 0].neg_()
    tangent = g + geometry.inner(x.detach(), g) * x.detach()
    assert geometry.inner(x.detach(), tangent).item() == pytest.approx(0, abs=1e-12)
    descent.step()
    np.testing.assert_allclose(x.detach(), geometry.exp_origin(TANGENT[1:]), atol=1e-9)


def test_momentum_is_carried_along_the_geodesic():
    x = geometry.exp_origin(TANGENT[:1])
    v = torch.randn(1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    v = v + geometry.inner(x, v) * x
    y, length = geometry.exp_at(x, v), geometry.inner(v, v).sqrt()
    carried = geometry.transported(v, x, y)
    # The velocity of x cosh(s |v|) + v / |v| sinh(s |v|) at s = 1.
    np.testing.assert_allclose(carried, length.cosh() * v + length * length.sinh() * x, atol=1e-9)
    point = torch.nn.Parameter(x.clone())
    descent = geometry.RiemannianSGD([point], lr=0.1, momentum=0.5)
    point.grad = torch.tensor([[0.3, -0.2, 0.5]], dtype=torch.float64)
    descent.step()
    first = descent.state[point]["momentum"].clone()
    middle = point.detach().clone()
    point.grad = torch.zeros_like(point)
    descent.step()  # along half of what is left
    np.testing.assert_allclose(point.detach(), geometry.exp_at(middle, -0.05 * first), atol=1e-9)


def test_each_vector_of_hgcf_is_the_mean_of_itself_and_its_neighbours(tmp_path):
    options = {"embedding_size": 4, "n_layers": 2}
    built, scores, ids = built_of_rows(tmp_path, "HGCF", X, **options)
    encoder = built.model.encoder
    users, items = (
        geometry.log_origin(one.detach()).double().numpy() for one in (encoder.users, encoder.items)
    )
    h = np.r_[users[1:], items[ids]]  # u0.., i0..
    A = np.block([[np.zeros((3, 3)), X], [X.T, np.zeros((4, 4))]]) + np.eye(7)
    A /= A.sum(1, keepdims=True)
    pooled = A @ h + A @ A @ h  # without layer 0
    found = encoder.vectors()
    np.testing.assert_allclose(found[0][1:].detach(), pooled[:3], atol=1e-6)
    np.testing.assert_allclose(found[1][torch.as_tensor(ids)].detach(), pooled[3:], atol=1e-6)
    # The order of the scores is that of the distances.
    u, v = (torch.as_tensor(one) for one in (pooled[:3], pooled[3:]))
    distances = geometry.squared_distance(u[:, None], v[None]).numpy()
    assert (np.argsort(-scores, 1) == np.argsort(distances, 1)).all()
    assert scores == pytest.approx(-np.cosh(np.sqrt(distances)), abs=1e-6)


def test_the_symmetric_adjacency_is_lightgcns_without_layer_zero(tmp_path):
    options = {"embedding_size": 4, "n_layers": 1, "adjacency": "symmetric"}
    encoder = built_of_rows(tmp_path, "HGCF", X, **options)[0].model.encoder
    items = geometry.log_origin(encoder.items.detach())
    torch.testing.assert_close(encoder.vectors()[0].detach(), encoder.to_users(items))
    assert encoder.vectors()[1][0].abs().max() == 0


HYPER = {"embedding_size": 6, "denoiser_sizes": [4, 8], "encoder_epochs": 1, "n_layers": 1}


def test_hdrm_without_mixing_ranks_as_its_first_stage_does(tmp_path):
    model = built_of_rows(tmp_path, "HDRM", X, **HYPER)[0].model
    model.options = replace(model.options, mixing=0.0)
    for found, alone in zip(model.vectors(), model.encoder_scores(), strict=True):
        torch.testing.assert_close(found, alone)
    model.options = replace(model.options, mixing=0.5)
    assert not torch.allclose(model.vectors()[0][1:], model.encoder_scores()[0][1:])


def test_the_loss_of_hdrm_sums_hinges_and_reconstructions_of_mixed_vectors(tmp_path, monkeypatch):
    model = built_of_rows(tmp_path, "HDRM", X, **HYPER, margin=0.3, reconstruction_weight=0.25)[0].model
    U, V = torch.randn(4, 6), torch.randn(5, 6)
    model._frozen = (U, V)
    monkeypatch.setattr(model, "denoised_pairs", lambda u, v: (u + 1, v + 2))
    users, items, negatives = torch.tensor([1, 2]), torch.tensor([2, 3]), torch.tensor([4, 1])
    found = model.denoising_loss(users, items, negatives)
    mixed_u, mixed_v = U + 0.05, V + 0.1
    expected = 0.0
    for u, i, n in zip(users, items, negatives, strict=True):
        near, far = (geometry.squared_distance(mixed_u[u], one) for one in (mixed_v[i], V[n]))
        expected += 0.75 * max(near - far + 0.3, 0) + 0.25 * (0.05**2 + 0.1**2) / 2
    assert found.item() == pytest.approx(float(expected), rel=1e-5)


def test_directional_noise_has_the_signs_of_the_vectors_and_the_spread_of_the_batch(tmp_path):
    model = built_of_rows(tmp_path, "HDRM", X, **HYPER, directional_noise=True)[0].model
    x0 = torch.tensor([[1.0, -1.0], [2.0, -4.0], [3.0, -1.0]]).repeat(3000, 1)
    torch.manual_seed(0)
    away = (model.noise(x0) - x0.mean(0)) / x0.std(0)
    assert (away.sign() == x0.sign()).all()
    assert away.abs().mean(0).tolist() == pytest.approx([np.sqrt(2 / np.pi)] * 2, abs=0.03)
    assert torch.equal(model.noise(x0[:1]), x0[:1])  # a batch of one row has no spread
