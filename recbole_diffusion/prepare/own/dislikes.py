"""Ratings of 0 and below in a file of one's own, which a model of implicit feedback takes for positives."""

import numpy as np

from recbole_diffusion.errors import agreeing, counted


def note_of_dislikes(ratings: np.ndarray | None) -> list[str]:
    """Return a line on a table's ratings of 0 and below, if it has others too; NaN is no rating."""
    given = np.zeros(0) if ratings is None else ratings[~np.isnan(ratings)]
    low = int((given <= 0).sum())
    if not 0 < low < len(given):
        return []
    return [
        f"{low:,} of {counted(len(given), 'rating')} {agreeing(low, 'are')} 0 or below; a model of implicit "
        "feedback takes their rows as positives: if they are dislikes, or no ratings, keep the others alone "
        'with --val_interval="{rating: \'(0,inf)\'}" and --load_col="{inter: [user_id, item_id, rating]}"'
    ]
