"""RecBole's data set with its files read and its rows divided faster, into the same data."""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from recbole_diffusion.compat import FeatureSource, FeatureType, Interaction
from recbole_diffusion.data.atomic_file import AtomicFile, number
from recbole_diffusion.data.grouping import Groups, cuts_for_last
from recbole_diffusion.data.table_file import TableFile, file_or_table, is_table
from recbole_diffusion.errors import UsageError, agreeing, counted

if TYPE_CHECKING:
    from recbole_diffusion.compat import Dataset
else:
    Dataset = object  # a mixin: the data set class comes after it in the MRO


def opened(path: Path, config: Any) -> AtomicFile | TableFile:
    """Return the reader of an atomic file, or of a Parquet or CSV file in its place."""
    if is_table(path):
        return TableFile(path, config)
    return AtomicFile(path, config["encoding"], config["field_separator"])


class ManyRows(Interaction):
    """An ``Interaction`` that turns a list or array of rows into a tensor once, not again for each column."""

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, list | np.ndarray) or not len(index):
            return super().__getitem__(index)
        rows = torch.from_numpy(np.asarray(index))
        return Interaction({name: values[rows] for name, values in self.interaction.items()})


class FastReading(Dataset):
    """Mixin for any RecBole data set class, ``class Fast(FastReading, Dataset)``: the same, faster."""

    inter_feat: Any
    file_size_list: list[int]
    field2seqlen: dict[str, int]
    read_files: list[tuple[Path, int]]  # the files of the interactions with their numbers of rows
    row_numbers: np.ndarray | None = None  # of the interactions, over all these files; None: none was removed

    def __init__(self, config: Any) -> None:
        self.read_files = []
        super().__init__(config)

    def _load_inter_feat(self, token: str, dataset_path: str) -> None:
        """Read the interactions, whole or by part, from atomic files or tables."""
        parts = self.benchmark_filename_list
        names = [f"{token}.inter"] if parts is None else [f"{token}.{part}.inter" for part in parts]
        frames: list[Any] = []
        longest: dict[str, int] = defaultdict(int)
        kinds: dict[str, tuple[FeatureType, str]] = {}
        for name in names:
            frames.append(self._load_feat(str(Path(dataset_path, name)), FeatureSource.INTERACTION))
            # Of two types, tokens and numbers of one value would differ.
            for field in () if frames[-1] is None else frames[-1]:
                kind, first = kinds.setdefault(field, (self.field2type[field], name))
                if kind != self.field2type[field]:
                    raise UsageError(
                        f"the column {field!r} is {kind.value} in {first} and {self.field2type[field].value} "
                        f"in {name}; give it one type in all parts, or leave it out with load_col"
                    )
            for field, length in self.field2seqlen.items():  # the sequences of all parts have one length
                longest[field] = max(longest[field], length)
        self.inter_feat = frames[0]
        if parts is not None:
            self.inter_feat = pd.concat(frames, ignore_index=True)
            self.file_size_list, self.field2seqlen = [len(frame) for frame in frames], longest

    def _load_user_or_item_feat(
        self, token: str, dataset_path: str, source: Any, field_name: str
    ) -> pd.DataFrame | None:
        """Read the columns of users or items, of whom the first row counts."""
        path = file_or_table(Path(dataset_path, f"{token}.{source.value}"))
        if not is_table(path):
            return super()._load_user_or_item_feat(token, dataset_path, source, field_name)
        frame, field = self._load_feat(str(path), source), getattr(self, field_name)
        if frame is None:
            return None
        if field not in frame:
            raise UsageError(f"{path} has no column {field!r} of ids, or load_col leaves it out; add it")
        self.field2source[field] = FeatureSource(f"{source.value}_id")
        return frame.drop_duplicates(subset=[field], keep="first")

    def _load_feat(self, filepath: str, source: Any) -> pd.DataFrame | None:
        """Read one atomic file, or the table in its place.

        Raises:
            UsageError: the file is empty or malformed.
        """
        load_col, unload_col = self._get_load_and_unload_col(source)
        if load_col == set():
            return super()._load_feat(filepath, source)
        file = opened(file_or_table(Path(filepath)), self.config)
        columns = file.header()
        wanted = [
            name
            for name in columns
            if (load_col is None or name in load_col) and name not in (unload_col or ())
        ]
        if unknown := [name for name in unload_col or () if name not in columns]:
            self.logger.warning(
                "no effect of unload_col for %s: %s has no such column", ", ".join(unknown), file.path
            )
        rows = file.check_rows(len(columns))
        if inside := file.lines_inside(rows):
            self.logger.warning(
                "%s: %s %s inside quoted fields and %s not read as rows; if no text has several lines, a "
                "quote is missing in the file",
                *(file.path, counted(inside, "line"), agreeing(inside, "lie"), agreeing(inside, "are")),
            )
        if source == FeatureSource.INTERACTION:
            self.read_files.append((file.path, rows))
            self._note_unread(file, columns, wanted, rows)
        if rows == 0 and self.benchmark_filename_list is None:
            first = 2 if file.unit == "line" else 1
            raise file.fault(
                first, "the end of the file", "at least one row", "add the rows, or remove the file"
            )
        try:
            if not wanted and not (is_table(file.path) or source == FeatureSource.INTERACTION):
                return super()._load_feat(filepath, source)
            if not wanted:
                raise file.fault(
                    1 if file.unit == "line" else 0,
                    f"the columns {', '.join(columns)}",
                    f"one of {', '.join(sorted(load_col))}" if load_col else "one that unload_col leaves",
                    "name the columns of this file with load_col, USER_ID_FIELD and ITEM_ID_FIELD",
                )
            frame = file.read(columns, wanted, rows)
            self._note_fields(columns, wanted, source)
            for name in wanted:
                if self.field2type[name].value.endswith("seq"):
                    frame[name] = self._sequences(frame[name], name)
        except ValueError:
            file.check_numbers(columns, wanted, self.config["seq_separator"])
            raise
        return frame

    def _note_unread(
        self, file: AtomicFile | TableFile, header: dict[str, FeatureType], wanted: list[str], rows: int
    ) -> None:
        """Look at columns of the interactions that are not wanted; for data sets that care."""

    def header_place(self) -> str:
        """Return the file of the interactions and its first line, for a message."""
        path = self.read_files[0][0]
        return str(path) if is_table(path) else f"{path}, line 1"

    def places_of(self, rows: np.ndarray) -> str:
        """Return file and lines of interactions, for a message: the first five of the first file.

        Args:
            rows: numbers of rows of ``inter_feat`` after the filters, or of a frame that keeps its index.
        """
        numbers = np.asarray(rows) if self.row_numbers is None else self.row_numbers[rows]
        start = 0
        for path, size in self.read_files:
            inside = np.sort(numbers[(numbers >= start) & (numbers < start + size)]) - start
            if len(inside):
                file = opened(path, self.config)
                lines = ", ".join(map(str, file.lines_of(inside[:5])))
                return f"{path}, {file.unit} {lines}{', ...' if len(inside) > 5 else ''}"
            start += size
        return f"data set {self.dataset_name!r}"

    def _note_fields(self, columns: dict[str, FeatureType], wanted: list[str], source: Any) -> None:
        """Fill RecBole's tables of fields, except from a .link file, whose columns belong to other files."""
        for name in wanted if source != "link" else ():
            self.field2source[name], self.field2type[name] = source, columns[name]
            if not columns[name].value.endswith("seq"):
                self.field2seqlen[name] = 1
            if "float" in columns[name].value:
                self.field2bucketnum[name] = 2

    def _sequences(self, texts: pd.Series, name: str) -> list[np.ndarray]:
        """Return the texts of a column as arrays, cut to ``seq_len``, and note the longest."""
        convert = number if self.field2type[name] == FeatureType.FLOAT_SEQ else str
        separator, limit = self.config["seq_separator"], (self.config["seq_len"] or {}).get(name)
        whole = texts.map(
            lambda one: one.split(separator) if isinstance(one, str) else one, na_action="ignore"
        )
        arrays = [
            np.array([convert(part) for part in one if part not in ("", None)])
            for one in whole.where(whole.notna(), "")
        ]
        longest = max(map(len, arrays), default=0)
        self.field2seqlen[name] = longest if limit is None else min(limit, longest)
        return arrays if limit is None else [self._shortened(array, name, limit) for array in arrays]

    def _shortened(self, values: np.ndarray, name: str, limit: int) -> np.ndarray:  # noqa: ARG002
        """Return at most ``limit`` values of one sequence of a column, the first ones as RecBole does."""
        return values[:limit]

    def _change_feat_format(self) -> None:
        """Make interactions from which ``build`` can take its parts quickly."""
        super()._change_feat_format()
        self.inter_feat = ManyRows(self.inter_feat.interaction)

    def _grouped_index(self, group_by_list: np.ndarray) -> Groups:
        """Return the rows of each group in order of first appearance."""
        return Groups(group_by_list)

    def split_by_ratio(self, ratios: list[float], group_by: str | None = None) -> list[Any]:
        """Split as RecBole does, into the same parts with their rows in the same order."""
        if group_by is None:
            return super().split_by_ratio(ratios)
        shares = [share / sum(ratios) for share in ratios]
        groups = Groups(self.inter_feat[group_by].numpy())
        parts = groups.divided(lambda size: self._calcu_split_ids(size, shares), len(shares))
        self._drop_unused_col()
        return [self.copy(self.inter_feat[rows]) for rows in parts]

    def _split_index_by_leave_one_out(self, grouped_index: Groups, leave_one_num: int) -> list[np.ndarray]:
        parts = leave_one_num + 1
        return grouped_index.divided(lambda size: cuts_for_last(size, parts), parts)

    def _filter_by_inter_num(self) -> None:
        """Filter as RecBole does, but do not count where every number of interactions is allowed."""
        for name in ("user_inter_num_interval", "item_inter_num_interval"):
            intervals = self._parse_intervals_str(self.config[name]) or [("[", 0.0, np.inf, ")")]
            left, low, high, _ = intervals[0]
            if high != np.inf or not (low < 0 or (low == 0 and left == "[")):
                super()._filter_by_inter_num()
                return

    def _get_illegal_ids_by_inter_num(
        self, field: str, feat: Any, inter_num: Any, inter_interval: Any = None
    ) -> set[Any]:
        """Return the ids whose number of interactions lies in none of the intervals.

        Of the ids of a loaded .user or .item file RecBole compares the number with the first interval's lower
        end alone: ``[20,inf);[1,5]`` lost those with 1 to 5, and ``(0,inf)`` kept those without any.
        """
        if inter_interval is None:
            return set()
        ids = inter_num.keys() | (() if feat is None else set(feat[field].values))
        return {one for one in ids if not self._within_intervals(inter_num[one], inter_interval)}
