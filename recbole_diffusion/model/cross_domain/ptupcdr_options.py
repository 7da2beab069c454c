"""Hyper-parameters of PTUPCDR; ``properties/model/PTUPCDR.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.options.cross_domain import CrossDomainOptions
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class PTUPCDROptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    meta_size: int = option(50, "hidden width of the meta network", low=1)
    history_floor: float | None = option(
        None, "lowest rating of the source items that characterise a user; null: all of them"
    )
    task_absolute: float = option(
        0.0, "share of absolute errors in the loss of ratings; 0: squared errors alone", low=0, high=1
    )
    shift_reg_weight: float | None = option(
        None,
        "learn a shift of each item's offset too, held by so many ratings of shift 0; null: none, the "
        "paper's",
        low=0,
    )
