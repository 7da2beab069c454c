"""Hyper-parameters of the multimodal models, and of the diffusion that MCDRec and CCDRec have."""

from dataclasses import dataclass
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option
from recbole_diffusion.options.diffusion import NoiseScheduleOptions
from recbole_diffusion.options.multimodal import FeatureOptions, MultimodalOptions


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
class TrainedFeatureOptions(FeatureOptions):
    """Features that are projected, frozen or not."""

    train_features: bool = option(
        "train the feature matrices too, each from its features on (released codes), in four times their "
        "memory"
    )


@dataclass(frozen=True)
class BM3GraphOptions(TrainedFeatureOptions):
    """Options that a model over BM3 has too."""

    embedding_size: int = option("width d of user and item vectors", low=1)
    n_layers: int = option("propagation layers of the user-item graph", low=0)
    dropout_prob: float = option("dropout of BM3's targets", low=0, high=1, open_high=True)
    cl_weight: float = option("weight of BM3's losses between projected features and items", low=0)
    reg_weight: float = option("weight of the penalty on the vectors", low=0)


@dataclass(frozen=True)
class BM3Options(BM3GraphOptions):
    """Read once by the model's constructor, checked before data loads."""


@dataclass(frozen=True)
class FREEDOMGraphOptions(TrainedFeatureOptions, MultimodalOptions):
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

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        return {} if self.modal_weight else {"train_features": "modal_weight is 0"}


@dataclass(frozen=True)
class LATTICEGraphOptions(TrainedFeatureOptions, MultimodalOptions):
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


# The step's embedding has the width of the vectors, and begins with a cosine and a sine.
ONE_NUMBER = "embedding_size is 1; vectors that are diffused take 2 numbers or more"
# What MCDRec and CCDRec over BM3 do not read: item graphs and pairs with negatives are FREEDOM's.
OF_ITEM_GRAPHS = {"n_item_layers", "modality_weights", "knn_k", "knn_source", "graph_cache"}
OF_BM3 = {"dropout_prob", "cl_weight", "reg_weight"}


@dataclass(frozen=True)
class MCDRecOptions(DiffusedOptions, MCDRecGraphOptions, BM3GraphOptions):
    """Read once by the model's constructor, checked before data loads."""

    backbone: str = option("whose graphs and losses: FREEDOM's, or BM3's", choices=("FREEDOM", "BM3"))
    estimator: str = option(
        "a perceptron with a bottleneck, or the released code's U-Net on item vectors as square images",
        choices=("perceptron", "unet"),
    )
    graph_input: str = option(
        "what the user-item graph starts from: the fused item vectors, or a perceptron of them and the "
        "projected features (released code)",
        choices=("fused", "perceptron"),
    )
    n_negatives: int = option("uniform negatives for each positive", low=1)

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        names = {"n_negatives", "modal_weight"} | OF_ITEM_GRAPHS if self.backbone == "BM3" else OF_BM3
        return dict.fromkeys(names, f"backbone is {self.backbone}")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimator == "unet" and self.embedding_size not in (16, 64, 256, 1024):
            raise UsageError(
                f"embedding_size is {self.embedding_size}, which is no image of 4, 8, 16, ... pixels a side; "
                "estimator unet takes 16, 64, 256 or 1024"
            )
        if self.embedding_size < 2:
            raise UsageError(ONE_NUMBER)


@dataclass(frozen=True)
class VBPROptions(FeatureOptions):
    """Read once by the model's constructor, checked before data loads."""

    embedding_size: int = option("width d of the free and of the visual part", low=1)
    biases: bool = option("add a bias for each item and one read off its features (the paper; not MMRec)")
    penalty: str = option(
        "of the vectors of a batch: their norms, not squared (MMRec), or half their squared lengths",
        choices=("norm", "squared"),
    )
    reg_weight: float = option("weight of the penalty", low=0)
    n_negatives: int = option("uniform negatives for each positive", low=1)


@dataclass(frozen=True)
class MMGCNOptions(FeatureOptions):
    """Read once by the model's constructor, checked before data loads."""

    embedding_size: int = option("width d of what a layer gives", low=1)
    n_layers: int = option("layers of each modality's graph network", low=1)
    projection_size: int = option(
        "features wider than twice this are first projected to it (images), others enter as they are", low=1
    )
    combination: str = option(
        "a layer's graph part and own part side by side (MMRec), or added", choices=("joined", "added")
    )
    train_ids: bool = option("train the vectors of ids and tastes (the paper; the released code does not)")
    reg_weight: float = option("weight of the penalty on both", low=0)
    n_negatives: int = option("uniform negatives for each positive", low=1)


@dataclass(frozen=True)
class SLMRecOptions(FeatureOptions):
    """Read once by the model's constructor, checked before data loads."""

    embedding_size: int = option("width d of each channel and of the vectors that score", low=2)
    n_layers: int = option("propagation layers of the user-item graph", low=1)
    temperature: float = option("of the contrast of a user with the items of a batch", low=0, open_low=True)
    ssl_task: str = option(
        "self-supervised task: fac, ids and modalities in growing detail; fd, dropped features; fm, masked "
        "channels; fd+fm, both",
        choices=("fac", "fd", "fm", "fd+fm", "none"),
    )
    ssl_temperature: float = option("of the self-supervised task", low=0, open_low=True)
    ssl_weight: float = option("alpha, weight of the self-supervised task", low=0)
    dropout_prob: float = option("dropout after each propagation of fd", low=0, high=1, open_high=True)
    mask_repeats: bool = option("a further row of an item in the batch is no negative of it")
    precompute: bool = option("propagate the features once, before training, instead of in each batch")

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        reason = f"ssl_task is {self.ssl_task}"
        found = {} if "fd" in self.ssl_task else {"dropout_prob": reason}
        if self.ssl_task == "none":
            found |= dict.fromkeys(("ssl_temperature", "ssl_weight"), reason)
        return found
