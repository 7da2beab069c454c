"""Hyper-parameters of EMCDR; ``properties/model/EMCDR.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.options.cross_domain import CalibratedOptions
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class EMCDROptions(CalibratedOptions):
    """Read once by the model's constructor, checked before data loads."""

    mapping: str = option(
        "linear", "mapping of vectors: one matrix, or a perceptron", choices=("linear", "perceptron")
    )
    mapping_size: int = option(20, "hidden width of the perceptron", low=1)
