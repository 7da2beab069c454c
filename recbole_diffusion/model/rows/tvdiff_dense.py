"""TVDiff as the paper writes it, on arrays [batch, n_items] (``training: dense``, ``scoring: dense``).

The model computes the same by the identities 1 to 3 of ``docs/architecture.md``; tests and benchmarks compare
the two.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.diffusion import GaussianDiffusion
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

Denoiser = Callable[[Tensor, Tensor], Tensor]  # x_t [batch, n_items] and steps [batch] to u_t [batch, width]


def dense_rows(positives: InteractionCSR, users: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the rows x_0 of users, long [batch], as [batch, n_items]."""
    items, _, rows = positives.gather(users)
    x0 = torch.zeros(len(users), positives.n_items, dtype=dtype, device=users.device)
    x0[rows, items] = 1.0
    return x0


def dense_energy(
    denoiser: Denoiser, diffusion: GaussianDiffusion, x0: Tensor, t: Tensor, H: Tensor, dropout_prob: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return u_t [batch, width], x0_hat = u_t H^T [batch, n_items] and the squared errors [batch] (Eq. 13).

    Args:
        denoiser: makes u_t.
        diffusion: the process.
        x0: [batch, n_items].
        t: steps, long [batch].
        H: item vectors, [n_items, width].
        dropout_prob: of the noised row; 0 for none.
    """
    # [batch, n_items] from here on, which the projected form never makes.
    noise = torch.randn_like(x0)
    noise[:, 0] = 0  # the padding item
    xt = F.dropout(diffusion.q_sample(x0, t, noise), dropout_prob)
    u = denoiser(xt, t)
    # x0_hat = u_t H^T (Eq. 13), against all items of x_0.
    x0_hat = u @ H.T
    return u, x0_hat, (x0_hat - x0).square().sum(1)


def dense_scores(
    denoiser: Denoiser, diffusion: GaussianDiffusion, x0: Tensor, H: Tensor, steps: int
) -> Tensor:
    """Return the end of the reverse chain from x_0 itself, without noise, [batch, n_items] (Algorithm 2)."""
    # x_{t-1} = c1 x0_hat + c2 x_t; at the last step c1 = 1 and c2 = 0, which leaves x0_hat.
    *_, (_, scores) = diffusion.denoise(lambda x, t: denoiser(x, t) @ H.T, x0, steps)
    return scores
