"""Hyper-parameters of the multimodal backbones, and of the diffusion that MCDRec and CCDRec have."""

from dataclasses import dataclass
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option
from recbole_diffusion.options.diffusion import NoiseScheduleOptions
from recbole_diffusion.options.multimodal import MultimodalOptions


@dataclass(frozen=True)
class DiffusedOptions(NoiseScheduleOptions, MultimodalOptions):
    """The schedule, and how the diffused vectors enter the model."""

    steps: int = option("diffusion steps T", low=2)
    diffused_ratio: float = option("mu, ratio of the diffused vector in the fused one", low=0, high=1)
    diffusion_weight: float = option("lambda, weight of the diffusion loss", low=0)
    diffused_scale: str = option(
        "item vectors enter the diffusion at unit mean square over the table, or as they are (released code)",
        choices=("unit", "raw"),
    )
    identity_path: bool = option(
        "add sqrt(abar_t) x_t to what the estimator gives, the best linear estimate at unit scale"
    )
    gradient_path: str = option(
        "full: the ranking losses and the diffusion loss (Eq. 5) reach estimator, projections and item "
        "vectors (released code); ranking: Eq. 5 neither item vectors nor projections that the backbone "
        "trains; cut: also the ranking losses not those projections, and Eq. 5 is taken at unit scale",
        choices=("full", "ranking", "cut"),
    )
    diffusion_error: str = option(
        "squared error of the diffusion loss: the norm of Eq. 5, a sum over coordinates, or the mean over "
        "them (released code)",
        choices=("norm", "mean"),
    )
    outside_batch: str = option(
        "what the user-item graph starts from for items that a batch does not estimate: the end of the "
        "epoch's chain, fused, or h_hat alone (released code)",
        choices=("chain", "high_order"),
    )
    chain_noise: bool = option("add noise at each step of the reverse chain; False: follow the means")
    chain_seed: int = option("seed of the chain, so that scores are a function of the weights", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_schedule()
        if self.identity_path and self.diffused_scale == "raw":
            raise UsageError(
                "identity_path adds the best linear estimate at unit scale, and diffused_scale is raw; give "
                "--identity_path=False or --diffused_scale=unit"
            )

    def diffusion_path(self) -> dict[str, Any]:
        """Return the arguments of ``ItemDiffusion`` beside betas and estimator."""
        names = ("diffused_scale", "identity_path", "gradient_path", "diffusion_error")
        return {name: getattr(self, name) for name in names}


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

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        return {"modality_weights": "LATTICE learns them"}


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
