"""Negative samples among ratings: unobserved items with a low rating, for lists of items.

DiffCDR, section 4.1: N@20 and H@20 are of "additional experiments by adding same negative samples to each CDR
models". A model trained on observed ratings alone predicts how an item would be rated if it were rated, and
ranks the many items that hardly anybody rates by what it does not know of them.
"""

from dataclasses import dataclass

import torch

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives


@dataclass(frozen=True)
class NegativePool:
    """What a fold-in adds to a user's ratings: the mean of what training has added to those of other users.

    Attributes:
        per_rating: negatives of each rating.
        rating: of a negative.
        first: the first of the items that they are drawn from.
    """

    per_rating: int
    rating: float
    first: int = 1


def with_negatives(ratings: Ratings, n_items: int, per_rating: int, value: float, seed: int) -> Ratings:
    """Return the ratings, then ``per_rating`` unobserved items of the same user for each, rated ``value``.

    Items are drawn uniformly, with replacement, from those without a rating of the user; a user who has rated
    all items gets none.

    Args:
        ratings: of one domain.
        n_items: number of item ids, the padding id 0 included.
        per_rating: 0 returns the ratings as they are.
        value: rating of a negative.
        seed: of the draw, which depends on nothing else, so that all models get the same negatives.
    """
    if not per_rating or not len(ratings):
        return ratings
    # Distinct pairs, ascending by user and item, as one number each.
    keys = torch.unique(ratings.users * n_items + ratings.items)
    counts = torch.bincount(keys // n_items)
    rated = InteractionCSR(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), keys % n_items, n_items)
    users = ratings.users[counts[ratings.users] < n_items - 1].repeat_interleave(per_rating)
    items = uniform_negatives(rated, users, generator=torch.Generator().manual_seed(seed))
    values = torch.full((len(users),), value)
    return Ratings(
        torch.cat([ratings.users, users]),
        torch.cat([ratings.items, items]),
        torch.cat([ratings.ratings, values]),
    )
