"""DPM-Solver on a continuous variance-preserving schedule.

Lu et al. 2022, "DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in Around 10 Steps".
The data at time t in [0, 1] is ``x_t = alpha(t) x_0 + sigma(t) eps`` with ``alpha^2 + sigma^2 = 1``; ``lambda
= log(alpha / sigma)`` is half the log SNR.
"""

import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

EpsModel = Callable[[Tensor, Tensor], Tensor]


class LinearVP:
    """Variance-preserving schedule of rate ``beta_0 + t (beta_1 - beta_0)`` (Song et al. 2021, Eq. 32, 33).

    Every method takes a floating tensor of any shape and returns one of the same shape and type.
    """

    def __init__(self, beta_0: float = 0.1, beta_1: float = 20.0):
        """Set the rates.

        Args:
            beta_0: rate at t = 0, per unit of t, positive.
            beta_1: rate at t = 1, at least ``beta_0``.

        Raises:
            ValueError: not ``0 < beta_0 <= beta_1``.
        """
        if not 0 < beta_0 <= beta_1:
            raise ValueError(
                f"rates must satisfy 0 < beta_0 <= beta_1, got beta_0={beta_0!r}, beta_1={beta_1!r}"
            )
        self.beta_0 = beta_0
        self.beta_1 = beta_1

    def log_alpha(self, t: Tensor) -> Tensor:
        """Log of ``alpha(t)``: minus half the integral of the rate from 0 to t."""
        # -1/2 times the integral of beta_0 + s (beta_1 - beta_0) over s from 0 to t.
        return -t * (0.5 * self.beta_0 + 0.25 * (self.beta_1 - self.beta_0) * t)

    def alpha(self, t: Tensor) -> Tensor:
        """Factor of the data in ``x_t``."""
        return torch.exp(self.log_alpha(t))

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise in ``x_t``; keeps its digits near t = 0."""
        # sqrt(1 - alpha^2), without the difference of two numbers near 1.
        return torch.sqrt(-torch.expm1(2 * self.log_alpha(t)))

    def half_log_snr(self, t: Tensor) -> Tensor:
        """``lambda(t) = log(alpha(t) / sigma(t))``, which falls with t and is infinite at t = 0."""
        return self.log_alpha(t) - torch.log(self.sigma(t))

    def time_of(self, half_log_snr: Tensor) -> Tensor:
        """Time at which ``lambda`` has this value, the inverse of ``half_log_snr`` in closed form."""
        # From alpha^2 = 1 / (1 + exp(-2 lambda)).
        decay = 0.5 * torch.logaddexp(-2 * half_log_snr, torch.zeros_like(half_log_snr))  # -log alpha
        # Root of a t^2 + b t = decay, in a form that neither cancels for small decay nor divides by a = 0.
        a, b = 0.25 * (self.beta_1 - self.beta_0), 0.5 * self.beta_0
        return 2 * decay / (b + torch.sqrt(b * b + 4 * a * decay))


def fast_orders(evaluations: int) -> list[int]:
    """Orders of DPM-Solver-fast: order 3 while it fits, one or two lower ones at the end (Lu et al. 2022).

    Args:
        evaluations: calls of the model to spend, at least 1.

    Returns:
        Orders that sum to ``evaluations``: 3, ..., 3 and then 2, 1 or 1 or 2.

    Raises:
        ValueError: ``evaluations`` below 1.
    """
    if evaluations < 1:
        raise ValueError(f"evaluations must be at least 1, got {evaluations!r}")
    threes, rest = divmod(evaluations, 3)
    return [3] * threes + [rest] if rest else [3] * (threes - 1) + [2, 1]


def solve(
    eps_model: EpsModel,
    x: Tensor,
    schedule: LinearVP,
    orders: Sequence[int],
    *,
    t_start: float = 1.0,
    t_end: float = 1e-4,
) -> Tensor:
    """Integrate the probability-flow ODE from ``t_start`` to ``t_end`` in equal steps of ``lambda``.

    Args:
        eps_model: predicts the noise; gets ``x_t`` [batch, ...] and times in [0, 1], [batch], of the type of
            ``x``; returns a tensor like ``x_t``. It is called ``sum(orders)`` times.
        x: data at ``t_start``, floating, [batch, ...].
        schedule: the noise schedule.
        orders: order of each step, 1, 2 or 3; the number of entries is the number of steps.
        t_start: time of ``x``, at most 1.
        t_end: time of the result, above 0 (``lambda`` is infinite at 0) and below ``t_start``.

    Returns:
        The data at ``t_end``, of the shape and type of ``x``.

    Raises:
        ValueError: no orders, an order outside 1..3, or not ``0 < t_end < t_start <= 1``.
    """
    if len(orders) == 0 or any(order not in _STEPS for order in orders):
        raise ValueError(f"orders must hold at least one order, each of them 1, 2 or 3, got {list(orders)}")
    if not 0 < t_end < t_start <= 1:
        raise ValueError(
            f"times must satisfy 0 < t_end < t_start <= 1, got t_start={t_start!r}, t_end={t_end!r}"
        )
    # Steps of equal length in lambda, len(orders) + 1 points, ascending: lambda grows as time falls.
    first, last = schedule.half_log_snr(torch.tensor([t_start, t_end], dtype=torch.float64)).tolist()
    grid = torch.linspace(first, last, len(orders) + 1, dtype=torch.float64).tolist()
    for order, before, after in zip(orders, grid[:-1], grid[1:], strict=True):
        x = _STEPS[order](eps_model, x, schedule, before, after)
    return x


# Below, s is the lambda where a step starts and h its length. Coefficients are float64 numbers, computed once
# for a schedule and a grid: on small batches they would take longer than the model.


@functools.lru_cache(maxsize=4096)
def _time(beta_0: float, beta_1: float, at: float) -> float:
    """Time at which lambda is ``at``."""
    return LinearVP(beta_0, beta_1).time_of(torch.tensor(at, dtype=torch.float64)).item()


@functools.lru_cache(maxsize=4096)
def _coefficients(beta_0: float, beta_1: float, s: float, h: float) -> tuple[float, float]:
    """Ratio of alpha at lambda ``s + h`` to alpha at ``s``, and sigma at ``s + h``."""
    schedule = LinearVP(beta_0, beta_1)
    before, after = (schedule.time_of(torch.tensor(at, dtype=torch.float64)) for at in (s, s + h))
    ratio = torch.exp(schedule.log_alpha(after) - schedule.log_alpha(before))
    return ratio.item(), schedule.sigma(after).item()


def _eps(eps_model: EpsModel, x: Tensor, schedule: LinearVP, at: float) -> Tensor:
    """Predicted noise of ``x`` at the time where lambda is ``at``."""
    time = _time(schedule.beta_0, schedule.beta_1, at)
    # One time for all rows, [batch].
    return eps_model(x, torch.full((len(x),), time, dtype=x.dtype, device=x.device))


def _exact(x: Tensor, eps: Tensor, schedule: LinearVP, s: float, h: float) -> tuple[Tensor, float]:
    """Solution at lambda ``s + h`` for constant noise (Lu et al. 2022, Eq. 3.7), and ``sigma`` there."""
    ratio, sigma = _coefficients(schedule.beta_0, schedule.beta_1, s, h)
    # (alpha_t / alpha_s) x - sigma_t (exp(h) - 1) eps
    return torch.add(ratio * x, eps, alpha=-sigma * math.expm1(h)), sigma


def _first(eps_model: EpsModel, x: Tensor, schedule: LinearVP, s: float, end: float) -> Tensor:
    """DPM-Solver-1 (Lu et al. 2022, Eq. 3.7)."""
    return _exact(x, _eps(eps_model, x, schedule, s), schedule, s, end - s)[0]


def _second(eps_model: EpsModel, x: Tensor, schedule: LinearVP, s: float, end: float) -> Tensor:
    """DPM-Solver-2 with r1 = 1/2, the midpoint in lambda (Lu et al. 2022, Algorithm 1)."""
    h = end - s
    # To the middle by the noise at the start; the noise there then stands for the whole step.
    middle, _ = _exact(x, _eps(eps_model, x, schedule, s), schedule, s, h / 2)
    return _exact(x, _eps(eps_model, middle, schedule, s + h / 2), schedule, s, h)[0]


def _third(eps_model: EpsModel, x: Tensor, schedule: LinearVP, s: float, end: float) -> Tensor:
    """DPM-Solver-3 with r1 = 1/3 and r2 = 2/3 (Lu et al. 2022, Algorithm 2)."""
    h = end - s
    eps = _eps(eps_model, x, schedule, s)
    # The state after a third of the step, and how the noise has changed until there.
    one, _ = _exact(x, eps, schedule, s, h / 3)
    difference = _eps(eps_model, one, schedule, s + h / 3) - eps
    # The state after two thirds, corrected by that change.
    two, sigma = _exact(x, eps, schedule, s, h * 2 / 3)
    two = two - sigma * 2 * (math.expm1(h * 2 / 3) / (h * 2 / 3) - 1) * difference  # r2 / r1 = 2
    difference = _eps(eps_model, two, schedule, s + h * 2 / 3) - eps
    # The whole step, corrected by the change until two thirds.
    result, sigma = _exact(x, eps, schedule, s, h)
    return result - sigma * 1.5 * (math.expm1(h) / h - 1) * difference  # 1 / r2 = 3 / 2


_STEPS = {1: _first, 2: _second, 3: _third}
