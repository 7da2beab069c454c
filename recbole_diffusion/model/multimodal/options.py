"""Hyper-parameters of the multimodal backbones, and of the diffusion that MCDRec and CCDRec have."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option
from recbole_diffusion.options.multimodal import MultimodalOptions

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DiffusedOptions(MultimodalOptions):
    """The schedule, and how the diffused vectors enter the model."""

    steps: int = option("diffusion steps T", low=2)
    noise_schedule: str = option(
        "schedule of the betas",
        choices=("linear-var", "linear", "cosine", "exp", "sqrt", "binomial"),
    )
    noise_scale: float = option("factor of noise_min and noise_max", low=0, high=1, open_low=True)
    noise_min: float = option("lower bound of the noise", low=0, high=1, open_low=True, open_high=True)
    noise_max: float = option("upper bound of the noise", low=0, high=1, open_low=True, open_high=True)
    diffused_share: float = option("mu, share of the diffused vector in the fused one", low=0, high=1)
    diffusion_weight: float = option("lambda, weight of the diffusion loss", low=0)
    chain_noise: bool = option("noise at each step of the reverse chain; False: it follows the means")
    chain_seed: int = option("seed of the chain, so that scores are a function of the weights", low=0)

    def betas(self) -> "Tensor":
        """Return the betas of the schedule, [steps]."""
        from recbole_diffusion.diffusion import make_betas  # late: --help of a model does not need torch

        scale = {"noise_scale": self.noise_scale, "noise_min": self.noise_min, "noise_max": self.noise_max}
        return make_betas(self.noise_schedule, self.steps, **scale)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.noise_min > self.noise_max:
            raise UsageError(
                f"noise_min is {self.noise_min} and noise_max {self.noise_max}; noise_min must not be larger"
            )
        try:
            self.betas()
        except ValueError as error:
            raise UsageError(
                f"noise_scale, noise_min, noise_max and steps make no schedule: {error}"
            ) from error


@dataclass(frozen=True)
class FREEDOMGraphOptions(MultimodalOptions):
    """What a model that wraps FREEDOM has too."""

    embedding_size: int = option("width d of user and item vectors", low=1)
    n_layers: int = option("propagation layers of the user-item graph", low=1)
    n_item_layers: int = option("propagation layers of the item graph", low=1)
    edge_dropout: float = option(
        "share of the interactions left out of the user-item graph in an epoch",
        low=0,
        high=1,
        open_high=True,
    )
    modal_weight: float = option("weight of the pairwise loss against the projected features; 0: none", low=0)


@dataclass(frozen=True)
class FREEDOMOptions(FREEDOMGraphOptions):
    """Read once by the model's constructor, checked before data loads."""

    n_negatives: int = option("uniform negatives of a positive", low=1)


@dataclass(frozen=True)
class LATTICEGraphOptions(MultimodalOptions):
    """What a model that wraps LATTICE has too."""

    embedding_size: int = option("width d of user and item vectors", low=1)
    n_layers: int = option("propagation layers of the user-item graph", low=1)
    n_item_layers: int = option("propagation layers of the item graph", low=1)
    original_share: float = option(
        "lambda, share of the graph of the original features against the learned one", low=0, high=1
    )
    reg_weight: float = option("weight of the L2 penalty on the free vectors of a batch", low=0)


@dataclass(frozen=True)
class LATTICEOptions(LATTICEGraphOptions):
    """Read once by the model's constructor, checked before data loads."""

    n_negatives: int = option("uniform negatives of a positive", low=1)


@dataclass(frozen=True)
class MCDRecGraphOptions(FREEDOMGraphOptions):
    """What a model that wraps MCDRec has too: FREEDOM's graphs, and the weights of interactions."""

    graph_temperature: float = option(
        "weight of the cosine between user and diffused item in MCDRec's user-item graph (DGD)",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class MCDRecOptions(DiffusedOptions, MCDRecGraphOptions):
    """Read once by the model's constructor, checked before data loads."""

    n_negatives: int = option("uniform negatives of a positive", low=1)
