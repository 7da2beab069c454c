"""Hyper-parameters of SourceRegression; ``properties/model/SourceRegression.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.cross_domain import CrossDomainOptions
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class SourceRegressionOptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    task_absolute: float = option(
        0.75, "share of absolute errors in the loss of ratings; 0: squared errors alone", low=0, high=1
    )
    shift_reg_weight: float | None = option(
        8.0, "learn a shift of each item's offset, held by so many ratings of shift 0; null: none", low=0
    )
    profile: bool = option(
        False, "read how the user rates in the source domain too, as DiffCDR's condition may"
    )
    profile_reg_weight: float = option(3000.0, "ratings that hold the slopes of the profile at 0", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.bias:
            raise UsageError(
                "SourceRegression reads the users' biases of the source factorisation; leave bias at True"
            )
