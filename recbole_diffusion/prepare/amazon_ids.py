"""The look of Amazon's ids, which tells users from items where a file has no header; imports nothing of ours.

Files of ratings of 2014 have user, item, rating, timestamp, those of 2018 and 2023 item, user, rating,
timestamp.
"""

import re
from collections.abc import Sequence

ASIN = re.compile(r"(?:B[0-9A-Z]{9}|\d{9}[\dX])")  # a product: Amazon's own number, or an ISBN
REVIEWER = re.compile(r"A[0-9A-Z]{8,}")


def is_product_of_reviewer(first: str, second: str) -> bool:
    """Return whether two ids look like an item and its user, in this order; no id looks like both."""
    return bool(ASIN.fullmatch(first) and REVIEWER.fullmatch(second))


def look_swapped(users: Sequence[str], items: Sequence[str]) -> bool:
    """Return whether most users look like products, and most items like reviewers."""
    products, reviewers = (
        sum(bool(form.fullmatch(one)) for one in ids) for form, ids in ((ASIN, users), (REVIEWER, items))
    )
    return 2 * products > len(users) and 2 * reviewers > len(items)
