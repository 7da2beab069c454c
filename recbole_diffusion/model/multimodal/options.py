"""Hyper-parameters of the multimodal backbones, and of the diffusion that MCDRec and CCDRec have."""

from dataclasses import dataclass

from recbole_diffusion.options.declare import option
from recbole_diffusion.options.diffusion import NoiseScheduleOptions
from recbole_diffusion.options.multimodal import MultimodalOptions


@dataclass(frozen=True)
class DiffusedOptions(NoiseScheduleOptions, MultimodalOptions):
    """The schedule, and how the diffused vectors enter the model."""

    steps: int = option("diffusion steps T", low=2)
    diffused_ratio: float = option("mu, ratio of the diffused vector in the fused one", low=0, high=1)
    diffusion_weight: float = option("lambda, weight of the diffusion loss", low=0)
    chain_noise: bool = option("add noise at each step of the reverse chain; False: follow the means")
    chain_seed: int = option("seed of the chain, so that scores are a function of the weights", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_schedule()


@dataclass(frozen=True)
class FREEDOMGraphOptions(MultimodalOptions):
    """Options that a model wrapping FREEDOM has too."""

    embedding_size: int = option("width d of user and item vectors", low=1)
    n_layers: int = option("propagation layers of the user-item graph", low=1)
    n_item_layers: int = option("propagation layers of the item graph", low=1)
    edge_dropout: float = option(
        "ratio of the interactions left out of the user-item graph in an epoch",
        low=0,
        high=1,
        open_high=True,
    )
    modal_weight: float = option("weight of the pairwise loss against the projected features; 0: none", low=0)


@dataclass(frozen=True)
class FREEDOMOptions(FREEDOMGraphOptions):
    """Read once by the model's constructor, checked before data loads."""

    n_negatives: int = option("uniform negatives for each positive", low=1)


@dataclass(frozen=True)
class LATTICEGraphOptions(MultimodalOptions):
    """Options that a model wrapping LATTICE has too."""

    embedding_size: int = option("width d of user and item vectors", low=1)
    n_layers: int = option("propagation layers of the user-item graph", low=1)
    n_item_layers: int = option("propagation layers of the item graph", low=1)
    original_ratio: float = option(
        "lambda, ratio of the graph of the original features against the learned one", low=0, high=1
    )
    reg_weight: float = option("weight of the L2 penalty on the free vectors of a batch", low=0)


@dataclass(frozen=True)
class LATTICEOptions(LATTICEGraphOptions):
    """Read once by the model's constructor, checked before data loads."""

    n_negatives: int = option("uniform negatives for each positive", low=1)


@dataclass(frozen=True)
class MCDRecGraphOptions(FREEDOMGraphOptions):
    """Options that a model wrapping MCDRec has too: FREEDOM's graphs, and the weights of interactions."""

    graph_temperature: float = option(
        "weight of the cosine between user and diffused item in MCDRec's user-item graph (DGD)",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class MCDRecOptions(DiffusedOptions, MCDRecGraphOptions):
    """Read once by the model's constructor, checked before data loads."""

    n_negatives: int = option("uniform negatives for each positive", low=1)
