"""Readers of the published files of Food.com, Yelp and KuaiRec: the positive rows, in a stream.

Each reader takes the paths of its files by name and the smallest positive value, and raises SourceError with
the row where a file is malformed. Of a file of gigabytes, memory holds the ids and one line.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from recbole_diffusion.prepare.interactions import UNKNOWN, InteractionCollector, Interactions
from recbole_diffusion.prepare.rows import SourceError, SourceRows

FOOD_COLUMNS = ("user_id", "recipe_id", "date", "rating")
YELP_KEYS = ("user_id", "business_id", "stars", "date")
STARS = 0.0, 5.0  # the scale of both; 0 where no stars were given
KUAIREC_COLUMNS = ("user_id", "video_id", "timestamp", "watch_ratio")
KUAIREC_MATRICES = {"big_matrix.csv": False, "small_matrix.csv": True}  # name -> fully exposed


def read_food(files: Mapping[str, Path], threshold: float) -> Interactions:
    """Read the reviews of Food.com (Kaggle, ``RAW_interactions.csv``) with at least ``threshold`` of 5 stars.

    A review without stars has the rating 0 in the file.
    """
    path = files["RAW_interactions.csv"]
    collector = InteractionCollector()
    with path.open("rb") as stream:
        rows = SourceRows(stream, path.name, path.stat().st_size)
        for user, item, day, rating in rows.read_csv(FOOD_COLUMNS):
            if rows.rating(rating, "rating", *STARS) >= threshold:
                collector.add(
                    rows.token(user, "user_id"), rows.token(item, "recipe_id"), rows.day(day, "date")
                )
        collector.read = rows.row
    return collector.finish()


def read_yelp(files: Mapping[str, Path], threshold: float) -> Interactions:
    """Read the reviews of the Yelp Open Dataset with at least ``threshold`` of 5 stars."""
    path = files["yelp_academic_dataset_review.json"]
    collector = InteractionCollector()
    with path.open("rb") as stream:
        rows = SourceRows(stream, path.name, path.stat().st_size)
        for line in rows.read_lines():
            user, item, stars, moment = _yelp_fields(rows, line)
            if rows.rating(stars, "stars", *STARS) >= threshold:
                collector.add(
                    rows.token(user, "user_id"), rows.token(item, "business_id"), rows.day(moment, "date")
                )
        collector.read = rows.row
    return collector.finish()


def _yelp_fields(rows: SourceRows, line: bytes) -> list:
    try:
        review = json.loads(line)
        return [review[key] for key in YELP_KEYS]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        found = f"{line[:40]!r} ({type(error).__name__}: {error})"
        raise rows.fault(found, f"one JSON object with {', '.join(YELP_KEYS)}") from error


def read_kuairec(files: Mapping[str, Path], threshold: float) -> Interactions:
    """Read the views of KuaiRec with a watch ratio (time watched / length of the video) from ``threshold``.

    ``big_matrix.csv`` is the platform's log, ``small_matrix.csv`` has users who saw every video. Both are
    read out of the archive as they are decompressed. The folder inside differs by version (``KuaiRec/data/``,
    ``KuaiRec 2.0/data/``), so the last part of the name decides. The time of some views is not published.

    Raises:
        SourceError: also if the file is not a zip archive, or lacks a matrix.
    """
    path = files["KuaiRec.zip"]
    collector = InteractionCollector()
    try:
        with zipfile.ZipFile(path) as archive:
            for name, exposed in KUAIREC_MATRICES.items():
                member = _member(archive, path, name)
                collector.read += _read_matrix(archive, member, exposed, threshold, collector)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SourceError(
            f"{path} is not a readable zip archive ({error}); remove it and get it again"
        ) from error
    return collector.finish()


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> zipfile.ZipInfo:
    found = [member for member in archive.infolist() if PurePosixPath(member.filename).name == name]
    if len(found) != 1:
        there = ", ".join(member.filename for member in found) or "none"
        raise SourceError(
            f"{path} should hold one {name}, found {there}; get it again from the page of the data set"
        )
    return found[0]


def _read_matrix(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    exposed: bool,
    threshold: float,
    collector: InteractionCollector,
) -> int:
    """Collect the positive rows of one matrix; return its number of rows."""
    with archive.open(member) as stream:
        rows = SourceRows(stream, member.filename, member.file_size)
        for user, item, moment, ratio in rows.read_csv(KUAIREC_COLUMNS):
            if rows.number(ratio, "watch_ratio") >= threshold:
                seconds = rows.number(moment, "timestamp") if moment else UNKNOWN
                collector.add(rows.token(user, "user_id"), rows.token(item, "video_id"), seconds, exposed)
        return rows.row
