"""The time of each interaction, in 64 bits, wherever rows are ordered by it.

RecBole's tensors hold times in float32, which cannot tell today's time stamps apart that are less than a
minute or two apart; it fills gaps with the mean of the column, and orders tokens by their codes.

Longer than most files: reading the times, what is told of them, and the splits that they make.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from recbole_diffusion.compat import FeatureType
from recbole_diffusion.data.atomic_file import EXACT
from recbole_diffusion.data.reader import opened
from recbole_diffusion.data.today import after_today
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.options.recbole import splits_by_time
from recbole_diffusion.options.split import SplitOptions

if TYPE_CHECKING:
    from recbole_diffusion.compat import Dataset
else:
    Dataset = object  # a mixin: the data set class comes after it in the MRO

SINCE_1970 = 1e8  # from here on a number is a time since 1970, of March 1973 if it counts seconds
OTHER_UNIT = 100  # times as large: 1973 and the year 2286 are 97 apart


def times_of(dataset: Any, why: str, remedy: str = "", instead: str = "") -> np.ndarray:
    """Return the times of a data set's interactions, still a pandas frame, float64 [rows].

    Args:
        dataset: read, before its gaps are filled.
        why: what needs the times, for messages, such as "shift is temporal".
        remedy: what to do about rows without a time, besides writing it; by default a filter leaves them out.
        instead: what needs no times, for data without a column of them.

    Raises:
        UsageError: there is no such column, it is no column of numbers, or rows have no time; the message has
            their lines.
    """
    field, frame, name = dataset.time_field, dataset.inter_feat, dataset.dataset_name
    if field not in frame:
        raise UsageError(
            f"{why}, but data set {name!r} has no column {field!r}; add it to load_col.inter, or name its "
            "time column with TIME_FIELD" + (f", or {instead}" if instead else "")
        )
    kind = dataset.field2type[field]
    if kind != FeatureType.FLOAT:
        raise UsageError(
            f"{dataset.header_place()}: the column {field!r} is {kind.value} and not a number, but {why}; "
            f"declare it as {field}:float, with dates as seconds since 1970, or name another with TIME_FIELD"
        )
    times = frame[field].to_numpy(np.float64)
    without = np.flatnonzero(~np.isfinite(times))
    if len(without):
        remedy = remedy or f"leave these rows out with val_interval: {{{field}: '(-inf,inf)'}}"
        raise UsageError(
            f"{dataset.places_of(without)}: no time in the column {field!r} "
            f"({counted(len(without), 'row')}), but {why}; write the times, or {remedy}"
        )
    if len(times) > 1 and (times == times[0]).all():
        dataset.logger.warning(
            "data set %r has the time %g in all of its rows, and %s: they stay in the order of the file",
            *(name, times[0], why),
        )
    elif len(times) and np.abs(times).max() >= EXACT:
        dataset.logger.warning(
            "data set %r has times up to %.4g, which 64-bit numbers only tell apart in steps of %g; closer "
            "rows stay in the order of the file: give milliseconds or microseconds",
            *(name, np.abs(times).max(), np.spacing(np.abs(times).max())),
        )
    _tell_other_clocks(dataset, times, why)
    _tell_later_than_now(dataset, times, why)
    _tell_days_first(dataset, times, why)
    return times


def tell_ties(dataset: Any, times: np.ndarray, why: str) -> None:
    """Warn if most users have several rows at their latest time: days, or what a spreadsheet has rounded.

    Args:
        dataset: read, before its gaps are filled.
        times: of its interactions, finite, [rows].
        why: what needs the times.
    """
    if len(times) < 2 or (times == times[0]).all():
        return
    frame = pd.DataFrame({"user": dataset.inter_feat[dataset.uid_field].to_numpy(), "time": times})
    of_user = frame.groupby("user")["time"]
    latest = frame["time"].to_numpy() == of_user.transform("max").to_numpy()
    several = int((of_user.size() > 1).sum())
    tied = int((frame["user"][latest].value_counts() > 1).sum())
    if 2 * tied > several:
        dataset.logger.warning(
            "data set %r: %d of the %s with several rows have more than one at their latest time (%s in "
            "all), and %s: such rows stay in the order of the file; write times with more digits, if they "
            "have any",
            *(dataset.dataset_name, tied, counted(several, "user")),
            *(counted(len(np.unique(times)), "different time"), why),
        )


def tell_places(dataset: Any, times: np.ndarray, why: str) -> None:
    """Warn of a split of all users at one moment, by times that number the rows of each.

    Args:
        dataset: read, before its gaps are filled.
        times: of its interactions, finite, [rows].
        why: what needs the times.
    """
    args = dataset.config["eval_args"]
    of_all = "TS" in args["split"] or args["group_by"] in (None, "none")
    if not (of_all and why.startswith("eval_args")):
        return
    frame = pd.DataFrame({"user": dataset.inter_feat[dataset.uid_field].to_numpy(), "time": times})
    of_user = frame.groupby("user")["time"]
    ends, rows = of_user.agg(["min", "max"]), of_user.size()
    counted_rows = (ends["max"] - ends["min"] == rows - 1) & ends["min"].isin((0, 1))
    if counted_rows.all() and len(rows) > 1 and (of_user.nunique() == rows).all() and rows.max() > 1:
        dataset.logger.warning(
            "data set %r: the times number the rows of each user, from %g on, and %s for all users at once: "
            "the same number is no moment of two users; take {LS: valid_and_test}, or RS with group_by: user",
            *(dataset.dataset_name, times.min(), why),
        )


def _tell_other_clocks(dataset: Any, times: np.ndarray, why: str) -> None:
    """Warn of times that can hardly be of one clock: a 0 for no time, or seconds beside milliseconds.

    Args:
        dataset: read, before its gaps are filled.
        times: of its interactions, finite, [rows].
        why: what needs the times.
    """
    field, dated = dataset.time_field, times >= SINCE_1970
    if not dated.any():
        return
    if len(none := np.flatnonzero(times <= 0)):
        dataset.logger.warning(
            "%s: %s a time of 0 or less in the column %r, beside others up to %.4g, and %s: they count as "
            "the earliest; if they are none, leave these rows out with val_interval: {%s: '(0,inf)'}",
            *(dataset.places_of(none), counted(len(none), "row", "have"), field, times.max(), why, field),
        )
    first = times[dated].min()
    if len(others := np.flatnonzero(times >= OTHER_UNIT * first)):
        dataset.logger.warning(
            "%s: %s times up to %.4g in the column %r, beside others from %.4g, and %s: if one unit is "
            "seconds and the other milliseconds, write one",
            *(dataset.places_of(others), counted(len(others), "row", "have"), times.max(), field, first, why),
        )


def _tell_later_than_now(dataset: Any, times: np.ndarray, why: str) -> None:
    """Warn of rows later than today, such as 2147483647 for no time: a split by time tests them alone.

    Numbers count seconds, milliseconds, ... since 1970 by their size.

    Args:
        dataset: read, before its gaps are filled.
        times: of its interactions, finite, [rows].
        why: what needs the times.
    """
    dated = times >= SINCE_1970
    # 1e11 seconds are the year 5138; three digits more are the next unit.
    unit = 1000.0 ** np.clip(np.floor(np.log10(np.where(dated, times, 1)) - 8) // 3, 0, 3)
    later = after_today(np.where(dated, times / unit, np.nan))
    if later.any():
        rows = np.flatnonzero(later)
        dataset.logger.warning(
            "%s: %s a time after today in the column %r, up to %.10g, and %s: they count as the latest; if "
            "they are no times, leave these rows out with val_interval: {%s: '(-inf,%d)'}",
            *(
                dataset.places_of(rows),
                counted(len(rows), "row", "have"),
                dataset.time_field,
                times.max(),
                why,
            ),
            *(dataset.time_field, times[later].min()),
        )


def _tell_days_first(dataset: Any, times: np.ndarray, why: str) -> None:
    """Warn of dates as 31122020, in whose order the day of the month comes before month and year."""
    if not len(times) or times.min() < 1_01_1900 or times.max() > 31_12_2099 or (times % 1).any():
        return
    first, second, year = times // 1_000_000, times // 10_000 % 100, times % 10_000
    dates = (first >= 1) & (first <= 31) & (second >= 1) & (second <= 31) & (year >= 1900) & (year <= 2099)
    if dates.all() and len(np.unique(first)) > 1:
        dataset.logger.warning(
            "data set %r: the times in the column %r, such as %08d, look like a day, a month and a year, and "
            "%s: as numbers they are ordered by their first digits; write seconds since 1970, or %d",
            *(dataset.dataset_name, dataset.time_field, times[0], why),
            year[0] * 10_000 + second[0] * 100 + first[0],
        )


def drop_repeated(dataset: Any, keep: str) -> None:
    """Keep the first or last row in time of each pair of user and item, in order of time."""
    field = dataset.time_field
    remedy = f"remove these rows, or keep the order of the file with unload_col: {{inter: [{field}]}}"
    times = times_of(dataset, f"rm_dup_inter keeps the {keep} row of each pair in time", remedy)
    ordered: pd.DataFrame = dataset.inter_feat.iloc[np.argsort(times, kind="stable")]
    dataset.inter_feat = ordered.drop_duplicates([dataset.uid_field, dataset.iid_field], keep=keep)


def rows_before_and_after(
    times: np.ndarray, users: np.ndarray, shares: list[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row numbers of train, valid and test of RecBole's split ``TS``.

    The test part are the rows later than the quantile 1 - test share of all times. What a user has before is
    divided into train and valid, in order of time.

    Args:
        times: of each row, [rows], ascending for each user.
        users: of each row, [rows].
        shares: of train, valid and test; any positive sum.
    """
    shares = [one / sum(shares) for one in shares]
    _, first, codes = np.unique(users, return_index=True, return_inverse=True)
    users = np.argsort(np.argsort(first))[codes]  # numbered in order of appearance, as RecBole takes them
    later = times > np.percentile(times, 100 * (1 - shares[2]))
    before, after = (
        rows[np.argsort(users[rows], kind="stable")] for rows in map(np.flatnonzero, (~later, later))
    )
    counts = np.bincount(users[before], minlength=len(first))
    place = np.arange(len(before)) - np.repeat(np.cumsum(counts) - counts, counts)
    of_train = place < np.repeat((counts * (shares[0] / (1 - shares[2]))).astype(np.int64), counts)
    return before[of_train], before[~of_train], after


class TimeOrder(Dataset):
    """Mixin for RecBole's data sets that orders rows by 64-bit times, before and after they are tensors.

    Attributes:
        times: of the interactions, [rows], where something orders them by time; else None. A part has those
            of its own rows under a shift, with ``valid_part: latest`` or ``valid_shift: temporal``, and where
            the model reads the order.
        file_rows: of a part that has times, the row of each interaction among all, [rows].
    """

    config: Any
    inter_feat: Any
    shift: SplitOptions | None
    times: np.ndarray | None = None
    file_rows: np.ndarray | None = None
    read_files: list[tuple[Any, int]]
    _follows: Any = slice(None)  # the rows with an earlier one of the same user, in order of user and time

    def _why_times(self) -> str | None:
        """Return what orders the interactions by time, for a message; None if nothing does."""
        if self.config.split.valid_part == "latest":
            return "valid_part is latest"
        if self.config.split.valid_shift == "temporal":
            return "valid_shift is temporal"
        if self.shift:
            return "the temporal shift orders rows by time" if self.shift.shift == "temporal" else None
        given = self.benchmark_filename_list is not None
        return "eval_args splits by time" if not given and splits_by_time(self.config["eval_args"]) else None

    def _remove_duplication(self) -> None:
        """Keep one row of each pair: by time where the file has times, whether or not they are loaded."""
        keep, field = self.config["rm_dup_inter"], self.time_field
        if not keep:
            return
        loaded = field in self.inter_feat
        if loaded or self._read_times():
            drop_repeated(self, keep)
        else:
            self.logger.warning(
                "rm_dup_inter keeps the %s row of each pair in the order of the file: data set %r has no "
                "column of times %r (TIME_FIELD)",
                *(keep, self.dataset_name, field),
            )
            self.inter_feat = self.inter_feat.drop_duplicates([self.uid_field, self.iid_field], keep=keep)
        if not loaded and field in self.inter_feat:
            self.inter_feat = self.inter_feat.drop(columns=field)
            del self.field2type[field]

    def _read_times(self) -> bool:
        """Add the file's column of times to the interactions, for a while; return whether it has one."""
        field, (path, rows) = self.time_field, self.read_files[0]
        file = opened(path, self.config)
        header = file.header()
        if field not in header or field in ((self.config["unload_col"] or {}).get("inter") or ()):
            return False
        try:
            times = file.read(header, [field], rows)[field]
        except ValueError:
            file.check_numbers(header, [field], self.config["seq_separator"])
            raise
        self.inter_feat = self.inter_feat.assign(**{field: times.loc[self.inter_feat.index]})
        self.field2type[field] = header[field]
        return True

    def _change_feat_format(self) -> None:
        """Make tensors; a sequential data set makes a row of each but the first of a user."""
        super()._change_feat_format()
        if self.times is not None and len(self.inter_feat) < len(self.times):
            self.times = self.times[self._follows]

    def sort(self, by: Any, ascending: Any = True) -> None:
        """Order the rows; by time, in 64 bits. Equal rows stay in the order of the file.

        Times and rows of the file follow: RecBole's loader of sampled candidates sorts its part by user.
        """
        names = [by] if isinstance(by, str) else list(by)
        if self.times is None or ascending is not True:
            super().sort(by, ascending)
            return
        keys = [
            self.times if name == self.time_field else self.inter_feat[name].numpy()
            for name in reversed(names)
        ]
        order = np.lexsort(keys)
        self.inter_feat._reindex(torch.from_numpy(order))
        self.times = self.times[order]
        if self.file_rows is not None:
            self.file_rows = self.file_rows[order]
        if names[0] == self.uid_field:
            users = self.inter_feat[self.uid_field].numpy()
            self._follows = np.r_[False, users[1:] == users[:-1]]

    def time_based_split(self, ratios: list[float], group_by: str) -> list[Any]:
        """Split as RecBole does, on 64-bit times; the rows are in order of time, by ``order: TO``."""
        assert self.times is not None  # since the split is by time
        parts = rows_before_and_after(self.times, self.inter_feat[group_by].numpy(), ratios)
        self._drop_unused_col()
        return [self.copy(self.inter_feat[rows.tolist()]) for rows in parts]
