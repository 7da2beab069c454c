"""DGRM's prediction to the letter of section 3.3, the sample R^{T-T'} itself (``prediction: posterior``)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from recbole_diffusion.diffusion import GaussianDiffusion
from recbole_diffusion.model.rows.dgrm_networks import Generator
from recbole_diffusion.model.rows.dgrm_options import DGRMOptions


def posterior_samples(
    generator: Generator,
    diffusion: GaussianDiffusion,
    options: DGRMOptions,
    rows: Iterable[Tensor],
    seeds: Iterable[int],
    base: Tensor | None = None,
    unit: float = 1.0,
) -> Tensor:
    """Return :func:`posterior_sample` of each row with its seed and its row of ``base``, [batch, n_items]."""
    return torch.stack(
        [
            posterior_sample(
                generator, diffusion, options, row, seed, None if base is None else base[number], unit
            )
            for number, (row, seed) in enumerate(zip(rows, seeds, strict=True))
        ]
    )


@torch.no_grad()
def posterior_sample(
    generator: Generator,
    diffusion: GaussianDiffusion,
    options: DGRMOptions,
    row: Tensor,
    seed: int,
    base: Tensor | None = None,
    unit: float = 1.0,
) -> Tensor:
    """Return R^{T-T'} of one user divided by its generated share, on the scale of ``row``, [n_items].

    Args:
        generator: G, read at all items in each backward step.
        diffusion: the process.
        options: T, T' and the width of G's noise.
        row: R^0, ratings in 0..1 and 0 where nothing is rated, [1, n_items].
        seed: of the noise.
        base: what is predicted beside the generator, [n_items]; None: nothing.
        unit: deviation of the rows' noise.
    """
    draw = torch.Generator(row.device).manual_seed(seed)

    def noise(width: int) -> Tensor:
        return torch.randn(1, width, generator=draw, device=row.device)

    def generated(x: Tensor, step: int) -> Tensor:
        t = torch.full((1,), step, device=x.device)
        # All items, since each cell of R^{t-1} is a part of the result.
        made = generator.all(generator.hidden(x @ generator.W, noise(options.noise_size), t))  # [1, n_items]
        return made if base is None else base + made

    last, share = options.steps - 1, 0.0
    x = diffusion.signal[last] * row + diffusion.noise[last] * unit * noise(row.shape[1])  # R^T
    # With T' = 0 there is no backward step; R^T alone predicts nothing, so that G's output is taken.
    if options.denoising_steps == 0:
        return generated(x, last)[0]
    for step in range(last, last - options.denoising_steps, -1):
        t = torch.full((1,), step, device=x.device)
        # sigma(t), [1, 1]; 0 at step 0.
        fresh = diffusion.posterior_std(t, x)
        # R^{t-1} = c1 F^0 + c2 R^t + sigma eps (Eq. 20), [1, n_items].
        x = diffusion.posterior_mean(generated(x, step), x, t) + fresh * unit * noise(row.shape[1])
        # At an unrated item R^T is noise around 0, and each step mixes in c1 of what is generated there:
        # without dividing by the sum of these shares, unrated items would be predicted too low.
        share = float(diffusion.posterior_x0[step]) + float(diffusion.posterior_xt[step]) * share
    return x[0] / share
