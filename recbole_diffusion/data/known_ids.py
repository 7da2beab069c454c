"""Reading a data set with the ids of an earlier run: its users and items keep their numbers, new ones go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recbole_diffusion.compat import FeatureType
from recbole_diffusion.errors import UsageError

if TYPE_CHECKING:
    from recbole_diffusion.compat import Dataset
else:
    Dataset = object  # a mixin: the data set class comes after it in the MRO


@dataclass(frozen=True)
class NewIds:
    """What of a data set is left out because an earlier run does not know it.

    Users and items count if the filters of the data set would keep them.

    Attributes:
        users: tokens of new users, text [n], in the order of their first row.
        items: number of new items.
        rows: number of interactions with one of them.
        histories: rows of new users with known items: columns user, item (tokens) and, where the data is
            loaded with ratings, rating.
    """

    users: np.ndarray
    items: int
    rows: int
    histories: pd.DataFrame


class KnownIds(Dataset):
    """Mixin for RecBole's data sets that takes the ids of users and items from ``config.known_ids``.

    That is a mapping from the names of their columns to tokens by number, text [n], the padding's first; or
    None, and nothing here has an effect. Interactions, and rows of the other files, of other users or items
    are left out, whatever their number.

    Attributes:
        new_ids: what was left out; None without ``known_ids``.
    """

    new_ids: NewIds | None = None
    config: Any
    inter_feat: Any
    row_numbers: np.ndarray | None
    file_size_list: list[int]
    _counted: np.ndarray | None = None  # labels of the rows that the filters by numbers would keep

    @property
    def _known(self) -> Mapping[str, np.ndarray] | None:
        return getattr(self.config, "known_ids", None)

    def _filter_by_inter_num(self) -> None:
        """Filter as without known ids, which alone are not judged by numbers of interactions again."""
        if self._known is None:
            super()._filter_by_inter_num()
            return
        names = ("inter_feat", "user_feat", "item_feat")
        tables = {name: getattr(self, name) for name in names}
        for name, table in tables.items():
            setattr(self, name, None if table is None else table.copy())
        super()._filter_by_inter_num()
        self._counted = self.inter_feat.index.to_numpy()
        for name, table in tables.items():
            setattr(self, name, table)

    def _remap_ID_all(self) -> None:  # noqa: N802
        if self._known is not None:
            self._leave_out_new()
        super()._remap_ID_all()

    def _leave_out_new(self) -> None:
        """Leave out rows of new users or items, and note them."""
        known = self._known or {}
        frame = self.inter_feat
        users, items = (
            _numbers(frame[field], known[field]) > 0 for field in (self.uid_field, self.iid_field)
        )
        if not (users & items).any():
            raise UsageError(
                f"no row of data set {self.dataset_name!r} in {self.dataset_path} ({len(frame):,} in all) "
                f"has a user and an item of the run, such as {known[self.uid_field][1]} and "
                f"{known[self.iid_field][1]}; it is another data set, name the right one with data_path"
            )
        labels = np.arange(len(frame)) if self.row_numbers is None else self.row_numbers
        counted = np.ones(len(frame), bool)
        if self._counted is not None:  # rows of an exposed set, -1, are not filtered by numbers
            counted = np.isin(labels, self._counted) | (labels < 0)
        columns = {"user": self.uid_field, "item": self.iid_field, "rating": self.config["RATING_FIELD"]}
        columns = {role: field for role, field in columns.items() if field in frame}
        liked = counted & ~users & items
        for field, least in {**(self.config["threshold"] or {}), self.label_field: 1}.items():
            if field in frame:
                liked &= frame[field].to_numpy() >= least
        of_new = frame.loc[liked, list(columns.values())]
        self.new_ids = NewIds(
            frame.loc[counted & ~users, self.uid_field].astype(str).unique().astype(str),
            frame.loc[counted & ~items, self.iid_field].nunique(),
            int((counted & ~(users & items)).sum()),
            of_new.set_axis(list(columns), axis=1).reset_index(drop=True).astype({"user": str, "item": str}),
        )
        keep = users & items
        exposed = getattr(self, "exposed_rows", 0)
        if exposed:
            self.exposed_rows = int(keep[len(keep) - exposed :].sum())
        if self.benchmark_filename_list is not None:
            ends = np.cumsum(self.file_size_list)
            self.file_size_list = [int(part.sum()) for part in np.split(keep, ends[:-1])]
        if not keep.all():
            self.row_numbers = labels[keep]
            self.inter_feat = frame[keep].reset_index(drop=True)
        for name, field in (("user_feat", self.uid_field), ("item_feat", self.iid_field)):
            table = getattr(self, name)
            if table is not None:
                rows = _numbers(table[field], known[field]) > 0
                setattr(self, name, table[rows].reset_index(drop=True))

    def _remap(self, remap_list: list) -> None:
        """Number tokens by the known ids, and others as RecBole does."""
        known = self._known or {}
        own = [field for _, field, _ in remap_list if field in known]
        if not own:
            super()._remap(remap_list)
            return
        tokens = known[own[0]]
        by_token = {token: number for number, token in enumerate(tokens.tolist())}
        for feat, field, kind in remap_list:
            self.field2id_token.setdefault(field, tokens)
            self.field2token_id.setdefault(field, by_token)
            if kind == FeatureType.TOKEN:
                feat[field] = _numbers(feat[field], tokens)
            else:
                found = [_numbers(pd.Series(one), tokens) for one in feat[field]]
                feat[field] = [numbers[numbers > 0] for numbers in found]


def _numbers(texts: pd.Series, tokens: np.ndarray) -> np.ndarray:
    """Return the numbers of texts in a table of tokens, int64 [n]; 0 for those that it does not have."""
    codes, names = pd.factorize(texts)
    found = pd.Index(tokens[1:].astype(object)).get_indexer(np.asarray(names).astype(str).astype(object)) + 1
    return np.where(codes < 0, 0, np.append(found, 0)[codes])
