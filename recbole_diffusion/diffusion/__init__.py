"""Mathematics of diffusion: schedules, the Gaussian process, steps, an ODE solver. Imports torch only."""

from recbole_diffusion.diffusion.gaussian import GaussianDiffusion
from recbole_diffusion.diffusion.schedule import (
    SCHEDULES,
    binomial_betas,
    cosine_betas,
    exponential_betas,
    linear_betas,
    linear_variance_betas,
    make_betas,
    square_root_betas,
)
from recbole_diffusion.diffusion.solver import LinearVP, fast_orders, solve
from recbole_diffusion.diffusion.timestep import (
    ImportanceSteps,
    antithetic_steps,
    sinusoidal_embedding,
    uniform_steps,
)

__all__ = [
    "SCHEDULES",
    "GaussianDiffusion",
    "ImportanceSteps",
    "LinearVP",
    "antithetic_steps",
    "binomial_betas",
    "cosine_betas",
    "exponential_betas",
    "fast_orders",
    "linear_betas",
    "linear_variance_betas",
    "make_betas",
    "sinusoidal_embedding",
    "solve",
    "square_root_betas",
    "uniform_steps",
]
