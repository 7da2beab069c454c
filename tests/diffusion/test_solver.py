"""DPM-Solver against the closed-form solution for Gaussian data."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_diffusion.diffusion import LinearVP, fast_orders, solve

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
SCHEDULE = LinearVP()
SPREAD = 0.5  # standard deviation of the data


@pytest.fixture(params=DEVICES)
def device(request):
    return torch.device(request.param)


def best_eps(x, t):
    """The best prediction of the noise for data from N(0, SPREAD^2)."""
    alpha, sigma = SCHEDULE.alpha(t), SCHEDULE.sigma(t)
    factor = sigma / (alpha**2 * SPREAD**2 + sigma**2)
    return factor.view(-1, *[1] * (x.dim() - 1)) * x


def exact(x, t_start, t_end):
    """The ODE keeps x over the marginal standard deviation constant."""
    times = torch.tensor([t_start, t_end], dtype=torch.float64)
    start, end = (SCHEDULE.alpha(times) ** 2 * SPREAD**2 + SCHEDULE.sigma(times) ** 2).sqrt().tolist()
    return x * (end / start)


def error(orders, t_start=0.8, t_end=0.05):
    x = torch.tensor([[1.0], [-2.0]], dtype=torch.float64)
    result = solve(best_eps, x, SCHEDULE, orders, t_start=t_start, t_end=t_end)
    return (result - exact(x, t_start, t_end)).abs().max().item()


@pytest.mark.parametrize("order", [1, 2, 3])
def test_order_of_convergence(order):
    """Halving the step divides the error by 2 ** order."""
    coarse, fine = error([order] * 64), error([order] * 128)
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.1)


def test_thirty_evaluations_are_enough():
    x = torch.tensor([[1.0]], dtype=torch.float64)
    result = solve(best_eps, x, SCHEDULE, fast_orders(30))
    assert result.item() == pytest.approx(exact(x, 1.0, 1e-4).item(), rel=3e-3)


def test_constant_noise_is_solved_exactly_by_every_order():
    """With a constant prediction the solution is alpha x0 + sigma eps with a fixed x0, whatever the steps."""
    x, eps = torch.tensor([[0.3, -1.2]], dtype=torch.float64), torch.tensor([[2.0, 0.5]], dtype=torch.float64)
    start, end = torch.tensor(0.9, dtype=torch.float64), torch.tensor(0.1, dtype=torch.float64)
    x0 = (x - SCHEDULE.sigma(start) * eps) / SCHEDULE.alpha(start)
    expected = SCHEDULE.alpha(end) * x0 + SCHEDULE.sigma(end) * eps
    for orders in ([1], [2], [3], [3, 2, 1], [1, 1, 2]):
        result = solve(lambda x, t: eps, x, SCHEDULE, orders, t_start=0.9, t_end=0.1)
        torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


def test_model_is_asked_at_even_distances_in_lambda():
    seen = []

    def model(x, t):
        assert t.shape == (2,)
        assert t.dtype == x.dtype
        assert t[0] == t[1]
        seen.append(SCHEDULE.half_log_snr(t[0]).item())
        return best_eps(x, t)

    solve(model, torch.ones(2, 3, dtype=torch.float64), SCHEDULE, [3, 2, 1], t_start=0.9, t_end=0.1)
    first, last = SCHEDULE.half_log_snr(torch.tensor([0.9, 0.1], dtype=torch.float64)).tolist()
    places = [0, 1 / 3, 2 / 3, 1, 1.5, 2]  # in steps of (last - first) / 3
    assert seen == pytest.approx([first + place * (last - first) / 3 for place in places], rel=1e-9)


def test_result_keeps_shape_type_and_device(device):
    x = torch.linspace(-2, 2, 24, dtype=torch.float64, device=device).view(2, 3, 4)
    exactly = solve(best_eps, x, SCHEDULE, fast_orders(12))
    single = solve(best_eps, x.float(), SCHEDULE, fast_orders(12))
    assert single.dtype == torch.float32
    assert single.device == x.device
    torch.testing.assert_close(single.double(), exactly, rtol=1e-4, atol=1e-5)
    assert torch.equal(solve(best_eps, x.flatten(1), SCHEDULE, fast_orders(12)), exactly.flatten(1))
    torch.testing.assert_close(
        solve(best_eps, x[:1], SCHEDULE, fast_orders(12)), exactly[:1], rtol=1e-14, atol=0
    )


def test_gradient_flows_through_the_solver():
    x = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    solve(best_eps, x, SCHEDULE, fast_orders(30)).sum().backward()
    assert x.grad.item() == pytest.approx(exact(1.0, 1.0, 1e-4), rel=3e-3)  # the solution is linear in x


@settings(deadline=None)
@given(evaluations=st.integers(1, 60))
def test_fast_orders_sum_to_the_evaluations(evaluations):
    orders = fast_orders(evaluations)
    assert sum(orders) == evaluations
    assert orders == sorted(orders, reverse=True)
    assert orders.count(3) >= len(orders) - 2
    assert orders[-1] < 3


def test_fast_orders_by_hand():
    assert [fast_orders(n) for n in (1, 2, 3, 4, 5, 6)] == [[1], [2], [2, 1], [3, 1], [3, 2], [3, 2, 1]]
    assert fast_orders(30) == [3] * 9 + [2, 1]


@settings(deadline=None)
@given(t=st.floats(1e-5, 1.0), beta_0=st.floats(1e-3, 1.0), growth=st.floats(0, 40))
def test_time_of_inverts_half_log_snr(t, beta_0, growth):
    schedule = LinearVP(beta_0, beta_0 + growth)
    time = torch.tensor(t, dtype=torch.float64)
    assert schedule.time_of(schedule.half_log_snr(time)).item() == pytest.approx(t, rel=1e-9)
    single = schedule.time_of(schedule.half_log_snr(time.float()))
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(t, rel=2e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_time_of_is_finite_and_ordered_far_outside(dtype):
    times = SCHEDULE.time_of(torch.tensor([-80.0, -10.0, 0.0, 10.0, 40.0], dtype=dtype))
    assert bool(times.isfinite().all())
    assert bool((times > 0).all())
    assert bool((times.diff() < 0).all())
    # lambda = 40: -log alpha = exp(-80) / 2 and t = -log alpha / (beta_0 / 2)
    assert times[-1].item() == pytest.approx(math.exp(-80) / 0.1, rel=1e-5)


@settings(deadline=None)
@given(t=st.floats(1e-6, 1.0))
def test_schedule_by_its_definition(t):
    time = torch.tensor(t, dtype=torch.float64, requires_grad=True)
    alpha, sigma = SCHEDULE.alpha(time), SCHEDULE.sigma(time)
    assert (alpha**2 + sigma**2).item() == pytest.approx(1, abs=1e-14)
    assert SCHEDULE.half_log_snr(time).item() == pytest.approx(
        math.log(alpha.item() / sigma.item()), rel=1e-12, abs=1e-12
    )
    SCHEDULE.log_alpha(time).backward()
    assert time.grad.item() == pytest.approx(-0.5 * (0.1 + 19.9 * t), rel=1e-12)  # minus half the rate
    assert SCHEDULE.log_alpha(torch.tensor(0.0)).item() == 0


def test_small_times_keep_their_digits_in_float32():
    """1 - alpha ** 2 in float32 is off by several per cent here."""
    t = torch.tensor([1e-5, 1e-4])
    expected = SCHEDULE.sigma(t.double())
    torch.testing.assert_close(SCHEDULE.sigma(t).double(), expected, rtol=1e-6, atol=0)


def test_arguments_out_of_range():
    x = torch.zeros(1, 1)
    for rates in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match="0 < beta_0 <= beta_1, got beta_0="):
            LinearVP(*rates)
    for evaluations in (0, -1):
        with pytest.raises(ValueError, match=f"evaluations must be at least 1, got {evaluations}"):
            fast_orders(evaluations)
    for orders in ([], [1, 4], [0]):
        with pytest.raises(ValueError, match="each of them 1, 2 or 3, got"):
            solve(best_eps, x, SCHEDULE, orders)
    for start, end in ((1.0, 0.0), (0.5, 0.5), (0.1, 0.2), (1.5, 0.1)):
        with pytest.raises(ValueError, match="0 < t_end < t_start <= 1, got t_start="):
            solve(best_eps, x, SCHEDULE, [1], t_start=start, t_end=end)
