"""The networks of CNSDiff's diffusion: the denoiser, and the posterior over environments."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.diffusion import GaussianDiffusion, sinusoidal_embedding


class Denoiser(nn.Module):
    """eps_theta(z_t, t, e) of Eq. 6 and 15: a perceptron of two layers that estimates the noise in z_t.

    Step and environment enter as vectors added in the hidden layer, so that all K environments share the
    product of z_t with the first weights. The output is added to sqrt(1 - abar_t) z_t, the best linear
    estimate of the noise for data of unit variance, so that the perceptron learns the rest. A denoiser of
    ``mean_type`` x0 estimates z_0 in the same way, from sqrt(abar_t) z_t.

    Args:
        size: d, width of z_t.
        hidden_size: width of the hidden layer.
        diffusion: the process, for its steps and noise table.
        time_size: width of the sinusoidal embedding.
        environments: K, or 0 for a denoiser without environment.
        mean_type: what it estimates, ``eps`` or ``x0``.
    """

    time_table: Tensor
    linear: Tensor

    def __init__(
        self,
        size: int,
        hidden_size: int,
        diffusion: GaussianDiffusion,
        time_size: int,
        environments: int,
        mean_type: str = "eps",
    ) -> None:
        super().__init__()
        table = sinusoidal_embedding(torch.arange(diffusion.steps), time_size)
        self.register_buffer("time_table", table, persistent=False)
        # The factor of z_t in the best linear estimate: of the noise, or of z_0; [T].
        linear = diffusion.noise if mean_type == "eps" else diffusion.signal
        self.register_buffer("linear", linear.clone(), persistent=False)
        # Hidden layer: W z_t + (step) + (environment), each of [hidden], added before the activation.
        self.time_layer = nn.Linear(time_size, hidden_size)
        self.input_layer = nn.Linear(size, hidden_size, bias=False)
        # [K, hidden]; learned with the denoiser.
        self.environment = nn.Parameter(torch.randn(environments, hidden_size)) if environments else None
        self.output_layer = nn.Linear(hidden_size, size)
        # Small, so that training starts at the linear estimate.
        nn.init.normal_(self.output_layer.weight, std=0.02)

    def forward(self, z: Tensor, t: Tensor | int, environment: Tensor | None = None) -> Tensor:
        """Return the estimate from z [rows, d], at steps t [rows] or one, in environments [rows] or none."""
        hidden = self.input_layer(z) + self.time_layer(self.time_table[t])  # [rows, hidden]
        if environment is not None:
            if self.environment is None:
                raise ValueError("environments were given to a denoiser that has none")
            # Each row's own environment, [rows, hidden].
            hidden = hidden + self.environment[environment]
        # The perceptron's part plus the linear estimate, [rows, d].
        return self.output_layer(F.silu(hidden)) + self.linear[t, None] * z

    def every_environment(self, z: Tensor, t: Tensor) -> Tensor:
        """Return the estimate from z in each environment, [rows, K, d]; K is 1 without environments."""
        # The time layer on the table of T steps, not on the rows: there are fewer steps than rows.
        hidden = (self.input_layer(z) + F.embedding(t, self.time_layer(self.time_table)))[:, None]
        if self.environment is not None:
            hidden = hidden + self.environment  # [rows, 1, hidden] + [K, hidden]
        # The linear part is the same in each environment: [rows, 1, d].
        return self.output_layer(F.silu(hidden)) + (self.linear[t, None] * z)[:, None]


class EnvironmentPosterior(nn.Module):
    """q_phi(e | z_t) of Eq. 17: a perceptron on a state and the step of the reverse chain that leads to it.

    Args:
        size: d, width of z_t.
        hidden_size: width of the hidden layer.
        time_size: width of the sinusoidal embedding.
        steps: T.
        environments: K.
    """

    time_table: Tensor

    def __init__(self, size: int, hidden_size: int, time_size: int, steps: int, environments: int) -> None:
        super().__init__()
        self.register_buffer(
            "time_table", sinusoidal_embedding(torch.arange(steps), time_size), persistent=False
        )
        # The same form as the denoiser, with K logits at the end.
        self.time_layer = nn.Linear(time_size, hidden_size)
        self.input_layer = nn.Linear(size, hidden_size, bias=False)
        self.output_layer = nn.Linear(hidden_size, environments)

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """Return log q(e | z), [rows, K], for states z [rows, d] that the steps t [rows] lead to."""
        # [rows, hidden]; the time layer on the table of steps, as above.
        hidden = F.silu(self.input_layer(z) + F.embedding(t, self.time_layer(self.time_table)))
        return F.log_softmax(self.output_layer(hidden), dim=1)
