"""Noise schedules: how much of the signal each step of the forward process destroys.

A schedule is a float64 vector ``betas`` [steps] with values in (0, 1), the variances that the steps add:
``q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I)`` (Ho et al. 2020, "Denoising Diffusion
Probabilistic Models", Eq. 2). Step 0 is the least noisy one. ``abar_t`` is the product of ``1 - beta`` up to
and including step ``t``.
"""

import math
from collections.abc import Callable, Mapping
from typing import SupportsIndex

import torch
from torch import Tensor

MAX_BETA = 0.999  # Nichol and Dhariwal 2021, section 3.2: a beta near 1 has no usable reverse step


def check_steps(steps: int) -> None:
    """Raise ValueError unless ``steps`` is a whole number of at least 1."""
    if not isinstance(steps, SupportsIndex) or steps < 1:
        raise ValueError(f"steps must be a whole number of at least 1, got {steps!r}")


def _check_range(start: float, end: float, steps: int, strict: bool) -> None:
    """Refuse noise outside (0, 1) or falling.

    ``strict`` refuses equal levels too, where there are two steps or more.
    """
    check_steps(steps)
    if not 0 < start <= end < 1:
        raise ValueError(f"noise must satisfy 0 < start <= end < 1, got start={start!r}, end={end!r}")
    if strict and steps > 1 and start == end:
        raise ValueError(f"noise must grow over {steps} steps, got start = end = {start!r}")


def _betas_of_curve(abar: Callable[[Tensor], Tensor], steps: int) -> Tensor:
    """Betas of a curve of ``abar``: ``1 - abar((t + 1) / steps) / abar(t / steps)``, at most MAX_BETA."""
    check_steps(steps)
    curve = abar(torch.arange(steps + 1, dtype=torch.float64) / steps)  # [steps + 1]
    before, after = curve[:-1], curve[1:]
    # 1 - abar_t / abar_{t-1}; the largest beta where the curve has reached 0 already.
    return (1 - torch.where(before > 0, after / before, 0.0)).clamp(max=MAX_BETA)


def linear_betas(steps: int, start: float, end: float) -> Tensor:
    """Betas that grow linearly from ``start`` to ``end`` (Ho et al. 2020, section 4).

    Args:
        steps: number of steps, at least 1; one step has ``start`` alone.
        start: first beta, above 0.
        end: last beta, in [start, 1).

    Returns:
        Float64 betas of shape [steps].

    Raises:
        ValueError: ``steps`` below 1, or not ``0 < start <= end < 1``.
    """
    _check_range(start, end, steps, strict=False)
    return torch.linspace(start, end, steps, dtype=torch.float64)


def linear_variance_betas(steps: int, start: float, end: float) -> Tensor:
    """Betas whose variance ``1 - abar_t`` is linear (Wang et al. 2023, "Diffusion Recommender Model").

    Args:
        steps: number of steps, at least 1; one step has ``start`` alone.
        start: ``1 - abar`` of the first step, above 0.
        end: ``1 - abar`` of the last step, in (start, 1).

    Returns:
        Float64 betas of shape [steps], at most 0.999.

    Raises:
        ValueError: ``steps`` below 1, not ``0 < start <= end < 1``, or equal noise on more than one step.
    """
    _check_range(start, end, steps, strict=True)
    variance = torch.linspace(start, end, steps, dtype=torch.float64)
    # What each step adds to 1 - abar.
    growth = (end - start) / max(steps - 1, 1)
    betas = variance.clone()
    # 1 - abar_t / abar_{t-1}, written without the difference of two numbers near 1.
    betas[1:] = growth / (1 - variance[:-1])
    return betas.clamp(max=MAX_BETA)


def cosine_betas(steps: int, offset: float = 0.008) -> Tensor:
    """Betas of the squared-cosine curve (Nichol and Dhariwal 2021, "Improved DDPM", Eq. 17).

    ``abar(s)`` is proportional to ``cos^2((s + offset) / (1 + offset) * pi / 2)`` with ``s = (t + 1) /
    steps``.

    Args:
        steps: number of steps, at least 1.
        offset: keeps the first betas from vanishing, at least 0.

    Returns:
        Float64 betas of shape [steps], at most 0.999.

    Raises:
        ValueError: ``steps`` below 1 or a negative ``offset``.
    """
    if not offset >= 0:
        raise ValueError(f"offset must be at least 0, got {offset!r}")
    # The constant that makes abar(0) = 1 cancels in the ratios.
    return _betas_of_curve(lambda s: torch.cos((s + offset) / (1 + offset) * (math.pi / 2)) ** 2, steps)


def exponential_betas(steps: int, low: float = 0.1, high: float = 10.0) -> Tensor:
    """Betas of the variance-preserving SDE in T pieces (Xiao et al. 2022, "Denoising Diffusion GANs").

    ``beta_t = 1 - exp(-low / T - (high - low)(2 t - 1) / (2 T^2))`` for t = 1..T. This is exact for a rate
    that grows linearly from ``low`` to ``high`` (Song et al. 2021, Eq. 33): ``abar(s) = exp(-low s - (high -
    low) s^2 / 2)`` at ``s = t / T``.

    Args:
        steps: number of steps, at least 1.
        low: rate at s = 0, per unit of s, positive.
        high: rate at s = 1, at least ``low``.

    Returns:
        Float64 betas of shape [steps], at most 0.999.

    Raises:
        ValueError: ``steps`` below 1, or not ``0 < low <= high``.
    """
    check_steps(steps)
    if not 0 < low <= high:
        raise ValueError(f"rates must satisfy 0 < low <= high, got low={low!r}, high={high!r}")
    # (2 t - 1) / (2 T), the middle of each piece.
    middle = (2 * torch.arange(steps, dtype=torch.float64) + 1) / (2 * steps)
    # 1 - exp(-rate / T) with the rate at the middle, which is the mean rate of a piece.
    return (-torch.expm1(-(low + (high - low) * middle) / steps)).clamp(max=MAX_BETA)


def square_root_betas(steps: int) -> Tensor:
    """Betas of the curve ``abar(s) ~ 1 - sqrt(s + 1e-4)`` (Li et al. 2022, "Diffusion-LM", App. A).

    Args:
        steps: number of steps, at least 1.

    Returns:
        Float64 betas of shape [steps]; the last is 0.999, because the curve ends below 0.

    Raises:
        ValueError: ``steps`` below 1.
    """
    # The curve is below 0 at s = 1, so that the last beta is cut to MAX_BETA.
    return _betas_of_curve(lambda s: 1 - torch.sqrt(s + 1e-4), steps)


def binomial_betas(steps: int) -> Tensor:
    """Betas ``1 / (T - t + 1)`` (Sohl-Dickstein et al. 2015, "Nonequilibrium Thermodynamics", section 2.4.1).

    ``t`` runs over 0..T-1 as in DiffRec, so ``abar_t = (T - t) / (T + 1)``; with the paper's t = 1..T the
    last beta would be 1.

    Args:
        steps: number of steps T, at least 1.

    Returns:
        Float64 betas of shape [steps], from 1 / (T + 1) to 1 / 2.

    Raises:
        ValueError: ``steps`` below 1.
    """
    check_steps(steps)
    return 1 / torch.arange(steps + 1, 1, -1, dtype=torch.float64)


SCHEDULES: Mapping[str, Callable[..., Tensor]] = {
    "linear": linear_betas,
    "linear-var": linear_variance_betas,
    "cosine": cosine_betas,
    "exp": exponential_betas,
    "sqrt": square_root_betas,
    "binomial": binomial_betas,
}


def make_betas(
    name: str,
    steps: int,
    *,
    noise_scale: float | None = None,
    noise_min: float | None = None,
    noise_max: float | None = None,
) -> Tensor:
    """Betas of a schedule by its name, from the option names of RecBole's DiffRec.

    Args:
        name: a key of SCHEDULES (the option ``noise_schedule``).
        steps: number of steps, at least 1.
        noise_scale: factor on the next two, positive. "linear" and "linear-var" need all three; the others
            ignore them.
        noise_min: noise of the first step before scaling, positive.
        noise_max: noise of the last step before scaling; ``noise_scale * noise_max`` is below 1.

    Returns:
        Float64 betas of shape [steps], in (0, 1).

    Raises:
        ValueError: an unknown name, ``steps`` below 1, or noise that is missing or out of range.
    """
    if name not in SCHEDULES:
        raise ValueError(f"unknown noise_schedule {name!r}; choose one of {', '.join(SCHEDULES)}")
    if name not in ("linear", "linear-var"):
        return SCHEDULES[name](steps)
    given = f"noise_scale={noise_scale!r}, noise_min={noise_min!r}, noise_max={noise_max!r}"
    if noise_scale is None or noise_min is None or noise_max is None:
        raise ValueError(f"noise_schedule {name!r} needs three numbers, got {given}")
    if not noise_scale > 0:
        raise ValueError(f"noise_scale must be positive, got {given}")
    try:
        return SCHEDULES[name](steps, noise_scale * noise_min, noise_scale * noise_max)
    except ValueError as error:
        raise ValueError(
            f"{error} (these are noise_scale * noise_min and noise_scale * noise_max, from {given})"
        ) from error
