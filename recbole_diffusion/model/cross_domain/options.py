"""Hyper-parameters of the cross-domain baselines; DiffCDR has a file of its own."""

from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.cross_domain import CalibratedOptions, CrossDomainOptions
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class EMCDROptions(CalibratedOptions):
    """Read once by the model's constructor, checked before data loads."""

    mapping: str = option("mapping of vectors: one matrix, or a perceptron", choices=("linear", "perceptron"))
    mapping_size: int = option("hidden width of the perceptron", low=1)


@dataclass(frozen=True)
class LACDROptions(CalibratedOptions):
    """Read once by the model's constructor, checked before data loads."""

    hidden_size: int = option("hidden width of encoders and decoders", low=1)
    code_size: int = option("width of the common codes, below that of the vectors", low=1)
    align_weight: float = option("weight of the distance between a user's two codes", low=0)
    rebuild_weight: float = option("weight of the error of the rebuilt vectors", low=0)


@dataclass(frozen=True)
class PTUPCDROptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    meta_size: int = option("hidden width of the meta network", low=1)
    history_floor: float | None = option(
        "lowest rating of the source items that characterise a user; null: all of them"
    )
    task_absolute: float = option(
        "share of absolute errors in the loss of ratings; 0: squared errors alone", low=0, high=1
    )
    shift_reg_weight: float | None = option(
        "learn a shift of each item's offset too, held by so many ratings of shift 0; null: none, the "
        "paper's",
        low=0,
    )


@dataclass(frozen=True)
class SSCDROptions(CalibratedOptions):
    """Read once by the model's constructor, checked before data loads."""

    mapping_size: int = option("hidden width of the mapping", low=1)
    unsupervised_weight: float = option("lambda, weight of the loss of source pairs without labels", low=0)
    margin: float = option(
        "how much nearer a liked item is to be than another, squared distance in the unit ball", low=0
    )
    history_floor: float | None = option(
        "lowest rating of the source items a user is near to; null: all rated ones"
    )
    hops: int = option("steps of gathering neighbours before a source vector is mapped", low=0)


@dataclass(frozen=True)
class CMFOptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    source_weight: float = option(
        "weight of the squared error of a source rating, that of a target rating being 1", low=0
    )
    task_absolute: float = option(
        "share of absolute errors in the loss; 0: squared errors alone", low=0, high=1
    )


@dataclass(frozen=True)
class TGTOptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    cold_vector: str = option(
        "what a user without ratings has: the random start, or the mean of the others",
        choices=("untrained", "mean"),
    )


@dataclass(frozen=True)
class GlobalMeanOptions(CrossDomainOptions):
    """Nothing of its own."""


@dataclass(frozen=True)
class ItemMeanOptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    item_shrinkage: float = option("ratings of the global mean that are added to each item's own", low=0)


@dataclass(frozen=True)
class SourceOffsetOptions(ItemMeanOptions):
    """Read once by the model's constructor, checked before data loads."""

    user_shrinkage: float = option("ratings without offset that are added to each user's own", low=0)


@dataclass(frozen=True)
class SourceRegressionOptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    task_absolute: float = option(
        "share of absolute errors in the loss of ratings; 0: squared errors alone", low=0, high=1
    )
    shift_reg_weight: float | None = option(
        "learn a shift of each item's offset, held by so many ratings of shift 0; null: none", low=0
    )
    profile: bool = option("read how the user rates in the source domain too, as DiffCDR's condition may")
    profile_reg_weight: float = option("ratings that hold the slopes of the profile at 0", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.bias:
            raise UsageError(
                "SourceRegression reads the users' biases of the source factorisation; leave bias at True"
            )
