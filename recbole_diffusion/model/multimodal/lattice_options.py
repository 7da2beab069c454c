"""Hyper-parameters of LATTICE; ``properties/model/LATTICE.yaml`` holds the same names and defaults."""

from dataclasses import dataclass

from recbole_diffusion.options.declare import option
from recbole_diffusion.options.multimodal import MultimodalOptions


@dataclass(frozen=True)
class LATTICEGraphOptions(MultimodalOptions):
    """What a model that wraps LATTICE has too."""

    embedding_size: int = option(64, "width d of user and item vectors", low=1)
    n_layers: int = option(2, "propagation layers of the user-item graph", low=1)
    n_item_layers: int = option(1, "propagation layers of the item graph", low=1)
    original_share: float = option(
        0.9, "lambda, share of the graph of the original features against the learned one", low=0, high=1
    )
    reg_weight: float = option(1e-4, "weight of the L2 penalty on the free vectors of a batch", low=0)


@dataclass(frozen=True)
class LATTICEOptions(LATTICEGraphOptions):
    """Read once by the model's constructor, checked before data loads."""

    n_negatives: int = option(1, "uniform negatives of a positive", low=1)
