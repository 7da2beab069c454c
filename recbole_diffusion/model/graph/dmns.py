"""DMNS: negatives of several hardness levels from a diffusion that learns a user's neighbours.

Reference:
    Nguyen, Fang: "Diffusion-based Negative Sampling on Graphs for Link Prediction". WWW 2024.

For a batch of pairs (user u, item i) with vectors h of the encoder, all of them without gradient in the
diffusion and at unit mean square::

    x_t   = sqrt(abar_t) h_i + sqrt(1 - abar_t) eps                        DMNS._denoiser_loss
    eps^  = A x_t + b, with A and b of the step and h_u (two FiLM layers)  NeighbourDenoiser
    x_t-1 = one step of the reverse chain from noise, for each user        DMNS.generate
    L     = 1/2 [ l(h_u.h_i) + (l(-h_u.h_n) + sum_s w_s l(-h_u.x_s)) / (S + 1) ],  l(x) = -log sigmoid(x)
            n a uniform negative, x_s the chain after step T / divisor     DMNS.calculate_loss
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.diffusion import GaussianDiffusion, linear_betas, sinusoidal_embedding, uniform_steps
from recbole_diffusion.model.encoder import Distinct
from recbole_diffusion.model.graph.host import EncoderModel
from recbole_diffusion.model.graph.options import DMNSOptions
from recbole_diffusion.sampler.uniform import uniform_negatives


class NeighbourDenoiser(nn.Module):
    """eps^(x, t, c) = A x + b by coordinate: two FiLM layers of the step and the condition.

    Args:
        size: d.
        steps: T.
    """

    time_table: Tensor

    def __init__(self, size: int, steps: int) -> None:
        super().__init__()
        table = sinusoidal_embedding(torch.arange(steps), size)
        self.register_buffer("time_table", table, persistent=False)
        self.time = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.Linear(size, size))
        self.film = nn.ModuleList(nn.Linear(size, 2 * size) for _ in range(2))

    def factors(self, steps: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return A and b, [rows, d] each.

        Args:
            steps: a(t), rows of ``time(time_table)``, [rows, d] or [d].
            condition: c, [rows, d].
        """
        hidden = F.silu(steps + condition)
        (scale_1, shift_1), (scale_2, shift_2) = (layer(hidden).chunk(2, dim=-1) for layer in self.film)
        # x (1 + gamma_1) + eta_1, and the same again.
        return (1 + scale_1) * (1 + scale_2), (1 + scale_2) * shift_1 + shift_2

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Return the estimate of the noise in x [rows, d] at steps t, long [rows]."""
        A, b = self.factors(F.embedding(t, self.time(self.time_table)), condition)
        return A * x + b


class DMNS(EncoderModel):
    """An encoder trained against uniform negatives and those of a diffusion that learns beside it.

    Differences from the authors' code:
        * The loss has the logarithm that theirs leaves out, and the denoiser's error is squared
          (``denoiser_loss: l1``: theirs).
        * The denoiser learns from the pairs of each batch; theirs, a hundred times an epoch, from twenty
          neighbours of each node, which for a node of more than twenty are one neighbour twenty times.
        * One chain for each user of a batch, not for each pair, and none below the last level with a weight.
        * Vectors enter the diffusion at unit mean square and leave it at the length of the pair's item; their
          encoder gives unit lengths. The encoder has no dropout.
    """

    options: DMNSOptions

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o = self.options
        self.diffusion = GaussianDiffusion(linear_betas(o.steps, o.beta_min, o.beta_max))
        self.denoiser = NeighbourDenoiser(o.embedding_size, o.steps)
        self.loss_names = ("ranking", "denoiser", "penalty") if o.reg_weight else ("ranking", "denoiser")
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:  # noqa: ARG002
        """Reset the statistics."""
        self._mean_squares: list[Tensor] = []

    def epoch_diagnostics(self) -> dict[str, float]:
        """Return the mean square of the generated vectors by level, 1 for the items' own."""
        if not self._mean_squares:
            return {}
        means = torch.stack(self._mean_squares).mean(0).tolist()
        return {
            f"mean_square_{step}": value for step, value in zip(self.options.levels(), means, strict=True)
        }

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the ranking loss, the denoiser's and the penalty, in the order of ``loss_names``."""
        o, users, items = self.options, interaction[self.USER_ID], interaction[self.ITEM_ID]
        random = uniform_negatives(self.positives, users)  # n, long [batch]
        u, (v, n) = self.encoder.of_batch(users, torch.stack([items, random]))  # [batch, d] each
        c, x0 = unit(u.detach()), unit(v.detach())
        of_user = Distinct(users)
        first = torch.full_like(of_user.ids, len(users)).scatter_reduce(  # a row of each user
            0, of_user.places, torch.arange(len(users), device=users.device), "amin"
        )
        levels = self.generate(c[first], x0[first])  # [S, users, d]
        self._mean_squares.append(levels.square().mean((1, 2)))
        # h_u . x_s with x_s at the length of the pair's item, [S, batch].
        length = v.detach().square().mean(1, keepdim=True).sqrt()
        generated = (levels[:, of_user.places] * (u * length)).sum(2)
        weights = generated.new_tensor(o.level_weights)
        negative = F.softplus((u * n).sum(1)).mean() + weights @ F.softplus(generated).mean(1)
        ranking = (F.softplus(-(u * v).sum(1)).mean() + negative / (len(weights) + 1)) / 2
        parts = [ranking, self._denoiser_loss(x0, c)]
        if o.reg_weight:
            parts.append(o.reg_weight * self.encoder.penalty(users, torch.cat([items, random])))
        return tuple(parts)

    def _denoiser_loss(self, x0: Tensor, condition: Tensor) -> Tensor:
        """Return the mean error of the estimated noise, each row at a step of its own; [batch, d] both."""
        t = uniform_steps(self.options.steps, len(x0), device=x0.device)
        noise = torch.randn_like(x0)
        error = self.denoiser(self.diffusion.q_sample(x0, t, noise), t, condition) - noise
        return error.square().mean() if self.options.denoiser_loss == "l2" else error.abs().mean()

    @torch.no_grad()
    def generate(self, condition: Tensor, neighbours: Tensor) -> Tensor:
        """Return the states of one reverse chain a row at the levels, [S, rows, d], as ``levels`` lists them.

        Args:
            condition: users at unit mean square, [rows, d].
            neighbours: an item of each, which the chain starts from with ``start: scaled``, [rows, d].
        """
        o, d = self.options, self.diffusion
        x = torch.randn_like(condition)
        if o.start == "scaled":  # x_T of the forward process, which keeps much of the signal
            x = d.signal[-1] * neighbours + d.noise[-1] * x
        of_state, of_estimate, std = (factors.tolist() for factors in d.noise_step_factors())
        times, found = self.denoiser.time(self.denoiser.time_table), {}  # a(t) of all steps, [T, d]
        for t in range(o.steps - 1, min(o.levels()) - 1, -1):
            A, b = self.denoiser.factors(times[t], condition)
            x = of_state[t] * x + of_estimate[t] * (A * x + b)
            x = x.add_(torch.randn_like(x), alpha=std[t]) if t else x
            found[t] = x
        return torch.stack([found[step] for step in o.levels()])


def unit(vectors: Tensor) -> Tensor:
    """Return vectors at mean square 1, [rows, d]."""
    return F.normalize(vectors, dim=1) * vectors.shape[1] ** 0.5
