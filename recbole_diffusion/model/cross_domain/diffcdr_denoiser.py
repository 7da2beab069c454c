"""DiffCDR's diffusion module (DIM): the network that estimates noise, and its guided use by the solver."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from recbole_diffusion.diffusion import LinearVP, fast_orders, sinusoidal_embedding, solve
from recbole_diffusion.model.cross_domain.source_attention import SourceAttention

ACTIVATIONS = {"silu": nn.SiLU, "relu": nn.ReLU, "tanh": nn.Tanh, "none": nn.Identity}
TIME_UNITS = 1000.0  # the features of time read t in [0, 1] as 0..1000, as those of discrete steps


class Denoiser(nn.Module):
    """Three perceptron layers on the sum of noisy vector, time and condition (DiffCDR, section 3.1).

    The layers F predict the noise, or with ``velocity`` the part of it that does not follow from the noisy
    vector alone,

        eps = sigma(t) x + alpha(t) F,    so that    x_0 = alpha(t) x - sigma(t) F

    (Salimans and Ho 2022, "Progressive Distillation", section 4). At time 1 alpha is 0.007: there an error of
    the noise is 150 times as large in x_0, one of F is not.

    The condition enters through a matrix without bias, so that a condition of 0 means none.

    Args:
        schedule: of the noise.
        sizes: of the vectors, k, and of the condition.
        hidden_size: of the layers.
        time_size: width of the features of time.
        activation: one of ACTIVATIONS.
        velocity: what the layers predict, see above.
        join: ``hidden`` adds the three at hidden width after a matrix each, ``input`` at width k, as the
            paper words it.
    """

    attention: SourceAttention  # set by DiffCDR where the condition is a history

    def __init__(
        self,
        schedule: LinearVP,
        sizes: tuple[int, int],
        hidden_size: int,
        time_size: int,
        activation: str,
        velocity: bool,
        join: str,
    ) -> None:
        super().__init__()
        self.schedule, self.velocity = schedule, velocity
        # Of the solver's times, which are the same in each batch: features, alpha and sigma.
        self._features: dict[tuple[float, torch.device], tuple[Tensor, float, float]] = {}
        width, condition_size = sizes
        # Where the three are added: at hidden width, or at k.
        self.time_size, joined = time_size, hidden_size if join == "hidden" else width
        self.of_vector = nn.Linear(width, joined) if join == "hidden" else nn.Identity()
        self.of_time = nn.Linear(time_size, joined)
        self.of_condition = nn.Linear(condition_size, joined, bias=False)
        # At hidden width the matrices above are the first layer; at width k one of the layers has to be.
        act = ACTIVATIONS[activation]
        # To ``hidden_size``, again to ``hidden_size``, and to k.
        layers = [act()] if join == "hidden" else [nn.Linear(width, hidden_size), act()]
        self.layers = nn.Sequential(
            *layers, nn.Linear(hidden_size, hidden_size), act(), nn.Linear(hidden_size, width)
        )

    def features(self, t: Tensor) -> Tensor:
        """Return the sinusoidal features of times in [0, 1], [batch, time_size]."""
        return sinusoidal_embedding(t * TIME_UNITS, self.time_size, order="sin_cos")

    def one_time(self, t: Tensor) -> tuple[Tensor, float, float]:
        """Return features [1, time_size], alpha and sigma of a batch of one time, which recurs."""
        key = t[0].item(), t.device
        if key not in self._features:
            first = t[:1].double()
            numbers = self.schedule.alpha(first).item(), self.schedule.sigma(first).item()
            self._features[key] = (self.features(t[:1]), *numbers)
        return self._features[key]

    def target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return what the layers are to predict for ``x_t`` made of ``x0`` and ``noise``, [batch, k]."""
        if not self.velocity:
            return noise
        # v = alpha(t) eps - sigma(t) x_0 (Salimans and Ho 2022, section 4).
        return self.schedule.alpha(t)[:, None] * noise - self.schedule.sigma(t)[:, None] * x0

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Return F(x_t, t, c), [batch, k].

        Args:
            x: noisy vectors, [batch, k].
            t: times in [0, 1], [batch].
            condition: [batch, condition size], rows of 0 for none.
        """
        # The sum of the three, [batch, joined], through the other layers.
        return self.layers(self.of_vector(x) + self.of_time(self.features(t)) + self.of_condition(condition))

    def guided(self, condition: Tensor, guidance: float) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the noise under classifier-free guidance (Eq. 3) as a function of x and t, for the solver.

        Conditional and unconditional noise are the two halves of one pass; with guidance 0 or 1 only one of
        them is needed.

        Args:
            condition: [batch, condition size].
            guidance: s.
        """
        given = self.of_condition(condition)  # the same at each step, [batch, joined]

        def noise(x: Tensor, t: Tensor) -> Tensor:
            features, alpha, sigma = self.one_time(t)  # the solver's times are equal in a batch
            base = self.of_vector(x) + self.of_time(features)  # what both halves share, [batch, joined]
            if guidance in (0.0, 1.0):
                # s = 0 or 1 needs one half only; c enters through ``given``, which 0 switches off.
                found = self.layers(base + guidance * given)
            else:
                # [2 batch, joined], with the condition in the first half alone.
                with_it, without = self.layers(torch.cat([base + given, base])).chunk(2)
                found = torch.lerp(without, with_it, guidance)  # Eq. 3
            # eps from the velocity, or what the layers predict.
            return sigma * x + alpha * found if self.velocity else found

        return noise


# With fewer evaluations, steps are so long that the differences of orders 2 and 3 amplify a network's errors.
FEW = 10


def orders_of(evaluations: int) -> list[int]:
    """Return the orders of the solver's steps: DPM-Solver-fast, or first order below FEW evaluations."""
    return fast_orders(evaluations) if evaluations >= FEW else [1] * evaluations


def transferred(
    denoiser: Denoiser, x: Tensor, condition: Tensor, guidance: float, evaluations: int
) -> Tensor:
    """Solve from ``x`` at time 1 to time 0 under a condition (Eq. 4): [batch, k], without gradient.

    Args:
        denoiser: the noise, and the schedule that it is trained with.
        x: where it starts, [batch, k].
        condition: [batch, condition size].
        guidance: s.
        evaluations: of the noise; 0 returns ``x``.
    """
    if not evaluations:
        return x
    with torch.no_grad():
        # The probability-flow ODE of the guided noise, from time 1 to almost 0.
        return solve(denoiser.guided(condition, guidance), x, denoiser.schedule, orders_of(evaluations))
