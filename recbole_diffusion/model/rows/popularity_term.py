"""What is added to predicted ratings for an item's popularity (ours), for lists in which that is rewarded.

A list of rated items whose equal ratings stand in the order of item numbers, as in the authors' files of
DGRM, has popular items first among equals; so has any list of what users are likely to have rated.
"""

from torch import Tensor


def popularity_term(of_items: Tensor, weight: float) -> Tensor:
    """Return weight (log(1 + n_i) - its mean over training ratings), float32 [n_items].

    Over training ratings the term is 0 in the mean, so that the mean prediction stays.

    Args:
        of_items: n_i, training ratings of each item, [n_items], padding included.
        weight: in ratings.
    """
    counts = of_items.double()
    logs = counts.log1p()
    return (weight * (logs - (logs * counts).sum() / counts.sum().clamp_min(1))).float()
