"""Hyper-parameters of the trivial baselines."""

from dataclasses import dataclass

from recbole_diffusion.options.cross_domain import CrossDomainOptions
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class GlobalMeanOptions(CrossDomainOptions):
    """Nothing of its own."""


@dataclass(frozen=True)
class ItemMeanOptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    item_shrinkage: float = option(0.0, "ratings of the global mean that are added to each item's own", low=0)


@dataclass(frozen=True)
class SourceOffsetOptions(ItemMeanOptions):
    """Read once by the model's constructor, checked before data loads."""

    user_shrinkage: float = option(0.0, "ratings without offset that are added to each user's own", low=0)
