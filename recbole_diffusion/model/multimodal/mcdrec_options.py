"""Hyper-parameters of MCDRec; ``properties/model/MCDRec.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.model.multimodal.diffused_options import DiffusedOptions
from recbole_diffusion.model.multimodal.freedom_options import FREEDOMGraphOptions
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class MCDRecGraphOptions(FREEDOMGraphOptions):
    """What a model that wraps MCDRec has too: FREEDOM's graphs, and the weights of interactions."""

    graph_temperature: float = option(
        0.5,
        "weight of the cosine between user and diffused item in MCDRec's user-item graph (DGD)",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class MCDRecOptions(DiffusedOptions, MCDRecGraphOptions):
    """Read once by the model's constructor, checked before data loads."""

    n_negatives: int = option(1, "uniform negatives of a positive", low=1)
