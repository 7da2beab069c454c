"""The Gaussian process against Bayes' rule, Monte Carlo and exact recursions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_diffusion.diffusion import SCHEDULES, GaussianDiffusion, linear_betas, make_betas

NOISE = {"noise_min": 0.01, "noise_max": 0.5}
DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
BETAS = torch.tensor([0.02, 0.1, 0.3, 0.25, 0.4], dtype=torch.float64)
TABLES = ["signal", "noise", "snr", "posterior_x0", "posterior_xt", "posterior_log_variance", "snr_drop"]


@pytest.fixture(params=DEVICES)
def device(request):
    return torch.device(request.param)


@pytest.fixture
def diffusion(device):
    return GaussianDiffusion(BETAS).to(device)


def random(shape, device="cpu", seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)


@settings(deadline=None)
@given(
    name=st.sampled_from(list(SCHEDULES)),
    steps=st.integers(1, 100),
    scale=st.sampled_from([1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
    first=st.sampled_from([None, 1e-5]),
)
def test_tables_compose_the_one_step_kernels(name, steps, scale, first):
    betas = make_betas(name, steps, noise_scale=scale, **NOISE)
    diffusion = GaussianDiffusion(betas, first)
    betas[0] = betas[0] if first is None else first
    mean, variance = 1.0, 0.0
    for t, beta in enumerate(betas.tolist()):
        before, mean, variance = variance, mean * math.sqrt(1 - beta), (1 - beta) * variance + beta
        assert diffusion.signal[t].item() == pytest.approx(mean, rel=1e-6)
        assert diffusion.noise[t].item() == pytest.approx(math.sqrt(variance), rel=1e-6)
        assert diffusion.snr[t].item() == pytest.approx(mean**2 / variance, rel=1e-6)
        if t == 0:
            continue
        precision = (
            1 / before + (1 - beta) / beta
        )  # of the posterior: prior q(x_{t-1} | x_0) times likelihood q(x_t | x_{t-1})
        assert diffusion.posterior_log_variance[t].item() == pytest.approx(
            -math.log(precision), rel=1e-6, abs=1e-6
        )
        assert diffusion.posterior_xt[t].item() == pytest.approx(
            math.sqrt(1 - beta) / beta / precision, rel=1e-6
        )
        assert diffusion.posterior_x0[t].item() == pytest.approx(
            mean / math.sqrt(1 - beta) / before / precision, rel=1e-6
        )
    assert diffusion.steps == steps


@pytest.mark.parametrize("name", list(SCHEDULES))
@pytest.mark.parametrize("steps", [1, 2, 5, 40])
@pytest.mark.parametrize("first", [None, 1e-5])
def test_tables_are_finite_for_every_scale(name, steps, first):
    for scale in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1):
        diffusion = GaussianDiffusion(
            make_betas(name, steps, noise_scale=scale, noise_min=5e-4, noise_max=5e-3), first
        )
        for table in TABLES:
            values = getattr(diffusion, table)
            assert values.shape == (steps,)
            assert values.dtype == torch.float32
            assert bool(values.isfinite().all()), (table, scale)
        assert bool((diffusion.noise > 0).all())
        assert bool((diffusion.snr.diff() <= 0).all())
        assert diffusion.posterior_x0[0] == 1
        assert diffusion.posterior_xt[0] == 0


def test_tiny_noise_is_accurate():
    """Plain 1 - abar in float32 gives noise 0 here; the variance is known: linear from 5e-9 to 5e-8."""
    diffusion = GaussianDiffusion(
        make_betas("linear-var", 40, noise_scale=1e-5, noise_min=5e-4, noise_max=5e-3)
    )
    variance = torch.linspace(5e-9, 5e-8, 40, dtype=torch.float64)
    torch.testing.assert_close(diffusion.noise.double(), variance.sqrt(), rtol=1e-6, atol=0)
    drop = (1 / variance).diff().neg()
    torch.testing.assert_close(diffusion.snr_drop[1:].double(), drop, rtol=1e-6, atol=0)


def test_first_beta_replaces_the_first_only():
    betas = BETAS.clone()
    replaced = GaussianDiffusion(betas, first_beta=1e-5)
    expected = GaussianDiffusion(torch.cat([torch.tensor([1e-5], dtype=torch.float64), BETAS[1:]]))
    for table in TABLES:
        assert torch.equal(getattr(replaced, table), getattr(expected, table))
    assert torch.equal(betas, BETAS)
    assert replaced.noise[0].item() == pytest.approx(math.sqrt(1e-5), rel=1e-6)


@pytest.mark.parametrize("t", [1, 2, 4])
def test_posterior_is_bayes_on_a_grid(t):
    x0, xt = 0.7, -0.4
    abar_before = torch.prod(1 - BETAS[:t]).item()
    grid = torch.linspace(-8, 8, 200_001, dtype=torch.float64)
    log_prior = -((grid - math.sqrt(abar_before) * x0) ** 2) / (2 * (1 - abar_before))
    log_likelihood = -((xt - math.sqrt(1 - BETAS[t].item()) * grid) ** 2) / (2 * BETAS[t].item())
    density = torch.softmax(log_prior + log_likelihood, 0)
    mean = (density * grid).sum().item()
    deviation = math.sqrt((density * (grid - mean) ** 2).sum().item())
    diffusion, step = GaussianDiffusion(BETAS).double(), torch.tensor([t])
    ours = diffusion.posterior_mean(torch.tensor([[x0]]).double(), torch.tensor([[xt]]).double(), step)
    assert ours.item() == pytest.approx(mean, abs=2e-7)
    assert diffusion.posterior_std(step, ours).item() == pytest.approx(deviation, abs=2e-7)


def test_marginal_is_the_composition_of_the_steps():
    generator = torch.Generator().manual_seed(1)
    x = torch.full((4_000_000,), 1.5)
    for beta in BETAS.tolist():
        x = math.sqrt(1 - beta) * x + math.sqrt(beta) * torch.randn(x.shape, generator=generator)
    diffusion, last = GaussianDiffusion(BETAS), torch.full((1,), 4)
    mean = diffusion.q_sample(torch.full((1,), 1.5), last, torch.zeros(1)).item()
    deviation = diffusion.q_sample(torch.zeros(1), last, torch.ones(1)).item()
    assert x.mean().item() == pytest.approx(mean, abs=0.002)
    assert x.var().item() == pytest.approx(deviation**2, abs=0.002)


def test_noise_and_data_are_recovered(diffusion, device):
    x0, eps = random((5, 7), device), random((5, 7), device, seed=1)
    t = torch.arange(5, device=device)
    xt = diffusion.q_sample(x0, t, eps)
    torch.testing.assert_close(diffusion.x0_from_eps(xt, t, eps), x0, rtol=0, atol=1e-5)
    torch.testing.assert_close(diffusion.eps_from_x0(xt, t, x0), eps, rtol=0, atol=1e-5)


def test_posterior_at_step_zero_is_the_data(diffusion, device):
    x0, xt, t = (
        random((3, 4), device),
        random((3, 4), device, seed=1),
        torch.zeros(3, dtype=torch.long, device=device),
    )
    assert torch.equal(diffusion.posterior_mean(x0, xt, t), x0)
    assert diffusion.posterior_std(t, x0).tolist() == [[0.0]] * 3
    assert diffusion.posterior_log_variance[0] == diffusion.posterior_log_variance[1]


def test_one_step_has_a_finite_log_variance():
    assert GaussianDiffusion(torch.tensor([0.25])).posterior_log_variance.tolist() == pytest.approx(
        [math.log(0.25)]
    )


def test_snr_weight_is_the_drop_of_the_ratio(diffusion, device):
    abar = torch.cumprod(1 - BETAS, 0)
    snr = abar / (1 - abar)
    expected = torch.cat([torch.ones(1).double(), snr[:-1] - snr[1:]]).float().to(device)
    t = torch.tensor([0, 4, 2, 2, 1, 3], device=device)
    torch.testing.assert_close(diffusion.snr_weight(t), expected[t], rtol=1e-6, atol=0)


@pytest.mark.parametrize("start", [1, 2, 5, None])
@pytest.mark.parametrize("stochastic", [False, True])
def test_chain_with_an_oracle_ends_at_the_data(diffusion, device, start, stochastic):
    x0 = random((4, 6), device)
    items = list(
        diffusion.denoise(lambda x, t: x0, 3 * random((4, 6), device, seed=1), start, stochastic=stochastic)
    )
    assert [t for t, _ in items] == list(reversed(range(start or 5)))
    torch.testing.assert_close(items[-1][1], x0, rtol=0, atol=1e-6)


def test_chain_is_the_posterior_mean_of_each_step(diffusion, device):
    def predict(x, t):
        return x.tanh() * (t.unsqueeze(1) + 1) / 5

    x = start = random((4, 6), device)
    expected = []
    for step in (3, 2, 1, 0):
        t = torch.full((4,), step, device=device)
        x = diffusion.posterior_mean(predict(x, t), x, t)
        expected.append(x)
    seen = [x for _, x in diffusion.denoise(predict, start, 4)]
    assert len(seen) == 4
    for ours, wanted in zip(seen, expected, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=0, atol=0)


def test_chain_noise_is_the_posterior_noise(device):
    """With a denoiser that returns 0 and x = 0, the first item is pure posterior noise of the last step."""
    diffusion = GaussianDiffusion(BETAS).to(device)
    generator = torch.Generator(device).manual_seed(3)
    chain = diffusion.denoise(
        lambda x, t: torch.zeros_like(x),
        torch.zeros(200_000, 1, device=device),
        generator=generator,
        stochastic=True,
    )
    t, x = next(chain)
    abar = torch.cumprod(1 - BETAS, 0)
    variance = (BETAS[4] * (1 - abar[3]) / (1 - abar[4])).item()
    assert t == 4
    assert x.mean().item() == pytest.approx(0, abs=5 * math.sqrt(variance / 200_000))
    assert x.var().item() == pytest.approx(variance, rel=0.02)


def test_chain_repeats_with_its_generator(diffusion, device):
    def run(seed):
        generator = torch.Generator(device).manual_seed(seed)
        return list(
            diffusion.denoise(
                lambda x, t: x / 2, random((4, 6), device), generator=generator, stochastic=True
            )
        )[-2][1]

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


@pytest.mark.parametrize(("stochastic", "draws"), [(False, 0), (True, 4)])
def test_chain_draws_noise_only_where_it_is_used(stochastic, draws):
    used, expected = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    list(
        GaussianDiffusion(BETAS).denoise(
            lambda x, t: x, torch.zeros(4, 6), generator=used, stochastic=stochastic
        )
    )
    for _ in range(draws):
        torch.randn(4, 6, generator=expected)
    assert torch.equal(used.get_state(), expected.get_state())


@pytest.mark.parametrize("start", [0, -1, 6])
def test_start_out_of_range_is_refused_at_once(start):
    with pytest.raises(ValueError, match=f"start must be in 1..5, the number of steps, got {start}"):
        GaussianDiffusion(BETAS).denoise(lambda x, t: x, torch.zeros(2, 3), start)


def formulas(diffusion, x0, other, t):
    return {
        "q_sample": diffusion.q_sample(x0, t, other),
        "x0_from_eps": diffusion.x0_from_eps(x0, t, other),
        "eps_from_x0": diffusion.eps_from_x0(x0, t, other),
        "posterior_mean": diffusion.posterior_mean(x0, other, t),
        "posterior_std": diffusion.posterior_std(t, x0).expand_as(x0),
    }


def test_rank_three_equals_its_flattening(diffusion, device):
    x0, other, t = (
        random((5, 3, 2), device),
        random((5, 3, 2), device, seed=1),
        torch.tensor([4, 0, 2, 2, 1], device=device),
    )
    flat = formulas(diffusion, x0.flatten(1), other.flatten(1), t)
    for name, result in formulas(diffusion, x0, other, t).items():
        assert result.shape == (5, 3, 2)
        assert torch.equal(result.flatten(1), flat[name]), name


def test_a_row_does_not_depend_on_its_batch(diffusion, device):
    x0, other, t = (
        random((5, 3), device),
        random((5, 3), device, seed=1),
        torch.tensor([4, 0, 2, 2, 1], device=device),
    )
    whole = formulas(diffusion, x0, other, t)
    for row in range(5):
        for name, result in formulas(
            diffusion, x0[row : row + 1], other[row : row + 1], t[row : row + 1]
        ).items():
            assert torch.equal(result[0], whole[name][row]), name


def test_double_data_stays_double(diffusion, device):
    x0, t = random((5, 3), device).double(), torch.arange(5, device=device)
    for name, result in formulas(diffusion, x0, x0, t).items():
        assert result.dtype == (torch.float64 if name != "posterior_std" else torch.float32), name


def test_tables_move_with_the_module_and_are_not_saved():
    diffusion = GaussianDiffusion(BETAS)
    assert diffusion.state_dict() == {}
    assert list(diffusion.parameters()) == []
    diffusion.to("meta")
    assert all(getattr(diffusion, table).is_meta for table in TABLES)


def test_float32_betas_are_taken_too():
    torch.testing.assert_close(GaussianDiffusion(BETAS.float()).noise, GaussianDiffusion(BETAS).noise)


@pytest.mark.parametrize(
    ("betas", "first", "message"),
    [
        ([], None, r"vector of at least one number, got shape \[0\]"),
        ([[0.1, 0.2]], None, r"vector of at least one number, got shape \[1, 2\]"),
        ([0.1, 1.0], None, r"betas must lie in \(0, 1\), got \[0.1"),
        ([0.0, 0.1], None, r"betas must lie in \(0, 1\)"),
        ([math.nan, 0.1], None, r"betas must lie in \(0, 1\)"),
        ([0.1, 0.2], 0.0, r"betas must lie in \(0, 1\)"),
    ],
)
def test_bad_betas(betas, first, message):
    with pytest.raises(ValueError, match=message):
        GaussianDiffusion(torch.tensor(betas), first)


def test_shapes_that_would_broadcast_are_refused():
    diffusion, x, t = (
        GaussianDiffusion(linear_betas(4, 0.1, 0.2)),
        torch.zeros(3, 2),
        torch.zeros(3, dtype=torch.long),
    )
    with pytest.raises(ValueError, match=r"x0 and noise must have one shape, got \[3, 2\] and \[2\]"):
        diffusion.q_sample(x, t, torch.zeros(2))
    with pytest.raises(ValueError, match="xt and eps must have one shape"):
        diffusion.x0_from_eps(x, t, torch.zeros(3, 1))
    with pytest.raises(ValueError, match="xt and x0 must have one shape"):
        diffusion.eps_from_x0(x, t, torch.zeros(1, 2))
    with pytest.raises(ValueError, match="xt and x0 must have one shape"):
        diffusion.posterior_mean(torch.zeros(3, 1), x, t)
    with pytest.raises(ValueError, match=r"one step for each row, shape \[3\], got \[1\]"):
        diffusion.q_sample(x, t[:1], x)


@pytest.mark.parametrize("step", [-1, 4])
def test_a_step_outside_the_tables_is_refused(step):
    diffusion, x = GaussianDiffusion(linear_betas(4, 0.1, 0.2)), torch.zeros(1, 2)
    with pytest.raises(IndexError):
        diffusion.q_sample(x, torch.tensor([step]), x)
    with pytest.raises(IndexError):
        diffusion.snr_weight(torch.tensor([step]))
