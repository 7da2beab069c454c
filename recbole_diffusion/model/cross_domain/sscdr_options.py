"""Hyper-parameters of SSCDR; ``properties/model/SSCDR.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.options.cross_domain import CalibratedOptions
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class SSCDROptions(CalibratedOptions):
    """Read once by the model's constructor, checked before data loads."""

    mapping_size: int = option(20, "hidden width of the mapping", low=1)
    unsupervised_weight: float = option(
        0.1, "lambda, weight of the loss of source pairs without labels", low=0
    )
    margin: float = option(
        1.0, "how much nearer a liked item is to be than another, squared distance in the unit ball", low=0
    )
    history_floor: float | None = option(
        4.0, "lowest rating of the source items a user is near to; null: all rated ones"
    )
    hops: int = option(1, "steps of gathering neighbours before a source vector is mapped", low=0)
