"""Small files in the formats of the published data sets."""

import csv
import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

FOOD_HEADER = ("user_id", "recipe_id", "date", "rating", "review")
KUAIREC_HEADER = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio"


def write_food(folder: Path, rows: Iterable[tuple]) -> Path:
    """Write RAW_interactions.csv from (user, recipe, date, rating, review)."""
    path = folder / "RAW_interactions.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([FOOD_HEADER, *rows])
    return path


def write_yelp(folder: Path, rows: Iterable[tuple]) -> Path:
    """Write yelp_academic_dataset_review.json from (user, business, stars, date)."""
    path = folder / "yelp_academic_dataset_review.json"
    keys = ("user_id", "business_id", "stars", "date")
    lines = [
        json.dumps({"review_id": f"r{k}", **dict(zip(keys, row, strict=True)), "text": "ça va\n"})
        for k, row in enumerate(rows)
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def kuairec_matrix(rows: Iterable[tuple]) -> str:
    """Return one matrix as CSV text, from (user, video, timestamp, watch ratio).

    A timestamp '' is one that is not published.
    """
    text = io.StringIO()
    for user, video, moment, ratio in rows:
        day, date = ("2020-07-05 00:08:23.438", "20200705") if moment != "" else ("", "")
        text.write(f"{user},{video},13838,10867,{day},{date},{moment},{ratio}\n")
    return f"{KUAIREC_HEADER}\n{text.getvalue()}"


def write_kuairec(folder: Path, big: str, small: str, inside: str = "KuaiRec 2.0/data") -> Path:
    """Write KuaiRec.zip from the text of its two matrices."""
    path = folder / "KuaiRec.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{inside}/big_matrix.csv", big)
        archive.writestr(f"{inside}/social_network.csv", "user_id,friend_list\n")
        archive.writestr(f"{inside}/small_matrix.csv", small)
    return path
