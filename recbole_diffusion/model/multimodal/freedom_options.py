"""Hyper-parameters of FREEDOM; ``properties/model/FREEDOM.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.options.declare import option
from recbole_diffusion.options.multimodal import MultimodalOptions


@dataclass(frozen=True)
class FREEDOMGraphOptions(MultimodalOptions):
    """What a model that wraps FREEDOM has too."""

    embedding_size: int = option(64, "width d of user and item vectors", low=1)
    n_layers: int = option(2, "propagation layers of the user-item graph", low=1)
    n_item_layers: int = option(1, "propagation layers of the item graph", low=1)
    edge_dropout: float = option(
        0.8,
        "share of the interactions left out of the user-item graph in an epoch",
        low=0,
        high=1,
        open_high=True,
    )
    modal_weight: float = option(
        1e-3, "weight of the pairwise loss against the projected features; 0: none", low=0
    )


@dataclass(frozen=True)
class FREEDOMOptions(FREEDOMGraphOptions):
    """Read once by the model's constructor, checked before data loads."""

    n_negatives: int = option(1, "uniform negatives of a positive", low=1)
