"""The trained systems of TV-Diff's Table 1: the contract, cases worked out by hand, and closed forms."""

import numpy as np
import pytest
import torch
from support.small import built_of_rows

from recbole_diffusion.testing import ModelContract

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


class TestGiffCF(ModelContract):
    model = "GiffCF"
    options = {"embedding_size": 16, "ideal_weight": 0.2, "ideal_rank": 4, "train_batch_size": 10}
    options |= {"learning_rate": 0.01}


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
