"""Hyper-parameters of CMF; ``properties/model/CMF.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.options.cross_domain import CrossDomainOptions
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class CMFOptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    source_weight: float = option(
        1.0, "weight of the squared error of a source rating, that of a target rating being 1", low=0
    )
    task_absolute: float = option(
        0.0, "share of absolute errors in the loss; 0: squared errors alone", low=0, high=1
    )
