"""Hyper-parameters of the cross-domain baselines; DiffCDR has a file of its own."""

from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.cross_domain import (
    OF_FACTORISATION,
    OF_TRANSFER,
    CalibratedOptions,
    CrossDomainOptions,
)
from recbole_diffusion.options.declare import option
from recbole_diffusion.options.general import SolvedOptions


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
        "ratio of absolute errors in the loss of ratings; 0: squared errors alone", low=0, high=1
    )
    item_offset_reg_weight: float | None = option(
        "also learn an offset for each item; its L2 penalty counts as so many ratings of offset 0; null: no "
        "offsets, as in the paper",
        low=0,
    )


@dataclass(frozen=True)
class SSCDROptions(CalibratedOptions):
    """Read once by the model's constructor, checked before data loads."""

    mapping_size: int = option("hidden width of the mapping", low=1)
    unsupervised_weight: float = option("lambda, weight of the loss of source pairs without labels", low=0)
    margin: float = option(
        "margin by which a liked item is to be nearer than another, in squared distance in the unit ball",
        low=0,
    )
    history_floor: float | None = option(
        "lowest rating of a liked source item; null: all rated items count as liked"
    )
    hops: int = option("hops of averaging over neighbours before a source vector is mapped", low=0)


@dataclass(frozen=True)
class CMFOptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    source_weight: float = option(
        "weight of the squared error of a source rating, that of a target rating being 1", low=0
    )
    task_absolute: float = option(
        "ratio of absolute errors in the loss; 0: squared errors alone", low=0, high=1
    )

    def unread(self) -> dict[str, str]:
        """Return what this model does not read, with the reason."""
        steps = ("mf_epochs", "mf_learning_rate", "mf_batch_size", "mf_stopping_step", "mf_valid_ratio")
        return dict.fromkeys(
            (*steps, "stage_cache"),
            "CMF trains both domains at once, by epochs, learning_rate, train_batch_size and stopping_step",
        )


@dataclass(frozen=True)
class TGTOptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    cold_vector: str = option(
        "vector of a user without ratings: the untrained initial one, or the mean of the trained users",
        choices=("untrained", "mean"),
    )

    def unread(self) -> dict[str, str]:
        """Return what this model does not read, with the reason."""
        general = ("learning_rate", "train_batch_size", "stopping_step")
        return dict.fromkeys((*OF_TRANSFER, *general), "TGT has no stage after its factorisation")


@dataclass(frozen=True)
class GlobalMeanOptions(CrossDomainOptions, SolvedOptions):
    """The options of every cross-domain model alone; no vector is trained."""

    def unread(self) -> dict[str, str]:
        """Return what these models do not read, with the reason."""
        return dict.fromkeys((*OF_FACTORISATION, *OF_TRANSFER), "means are computed, nothing is factorised")


@dataclass(frozen=True)
class ItemMeanOptions(GlobalMeanOptions):
    """Read once by the model's constructor, checked before data loads."""

    item_shrinkage: float = option(
        "shrinkage: ratings of the global mean that are added to each item's", low=0
    )


@dataclass(frozen=True)
class SourceOffsetOptions(ItemMeanOptions):
    """Read once by the model's constructor, checked before data loads."""

    user_shrinkage: float = option("shrinkage: ratings of offset 0 that are added to each user's", low=0)


@dataclass(frozen=True)
class SourceRegressionOptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    task_absolute: float = option(
        "ratio of absolute errors in the loss of ratings; 0: squared errors alone", low=0, high=1
    )
    item_offset_reg_weight: float | None = option(
        "also learn an offset for each item; its L2 penalty counts as so many ratings of offset 0; null: no "
        "offsets",
        low=0,
    )
    profile: bool = option("also read the profile of how the user rates in the source domain, as DiffCDR may")
    profile_reg_weight: float = option(
        "L2 penalty of the profile's slopes; counts as so many ratings of slope 0", low=0
    )

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        return {} if self.profile else {"profile_reg_weight": "profile is False"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.bias:
            raise UsageError(
                "SourceRegression reads the users' biases of the source factorisation; leave bias at True"
            )
