"""The data set of our runs: RecBole's, read fast, with clear errors, also from train and test files only.

Longer than most files: what we override of RecBole's data set, in the order in which it calls it.
"""

import contextlib
import copy
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from recbole_diffusion.compat import Dataset, FeatureSource, FeatureType, Interaction, SequentialDataset
from recbole_diffusion.data import columns, labelled, split, split_files
from recbole_diffusion.data.atomic_file import AtomicFile
from recbole_diffusion.data.given_vectors import check_given_vectors, check_rows, check_widths
from recbole_diffusion.data.known_ids import KnownIds
from recbole_diffusion.data.part_files import require_files
from recbole_diffusion.data.rating_scale import (
    check_reaches_middle,
    tell_one_rating,
    tell_unreached,
    tell_zeros,
)
from recbole_diffusion.data.ratings import KeptRatings, check_scale, dislikes_in
from recbole_diffusion.data.reader import FastReading, opened
from recbole_diffusion.data.table_file import TableFile, file_or_table
from recbole_diffusion.data.times import TimeOrder, tell_places, tell_ties, times_of
from recbole_diffusion.data.told_sequences import tell_sequences
from recbole_diffusion.data.valid_part import check_can_be_latest, divide_by_time, give_times, remember_rows
from recbole_diffusion.data.valid_shift import UNSHIFTED, check_can_be_cut, cut_from_train
from recbole_diffusion.errors import UsageError, agreeing, counted
from recbole_diffusion.options.evaluation import parts_left_out
from recbole_diffusion.options.recbole import splits_by_time
from recbole_diffusion.options.split import SplitOptions

PARTS = ("train", "valid", "test")
TIME_RANK = "_time_rank"  # the column of :class:`OrderedDataset`


class InteractionDataset(KnownIds, TimeOrder, FastReading, Dataset):
    """RecBole's ``Dataset`` over the same atomic files.

    ``benchmark_filename`` takes three parts (train, valid, test), two (train, test) or four (train, valid,
    first test, second test). With two, the test part also chooses the epoch, as in many papers: such a run is
    marked ``selection: test`` in its result and is only for comparison with those papers.

    With the option ``shift`` one .inter file, or given train and valid parts, are split into four parts, see
    ``data/split.py``. A file with a column ``x_label`` for the part of each row, as in MMRec's data sets, is
    read as it is. With ``valid_part: latest`` valid has the latest rows, see ``data/valid_part.py``, with
    ``valid_shift`` there is a second validation part, see ``data/valid_shift.py``.

    Attributes:
        reads_options: names of the model's options that the class reads when a data set is made or split; a
            sweep that searches one of them cannot share a data set among its trials.
        shift: the options of the split under distribution shift; None without one.
        split_summary: summary of that split; None without it and before ``build``.
        exposed_rows: number of rows at the end of the interactions that are the fully exposed set.
        exposed_dropped: rows that were left out when that set was joined, by reason.
        gaps: whether a value of a column of numbers was missing, bool [rows], for columns with gaps.
        named_as_labels: rows with 0, with 1 and all rows of columns with other names that labels often have.
        unread_labels: rows with 0 in a column of labels that the options do not load, and all its rows.
        dislikes: ratings of 0 or below, and all; of a column that is not loaded, where some are negative.
        overlap: what the parts share, see ``data/overlap.py``; None before they are checked.
        kept_ratings: the ratings that ``threshold`` turned into labels, for the ranking of rated items; None
            without ``threshold``.
    """

    reads_options: ClassVar[frozenset[str]] = frozenset({"time-aware"})  # with it :class:`OrderedDataset`
    split_summary: dict[str, Any] | None = None
    kept_ratings: KeptRatings | None = None
    exposed_rows = 0
    unread_labels = (0, 0)
    dislikes = (0, 0)
    overlap: dict[str, Any] | None = None
    config: Any
    benchmark_filename_list: list[str] | None

    def __init__(self, config: Any) -> None:
        self.shift: SplitOptions | None = config.split if config.split.shift != "none" else None
        self.exposed_dropped: dict[str, int] = {}
        self.gaps: dict[str, np.ndarray] = {}
        self.told_sequences: set[str] = set()
        self.named_as_labels: dict[str, np.ndarray] = {}
        given = config["benchmark_filename"] if self.shift is None else None
        by_time = self.shift is None and not given and splits_by_time(config["eval_args"])
        if config.split.valid_part == "latest" and self.shift is None:
            check_can_be_latest(config, by_time, given)
        if config.split.valid_shift != "none":
            check_can_be_cut(config, by_time, given)
        require_files(config)
        super().__init__(config)

    @staticmethod
    def config_from(config: Any) -> Any:
        """Return what a data set of this class has as its configuration in a run."""
        return config

    def _load_inter_feat(self, token: str, dataset_path: str) -> None:
        path = labelled.labelled_file(self.config)
        if path is None:
            labelled.refuse_typed(Path(dataset_path, f"{token}.inter"), self.config)
            if self.shift is not None and self.benchmark_filename_list is not None:
                self._load_parts_to_split(token, dataset_path)
                return
            super()._load_inter_feat(token, dataset_path)
            if self.benchmark_filename_list is not None:
                columns.refuse_rows_without_ids(self)
            return
        if isinstance(self, SequentialDataset):
            raise UsageError(
                f"{path} has the part of each row in x_label, but a sequential model splits each user's "
                "sequence itself and needs an atomic .inter file with the time of each interaction"
            )
        self.inter_feat, sizes = labelled.read_labelled(path, self.uid_field, self.iid_field)
        for field in (self.uid_field, self.iid_field):
            self.field2source[field], self.field2type[field] = FeatureSource.INTERACTION, FeatureType.TOKEN
            self.field2seqlen[field] = 1
        self.benchmark_filename_list = None
        if self.shift is not None:
            self.logger.warning("%s: the parts in x_label have no effect: shift splits all rows anew", path)
        else:
            self.benchmark_filename_list, self.file_size_list = list(PARTS), sizes

    def _load_parts_to_split(self, token: str, dataset_path: str) -> None:
        """Read the given train and valid parts as rows to be split; test parts are left aside."""
        given = self.benchmark_filename_list
        assert given is not None and self.shift is not None
        learned = given[: 1 if len(given) == 2 else 2]
        self.benchmark_filename_list = learned
        super()._load_inter_feat(token, dataset_path)
        self.benchmark_filename_list = None
        self.logger.warning(
            "shift is %s: the %s of %s are split again; %s, not read, %s no effect",
            *(self.shift.shift, counted(len(self.inter_feat), "row"), " and ".join(learned)),
            *(" and ".join(given[len(learned) :]), agreeing(len(given) - len(learned), "have")),
        )

    def _load_feat(self, filepath: str, source: Any) -> pd.DataFrame | None:
        """Read one atomic file.

        Raises:
            UsageError: it lacks a column that is required.
        """
        frame = super()._load_feat(filepath, source)
        wanted, _ = self._get_load_and_unload_col(source)
        needed = {self.uid_field, self.iid_field} if source == FeatureSource.INTERACTION else set()
        missing = (needed | (wanted or set())) - set([] if frame is None else frame.columns)
        path = file_or_table(Path(filepath))
        if missing:
            found = "none" if frame is None else ", ".join(frame.columns)
            if missing == {self.time_field} and (why := self._why_times()):
                without = self._without_times().get(why, "take another shift")
                there = ", ".join(opened(path, self.config).header())  # loaded or not
                raise UsageError(
                    f"{why}, but {path} has no column {self.time_field!r}, only "
                    f"{there}; name its time column with TIME_FIELD, or {without}"
                )
            names = "USER_ID_FIELD and ITEM_ID_FIELD"
            if self.config["RATING_FIELD"] in missing:
                names = "USER_ID_FIELD, ITEM_ID_FIELD and RATING_FIELD"
            raise UsageError(
                f"{path} has no column {', '.join(sorted(missing))}, only {found}; check load_col, "
                f"{names} against its first line"
            )
        if frame is not None:
            self._tell_contradictions(frame, source)
            columns.check_types(self, file_or_table(Path(filepath)), frame, source)
            self._tell_sequences(path, frame)
        return frame

    def _tell_sequences(self, path: Path, frame: pd.DataFrame) -> None:
        """Warn of sequences of tokens that are written in another way, once for a column."""
        for name in frame if not self.config.stored else ():
            if self.field2type.get(name) == FeatureType.TOKEN_SEQ and name not in self.told_sequences:
                told = tell_sequences(str(path), name, frame[name], self.config["seq_separator"])
                self.told_sequences |= {name} if told else set()

    def _without_times(self) -> dict[str, str]:
        """Return what to do without times, by what needs them."""
        return {
            "eval_args splits by time": "set eval_args.order to RO",
            "valid_part is latest": "leave out valid_part",
            "valid_shift is temporal": "leave out valid_shift",
        }

    def _note_unread(
        self, file: AtomicFile | TableFile, header: dict[str, FeatureType], wanted: list[str], rows: int
    ) -> None:
        """Count zeros of labels, and dislikes of ratings, that the options leave out without naming them.

        Ratings are read only where the file has negative numbers, which costs no time to see.
        """
        left_out = (self.config["unload_col"] or {}).get("inter", ())

        def left(name: str) -> bool:
            return header.get(name) == FeatureType.FLOAT and name not in wanted and name not in left_out

        for name in filter(columns.looks_like_label, header):
            if name not in (self.label_field, *left_out) and header[name] == FeatureType.FLOAT:
                with contextlib.suppress(ValueError, UsageError):  # what nothing reads need be no numbers
                    values = file.read(header, [name], rows)[name]
                    counts = self.named_as_labels.setdefault(name, np.zeros(3, np.int64))
                    counts += ((values == 0).sum(), (values == 1).sum(), rows)
        if left(self.label_field):
            try:
                labels = file.read(header, [self.label_field], rows)[self.label_field]
            except ValueError:
                file.check_numbers(header, [self.label_field], self.config["seq_separator"])
                raise
            if labels.isin([-1, 0, 1]).all():
                zeros, total = self.unread_labels
                self.unread_labels = zeros + int((labels < 1).sum()), total + rows
        rating = self.config["RATING_FIELD"]
        if left(rating) and file.may_be_negative(rating):
            with contextlib.suppress(ValueError, UsageError):  # what nothing reads need be no numbers
                low, total = self.dislikes
                ratings = file.read(header, [rating], rows)[rating]
                self.dislikes = low + int((ratings <= 0).sum()), total + rows

    def _load_user_or_item_feat(self, *arguments: Any) -> pd.DataFrame | None:
        """Read users or items, and leave out rows without an id."""
        frame = super()._load_user_or_item_feat(*arguments)
        if frame is None:
            kind = arguments[2].value
            named = (self.config["load_col"] or {}).get(kind) or ()
            if named and not self.config.stored:
                self.logger.warning(
                    "no effect of load_col.%s (%s): %s is not there",
                    *(kind, ", ".join(named), Path(arguments[1], f"{arguments[0]}.{kind}")),
                )
            return None
        missing = int(frame[getattr(self, arguments[3])].isna().sum())
        if missing:
            self.logger.warning(
                "%s of the .%s file of data set %s %s no id, and %s left out",
                *(counted(missing, "row"), arguments[2].value, self.dataset_name),
                *(agreeing(missing, "have"), agreeing(missing, "are")),
            )
        return frame.dropna(subset=[getattr(self, arguments[3])]).reset_index(drop=True)

    def _tell_contradictions(self, frame: pd.DataFrame, source: Any) -> None:
        """Tell that one user or item has different rows, of which RecBole takes the first."""
        field = {FeatureSource.USER: self.uid_field, FeatureSource.ITEM: self.iid_field}.get(source)
        if field is None or field not in frame:
            return
        texts = frame.loc[frame[field].duplicated(keep=False)].astype(str)  # sequences have no equality
        several = texts.drop_duplicates()[field].duplicated()
        if several.any():
            self.logger.warning(
                "the .%s file of data set %r has different rows for %s; the first of each counts",
                *(source.value, self.dataset_name, counted(int(several.sum()), source.value)),
            )

    def _init_alias(self) -> None:
        columns.check_names(self)
        super()._init_alias()

    def _preload_weight_matrix(self) -> None:
        check_given_vectors(self)
        check_rows(self)
        super()._preload_weight_matrix()
        check_widths(self)

    def _filter_nan_user_or_item(self) -> None:
        columns.drop_rows_without_ids(self)

    def _filter_inter_by_user_or_item(self) -> None:
        before = len(self.inter_feat)
        if not self.config["filter_inter_by_user_or_item"]:
            columns.tell_without_features(self)
        super()._filter_inter_by_user_or_item()
        if gone := before - len(self.inter_feat):
            self.logger.warning(
                "%d of the %s of data set %r %s left out, whose user or item has no row in the .user or "
                ".item file that load_col names (filter_inter_by_user_or_item)",
                *(gone, counted(before, "interaction"), self.dataset_name, agreeing(gone, "are")),
            )

    def _filter_by_field_value(self) -> None:
        """Filter as RecBole does; a list of tokens may name them by numbers."""
        columns.check_value_filters(self)
        own, intervals = self.config, self.config["val_interval"] or {}
        texts = {
            name: list(map(str, one)) if isinstance(one, list) else one for name, one in intervals.items()
        }
        self.config = own.changed(val_interval=texts)
        feats = ("inter_feat", "user_feat", "item_feat")
        before = [getattr(self, name) is None or len(getattr(self, name)) for name in feats]
        super()._filter_by_field_value()
        self.config = own
        after = [getattr(self, name) is None or len(getattr(self, name)) for name in feats]
        if intervals and before == after and not own.stored:
            self.logger.warning(
                "no effect of val_interval %s: each row of data set %r is within it",
                intervals,
                self.dataset_name,
            )

    def _reset_index(self) -> None:
        if self.inter_feat.empty:
            filters = ("user_inter_num_interval", "item_inter_num_interval", "val_interval")
            named = [name for name in filters if self.config[name] not in (None, "[0,inf)")]
            remedies = [f"loosen {' or '.join(named)}"] if named else []
            if self.user_feat is not None or self.item_feat is not None:
                remedies.append(
                    "check that the .user and .item files that load_col names have the ids of the "
                    "interactions, or give filter_inter_by_user_or_item: false"
                )
            raise UsageError(
                f"data set {self.dataset_name!r} has no interactions left after filtering; "
                f"{', '.join(remedies) or 'give rows that have a user and an item'}"
            )
        self.row_numbers = self.inter_feat.index.to_numpy()
        super()._reset_index()

    def _user_item_feat_preparation(self) -> None:
        columns.check_ids(self)
        super()._user_item_feat_preparation()

    def _fill_nan(self) -> None:
        """Fill gaps as RecBole does, but refuse missing times and labels, missing or out-of-scale ratings."""
        scale, frame = self.config.rating.rating_scale, self.inter_feat
        if scale is not None and self.config["RATING_FIELD"] in frame:
            check_scale(self, *scale)
            check_reaches_middle(self, *scale)
            if not self.config.stored:
                tell_one_rating(self)
                tell_unreached(self, *scale)
                tell_zeros(self, scale[0])
        self.dislikes = dislikes_in(self)
        if why := self._why_times():
            self.times = times_of(self, why, instead=self._without_times().get(why, ""))
            if not self.config.stored:
                tell_ties(self, self.times, why)
                tell_places(self, self.times, why)
        for field in self.config["threshold"] or ():
            if field not in frame:
                raise UsageError(
                    f"threshold names the column {field!r}, which is not loaded; add it to load_col, such as "
                    f"{{inter: [{self.uid_field}, {self.iid_field}, {field}]}}"
                )
            if self.field2type[field] != FeatureType.FLOAT:
                raise UsageError(
                    f"threshold names the column {field!r}, which is {self.field2type[field].value}; it "
                    "takes a float column"
                )
            columns.refuse_gaps(self, field, "threshold makes labels of it")
        if self.label_field in frame:
            columns.refuse_gaps(self, self.label_field, "it has the labels")
        numbers = [
            name for name in frame if self.field2type[name] == FeatureType.FLOAT and frame[name].isna().any()
        ]
        unused = (self.config["unused_col"] or {}).get("inter") or ()
        for name in frame if not self.config.stored else ():  # an earlier run was trained with them
            if self.field2type[name] == FeatureType.FLOAT and name not in unused:
                columns.refuse_infinite(self, name)
        if not self.config.stored:
            columns.refuse_no_numbers(self)
            columns.tell_filled_features(self)
        self.gaps = {name: frame[name].isna().to_numpy() for name in numbers}
        super()._fill_nan()

    def _set_label_by_threshold(self) -> None:
        """Make labels as RecBole does, which drops the column; ratings on a known scale are kept aside."""
        scale, field = self.config.rating.rating_scale, self.config["RATING_FIELD"]
        if scale is not None and field in (self.config["threshold"] or ()) and field in self.inter_feat:
            users, items, ratings = (
                self.inter_feat[name].to_numpy() for name in (self.uid_field, self.iid_field, field)
            )
            self.kept_ratings = KeptRatings(users, items, ratings, self.item_num)
        super()._set_label_by_threshold()

    def _normalize(self) -> None:
        """Normalise as RecBole does, but leave ratings on their scale if one is given."""
        for name in self.config["normalize_field"] or ():
            if name not in self.field2type:
                made = name in (self.config["threshold"] or ())
                why = "of which threshold makes labels" if made else "which is not loaded"
                raise UsageError(
                    f"normalize_field names the column {name!r}, {why}; leave it out of normalize_field"
                    f"{'' if made else ', or add it to load_col'}"
                )
        scale, field = self.config.rating.rating_scale, self.config["RATING_FIELD"]
        if scale is None or field not in self.inter_feat:
            super()._normalize()
            return
        kept = self.inter_feat[field].copy()
        super()._normalize()
        self.inter_feat[field] = kept
        given = self.config.given
        named = field in (given.get("normalize_field") or ())
        if (named or given.get("normalize_all")) and not self.config.stored:
            self.logger.warning(
                "no effect of %s on %s: rating_scale keeps ratings on their scale; with null it does not",
                *("normalize_field" if named else "normalize_all", field),
            )

    def _data_filtering(self) -> None:
        super()._data_filtering()
        if self.shift and self.shift.shift == "exposure":
            assert self.shift.shift_test is not None  # by SplitOptions
            path = Path(self.shift.shift_test).expanduser()
            self.exposed_rows, self.exposed_dropped = split_files.join_exposed(self, path)

    def join(self, df: Interaction) -> Interaction:
        """Join the features of users and items to rows, by tensors of their ids and not by lists of them."""
        for features, field in ((self.user_feat, self.uid_field), (self.item_feat, self.iid_field)):
            if features is not None and field in df:
                ids = df[field]
                df.update(Interaction({name: column[ids] for name, column in features.interaction.items()}))
        return df

    def build(self) -> list[Dataset]:
        """Split into train, valid and test, or with ``shift`` or four benchmark files into two test parts.

        Raises:
            UsageError: a part is empty.
        """
        names: tuple[str, ...] = PARTS
        if self.shift:
            names, parts = split.PARTS, self._parts_under_shift()
        else:
            parts = self._parts_of_recbole()
        if len(parts) == 4 and self.benchmark_filename_list is not None:
            names = tuple(self.benchmark_filename_list)
        if self.config.split.valid_shift != "none":
            names, parts = ("train", "valid", UNSHIFTED, *names[2:]), cut_from_train(self, parts)
        left_out = self._left_out()
        for name, part in zip(names, parts, strict=True):
            if len(part) == 0 and name not in left_out:
                raise UsageError(
                    f"the {name} part of data set {self.dataset_name!r} is empty; check eval_args or "
                    "benchmark_filename"
                )
        return parts

    def _left_out(self) -> set[str]:
        """Return the parts that the options leave empty on purpose."""
        if self.benchmark_filename_list is not None or self.shift:
            return set()
        return parts_left_out(self.config["eval_args"])

    def rows_of_parts(self) -> list[np.ndarray]:
        """Return the row numbers of the four parts under ``shift`` before ``build``; set ``split_summary``.

        Raises:
            UsageError: the interactions cannot be split.
            ValueError: there is no shift.
        """
        if self.shift is None:
            raise ValueError("the option shift is none")
        parts, self.split_summary = split_files.split_dataset(self, self.shift)
        return list(parts.rows)

    def _parts_under_shift(self) -> list[Dataset]:
        rows = self.rows_of_parts()
        self._change_feat_format()
        self._drop_unused_col()
        parts = [self.copy(self.inter_feat[numbers.tolist()]) for numbers in rows]
        for part, numbers in zip(parts, rows, strict=True):
            part.times, part.file_rows = None if self.times is None else self.times[numbers], numbers
        return parts

    def _change_feat_format(self) -> None:
        super()._change_feat_format()
        if self._remembers_rows:
            remember_rows(self.inter_feat)

    @property
    def _remembers_rows(self) -> bool:
        """Whether rows are told apart after RecBole's split, for their times; a shift does it itself."""
        by_time = self.config.split.valid_part == "latest" or self.config.split.valid_shift == "temporal"
        return by_time and self.shift is None

    def _parts_of_recbole(self) -> list[Dataset]:
        times, latest = self.times, self.config.split.valid_part == "latest"
        parts = super().build()
        for part in parts:
            part.times = None  # not those of all rows
        if latest:
            assert times is not None  # since valid_part needs them
            divide_by_time(self, parts, times)
        elif self._remembers_rows:
            assert times is not None
            give_times(self, parts, times)
        if len(parts) == 2 and self.benchmark_filename_list is not None:
            parts.insert(1, copy.copy(parts[1]))
            parts[1].inter_feat = copy.deepcopy(parts[2].inter_feat)
        return parts


class OrderedDataset(InteractionDataset):
    """A data set whose training part tells the model the order of its rows in time, where it asks for that.

    The configuration has ``reads_order``: why the order is needed, and what to do about data without
    times; or None. The training part then has the column ``TIME_RANK``, the place of a row among its rows in
    order of time, int64; of equal times the earlier in the file is the first.
    """

    reads_options = InteractionDataset.reads_options | {"environments", "more_environments"}

    def _why_times(self) -> str | None:
        asked = self.config.reads_order
        return super()._why_times() or (asked and asked[0])

    def _without_times(self) -> dict[str, str]:
        asked = self.config.reads_order
        return super()._without_times() | (dict([asked]) if asked else {})

    @property
    def _remembers_rows(self) -> bool:
        return super()._remembers_rows or (self.shift is None and bool(self.config.reads_order))

    def build(self) -> list[Dataset]:
        """Split as the base class does, and number the rows of train in order of time."""
        parts = super().build()
        if self.config.reads_order:
            train = parts[0]
            order = np.lexsort((train.file_rows, train.times))
            ranks = torch.from_numpy(np.argsort(order))
            train.inter_feat.update(Interaction({TIME_RANK: ranks}))
        return parts
