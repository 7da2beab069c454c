"""The look of Amazon's ids, which tells users from items where a file has no header; imports nothing of ours.

Files of ratings of 2014 have user, item, rating, timestamp, those of 2018 and 2023 item, user, rating,
timestamp.
"""

import re
from typing import Any

ASIN = re.compile(r"(?:B[0-9A-Z]{9}|\d{9}[\dX])")  # a product: Amazon's own number, or an ISBN
REVIEWER = re.compile(r"A[0-9A-Z]{8,}")
LOOKED_AT = 1000  # ids by whose look users and items are told apart


def is_product_of_reviewer(first: str, second: str) -> bool:
    """Return whether two ids look like an item and its user, in this order; no id looks like both."""
    return bool(ASIN.fullmatch(first) and REVIEWER.fullmatch(second))


def note_if_exchanged(users: Any, items: Any) -> list[str]:
    """Return a line if most users look like products, and most items like reviewers; else none.

    Args:
        users: ids of users, each once, an Arrow array of texts.
        items: ids of items.
    """
    products, reviewers = ([one for one in ids[:LOOKED_AT].to_pylist() if one] for ids in (users, items))
    right = (
        sum(bool(form.fullmatch(one)) for one in ids) > len(ids) / 2
        for form, ids in ((ASIN, products), (REVIEWER, reviewers))
    )
    if not all(right):
        return []
    return [
        f"most users, such as {products[0]!r}, have the form of Amazon's products, and most items, such as "
        f"{reviewers[0]!r}, that of its reviewers: if that is what they are, exchange --user and --item"
    ]
