"""Hyper-parameters of MCDRec; ``properties/model/MCDRec.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.model.diffused_options import DiffusedOptions
from recbole_diffusion.options import option


@dataclass(frozen=True)
class MCDRecOptions(DiffusedOptions):
    """Read once by the model's constructor, checked before data loads."""

    embedding_size: int = option(64, "width d of user and item vectors", low=4)
    n_layers: int = option(2, "propagation layers of the user-item graph", low=1)
    n_item_layers: int = option(1, "propagation layers of the item graph", low=1)
    edge_dropout: float = option(
        0.8, "share of the interactions left out of the user-item graph in an epoch", low=0, high=1, open_high=True
    )
    graph_temperature: float = option(
        0.5, "weight of the cosine between user and diffused item in the user-item graph (DGD)", low=0, high=1
    )
    modal_weight: float = option(1e-3, "weight of the pairwise loss against the projected features; 0: none", low=0)
    n_negatives: int = option(1, "uniform negatives of a positive", low=1)
