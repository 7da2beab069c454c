"""Food.com reviews (Kaggle, ``RAW_interactions.csv``): user_id, recipe_id, date, rating, review."""

from collections.abc import Mapping
from pathlib import Path

from recbole_diffusion.prepare.interactions import Collector, Interactions
from recbole_diffusion.prepare.rows import Rows

COLUMNS = ("user_id", "recipe_id", "date", "rating")


def read(files: Mapping[str, Path], threshold: float) -> Interactions:
    """Read the reviews with at least ``threshold`` stars; a review without stars has the rating 0 in the file.

    Args:
        files: path of ``RAW_interactions.csv`` by that name.
        threshold: the lowest rating, of 0 to 5, that is positive.

    Raises:
        SourceError: the file is malformed; the message names the row.
    """
    path = files["RAW_interactions.csv"]
    collector = Collector()
    with path.open("rb") as stream:
        rows = Rows(stream, path.name, path.stat().st_size)
        for user, item, day, rating in rows.of_csv(COLUMNS):
            if rows.number(rating, "rating") >= threshold:
                collector.add(
                    rows.token(user, "user_id"), rows.token(item, "recipe_id"), rows.day(day, "date")
                )
        collector.read = rows.row
    return collector.finish()
