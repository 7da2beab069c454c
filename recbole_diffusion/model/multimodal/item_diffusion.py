"""A conditioned diffusion of item vectors (DMA of CCDRec, MRD of MCDRec): estimators of x_0, the chain.

Vectors enter the diffusion divided by the root mean square of the whole table, so that the noise of a
schedule means the same whatever the scale of the vectors, and leave it multiplied by it. Relative lengths of
items stay. Longer than most files, since the estimators are read beside the chain that runs them.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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
        """Return queries and keys of tokens [tokens, n, d], by coordinate: [2, key_size, tokens, n].

        Items are the last dimension, along which what follows is computed as whole vectors.
        """
        first, size = 2 * self.key_size, tokens.shape[-1]
        weight, bias = self.attention.weight[:first], self.attention.bias[:first]
        found = torch.addmm(bias[:, None], weight, tokens.reshape(-1, size).T)
        return found.view(2, self.key_size, *tokens.shape[:2])

    def prepare(self, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Return what all steps share, of features h^m [n, modalities, d].

        Returns:
            the modality tokens [modalities, n, d], and their queries and keys [2, key_size, modalities, n].
        """
        tokens = self.token_norm(conditions.transpose(0, 1))
        return tokens, self._matched(tokens)

    @staticmethod
    def chosen(prepared: tuple[Tensor, ...], some: Tensor) -> tuple[Tensor, Tensor]:
        """Return what :meth:`prepare` found of some of the items, long [m]."""
        tokens, matched = prepared
        return tokens.index_select(1, some), matched.index_select(3, some)

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
        item, steps = self.token_norm(x)[None], self.token_norm(self.time_table.to(x.dtype))[None]
        of_steps = self._matched(steps).index_select(3, t)
        tokens = torch.cat([item, modal, steps.index_select(1, t)])  # [tokens, n, d]
        matched = torch.cat([self._matched(item), of_modal, of_steps], 2)  # [2, key_size, tokens, n]
        # What each token attends to, in the mean over tokens, [n, d]. Weights sum to one, so that values are
        # taken of this mixed token alone, not of each token.
        mixed, mean = _Attended.apply(tokens, matched)
        values = slice(2 * self.key_size, None)
        pooled = mean + F.linear(mixed, self.attention.weight[values], self.attention.bias[values])
        return self.output(pooled) + self.feed_forward(self.pooled_norm(pooled))


class _Attended(torch.autograd.Function):
    """The mean over queries of what attention gives, with tokens as values, and the plain mean of tokens.

    Three or four tokens an item are too few for products of matrices. Numbers are laid out so that every
    step runs along the items, and the backward pass needs no array of its own of queries x keys x width.
    """

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, matched: Tensor) -> tuple[Tensor, Tensor]:
        """Return two means over tokens, [n, d] each, of tokens [tokens, n, d].

        Args:
            ctx: of autograd.
            tokens: [tokens, n, d].
            matched: queries and keys, [2, key_size, tokens, n].
        """
        queries, keys = matched
        scores = (queries[:, :, None] * keys[:, None]).sum(0)  # [queries, keys, n]
        attention = scores.mul_(len(keys) ** -0.5).softmax(1)
        weights = attention.mean(0)[:, :, None]  # of each token, [tokens, n, 1]
        mixed = tokens[0] * weights[0]
        for token, weight in zip(tokens[1:], weights[1:], strict=True):
            mixed.addcmul_(token, weight)
        ctx.save_for_backward(tokens, matched, attention, weights)
        return mixed, tokens.mean(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_mixed: Tensor, of_mean: Tensor) -> tuple[Tensor, Tensor]:
        tokens, matched, attention, weights = ctx.saved_tensors
        queries, keys = matched
        of_tokens = torch.addcmul((of_mean / len(tokens)).expand_as(tokens), weights, of_mixed)
        of_weights = (tokens * of_mixed).sum(2) / len(tokens)  # the same for each query, [tokens, n]
        of_scores = of_weights - (attention * of_weights).sum(1, keepdim=True)
        of_scores = of_scores.mul(attention).mul_(len(keys) ** -0.5)  # [queries, keys, n]
        of_queries, of_keys = (of_scores * keys[:, None]).sum(2), (of_scores * queries[:, :, None]).sum(1)
        return of_tokens, torch.stack([of_queries, of_keys])


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

    @staticmethod
    def chosen(prepared: tuple[Tensor, ...], some: Tensor) -> tuple[Tensor]:
        """Return what :meth:`prepare` found of some of the items, long [m]."""
        return (prepared[0].index_select(0, some),)

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
        x, x0, prepared = x.detach()[some], x0.detach()[some], self.estimator.chosen(prepared, some)
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
