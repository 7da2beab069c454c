"""Hyper-parameters of TGT; ``properties/model/TGT.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.options.cross_domain import CrossDomainOptions
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class TGTOptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    cold_vector: str = option(
        "untrained",
        "what a user without ratings has: the random start, or the mean of the others",
        choices=("untrained", "mean"),
    )
