"""The diffusion that makes CNSDiff's negatives: reverse chain (Eq. 12 to 14) and losses (Eq. 6, 17, 18)."""

import math

import torch
from torch import Tensor, nn

from recbole_diffusion.diffusion import GaussianDiffusion, uniform_steps
from recbole_diffusion.model.batch_share import WHOLE, BatchShare
from recbole_diffusion.model.graph.cnsdiff_denoiser import Denoiser, EnvironmentPosterior
from recbole_diffusion.model.graph.cnsdiff_options import CNSDiffOptions


class NegativeDiffusion(nn.Module):
    """Generates negatives from item vectors, and computes the losses that it is trained by.

    Vectors enter the diffusion at unit mean square, so that the schedule's noise means the same for every
    item, and leave it at the length of their item.

    The bound of Eq. 17 pairs a state z_t with the noisier z_{t+1}. Its transition is taken in the order in
    which negatives are generated, p(z_t | z_{t+1}, e): one step of the reverse chain in environment e.
    (Forward transitions are fixed: no environment could be learnt from them.) Given z_0 it has the closed
    form of a variational diffusion bound. q(e | z_t) sees the state that the step leads to, as the equality
    condition of A.2 asks; a posterior on the noisier state alone learns nothing. The sampling loss weighs
    environments equally, however many items each has, and e is drawn from the prior when negatives are
    generated: the backdoor adjustment of A.2 and the reweighting of section 3.3.

    As printed, the bound is best with environments that carry no information: a step of the reverse chain is
    nearly Gaussian, so that a denoiser that sees z_{t+1} gains less from e than the divergence costs.
    ``free_information`` leaves a share of log K uncharged, and the environments stay in use.

    Args:
        options: the model's.
    """

    transition_weight: Tensor
    step_weight: Tensor

    def __init__(self, options: CNSDiffOptions) -> None:
        super().__init__()
        self.options = o = options
        self.diffusion = d = GaussianDiffusion(o.betas())
        self.environments = o.environments if o.causal == "environment" else 0
        # eps_theta(z_t, t, e), and q_phi(e | z_t) where there are environments.
        self.denoiser = Denoiser(
            o.embedding_size, o.denoiser_size, d, o.time_size, self.environments, o.mean_type
        )
        self.latent = bool(self.environments) and o.environment_by == "latent"
        if self.latent:
            self.posterior = EnvironmentPosterior(
                o.embedding_size, o.denoiser_size, o.time_size, o.steps, self.environments
            )
        # From a squared error of the estimate to one of z_0: their errors are noise / signal apart, [T].
        of_z0 = (d.noise / d.signal).square() if o.mean_type == "eps" else torch.ones_like(d.noise)
        # KL(q(z_{t-1} | z_t, z_0) || p(z_{t-1} | z_t)) of two Gaussians of the posterior's variance is half
        # of this times the squared error: their means differ by c1(t) times the error of z_0.
        weight = d.posterior_x0.square() * of_z0 / d.posterior_log_variance.exp()
        self.register_buffer("transition_weight", weight, persistent=False)
        # Of the sampling loss: SNR(t-1) - SNR(t), of the error of z_0, or 1 for all steps (Eq. 6).
        weight = d.snr_drop * of_z0 if o.reweight else torch.ones_like(d.noise)
        self.register_buffer("step_weight", weight, persistent=False)

    @staticmethod
    def unit(vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors [rows, d] at mean square 1, and the factors [rows, 1] that undo it."""
        # Length over sqrt(d), the root mean square, [rows, 1]; a factor without gradient.
        length = vectors.detach().norm(dim=1, keepdim=True).clamp_min(1e-12) / vectors.shape[1] ** 0.5
        return vectors / length, length

    @torch.no_grad()
    def generate(
        self,
        items: Tensor,
        steps: list[int] | None = None,
        generator: torch.Generator | None = None,
        share: BatchShare = WHOLE,
    ) -> Tensor:
        """Return negatives of several levels from one reverse chain per row.

        Args:
            items: vectors of positive items, [rows, d].
            steps: at which steps, ascending, 0..T; those of Eq. 14 if None.
            generator: source of randomness; torch's global one if None.
            share: the rows whose chains this process runs; it gets the others' results.

        Returns:
            [levels, rows, d], the states of the chain at these steps, hardest first, at the lengths of their
            items.
        """
        o = self.options
        # From here to the end at unit mean square, [rows, d].
        z0, length = self.unit(items)
        mine = share.rows(len(items))

        def noise() -> Tensor:  # drawn for all rows
            return torch.randn(items.shape, generator=generator, device=z.device, dtype=z.dtype)[mine]

        z = z0 = z0[mine]
        # z_T (Eq. 3): nearly noise.
        z = self.diffusion.q_sample(z0, torch.full((len(z0),), o.steps - 1, device=z0.device), noise())
        environment = None
        if self.environments:  # from the prior, whatever the item: the backdoor adjustment
            environment = torch.randint(
                self.environments, (len(items),), generator=generator, device=z0.device
            )[mine]
        # Ascending; T itself is z_T, before any step of the chain.
        wanted = o.snapshots() if steps is None else steps
        found = [z] if wanted[-1] == o.steps else []

        of_state, of_estimate, std = self._chain_factors()
        for t in range(o.steps - 1, wanted[0] - 1, -1):  # the steps below the hardest level are not needed
            # z_{t-1} = of_state z_t + of_estimate eps_theta(z_t, t, e) + std eps  (Eq. 13)
            fresh = noise()
            z = (
                (of_state[t] * z)
                .add_(self.denoiser(z, t, environment), alpha=of_estimate[t])
                .add_(fresh, alpha=std[t])
            )
            # In the paper's count, where z_0 is the data, z is now z_t: h_k of Eq. 14.
            if t in wanted:
                found.append(z)
        # [levels, rows, d], hardest first, at the lengths of their items.
        levels = torch.stack(found[::-1])
        if share.workers > 1:
            levels = share.gather(levels.transpose(0, 1), len(items)).transpose(0, 1)
        return levels * length

    def _chain_factors(self) -> tuple[list[float], list[float], list[float]]:
        """Return the factors of z_t, of the denoiser's estimate and of fresh noise, by reverse step.

        The posterior mean c1 z0_hat + c2 z_t, with z0_hat = (z_t - noise eps) / signal or estimated itself,
        is linear in z_t and the estimate, and all rows of a chain are at the same step: three numbers instead
        of six passes over [rows, d].
        """
        of_state, of_estimate, std = self.diffusion.noise_step_factors()
        if self.options.mean_type == "x0":
            of_state, of_estimate = self.diffusion.posterior_xt, self.diffusion.posterior_x0
        return of_state.tolist(), of_estimate.tolist(), std.tolist()

    def losses(
        self, items: Tensor, share: BatchShare = WHOLE, environment: Tensor | None = None
    ) -> tuple[list[Tensor], Tensor | None]:
        """Return the sampling loss (Eq. 6), the causal regularisation (Eq. 18) if there is one, and q(e | z).

        With z_t = sqrt(abar_t) z_0 + sqrt(1 - abar_t) eps, a draw z_{t-1} of the true posterior, K estimates
        eps_e = eps_theta(z_t, t, e), p_0(e) = 1 / K and means over items::

            error(e)   = |eps - eps_e|^2                          |z_0 - z_e|^2 with mean_type x0
            q(e)       = q_phi(e | z_{t-1})                       the state that the step leads to
            sampling   = sum_e p_0(e) E[error | e] / d            Eq. 6, environments weigh alike (3.3)
                         with E[error | e] = mean(q(e) step_weight(t) error(e)) / mean(q(e))
            causal     = (E_q[-log p(z_{t-1} | z_t, e)]           minus one step of the bound of Eq. 17
                          + max(KL(q || p_0), free_information log K)) / d
                         with -log p = 1/2 transition_weight(t) error(e), up to a constant
            returned     sampling, lambda_1 causal

        With ``environment_by: popularity`` q(e) is 1 in the item's own group and 0 elsewhere, so that the
        divergence is a constant and left out. Without environments K is 1, and ``causal: kl`` is -log p alone
        (A.3). ``sampling_weight`` (lambda_2) scales what reaches the item vectors of the sampling loss, and
        ``causal_encoder_weight`` what reaches them of ``causal``. The denoiser's own gradient is left at full
        size, which for an optimizer that divides by the gradient's size, as Adam does, is the same, and does
        not drown in Adam's epsilon.

        Args:
            items: vectors of distinct positive items, [n, d].
            share: the items whose losses this process computes.
            environment: of each item, long [n]; read where environments are known (``environment_by``).

        Returns:
            scalars; and q [n, K] without gradient, None without environments.
        """
        o, size = self.options, items.shape[1]
        # [n, d] at unit mean square.
        z0, _ = self.unit(items)
        mine = share.rows(len(items))
        # One step for each item, and the noise that takes it there (Eq. 3), [n, d].
        t = uniform_steps(o.steps, len(items), device=z0.device)[mine]
        noise = torch.randn_like(z0)[mine]
        z0 = z0[mine]
        start = _with_gradient(z0, o.sampling_weight)
        z, error = self._noised(start, t, noise)  # [n, d] and [n, K]
        weighed = self.step_weight[t, None] * error
        if o.causal == "none":
            return [share.mean(weighed) / size], None
        if o.causal_reach() != o.sampling_weight:
            # The same values with another part of their gradient to the items.
            start = _with_gradient(z0, o.causal_reach())
            z, error = self._noised(start, t, noise)
        transition = 0.5 * self.transition_weight[t, None] * error  # -log p(z_{t-1} | z_t, e), [n, K]
        if not self.environments:  # K is 1: the divergence of A.3
            return [share.mean(weighed) / size, o.causal_weight * share.mean(transition) / size], None
        if self.latent:
            fresh = torch.randn_like(items)[mine]
            bound, q = self._bound(start, z, t, transition, fresh, share)
        else:
            assert environment is not None  # by the model
            q = torch.nn.functional.one_hot(environment[mine], self.environments).to(z.dtype)
            bound = share.mean((q * transition).sum(1))
        every_q = share.gather(q, len(items))
        # The mean of q over the items is how often an environment occurs; dividing by it weighs all K alike.
        balanced = q / every_q.mean(0).clamp_min(1e-6)
        return [share.mean(balanced * weighed) / size, o.causal_weight * bound / size], every_q

    def _noised(self, z0: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return z_t [n, d] and the squared error of each environment's estimate from it, [n, K]."""
        z = self.diffusion.q_sample(z0, t, noise)
        target = noise if self.options.mean_type == "eps" else z0
        return z, (self.denoiser.every_environment(z, t) - target[:, None]).square().sum(2)

    def _bound(
        self, z0: Tensor, z: Tensor, t: Tensor, transition: Tensor, fresh: Tensor, share: BatchShare
    ) -> tuple[Tensor, Tensor]:
        """Return minus one step of the bound of Eq. 17, a mean over items, and q [n, K] without gradient.

        Args:
            z0: items at unit mean square, [n, d].
            z: the same at their steps, [n, d].
            t: long [n].
            transition: -log p(z_{t-1} | z_t, e) up to a constant, [n, K].
            fresh: noise, [n, d].
            share: of this process in the items.
        """
        o, d = self.options, self.diffusion
        before = d.posterior_mean(z0, z, t) + d.posterior_std(t, z) * fresh  # z_{t-1}
        # q_phi sees the state that the step leads to, z_{t-1}; [n, K].
        log_q = self.posterior(before, t)
        q = log_q.exp()
        # KL(q || p_0), p_0 uniform.
        divergence = share.mean((q * (log_q + math.log(o.environments))).sum(1))
        # Up to here the divergence has no gradient, see the class.
        free = o.free_information * math.log(o.environments)
        return share.mean((q * transition).sum(1)) + divergence.clamp_min(free), q.detach()


def _with_gradient(values: Tensor, share: float) -> Tensor:
    """Return ``values`` with a share of their gradient."""
    return share * values + (1 - share) * values.detach()
