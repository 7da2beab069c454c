"""Hyper-parameters of LACDR; ``properties/model/LACDR.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.options.cross_domain import CalibratedOptions
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class LACDROptions(CalibratedOptions):
    """Read once by the model's constructor, checked before data loads."""

    hidden_size: int = option(20, "hidden width of encoders and decoders", low=1)
    code_size: int = option(5, "width of the common codes, below that of the vectors", low=1)
    align_weight: float = option(1.0, "weight of the distance between a user's two codes", low=0)
    rebuild_weight: float = option(1.0, "weight of the error of the rebuilt vectors", low=0)
