"""The mean rating of each item, for every user."""

from recbole_diffusion.model.cross_domain.trivial import TrivialRecommender


class ItemMean(TrivialRecommender):
    """The mean of an item's training ratings; the global mean where it has none."""
