"""Adapter of RecBole's DiffRec: the chain of a full ranking runs in the width of the hidden layer."""

from typing import Any

import torch
from torch import Tensor, nn

from recbole_diffusion.diffusion import sinusoidal_embedding
from recbole_diffusion.model.bags import entries_of_rows
from recbole_diffusion.model.base import ModelInterface
from recbole_diffusion.model.loss import sum_by_row


class DiffRec(ModelInterface):
    """DiffRec, whose T steps need one product with the catalogue, where RecBole makes two for each.

    A step is x <- a_t (V g_t + c) + b_t x for the last layer (V, c) and its input g_t, and the first layer
    reads z = W x alone. So z <- a_t (W V g_t + W c) + b_t z, with W V once for all users, and the end is

        V (sum_t A_t g_t) + (sum_t A_t) c + B x,    A_t = a_t prod_(s < t) b_s,    B = prod_t b_t.

    The steps run from T - 1 to 0, so that those after t are s < t. Scores are RecBole's up to rounding.
    """

    _chain: tuple[list[Any], Tensor, Tensor] | None = None  # and what it was derived from

    def train(self: Any, mode: bool = True) -> Any:
        """Switch between training and evaluation, and drop what was derived from the weights."""
        self._chain = None
        return super().train(mode)  # type: ignore[misc]

    def _apply(self: Any, *arguments: Any, **named: Any) -> Any:
        self._chain = None  # of weights in another precision, or on another device
        return super()._apply(*arguments, **named)  # type: ignore[misc]

    @torch.no_grad()
    def p_sample(self: Any, x_start: Tensor) -> Tensor:
        """Return x_0 of rows, [batch, n_items], by the reverse chain (Algorithm 2 of DiffRec)."""
        layers = [one for one in self.mlp.mlp_layers.mlp_layers if not isinstance(one, nn.Dropout)]
        # A length, dropout and noise are of all cells.
        if self.training or self.norm or self.sampling_noise:
            return super().p_sample(x_start)  # type: ignore[misc]
        first, *middle, last = layers
        W, of_time = first.weight[:, : self.n_items], first.weight[:, self.n_items :]
        x, z = self._start(x_start, W)
        source = _state_of(first.weight, last.weight, last.bias)
        if self._chain is None or self._chain[0] != source:
            # W V and W c, [hidden, width] and [hidden].
            self._chain = source, W @ last.weight, W @ last.bias
        _, WV, Wc = self._chain
        # sum_t A_t g_t, [batch, width], sum_t A_t, and B.
        sums, weight, kept = torch.zeros(()), 0.0, 1.0
        for step in reversed(range(self.steps)):
            features = sinusoidal_embedding(torch.tensor([step], device=x.device), self.emb_size)
            e = self.mlp.emb_layer(features.to(W))  # [1, emb_size]
            hidden = z + (e @ of_time.T + first.bias)  # [batch, hidden]
            for layer in middle:
                hidden = layer(hidden)
            a, b = self._step(step)
            sums, weight, kept = b * sums.to(hidden) + a * hidden, b * weight + a, b * kept
            z = a * (hidden @ WV.T + Wc) + b * z
        scores = torch.addmm(weight * last.bias, sums, last.weight.T)  # [batch, n_items]
        return scores.add_(x, alpha=kept) if kept else scores

    def _start(self: Any, x_start: Tensor, W: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the chain begins with, x [batch, n_items], and W x, [batch, hidden]."""
        if self.sampling_steps:
            steps = torch.full((len(x_start),), self.sampling_steps - 1, device=x_start.device)
            x = self.q_sample(x_start, steps)
            return x, x @ W.T
        if x_start.is_cuda:
            return x_start, x_start @ W.T
        return x_start, sum_by_row(W.t().contiguous(), *entries_of_rows(x_start))

    def _step(self: Any, step: int) -> tuple[float, float]:
        """Return a_t and b_t of x <- a_t out + b_t x."""
        if self.noise_scale == 0:
            return 1.0, 0.0
        of_start, of_x = float(self.posterior_mean_coef1[step]), float(self.posterior_mean_coef2[step])
        if self.mean_type.name == "START_X":
            return of_start, of_x
        # x_0 is then r x - s out.
        r, s = float(self.sqrt_recip_alphas_cumprod[step]), float(self.sqrt_recipm1_alphas_cumprod[step])
        return -of_start * s, of_start * r + of_x


def _state_of(*weights: Tensor) -> list[Any]:
    """Return what differs once weights are others, as loaded ones are, or autocast is switched."""
    versions = [(one.data_ptr(), 0 if one.is_inference() else one._version) for one in weights]
    return [torch.is_autocast_enabled(weights[0].device.type), *versions]
