"""DiffCDR's diffusion module (DIM): the network that estimates noise, and its guided use by the solver."""

import torch
from torch import Tensor, nn

from recbole_diffusion.diffusion import LinearVP, fast_orders, sinusoidal_embedding, solve

ACTIVATIONS = {"silu": nn.SiLU, "relu": nn.ReLU, "tanh": nn.Tanh, "none": nn.Identity}
TIME_UNITS = 1000.0  # the features of time read t in [0, 1] as 0..1000, as those of discrete steps


class Denoiser(nn.Module):
    """Three perceptron layers on the sum of noisy vector, time and condition (DiffCDR, section 3.1).

    The condition enters through a matrix without bias, so that a condition of 0 is none.

    Args:
        width: of the vectors, k.
        hidden_size: of the layers.
        time_size: width of the features of time.
        activation: one of ACTIVATIONS.
        join: ``hidden`` adds the three at hidden width after a matrix each, ``input`` at width k, as the paper words it.
    """

    def __init__(self, width: int, hidden_size: int, time_size: int, activation: str, join: str) -> None:
        super().__init__()
        self.time_size, joined = time_size, hidden_size if join == "hidden" else width
        self.of_vector = nn.Linear(width, joined) if join == "hidden" else nn.Identity()
        self.of_time = nn.Linear(time_size, joined)
        self.of_condition = nn.Linear(width, joined, bias=False)
        act = ACTIVATIONS[activation]
        layers = [act()] if join == "hidden" else [nn.Linear(width, hidden_size), act()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden_size, hidden_size), act(), nn.Linear(hidden_size, width))

    def time(self, t: Tensor) -> Tensor:
        """Return what a time in [0, 1] adds, [batch, joined]."""
        return self.of_time(sinusoidal_embedding(t * TIME_UNITS, self.time_size, order="sin_cos"))

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Return the estimated noise.

        Args:
            x: noisy vectors, [batch, k].
            t: times in [0, 1], [batch].
            condition: [batch, k], rows of 0 for none.
        """
        return self.layers(self.of_vector(x) + self.time(t) + self.of_condition(condition))

    def guided(self, condition: Tensor, guidance: float):
        """Return the noise under classifier-free guidance (Eq. 3) as a function of x and t, for the solver.

        Conditional and unconditional noise are the two halves of one pass; with guidance 0 or 1 one of them is all.

        Args:
            condition: [batch, k].
            guidance: s.
        """
        given = self.of_condition(condition)

        def noise(x: Tensor, t: Tensor) -> Tensor:
            base = self.of_vector(x) + self.time(t[:1])  # the solver's times are equal in a batch
            if guidance in (0.0, 1.0):
                return self.layers(base + guidance * given)
            with_it, without = self.layers(torch.cat([base + given, base])).chunk(2)
            return without + guidance * (with_it - without)

        return noise


def transferred(
    denoiser: Denoiser, schedule: LinearVP, x: Tensor, condition: Tensor, guidance: float, evaluations: int
) -> Tensor:
    """Return what the solver makes of ``x`` at time 1 under a condition (Eq. 4), [batch, k]; no gradient.

    Args:
        denoiser: the noise.
        schedule: the same as in training.
        x: where it starts, [batch, k].
        condition: [batch, k].
        guidance: s.
        evaluations: of the noise; 0 returns ``x``.
    """
    if not evaluations:
        return x
    with torch.no_grad():
        return solve(denoiser.guided(condition, guidance), x, schedule, fast_orders(evaluations))
