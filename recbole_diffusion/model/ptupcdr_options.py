"""Hyper-parameters of PTUPCDR; ``properties/model/PTUPCDR.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.cross_domain_options import CrossDomainOptions
from recbole_diffusion.options import option


@dataclass(frozen=True)
class PTUPCDROptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    meta_size: int = option(50, "hidden width of the meta network", low=1)
    history_floor: float | None = option(None, "lowest rating of the source items that characterise a user; null: all of them")
    task_norm: int = option(2, "errors of ratings to learn from: 2 squared, 1 absolute", choices=(1, 2))
