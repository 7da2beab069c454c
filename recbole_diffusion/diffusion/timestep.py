"""Sampling of training steps, and their embedding for a denoiser.

A step ``t`` is a long integer in 0..steps-1, 0 the least noisy.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from recbole_diffusion.diffusion.schedule import check_steps


def uniform_steps(
    steps: int,
    batch: int,
    *,
    device: torch.device | str | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Independent steps, each equally likely (Ho et al. 2020, Algorithm 1).

    Args:
        steps: number of steps, at least 1.
        batch: number of rows.
        device: where the result lies; torch's default device when not given.
        generator: source of randomness on that device; torch's own by default.

    Returns:
        Long tensor [batch] with values 0..steps-1.

    Raises:
        ValueError: ``steps`` below 1.
    """
    check_steps(steps)
    return torch.randint(steps, (batch,), device=device, generator=generator)


def antithetic_steps(
    steps: int,
    batch: int,
    *,
    device: torch.device | str | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Steps in pairs ``t`` and ``steps - 1 - t``, so that every batch sees as much low noise as high noise.

    Antithetic variates (Hammersley and Morton 1956): each entry alone is still uniform, and the mean of an
    even batch is exactly ``(steps - 1) / 2``. The second halves of the pairs follow the first halves; an odd
    batch has one step without its partner.

    Args:
        steps: number of steps, at least 1.
        batch: number of rows.
        device: where the result lies; torch's default device when not given.
        generator: source of randomness on that device; torch's own by default.

    Returns:
        Long tensor [batch] with values 0..steps-1.

    Raises:
        ValueError: ``steps`` below 1.
    """
    # The second halves mirror the first, t to steps - 1 - t.
    first = uniform_steps(steps, (batch + 1) // 2, device=device, generator=generator)
    return torch.cat([first, steps - 1 - first])[:batch]


class ImportanceSteps(nn.Module):
    """Steps drawn in proportion to the RMS of their latest losses (Nichol and Dhariwal 2021, Eq. 18).

    DiffRec (Wang et al. 2023) trains with it. Uniform until every step has a full history; a small uniform
    share keeps every step possible. The history is in persistent buffers: training that resumes from a
    ``state_dict`` draws what it would have drawn.

    Attributes:
        history: latest losses by step, a ring, [steps, history].
        seen: number of losses ever recorded by step, [steps].
    """

    history: Tensor
    seen: Tensor

    def __init__(self, steps: int, history: int = 10, uniform_ratio: float = 0.001):
        """Start with an empty history.

        Args:
            steps: number of steps, at least 1.
            history: losses remembered for each step, at least 1.
            uniform_ratio: probability, in (0, 1], of a draw that ignores the history.

        Raises:
            ValueError: an argument out of range.
        """
        super().__init__()
        check_steps(steps)
        if history < 1:
            raise ValueError(f"history must be at least 1, got {history!r}")
        if not 0 < uniform_ratio <= 1:
            raise ValueError(f"uniform_ratio must be in (0, 1], got {uniform_ratio!r}")
        self.steps = steps
        self.uniform_ratio = uniform_ratio
        self.register_buffer("history", torch.zeros(steps, history))
        self.register_buffer("seen", torch.zeros(steps, dtype=torch.long))

    def probabilities(self) -> Tensor:
        """Probability of each step at the next draw, [steps], summing to 1."""
        uniform = torch.full_like(self.history[:, 0], 1 / self.steps)
        if not bool((self.seen >= self.history.shape[1]).all()):
            return uniform
        # Root of the mean square of the latest losses (Eq. 18).
        size = self.history.square().mean(1).sqrt()  # [steps]
        total = size.sum()
        # Losses that are all 0 say nothing about steps.
        by_loss = torch.where(total > 0, size / total, uniform)
        # No step has probability 0, so that 1 / p_t is bounded.
        return (1 - self.uniform_ratio) * by_loss + self.uniform_ratio * uniform

    def sample(self, batch: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw steps.

        Args:
            batch: number of rows.
            generator: source of randomness on the module's device; torch's own by default.

        Returns:
            ``(t, weight)``: a long tensor [batch] with values 0..steps-1, and ``1 / (steps * p_t)`` [batch].
            The mean of ``weight * loss`` estimates without bias the mean loss over uniform steps (DiffRec
            divides by ``steps * p_t``).
        """
        probability = self.probabilities()
        t = torch.multinomial(probability, batch, replacement=True, generator=generator)
        # 1 / (T p_t): weighted draws have the mean of uniform ones.
        return t, 1 / (self.steps * probability.index_select(0, t))

    def update(self, t: Tensor, loss: Tensor) -> None:
        """Record losses in the order of the batch; each step forgets its oldest ones.

        Args:
            t: steps, long, [batch]; a step may occur any number of times.
            loss: loss of each row before ``weight`` is applied, [batch].

        Raises:
            ValueError: the two are not vectors of one length.
        """
        if t.dim() != 1 or t.shape != loss.shape:
            raise ValueError(
                f"t and loss must be vectors of one length, got shapes {list(t.shape)} and {list(loss.shape)}"
            )
        kept = self.history.shape[1]
        # Rows of one step side by side, still in the order of the batch.
        order = torch.argsort(t, stable=True)
        step = t[order]
        count = torch.bincount(t, minlength=self.steps)  # [steps]
        # Place of each row among those of its step.
        rank = torch.arange(len(t), device=t.device) - (count.cumsum(0) - count)[step]
        latest = rank >= count[step] - kept  # older ones would be overwritten by this very batch
        # A ring: where the step's oldest loss is.
        slot = (self.seen[step] + rank) % kept
        self.history[step[latest], slot[latest]] = loss.detach()[order][latest].to(self.history.dtype)
        self.seen += count


def sinusoidal_embedding(
    t: Tensor,
    size: int,
    *,
    order: Literal["cos_sin", "sin_cos"] = "cos_sin",
    max_period: float = 10_000,
) -> Tensor:
    """Sinusoidal features of a step or a time (Vaswani et al. 2017, section 3.5), in two conventions.

    With ``half = size // 2`` and k = 0..half-1, "cos_sin" has the frequencies ``max_period^(-k / half)`` and
    the cosines first (DiffRec, TV-Diff, CNSDiff); "sin_cos" has ``max_period^(-k / (half - 1))``, so that the
    last one is 1 / max_period, and the sines first (CCDRec, DiffCDR).

    Args:
        t: steps or continuous times, integer or floating, [batch] or any shape.
        size: number of features. An odd size gets a last column of zeros with "cos_sin".
        order: the convention.
        max_period: in units of ``t``; the slowest frequency is near its inverse. Above 0.

    Returns:
        Features [batch, size], float32 for integer ``t``, otherwise of the type of ``t``.

    Raises:
        ValueError: an unknown order, "cos_sin" with a size below 2, "sin_cos" with an odd size or one below
            4.
    """
    if order not in ("cos_sin", "sin_cos"):
        raise ValueError(f"order must be 'cos_sin' or 'sin_cos', got {order!r}")
    if order == "cos_sin" and size < 2:
        raise ValueError(f"size must be at least 2 with order 'cos_sin', got {size!r}")
    if order == "sin_cos" and (size < 4 or size % 2):
        raise ValueError(f"size must be even and at least 4 with order 'sin_cos', got {size!r}")
    half = size // 2
    t = t if t.is_floating_point() else t.float()
    last = half if order == "cos_sin" else half - 1
    # max_period^(-k / last) for k = 0..half-1.
    exponent = -math.log(max_period) / last * torch.arange(half, dtype=t.dtype, device=t.device)
    frequency = torch.exp(exponent)  # [half]
    angle = t.unsqueeze(-1) * frequency  # [batch, half]
    # [batch, half] each; a column of zeros completes an odd size.
    waves = [angle.cos(), angle.sin()] if order == "cos_sin" else [angle.sin(), angle.cos()]
    return nn.functional.pad(torch.cat(waves, -1), (0, size % 2))
