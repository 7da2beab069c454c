"""The discrete Gaussian diffusion process: forward noise, its inversion, the posterior and the reverse chain.

Notation of Ho et al. 2020, "Denoising Diffusion Probabilistic Models", with steps counted from 0: ``x_t`` for
t = 0..steps-1 is the noisy data after step ``t``, ``x_{-1}`` is the data, called x0 as in the paper, and
``abar_{-1} = 1``.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn


class GaussianDiffusion(nn.Module):
    """Tables of one noise schedule and the formulas that read them. Holds no denoiser and no parameter.

    The tables are computed in float64 and kept as float32 buffers of shape [steps] that follow the module to
    its device and stay out of ``state_dict``. In every method ``x0``, ``xt``, ``eps`` and ``noise`` are
    [batch, ...] of one shape and any rank, and ``t`` is a long tensor [batch] with values 0..steps-1, one
    step a row, 0 the least noisy. A method raises ValueError where shapes do not fit and IndexError where a
    step is outside the tables. ``x0_from_eps`` and ``eps_from_x0`` are for models from outside: those of this
    package compute with :meth:`noise_step_factors`, and tests hold that against them.

    Attributes:
        steps: number of steps.
        signal: ``sqrt(abar_t)``, the factor of the data in ``x_t``.
        noise: ``sqrt(1 - abar_t)``, the standard deviation of the noise in ``x_t``.
        snr: ``abar_t / (1 - abar_t)``, a ratio of powers.
        posterior_x0: factor of ``x0`` in the posterior mean, exactly 1 at t = 0.
        posterior_xt: factor of ``x_t`` in the posterior mean, exactly 0 at t = 0.
        posterior_log_variance: log of the posterior variance. At t = 0, where that variance is 0, the entry
            of t = 1 stands in, or log beta_0 where there is one step only.
        snr_drop: ``SNR(t-1) - SNR(t)``, 1 at t = 0.
    """

    signal: Tensor
    noise: Tensor
    snr: Tensor
    posterior_x0: Tensor
    posterior_xt: Tensor
    posterior_log_variance: Tensor
    snr_drop: Tensor

    def __init__(self, betas: Tensor, first_beta: float | None = None):
        """Build the tables.

        Args:
            betas: variances of the steps, [steps], in (0, 1); float64 where they are small.
            first_beta: replaces ``betas[0]`` when given. DiffRec and TV-Diff use 1e-5, against overfitting at
                t = 0.

        Raises:
            ValueError: ``betas`` is not a vector of at least one number, or a beta is not in (0, 1).
        """
        super().__init__()
        betas = betas.detach().to(torch.float64, copy=True)
        if betas.dim() != 1 or len(betas) == 0:
            raise ValueError(f"betas must be a vector of at least one number, got shape {list(betas.shape)}")
        if first_beta is not None:
            betas[0] = first_beta
        if not bool(((betas > 0) & (betas < 1)).all()):
            raise ValueError(f"betas must lie in (0, 1), got {betas.tolist()}")
        self.steps = len(betas)

        # By logarithms, in float64: a product of many factors near 1 keeps its digits.
        log_alpha = torch.log1p(-betas)
        log_abar = log_alpha.cumsum(0)
        log_abar_before = torch.cat([log_abar.new_zeros(1), log_abar[:-1]])  # of step t - 1
        # 1 - abar_t; the plain difference loses every digit where betas are tiny.
        variance = -torch.expm1(log_abar)
        variance_before = -torch.expm1(log_abar_before)

        # Ho et al. 2020, Eq. 7
        posterior_x0 = betas * torch.exp(0.5 * log_abar_before) / variance
        posterior_xt = variance_before * torch.exp(0.5 * log_alpha) / variance
        # Exact, whatever the rounding: before step 0 is the data itself.
        posterior_x0[0], posterior_xt[0] = 1.0, 0.0
        posterior_variance = betas * variance_before / variance
        # 0 has no logarithm.
        posterior_variance[0] = posterior_variance[1] if self.steps > 1 else betas[0]

        # 1 / (1 - abar_{t-1}) - 1 / (1 - abar_t) over one denominator, with
        # (1 - abar_t) - (1 - abar_{t-1}) = abar_{t-1} beta_t.
        snr_drop = torch.exp(log_abar_before) * betas / (variance * variance_before)
        # SNR(-1) is infinite; the bound's term of x0 has weight 1 (DiffRec, Eq. 12).
        snr_drop[0] = 1.0

        # x_t = signal x0 + noise eps; the posterior mean is posterior_x0 x0 + posterior_xt x_t.
        tables = {
            "signal": torch.exp(0.5 * log_abar),
            "noise": variance.sqrt(),
            "snr": torch.exp(log_abar) / variance,
            "posterior_x0": posterior_x0,
            "posterior_xt": posterior_xt,
            "posterior_log_variance": posterior_variance.log(),
            "snr_drop": snr_drop,
        }
        for name, table in tables.items():
            self.register_buffer(name, table.float(), persistent=False)

    def q_sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Noisy data ``sqrt(abar_t) x0 + sqrt(1 - abar_t) noise`` (Ho et al. 2020, Eq. 4), [batch, ...]."""
        _same_shape(x0, noise, "x0", "noise")
        return _rows(self.signal, t, x0) * x0 + _rows(self.noise, t, x0) * noise

    def x0_from_eps(self, xt: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """Data of ``xt`` if ``eps`` is its noise (Ho et al. 2020, Eq. 4 solved for x0), [batch, ...]."""
        _same_shape(xt, eps, "xt", "eps")
        return (xt - _rows(self.noise, t, xt) * eps) / _rows(self.signal, t, xt)

    def eps_from_x0(self, xt: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        """Noise of ``xt`` if ``x0`` is its data (Ho et al. 2020, Eq. 4 solved for eps), [batch, ...]."""
        _same_shape(xt, x0, "xt", "x0")
        return (xt - _rows(self.signal, t, xt) * x0) / _rows(self.noise, t, xt)

    def posterior_mean(self, x0: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        """Mean of ``q(x_{t-1} | x_t, x0)`` (Ho et al. 2020, Eq. 7), [batch, ...]; it is ``x0`` at t = 0."""
        _same_shape(xt, x0, "xt", "x0")
        return _rows(self.posterior_x0, t, xt) * x0 + _rows(self.posterior_xt, t, xt) * xt

    def posterior_std(self, t: Tensor, like: Tensor) -> Tensor:
        """Standard deviation of ``q(x_{t-1} | x_t, x0)`` (Ho et al. 2020, Eq. 7), exactly 0 at t = 0.

        Args:
            t: steps, [batch].
            like: a tensor [batch, ...] whose rank the result takes.

        Returns:
            A tensor [batch, 1, ...] that broadcasts over ``like``.
        """
        log_variance = _rows(self.posterior_log_variance, t, like)
        # exp(log variance / 2), and 0 at t = 0, where the table has a stand-in.
        return torch.exp(0.5 * log_variance).masked_fill(t.view_as(log_variance) == 0, 0.0)

    def snr_weight(self, t: Tensor) -> Tensor:
        """Weight of the squared error in the bound, ``SNR(t-1) - SNR(t)`` and 1 at t = 0, [batch].

        Wang et al. 2023, "Diffusion Recommender Model", Eq. 11 without its factor 1/2, and Eq. 12.
        """
        return self.snr_drop.index_select(0, t)

    def noise_step_factors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return a reverse step as three numbers, [steps] each, for a denoiser that estimates the noise.

        ``x_{t-1} = of_state x_t + of_estimate eps + std n`` with n ~ N(0, I): the posterior mean at the
        estimate ``(x_t - noise eps) / signal`` of x0 is linear in both (Ho et al. 2020, Algorithm 2). At t =
        0 std is 0.
        """
        of_state = self.posterior_xt + self.posterior_x0 / self.signal
        of_estimate = -self.posterior_x0 * self.noise / self.signal
        std = (0.5 * self.posterior_log_variance).exp()
        # The last step of the chain adds no noise.
        std[0] = 0.0
        return of_state, of_estimate, std

    def denoise(
        self,
        predict_x0: Callable[[Tensor, Tensor], Tensor],
        x: Tensor,
        start: int | None = None,
        *,
        generator: torch.Generator | None = None,
        stochastic: bool = False,
    ) -> Iterator[tuple[int, Tensor]]:
        """Run the reverse chain from step ``start - 1`` down to 0, a step for each item that is taken.

        Args:
            predict_x0: the denoiser; gets ``x_t`` [batch, ...] and ``t`` [batch], returns its estimate of
                ``x0`` [batch, ...].
            x: noisy data at step ``start - 1``, [batch, ...].
            start: number of steps to run, 1..steps; all by default.
            generator: source of the posterior noise, on the device of ``x``; torch's own by default.
            stochastic: add posterior noise at t > 0 (Ho et al. 2020, Algorithm 2); otherwise follow the
                means.

        Returns:
            Iterator over ``(t, x_{t-1})`` for t = start-1..0. The last item is the estimate of ``x0``.

        Raises:
            ValueError: ``start`` is not in 1..steps.
        """
        start = self.steps if start is None else start
        if not 1 <= start <= self.steps:
            raise ValueError(f"start must be in 1..{self.steps}, the number of steps, got {start!r}")
        return self._chain(predict_x0, x, start, generator, stochastic)

    def _chain(
        self,
        predict_x0: Callable[[Tensor, Tensor], Tensor],
        x: Tensor,
        start: int,
        generator: torch.Generator | None,
        stochastic: bool,
    ) -> Iterator[tuple[int, Tensor]]:
        for step in reversed(range(start)):
            # All rows are at one step, long [batch].
            t = torch.full((len(x),), step, dtype=torch.long, device=x.device)
            # Mean of q(x_{t-1} | x_t, x0) at the estimate of x0.
            x = self.posterior_mean(predict_x0(x, t), x, t)
            if stochastic and step > 0:
                noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
                x = x + self.posterior_std(t, x) * noise
            yield step, x


def _rows(table: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """Entries ``table[t]`` as [batch, 1, ...] with the rank of ``like``; a negative step is an error too."""
    if t.shape != like.shape[:1]:
        raise ValueError(
            f"t must hold one step for each row, shape {list(like.shape[:1])}, got {list(t.shape)}"
        )
    # [batch] to [batch, 1, ..., 1]; index_select refuses a negative step, which indexing would wrap.
    return table.index_select(0, t).view(-1, *[1] * (like.dim() - 1))


def _same_shape(first: Tensor, second: Tensor, first_name: str, second_name: str) -> None:
    """Refuse two tensors that would broadcast into something else."""
    if first.shape != second.shape:
        raise ValueError(
            f"{first_name} and {second_name} must have one shape, got {list(first.shape)} and "
            f"{list(second.shape)}"
        )
