"""A conditioned diffusion of item vectors (DMA of CCDRec, MRD of MCDRec): what trains it, and its chain.

At ``unit`` scale vectors enter the diffusion divided by the root mean square of the whole table, so that the
noise of a schedule means the same whatever the scale of the vectors, and leave it multiplied by it; relative
lengths of items stay. At ``raw`` scale they enter as they are, as in CCDRec's released code: nearly all of
x_t is noise while vectors are short, and less as they grow.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.diffusion import GaussianDiffusion, uniform_steps
from recbole_diffusion.model.multimodal.estimators import (
    AttentionEstimator,
    BottleneckEstimator,
    TransformerEstimator,
)
from recbole_diffusion.model.multimodal.unet import UNetEstimator

Estimator = AttentionEstimator | TransformerEstimator | BottleneckEstimator | UNetEstimator
BLOCK = 8192  # items that go through the chain at once
LOSS_ITEMS = 1024  # of a batch, that the diffusion loss is taken over where it needs a pass of its own


class ItemDiffusion(nn.Module):
    """The diffusion of item vectors given their modalities.

    Args:
        betas: the noise schedule, [T].
        estimator: f_theta.
        diffused_scale: ``unit`` or ``raw``.
        identity_path: whether sqrt(abar_t) x_t is added to the estimator's output.
        gradient_path: ``full``, ``ranking`` or ``cut``, see :meth:`learn`.
        diffusion_error: ``norm``, the square of Eq. 5, a sum over coordinates, or ``mean`` over them.
    """

    def __init__(
        self,
        betas: Tensor,
        estimator: Estimator,
        *,
        diffused_scale: str,
        identity_path: bool,
        gradient_path: str,
        diffusion_error: str,
    ) -> None:
        super().__init__()
        self.diffusion = GaussianDiffusion(betas)
        self.estimator = estimator
        self.diffused_scale, self.identity_path = diffused_scale, identity_path
        self.gradient_path, self.diffusion_error = gradient_path, diffusion_error

    def scale(self, table: Tensor) -> Tensor:
        """Return what item vectors [n_items, d] are divided by, a scalar without gradient.

        At ``unit`` scale it is their root mean square, the padding's left out; at ``raw`` scale 1.
        """
        if self.diffused_scale == "raw":
            return table.new_ones(())
        # One number for the table; row 0 is the padding item.
        return table.detach()[1:].square().mean().sqrt().clamp_min(1e-12)

    def estimate(self, x: Tensor, t: Tensor, prepared: tuple[Tensor, ...]) -> Tensor:
        """Return the estimate of x_0: the estimator's output, plus sqrt(abar_t) x_t by ``identity_path``.

        The second term is the best linear estimate of vectors at unit mean square from x_t alone; the
        estimator then learns the rest, from the modalities and from how the vectors are distributed.
        """
        found: Tensor = self.estimator(x, t, prepared)  # [n, d]
        if not self.identity_path:
            return found
        # sqrt(abar_t) by row, [n, 1].
        return self.diffusion.signal.index_select(0, t)[:, None] * x + found

    def learn(
        self, vectors: Tensor, conditions: Tensor, scale: Tensor, trained: bool
    ) -> tuple[Tensor, Tensor]:
        """Noise item vectors to random steps and estimate them back (CCDRec, Eq. 1 and 5).

        The estimates carry the ranking losses' gradient to the estimator and the item vectors, and to the
        conditions unless the path is ``cut``. What Eq. 5 trains depends on the path:

        * ``full``: everything, through its target and its noised input too, as in the released code; one
          pass of the estimator.
        * ``ranking``: the estimator, and the conditions unless the backbone ``trained`` them, not the item
          vectors, whose gradient would be far larger than that of the ranking losses; a second pass, on at
          most 1,024 of the items.
        * ``cut``: as ``ranking``, but conditions that the backbone trains have no gradient of the ranking
          losses either, and the error is that of vectors at unit scale, thousands of times the ranking
          losses' gradient while vectors are short, so that its weight has next to no effect under Adam.

        Args:
            vectors: e, [n, d].
            conditions: h^m, [n, modalities, d].
            scale: of the table, from :meth:`scale`.
            trained: whether a loss of the backbone trains the conditions in every batch.

        Returns:
            the estimates [n, d], and their squared error, a mean over items, a scalar: of the vectors as they
            are, on the path ``cut`` of the scaled ones.
        """
        x0 = vectors / scale  # what is diffused
        t = uniform_steps(self.diffusion.steps, len(x0), device=x0.device)
        x = self.diffusion.q_sample(x0, t, torch.randn_like(x0))  # e_t (Eq. 1), [n, d]
        own = conditions.detach() if trained else conditions  # what Eq. 5 sees, unless it is ``full``
        prepared: tuple[Tensor, ...] = self.estimator.prepare(
            own if self.gradient_path == "cut" else conditions
        )
        estimate = self.estimate(x, t, prepared) * scale  # e~, with gradient to e through e_t
        if self.gradient_path == "full":
            return estimate, self._error(estimate, vectors)
        # Eq. 5 on some of the items, without gradient to e: a second pass of the estimator.
        some = torch.randperm(len(x), device=x.device)[:LOSS_ITEMS]
        x, x0 = x.detach()[some], x0.detach()[some]
        if self.gradient_path == "ranking" and trained:
            prepared = self.estimator.prepare(own[some])
        else:
            prepared = self.estimator.chosen(prepared, some)
        error = self._error(self.estimate(x, t[some], prepared), x0)
        # On the path ``cut`` of the scaled vectors, so that the loss does not grow with the lengths of items.
        return estimate, error if self.gradient_path == "cut" else scale.square() * error

    def _error(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Return the squared error of rows [n, d], a scalar, the mean over them."""
        coordinates = target.shape[1] if self.diffusion_error == "norm" else 1
        return coordinates * F.mse_loss(estimate, target)

    @torch.no_grad()
    def chain(
        self,
        table: Tensor,
        conditions: Tensor,
        steps: Iterable[int],
        generator: torch.Generator,
        stochastic: bool,
    ) -> dict[int, Tensor]:
        """Run one reverse chain over all items, T to 0 (CCDRec, Eq. 2), and return its states at some steps.

        Args:
            table: e, [n_items, d].
            conditions: h^m, [n_items, modalities, d].
            steps: which states, 0..T-1; state 0 is the end of the chain.
            generator: source of the noise of step T and, if ``stochastic``, of the steps.
            stochastic: add the posterior's noise at each step, as Eq. 2 says; otherwise follow its means.

        Returns:
            the states by step, each [n_items, d], at the scale of the table.
        """
        scale, wanted = self.scale(table), set(steps)
        training = self.estimator.training
        self.estimator.eval()  # a chain of an epoch's start has no dropout either
        found: dict[int, list[Tensor]] = {step: [] for step in wanted}
        # Items are independent given the weights: blocks bound the memory of the estimator.
        for x0, of_block in zip((table / scale).split(BLOCK), conditions.split(BLOCK), strict=True):
            noise = torch.randn(x0.shape, generator=generator, device=x0.device, dtype=x0.dtype)
            # e_T, then one state a step, for a block of items.
            x = self.diffusion.q_sample(
                x0, torch.full((len(x0),), self.diffusion.steps - 1, device=x0.device), noise
            )
            # What the modalities contribute at each of the T steps, computed once.
            prepared = self.estimator.prepare(of_block)

            def estimate(x: Tensor, t: Tensor, prepared: tuple[Tensor, ...] = prepared) -> Tensor:
                return self.estimate(x, t, prepared)

            for step, state in self.diffusion.denoise(
                estimate, x, generator=generator, stochastic=stochastic
            ):
                if step in wanted:
                    found[step].append(state)
        self.estimator.train(training)
        # The blocks of a step one after the other, [n_items, d], at the scale of the table.
        return {step: torch.cat(states) * scale for step, states in found.items()}
