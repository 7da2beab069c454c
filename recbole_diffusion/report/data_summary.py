"""A data set in numbers: its size, how its rows lie over users and items, times, ratings, and its splits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.compat import FeatureType
from recbole_diffusion.config import Config
from recbole_diffusion.data.grouping import distinct
from recbole_diffusion.data.part_files import require_files
from recbole_diffusion.data.preparation import create_dataset
from recbole_diffusion.data.reader import opened
from recbole_diffusion.data.table_file import file_or_table
from recbole_diffusion.data.today import told_after_today
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.prepare.own.number_times import NumberForm, number_form
from recbole_diffusion.prepare.own.times import date_text
from recbole_diffusion.report.data_splits import SplitSummary, splits_of

TOP = (1, 10, 50)  # per cent of the items


@dataclass
class DataSummary:
    """What there is to know of a data set before a model learns from it.

    Attributes:
        dataset: its name.
        rows_read: rows of its files.
        rows: rows that the filters leave.
        users: users with a row.
        items: items with a row.
        density: rows without repeats, as a share of users x items.
        repeats: rows that repeat a pair of user and item.
        of_users: rows of a user: ``least``, ``median``, ``mean``, ``most``, and users with ``one``, ``two``.
        of_items: the same of an item.
        top: share of the rows that the most popular items have, by per cent of the items.
        ratings: ``least``, ``most``, ``mean``, ``values`` (different ones), ``missing``; None without any.
        negatives: rows with the label 0, read or not.
        times: ``from``, ``to``, ``unit`` (what the numbers are taken for, as ``convert`` takes them),
            ``missing``, ``tied`` (rows of a user with another at the same time), ``doubts`` (what may be
            another unit, perhaps), or ``unusable``, the reason; None without any.
        splits: what each way to split it makes of it.
        item_counts: rows of each item, the most popular first, for figures.
        user_counts: rows of each user, the most active first.
        time_values: times of the rows as the file has them; empty without any.
    """

    dataset: str
    rows_read: int
    rows: int
    users: int
    items: int
    density: float
    repeats: int
    of_users: dict[str, float]
    of_items: dict[str, float]
    top: dict[str, float]
    ratings: dict[str, float] | None
    negatives: int
    times: dict[str, Any] | None
    splits: list[SplitSummary]
    item_counts: np.ndarray
    user_counts: np.ndarray
    time_values: np.ndarray

    def plain(self) -> dict[str, Any]:
        """Return the numbers in plain types, without the arrays of figures."""
        arrays = ("item_counts", "user_counts", "time_values")
        found = {name: value for name, value in vars(self).items() if name not in arrays}
        return {**found, "splits": [vars(split) for split in self.splits]}


def summary_of(dataset: str | None, config_files: list[str], options: dict[str, Any]) -> DataSummary:
    """Read a data set with the options of a run and describe it.

    Ratings and times are read too where the file has them, whether or not a run would load them.

    Raises:
        UsageError: it does not exist, or is malformed.
    """
    options = {"normalize_all": False, **options}  # numbers stay on their scale
    config = Config("Pop", dataset, config_files, options)
    require_files(config)
    config = Config("Pop", dataset, config_files, {**options, **_wider(config, options)})
    found = create_dataset(config)
    frame = found.inter_feat
    users, items = (frame[name].to_numpy(np.int64) for name in (found.uid_field, found.iid_field))
    of_users, of_items = (np.sort(np.bincount(one)[1:])[::-1] for one in (users, items))
    of_users, of_items = (one[one > 0] for one in (of_users, of_items))
    pairs = len(distinct(users * found.item_num + items))
    cumulated = np.cumsum(of_items) / len(frame)
    times, unusable = _times(found)
    return DataSummary(
        dataset=found.dataset_name,
        rows_read=sum(rows for _, rows in found.read_files) or len(frame),
        rows=len(frame),
        users=len(of_users),
        items=len(of_items),
        density=pairs / (len(of_users) * len(of_items)),
        repeats=len(frame) - pairs,
        of_users=_counts(of_users),
        of_items=_counts(of_items),
        top={f"{part} %": float(cumulated[max(round(len(of_items) * part / 100), 1) - 1]) for part in TOP},
        ratings=_ratings(found),
        negatives=int((frame[found.label_field] == 0).sum())
        if found.label_field in frame
        else found.unread_labels[0],
        times=_described(found, times, users, unusable),
        splits=splits_of(found, None if unusable else times, unusable or ""),
        item_counts=of_items,
        user_counts=of_users,
        time_values=np.zeros(0) if times is None or unusable else times,
    )


def _wider(config: Config, options: dict[str, Any]) -> dict[str, Any]:
    """Return ``load_col`` with ratings and times that the first file has."""
    columns = (config["load_col"] or {}).get("inter")
    if "load_col" in options or not isinstance(columns, list):
        return {}
    parts = config["benchmark_filename"]
    name = f"{config['dataset']}.{parts[0]}.inter" if parts else f"{config['dataset']}.inter"
    path = file_or_table(Path(config["data_path"]) / name)
    if not path.is_file():  # a labelled file
        return {}
    try:
        header = opened(path, config).header()
    except UsageError:  # told by the reader, or by the reader of labelled files
        return {}
    more = [config[option] for option in ("RATING_FIELD", "TIME_FIELD")]
    wanted = [one for one in more if one in header and one not in columns]
    typed = [one for one in wanted if header[one] == FeatureType.FLOAT or one == config["TIME_FIELD"]]
    return {"load_col": {**config["load_col"], "inter": [*columns, *typed]}}


def _counts(counts: np.ndarray) -> dict[str, float]:
    return {
        "least": int(counts.min()),
        "median": float(np.median(counts)),
        "mean": round(float(counts.mean()), 2),
        "most": int(counts.max()),
        "one": int((counts == 1).sum()),
        "two": int((counts == 2).sum()),
    }


def _known(found: Any, name: str) -> np.ndarray:
    """Return the values of a column of numbers, NaN where none is given."""
    values = found.inter_feat[name].to_numpy(np.float64)
    return np.where(found.gaps[name], np.nan, values) if name in found.gaps else values


def _ratings(found: Any) -> dict[str, float] | None:
    name = found.config["RATING_FIELD"]
    if name not in found.inter_feat or found.field2type[name] != FeatureType.FLOAT:
        return None
    values = _known(found, name)
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    return {
        "least": float(known.min()),
        "most": float(known.max()),
        "mean": round(float(known.mean()), 4),
        "values": len(distinct(known)),
        "missing": len(values) - len(known),
    }


def _times(found: Any) -> tuple[np.ndarray | None, str | None]:
    """Return the times, NaN where none is given, and why rows cannot be ordered by them; None if they can."""
    name = found.time_field
    if name not in found.inter_feat:
        return None, f"there is no column of times {name!r} (TIME_FIELD)"
    kind = found.field2type[name]
    if kind != FeatureType.FLOAT:
        return (
            None,
            f"the column {name!r} is {kind.value} and not a number; write seconds since 1970 ({name}:float)",
        )
    values = _known(found, name)
    without = np.flatnonzero(~np.isfinite(values))
    if len(without):
        return values, f"{counted(len(without), 'row', 'have')} no time ({found.places_of(without)})"
    return values, None


def _described(found: Any, times: np.ndarray | None, users: np.ndarray, unusable: str | None) -> Any:
    if times is None:
        there = found.time_field in found.inter_feat
        return {"unusable": unusable} if there else None
    there = np.isfinite(times)
    known = times[there]
    described: dict[str, Any] = {"missing": int((~there).sum())}
    if unusable:
        described["unusable"] = unusable
    if not len(known):
        return described
    form = number_form(known)
    since = form.unit != "none"
    ends = [
        date_text(one) if since else f"{one:g}" for one in (np.nanmin(form.seconds), np.nanmax(form.seconds))
    ]
    order = np.lexsort((known, users[there]))
    same = np.diff(users[there][order]) == 0
    same &= np.diff(known[order]) == 0  # with the row before it
    return {
        "from": ends[0],
        "to": ends[1],
        "unit": form.words + {"date": ", by their digits", "none": ""}.get(form.unit, ", by their size"),
        **described,
        "tied": int((np.r_[False, same] | np.r_[same, False]).sum()),
        **_doubts(found, np.flatnonzero(there), known, form),
    }


def _doubts(found: Any, rows: np.ndarray, known: np.ndarray, form: NumberForm) -> dict[str, str]:
    """Return what speaks against the unit of times: ``convert`` refuses others, here they are told.

    Args:
        found: the data set.
        rows: numbers of the rows that have a time, [n].
        known: their times, [n].
        form: what these are taken for.
    """
    said = []
    if len(form.others):
        first = form.others[0]
        said.append(
            f"{counted(len(form.others), 'row', 'have')} a number of another form or unit, first "
            f"{known[first]:.14g} ({found.places_of(rows[[first]])}); rows are ordered by the numbers as "
            "they are: write one unit"
        )
    if form.small:
        said.append(f"{counted(form.small, 'row')} before 1973, such as {known.min():.14g}")
    if form.unit != "none" and (later := told_after_today(form.seconds)):
        said.append(later)
    return {"doubts": "; ".join(said)} if said else {}
