"""From all positive rows to those of the data set: distinct pairs, then users with enough rows, then items with enough rows.

Appendix B of the CNSDiff paper names the thresholds and not their order. Here, as its sentences come, once
each:

1. rows below the threshold of the rating (or watch ratio) were never kept by the readers: a count is a count
  of positives;
2. of the rows of one user and item, the latest stays where the split is by time, else the first of the file;
3. users with fewer than ``min_user`` rows are removed;
4. items with fewer than ``min_item`` of the rows that are left are removed; users may fall below ``min_user``
  by that.

The split of Food that circulates has the marks of the same order: its items stop sharply at one number of
rows, while its users go down to 2. That number is 15, not 50: the thresholds of the text do not describe that
split, and the 34 rows an item of the paper's Table 3 contradict 50 as well. The defaults are the text's.

Rows of a fully exposed set are test rows: they are neither counted nor removed here (the split drops those
whose user or item no other row knows).
"""

import numpy as np

from recbole_diffusion.data.split import rows_to_keep
from recbole_diffusion.prepare.interactions import Interactions


def filtered(
    found: Interactions, min_user: int, min_item: int, by_time: bool
) -> tuple[Interactions, dict[str, int], dict[str, int]]:
    """Apply the filters; return what is left, the rows after each step, and why rows went at the second (``split.rows_to_keep``).

    Args:
        found: the positive rows.
        min_user: fewest rows of a user.
        min_item: fewest rows of an item, among the rows of the users that stay.
        by_time: the latest row of a pair stays, not the first.
    """
    steps = {"rows_read": found.read, "positive_rows": len(found)}
    exposed = found.exposed if found.exposed.any() else None
    keep, dropped = rows_to_keep(found.users, found.items, found.time if by_time else None, exposed)
    found = found.only(keep)
    steps["distinct_pairs"] = len(found)
    for name, codes, fewest in (("min_user", "users", min_user), ("min_item", "items", min_item)):
        found = found.only(_enough(getattr(found, codes), found.exposed, fewest))
        steps[f"after_{name}"] = len(found)
    return found, steps, dropped


def _enough(codes: np.ndarray, exposed: np.ndarray, fewest: int) -> np.ndarray:
    """Return bool [rows], the rows whose code has at least ``fewest`` rows that are not exposed, and all exposed rows."""
    counts = np.bincount(codes[~exposed], minlength=int(codes.max(initial=-1)) + 1)
    return exposed | (counts[codes] >= fewest)
