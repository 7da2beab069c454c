"""Yelp Open Dataset, reviews: one JSON object a line with user_id, business_id, stars, date and the text, about 5 GB."""

import json
from collections.abc import Mapping
from pathlib import Path

from recbole_diffusion.prepare.interactions import Collector, Interactions
from recbole_diffusion.prepare.rows import Rows

KEYS = ("user_id", "business_id", "stars", "date")


def read(files: Mapping[str, Path], threshold: float) -> Interactions:
    """Read the reviews with at least ``threshold`` stars, line by line: memory holds the ids and one line.

    Args:
        files: path of ``yelp_academic_dataset_review.json`` by that name.
        threshold: the fewest stars, of 1 to 5, that are positive.

    Raises:
        SourceError: a line is no such object; the message names its number.
    """
    path = files["yelp_academic_dataset_review.json"]
    collector = Collector()
    with path.open("rb") as stream:
        rows = Rows(stream, path.name, path.stat().st_size)
        for line in rows.of_lines():
            user, item, stars, moment = _fields(rows, line)
            if rows.number(stars, "stars") >= threshold:
                collector.add(
                    rows.token(user, "user_id"), rows.token(item, "business_id"), rows.day(moment, "date")
                )
        collector.read = rows.row
    return collector.finish()


def _fields(rows: Rows, line: bytes) -> list:
    try:
        review = json.loads(line)
        return [review[key] for key in KEYS]
    except (ValueError, KeyError, TypeError) as error:
        found = f"{line[:40]!r} ({type(error).__name__}: {error})"
        raise rows.fault(found, f"one JSON object with {', '.join(KEYS)}") from error
