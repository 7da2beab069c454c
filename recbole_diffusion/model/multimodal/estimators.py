"""Estimators f_theta(x_t, t, h^1, ..., h^M) of a diffusion of item vectors: attention, a transformer, a U."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recbole_diffusion.diffusion import sinusoidal_embedding


class _TokenAttention(nn.Module):
    """Self-attention over the tokens of an item: its noised vector, one for each modality, the time step.

    Tokens are normalised first, since features have any length. The modalities' part does not depend on the
    step, so that a chain computes it once (:meth:`prepare`).

    Args:
        size: d, width of a token.
        steps: T.
        key_size: width of keys and queries.
        weighted: whether the norm has weights, and the products biases.
    """

    time_table: Tensor

    def __init__(self, size: int, steps: int, key_size: int, weighted: bool) -> None:
        super().__init__()
        self.key_size = key_size
        # The tokens of the steps, [T, d].
        self.register_buffer("time_table", sinusoidal_embedding(torch.arange(steps), size), persistent=False)
        self.token_norm = nn.LayerNorm(size, elementwise_affine=weighted)
        # Queries, keys, values.
        self.attention = nn.Linear(size, 2 * key_size + size, bias=weighted)

    def _matched(self, tokens: Tensor) -> Tensor:
        """Return queries and keys of tokens [tokens, n, d], by coordinate: [2, key_size, tokens, n].

        Items are the last dimension, along which what follows is computed as whole vectors.
        """
        first, size = 2 * self.key_size, tokens.shape[-1]
        weight, flat = self.attention.weight[:first], tokens.reshape(-1, size).T
        bias = self.attention.bias
        found = weight @ flat if bias is None else torch.addmm(bias[:first, None], weight, flat)
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

    def _pooled(self, x: Tensor, t: Tensor, prepared: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return two means over an item's tokens, [n, d] each: of what attention gives, and of the tokens."""
        modal, of_modal = prepared
        item, steps = self.token_norm(x)[None], self.token_norm(self.time_table.to(x.dtype))[None]
        of_steps = self._matched(steps).index_select(3, t)
        tokens = torch.cat([item, modal, steps.index_select(1, t)])  # [tokens, n, d]
        matched = torch.cat([self._matched(item), of_modal, of_steps], 2)  # [2, key_size, tokens, n]
        # What each token attends to, in the mean over tokens, [n, d]. Weights sum to one, so that values are
        # taken of this mixed token alone, not of each token.
        mixed, mean = _Attended.apply(tokens, matched)
        first, bias = 2 * self.key_size, self.attention.bias
        values = F.linear(mixed, self.attention.weight[first:], None if bias is None else bias[first:])
        return values, mean


class AttentionEstimator(_TokenAttention):
    """f_theta of CCDRec's released code: what attention gives, in the mean over an item's tokens.

    Nothing is added to it, neither a residual connection nor a feed-forward layer.

    Args:
        size: d, width of a token.
        steps: T.
        key_size: width of keys and queries; the released code has d.
    """

    def __init__(self, size: int, steps: int, key_size: int) -> None:
        super().__init__(size, steps, key_size, weighted=False)
        # Xavier's normal rule for queries, keys and values, where all have width d.
        nn.init.normal_(self.attention.weight, std=size**-0.5)

    def forward(self, x: Tensor, t: Tensor, prepared: tuple[Tensor, Tensor]) -> Tensor:
        """Return the estimate of x_0.

        Args:
            x: noised vectors, [n, d].
            t: steps, long [n].
            prepared: of the items' modalities, from :meth:`prepare`.

        Returns:
            [n, d].
        """
        return self._pooled(x, t, prepared)[0]


class TransformerEstimator(_TokenAttention):
    """f_theta(e_t, t, h^1, ..., h^M) of CCDRec's text: a transformer layer over an item's tokens, averaged.

    Attention has a residual connection and is averaged over the tokens; a linear and a feed-forward layer on
    the average give the estimate.

    Args:
        size: d, width of a token.
        steps: T.
        key_size: width of keys and queries.
        hidden_size: width of the feed-forward layer.
    """

    def __init__(self, size: int, steps: int, key_size: int, hidden_size: int) -> None:
        super().__init__(size, steps, key_size, weighted=True)
        self.pooled_norm = nn.LayerNorm(size)
        # Two parts, added at the end: feed-forward of the normalised average, and linear.
        self.feed_forward = nn.Sequential(
            nn.Linear(size, hidden_size), nn.SiLU(), nn.Linear(hidden_size, size)
        )
        self.output = nn.Linear(size, size)

    def forward(self, x: Tensor, t: Tensor, prepared: tuple[Tensor, Tensor]) -> Tensor:
        """Return the estimate of x_0, as :class:`AttentionEstimator` does."""
        attended, mean = self._pooled(x, t, prepared)
        pooled = mean + attended
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
        """Return the estimate of x_0, as :class:`AttentionEstimator` does."""
        # Down [n, 2 d], bottom [n, d], up [n, 2 d].
        down = F.silu(self.down(torch.cat([x, *prepared, self.time_table.to(x.dtype)[t]], dim=1)))
        up = F.silu(self.up(F.silu(self.bottom(down))))
        # The skip connection: both sides of the bottleneck, [n, 4 d].
        return self.output(torch.cat([down, up], dim=1))
