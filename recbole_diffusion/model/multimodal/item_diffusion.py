"""A conditioned diffusion of item vectors (DMA of CCDRec, MRD of MCDRec): estimators of x_0, the chain.

Vectors enter the diffusion divided by the root mean square of the whole table, so that the noise of a
schedule means the same whatever the scale of the vectors, and leave it multiplied by it. Relative lengths of
items stay.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.diffusion import GaussianDiffusion, sinusoidal_embedding, uniform_steps

BLOCK = 8192  # items that go through the chain at once
LOSS_ITEMS = 1024  # of a batch, that the diffusion loss is taken over


class TransformerEstimator(nn.Module):
    """f_theta(e_t, t, h^1, ..., h^M) of CCDRec: self-attention over the tokens of an item, then their mean.

    Tokens are the noised item vector, one for each modality, and the time step. A layer of attention with a
    residual connection is averaged over the tokens; a linear and a feed-forward layer on the average give the
    estimate. Tokens are normalised first, since features have any length. The modalities' part does not
    depend on the step, so that a chain computes it once (:meth:`prepare`).

    Args:
        size: d, width of a token.
        steps: T.
        key_size: width of keys and queries.
        hidden_size: width of the feed-forward layer.
    """

    time_table: Tensor

    def __init__(self, size: int, steps: int, key_size: int, hidden_size: int) -> None:
        super().__init__()
        self.key_size = key_size
        # The tokens of the steps, [T, d].
        self.register_buffer("time_table", sinusoidal_embedding(torch.arange(steps), size), persistent=False)
        self.token_norm = nn.LayerNorm(size)
        self.attention = nn.Linear(size, 2 * key_size + size)  # queries, keys, values
        self.pooled_norm = nn.LayerNorm(size)
        # Two parts, added at the end: feed-forward of the normalised average, and linear.
        self.feed_forward = nn.Sequential(
            nn.Linear(size, hidden_size), nn.SiLU(), nn.Linear(hidden_size, size)
        )
        self.output = nn.Linear(size, size)

    def _matched(self, tokens: Tensor) -> Tensor:
        """Return queries and keys of tokens [..., d] side by side, [..., 2 key_size]."""
        first = 2 * self.key_size
        return F.linear(tokens, self.attention.weight[:first], self.attention.bias[:first])

    def prepare(self, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Return what all steps share: the modality tokens [n, modalities, d], and their queries and keys."""
        tokens = self.token_norm(conditions)
        return tokens, self._matched(tokens)

    def forward(self, x: Tensor, t: Tensor, prepared: tuple[Tensor, Tensor]) -> Tensor:
        """Return the estimate of x_0.

        Args:
            x: noised vectors, [n, d].
            t: steps, long [n].
            prepared: of the items' modalities, from :meth:`prepare`.

        Returns:
            [n, d].
        """
        modal, of_modal = prepared
        item, steps = self.token_norm(x), self.token_norm(self.time_table.to(x.dtype))  # [n, d], [T, d]
        # Queries and keys of T tokens, not of n, then each row's.
        of_steps = self._matched(steps).index_select(0, t)
        tokens = torch.cat([item[:, None], modal, steps.index_select(0, t)[:, None]], dim=1)  # [n, tokens, d]
        # [n, tokens, key_size] each; tokens are the item, its modalities and the step.
        queries, keys = torch.cat([self._matched(item)[:, None], of_modal, of_steps[:, None]], dim=1).chunk(
            2, dim=2
        )
        # Attention weights [n, tokens, tokens]; 4 x 4 a row are faster by element than as matrices.
        weights = ((queries[:, :, None] * keys[:, None]).sum(3) * self.key_size**-0.5).softmax(2)
        # The mean over tokens of what each attends to. Weights sum to one, so that values are taken of the
        # mixed token [n, d] alone, not of each token.
        mixed = (weights.mean(1)[:, :, None] * tokens).sum(1)
        values = slice(2 * self.key_size, None)
        # The residual connection, averaged over tokens: [n, d].
        pooled = tokens.mean(1) + F.linear(mixed, self.attention.weight[values], self.attention.bias[values])
        return self.output(pooled) + self.feed_forward(self.pooled_norm(pooled))


class BottleneckEstimator(nn.Module):
    """The estimator of MCDRec: a U-shaped perceptron on the joined tokens, with a skip connection.

    Args:
        size: d, width of a token.
        steps: T.
        modalities: M.
    """

    time_table: Tensor

    def __init__(self, size: int, steps: int, modalities: int) -> None:
        super().__init__()
        # Tokens side by side, M + 2 of them: (M + 2) d numbers to 2 d, to d, and back to 2 d.
        width, middle, narrow = (modalities + 2) * size, 2 * size, size
        self.register_buffer("time_table", sinusoidal_embedding(torch.arange(steps), size), persistent=False)
        self.down = nn.Linear(width, middle)
        self.bottom = nn.Linear(middle, narrow)
        self.up = nn.Linear(narrow, middle)
        self.output = nn.Linear(2 * middle, size)

    def prepare(self, conditions: Tensor) -> tuple[Tensor]:
        """Return the modality tokens side by side, [n, modalities * d]."""
        return (conditions.flatten(1),)

    def forward(self, x: Tensor, t: Tensor, prepared: tuple[Tensor]) -> Tensor:
        """Return the estimate of x_0, as :class:`TransformerEstimator` does."""
        # Down [n, 2 d], bottom [n, d], up [n, 2 d].
        down = F.silu(self.down(torch.cat([x, *prepared, self.time_table.to(x.dtype)[t]], dim=1)))
        up = F.silu(self.up(F.silu(self.bottom(down))))
        # The skip connection: both sides of the bottleneck, [n, 4 d].
        return self.output(torch.cat([down, up], dim=1))


class ItemDiffusion(nn.Module):
    """The diffusion of item vectors given their modalities.

    Args:
        betas: the noise schedule, [T].
        estimator: f_theta.
    """

    def __init__(self, betas: Tensor, estimator: TransformerEstimator | BottleneckEstimator) -> None:
        super().__init__()
        self.diffusion = GaussianDiffusion(betas)
        self.estimator = estimator

    @staticmethod
    def scale(table: Tensor) -> Tensor:
        """Return the root mean square of item vectors [n_items, d] but the padding's, without gradient."""
        # One number for the table; row 0 is the padding item.
        return table.detach()[1:].square().mean().sqrt().clamp_min(1e-12)

    def estimate(self, x: Tensor, t: Tensor, prepared: tuple[Tensor, ...]) -> Tensor:
        """Return the estimate of x_0: sqrt(abar_t) x_t plus the estimator's output, [n, d].

        The first term is the best linear estimate of vectors at unit mean square from x_t alone; the
        estimator learns the rest, from the modalities and from how the vectors are distributed.
        """
        # sqrt(abar_t) by row, [n, 1].
        return self.diffusion.signal.index_select(0, t)[:, None] * x + self.estimator(x, t, prepared)

    def learn(self, vectors: Tensor, conditions: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Noise item vectors to random steps and estimate them back (CCDRec, Eq. 1 and 5).

        The loss trains the estimator and the projections, not the item vectors: neither through its target
        nor through the noised input, where its gradient, divided by the scale, is far larger than that of the
        ranking losses. The estimates keep their gradient. So the loss needs a second pass of the estimator,
        which is made on at most 1,024 of the items.

        Args:
            vectors: e, [n, d].
            conditions: h^m, [n, modalities, d].
            scale: of the table, from :meth:`scale`.

        Returns:
            the estimates [n, d], and the mean squared error of the scaled vectors, a scalar.
        """
        x0 = vectors / scale  # at unit mean square over the table
        t = uniform_steps(self.diffusion.steps, len(x0), device=x0.device)
        x = self.diffusion.q_sample(x0, t, torch.randn_like(x0))  # e_t (Eq. 1), [n, d]
        prepared: tuple[Tensor, ...] = self.estimator.prepare(conditions)
        estimate = self.estimate(x, t, prepared) * scale  # e~, with gradient to e through e_t
        # Eq. 5 on some of the items, without gradient to e: a second pass of the estimator.
        some = torch.randperm(len(x), device=x.device)[:LOSS_ITEMS]
        x, x0, prepared = (
            x.detach()[some],
            x0.detach()[some],
            tuple(one.index_select(0, some) for one in prepared),
        )
        # On the scaled vectors, so that the loss does not grow with the lengths of items.
        return estimate, F.mse_loss(self.estimate(x, t[some], prepared), x0)

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
        # The blocks of a step one after the other, [n_items, d], at the scale of the table.
        return {step: torch.cat(states) * scale for step, states in found.items()}
