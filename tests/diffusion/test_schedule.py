"""Noise schedules against their closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_diffusion.diffusion import (
    SCHEDULES,
    binomial_betas,
    cosine_betas,
    exponential_betas,
    linear_betas,
    linear_variance_betas,
    make_betas,
    square_root_betas,
)
from recbole_diffusion.diffusion.schedule import MAX_BETA, _betas_of_curve

NOISE = {"noise_scale": 0.1, "noise_min": 0.01, "noise_max": 0.5}


def variances(betas):
    """1 - abar by plain multiplication, the way the definition reads."""
    return 1 - torch.cumprod(1 - betas, 0)


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


@settings(deadline=None)
@given(
    name=st.sampled_from(list(SCHEDULES)),
    steps=st.integers(1, 200),
    scale=st.sampled_from([1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0]),
    low=st.floats(1e-4, 0.4),
    growth=st.floats(1e-3, 0.4),
)
def test_any_schedule_is_a_noising_process(name, steps, scale, low, growth):
    betas = make_betas(name, steps, noise_scale=scale, noise_min=low, noise_max=low + growth)
    assert betas.shape == (steps,)
    assert betas.dtype == torch.float64
    assert bool(((betas > 0) & (betas < 1)).all())
    log_abar = torch.log1p(-betas).cumsum(0)
    snr = torch.exp(log_abar) / -torch.expm1(log_abar)
    assert bool((log_abar.diff() < 0).all())
    assert bool((snr.diff() < 0).all())


def test_linear_betas_are_evenly_spaced():
    torch.testing.assert_close(
        linear_betas(5, 0.1, 0.5), float64([0.1, 0.2, 0.3, 0.4, 0.5]), rtol=1e-14, atol=0
    )


def test_constant_linear_betas_are_allowed():
    assert linear_betas(3, 0.2, 0.2).tolist() == [0.2, 0.2, 0.2]


@pytest.mark.parametrize(
    ("start", "end", "rtol"), [(1e-3, 0.5, 1e-12), (0.1, 0.9, 1e-12), (5e-7, 5e-6, 1e-8), (5e-9, 5e-8, 1e-6)]
)
def test_linear_variance_makes_the_variance_linear(start, end, rtol):
    expected = torch.linspace(start, end, 40, dtype=torch.float64)
    torch.testing.assert_close(variances(linear_variance_betas(40, start, end)), expected, rtol=rtol, atol=0)


@settings(deadline=None)
@given(steps=st.integers(2, 60), exponent=st.floats(-12, -0.5), factor=st.floats(1.5, 2.9))
def test_linear_variance_keeps_its_digits_however_small(steps, exponent, factor):
    start = 10**exponent
    log_abar = torch.log1p(-linear_variance_betas(steps, start, factor * start)).cumsum(0)
    expected = torch.linspace(start, factor * start, steps, dtype=torch.float64)
    torch.testing.assert_close(-torch.expm1(log_abar), expected, rtol=1e-11, atol=0)


def test_linear_variance_is_capped():
    assert linear_variance_betas(2, 0.001, 0.9999).tolist() == [0.001, 0.999]


def test_cosine_follows_the_squared_cosine():
    curve = [math.cos((s / 8 + 0.008) / 1.008 * math.pi / 2) ** 2 for s in range(9)]
    expected = float64([1 - value / curve[0] for value in curve[1:]])
    torch.testing.assert_close(variances(cosine_betas(8))[:-1], expected[:-1], rtol=1e-12, atol=0)
    assert cosine_betas(8)[-1] == 0.999
    assert cosine_betas(8, offset=0.5)[0] > cosine_betas(8)[0]


def test_exponential_is_the_linear_rate_integrated():
    s = torch.arange(1, 21, dtype=torch.float64) / 20
    expected = 1 - torch.exp(-0.1 * s - 0.5 * 9.9 * s**2)
    torch.testing.assert_close(variances(exponential_betas(20)), expected, rtol=1e-12, atol=0)
    doubled = exponential_betas(20, low=0.2, high=20.0)
    torch.testing.assert_close(
        torch.log1p(-doubled), 2 * torch.log1p(-exponential_betas(20)), rtol=1e-12, atol=0
    )
    assert exponential_betas(1, low=100.0, high=100.0).tolist() == pytest.approx([0.999])


def test_square_root_follows_the_square_root():
    curve = [1 - math.sqrt(s / 10 + 1e-4) for s in range(11)]
    assert curve[0] == pytest.approx(0.99)
    expected = float64([1 - value / 0.99 for value in curve[1:]])
    torch.testing.assert_close(variances(square_root_betas(10))[:-1], expected[:-1], rtol=1e-12, atol=0)
    assert square_root_betas(10)[-1] == 0.999


def test_square_root_stays_in_range_where_the_curve_crosses_zero_early():
    betas = square_root_betas(10_050)
    assert bool(((betas > 0) & (betas <= 0.999)).all())


def test_binomial_leaves_evenly_falling_signal():
    assert binomial_betas(4).tolist() == [1 / 5, 1 / 4, 1 / 3, 1 / 2]
    expected = torch.arange(1, 8, dtype=torch.float64) / 8  # 1 - (T - t) / (T + 1)
    torch.testing.assert_close(variances(binomial_betas(7)), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", 0.001),
        ("linear-var", 0.001),
        ("cosine", 0.999),
        ("exp", 1 - math.exp(-5.05)),
        ("sqrt", 0.999),
        ("binomial", 0.5),
    ],
)
def test_one_step(name, expected):
    assert make_betas(name, 1, **NOISE).tolist() == pytest.approx([expected], rel=1e-12)


def test_names_lead_to_their_schedules():
    assert torch.equal(make_betas("linear", 6, **NOISE), linear_betas(6, 0.1 * 0.01, 0.1 * 0.5))
    assert torch.equal(make_betas("linear-var", 6, **NOISE), linear_variance_betas(6, 0.1 * 0.01, 0.1 * 0.5))
    assert torch.equal(make_betas("cosine", 6), cosine_betas(6))
    assert torch.equal(make_betas("exp", 6), exponential_betas(6))
    assert torch.equal(make_betas("sqrt", 6, noise_scale=7.0, noise_min=-1.0), square_root_betas(6))
    assert torch.equal(make_betas("binomial", 6), binomial_betas(6))
    assert list(SCHEDULES) == ["linear", "linear-var", "cosine", "exp", "sqrt", "binomial"]


@pytest.mark.parametrize("name", list(SCHEDULES))
@pytest.mark.parametrize("steps", [0, -3, 2.5])
def test_steps_out_of_range(name, steps):
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1, got"):
        make_betas(name, steps, **NOISE)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError, match="'liner'; choose one of linear, linear-var, cosine, exp, sqrt, binomial"
    ):
        make_betas("liner", 5, **NOISE)


@pytest.mark.parametrize("name", ["linear", "linear-var"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise_scale": None}, "needs three numbers, got noise_scale=None, noise_min=0.01"),
        ({"noise_min": None}, "needs three numbers"),
        ({"noise_max": None}, "needs three numbers"),
        ({"noise_scale": 0.0}, "noise_scale must be positive, got noise_scale=0.0"),
        ({"noise_scale": -1.0, "noise_min": -0.01, "noise_max": -0.5}, "noise_scale must be positive"),
        ({"noise_scale": math.nan}, "noise_scale must be positive"),
        ({"noise_min": 0.0}, "0 < start <= end < 1, got start=0.0"),
        ({"noise_min": 0.6}, "0 < start <= end < 1, .*noise_min=0.6, noise_max=0.5"),
        ({"noise_scale": 2.0}, r"0 < start <= end < 1, got start=0.02, end=1.0 .*noise_scale=2.0"),
    ],
)
def test_noise_out_of_range(name, change, message):
    with pytest.raises(ValueError, match=message):
        make_betas(name, 5, **NOISE | change)


def test_equal_variances_are_no_schedule():
    with pytest.raises(ValueError, match="noise must grow over 2 steps"):
        linear_variance_betas(2, 0.1, 0.1)
    assert linear_variance_betas(1, 0.1, 0.1).tolist() == [0.1]


def test_other_arguments_out_of_range():
    with pytest.raises(ValueError, match="offset must be at least 0, got -1"):
        cosine_betas(3, offset=-1)
    with pytest.raises(ValueError, match="0 < low <= high, got low=0"):
        exponential_betas(3, low=0)
    with pytest.raises(ValueError, match="0 < low <= high"):
        exponential_betas(3, low=2, high=1)


def test_a_curve_that_is_zero_before_its_end_has_the_largest_beta_from_there():
    betas = _betas_of_curve(lambda share: (1 - 2 * share).clamp(min=0), 4)  # 1, 1/2, 0, 0, 0
    assert betas.tolist() == [0.5, MAX_BETA, MAX_BETA, MAX_BETA]
