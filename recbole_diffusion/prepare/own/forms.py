"""Forms of published files that are recognised by their columns: MovieLens, Amazon, Yelp, KuaiRec, MIND.

A file without a header line is recognised by the look of its first rows; where two readings are possible
(Amazon's ratings of 2014 and of 2018 differ in the order of user and item), the ids decide, or nothing does
and the file is refused.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.prepare.amazon_ids import ASIN, REVIEWER
from recbole_diffusion.prepare.own.source import Source
from recbole_diffusion.prepare.own.texts import TextSource

EPOCH = re.compile(r"\d{9,10}")  # seconds since 1970, from 1973 on
RATED = re.compile(r"[0-5](?:\.[05])?")
MIND_TIME = re.compile(r"\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d\d:\d\d [AP]M")
SHOWN = r"^\S+-[01]$"


@dataclass(frozen=True)
class Form:
    """How a kind of file holds its interactions.

    Attributes:
        name: its name for ``--form``.
        title: what it is.
        user: column of users.
        item: column of items.
        rating: column of ratings; None without one.
        time: column of times; None without one.
        keep: other columns that belong to an interaction.
        columns: names of the columns where the file has no header line.
        time_format: format of times that are texts; None: ISO 8601.
        note: what a user should know of it.
        reshape: makes the rows from those of the file, with a line about it.
    """

    name: str
    title: str
    user: str
    item: str
    rating: str | None = None
    time: str | None = None
    keep: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    time_format: str | None = None
    note: str = ""
    reshape: Callable[[Any, str], tuple[Any, str]] | None = None

    @property
    def needed(self) -> list[str]:
        """Return the columns without which a file is not of this form."""
        return [name for name in (self.user, self.item, self.rating, self.time, *self.keep) if name]


def clicks(table: Any, where: str) -> tuple[Any, str]:
    """Return a row for each clicked item of MIND's impressions, such as ``N55689-1 N35729-0``.

    Raises:
        UsageError: an impression has no 0 or 1 behind an item, as in the test part.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = pc.split_pattern(table["impressions"].combine_chunks(), " ")
    row, shown = pc.list_parent_indices(lists), pc.list_flatten(lists)
    known = pc.match_substring_regex(shown, SHOWN).to_numpy(zero_copy_only=False)
    if not known.all():
        first = int(known.argmin())
        raise UsageError(
            f"{where}, row {row[first].as_py() + 1}: found the impression {shown[first].as_py()!r}, expected "
            "an item with -1 (clicked) or -0 behind it; the test part, which has none, is not for training"
        )
    clicked = pc.ends_with(shown, "-1")
    row, item = row.filter(clicked), pc.utf8_slice_codeunits(shown.filter(clicked), 0, -2)
    others = {name: table[name].combine_chunks().take(row) for name in ("user", "time")}
    found = pa.table({"user": others["user"], "impressions": item, "time": others["time"]})
    return found, f"{len(item):,} clicked of {len(shown):,} shown items, {counted(len(table), 'impression')}"


FORMS = (
    Form("movielens", "MovieLens, ratings.csv", "userId", "movieId", "rating", "timestamp"),
    Form("amazon2023", "Amazon reviews of 2023", "user_id", "parent_asin", "rating", "timestamp"),
    Form(
        "amazon2018",
        "Amazon reviews of 2014 and 2018, JSON lines",
        "reviewerID",
        "asin",
        "overall",
        "unixReviewTime",
    ),
    Form("yelp", "Yelp Open Dataset, reviews", "user_id", "business_id", "stars", "date"),
    Form(
        "kuairec",
        "KuaiRec, a matrix of views",
        "user_id",
        "video_id",
        None,
        "timestamp",
        ("watch_ratio",),
        note="each view is a row, however short; keep the long ones with "
        "--val_interval=\"{watch_ratio: '[2,inf)'}\" and "
        '--load_col="{inter: [user_id, item_id, watch_ratio]}"',
    ),
    Form("recbole", "columns named as in RecBole", "user_id", "item_id"),
)
HEADLESS = (
    Form(
        "movielens",
        "MovieLens, u.data or ratings.dat",
        "user",
        "item",
        "rating",
        "timestamp",
        columns=("user", "item", "rating", "timestamp"),
    ),
    Form(
        "amazon2018",
        "Amazon ratings",
        "user",
        "item",
        "rating",
        "timestamp",
        columns=("item", "user", "rating", "timestamp"),
    ),
    Form(
        "mind",
        "MIND, behaviors.tsv",
        "user",
        "impressions",
        None,
        "time",
        columns=("impression", "user", "time", "history", "impressions"),
        time_format="%m/%d/%Y %I:%M:%S %p",
        note="items that were shown and not clicked, and the clicks of the history, which have no time, are "
        "left out",
        reshape=clicks,
    ),
)
NAMES = ("auto", "table", *dict.fromkeys(form.name for form in (*FORMS, *HEADLESS)))


def form_of(source: Source, name: str) -> tuple[Source, Form | None]:
    """Return the source with the names of its columns, and its form; None for a table of unknown columns.

    Args:
        source: the table.
        name: the form that was asked for, or ``auto``.

    Raises:
        UsageError: the table does not have the form that was asked for.
    """
    if name == "table":
        return source, None
    found, form = _recognised(source, FORMS if name == "auto" else [one for one in FORMS if one.name == name])
    if form is None and isinstance(source, TextSource) and source.headed:
        found, form = _without_header(source)
        form = form if form is None or name in ("auto", form.name) else None
    if form is None and name != "auto":
        wanted = [one for one in (*FORMS, *HEADLESS) if one.name == name]
        raise UsageError(
            f"{source.where} does not have the form {name!r}: "
            + " or ".join(f"{one.title} ({', '.join(one.columns or one.needed)})" for one in wanted)
            + f"; it has {', '.join(source.names)[:120]}. Name its columns with --user and --item"
        )
    return found, form


def _recognised(source: Source, forms: Sequence[Form]) -> tuple[Source, Form | None]:
    names = set(source.names)
    for form in forms:
        if names.issuperset(form.needed):
            if form.name == "recbole":
                own = {role: role if role in names else None for role in ("rating", "timestamp")}
                form = replace(form, rating=own["rating"], time=own["timestamp"])
            return source, form
    return source, None


def _without_header(source: TextSource) -> tuple[Source, Form | None]:
    """Return a file whose first line is a row already, named by its form."""
    rows, separator = source.sample, source.separator
    movielens, amazon, mind = HEADLESS
    widths = {len(row) for row in rows}
    if widths == {5} and separator == "\t" and all(MIND_TIME.fullmatch(row[2]) for row in rows):
        return source.with_names(mind.columns), mind
    if widths != {4} or not all(RATED.fullmatch(row[2]) and EPOCH.fullmatch(row[3]) for row in rows):
        return source, None
    if separator in ("\t", "::") and all(one.isdigit() for row in rows for one in row[:2]):
        return source.with_names(movielens.columns), movielens
    if separator != ",":
        return source, None
    item_first, user_first = (_are_amazons(rows, item) for item in (0, 1))
    if item_first == user_first:
        return source, None
    order = amazon.columns if item_first else ("user", "item", "rating", "timestamp")
    year = "2018" if item_first else "2014"
    form = replace(amazon, title=f"Amazon ratings of {year} ({', '.join(order)})", columns=order)
    return source.with_names(order), form


def _are_amazons(rows: Sequence[Sequence[str]], item: int) -> bool:
    """Return whether one of the first two columns holds products of Amazon, and the other reviewers."""
    products = all(ASIN.fullmatch(row[item]) for row in rows)
    others = [row[1 - item] for row in rows]
    reviewers = sum(bool(REVIEWER.fullmatch(one)) for one in others)
    return products and not any(map(ASIN.fullmatch, others)) and 2 * reviewers > len(rows)
