"""Histories of given parts (``benchmark_filename``) of sequential models, in the form of those RecBole makes.

Of a .inter file with times RecBole makes each history itself: the latest ``MAX_ITEM_LIST_LENGTH`` items, in a
table of that width. Histories that a file has (``item_id_list:token_seq``) it takes as they are.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recbole_diffusion.compat import FeatureType, Interaction
from recbole_diffusion.errors import UsageError, agreeing, counted

if TYPE_CHECKING:
    from recbole_diffusion.data.dataset import InteractionDataset as SequentialDataset
else:
    SequentialDataset = object  # a mixin: the data set class comes after it in the MRO


class GivenHistories(SequentialDataset):
    """Mixin for RecBole's ``SequentialDataset``.

    A history longer than ``MAX_ITEM_LIST_LENGTH`` is beyond the positions that SASRec and others know, and
    was read whole by models without positions; one without items has no last place to read from; a table
    narrower than the option does not fit Caser, RepeatNet and FEARec, whose weights have its size.
    """

    config: Any
    inter_feat: Any
    item_list_length_field: str
    max_item_list_len: int

    def _is_history(self, name: str) -> bool:
        """Return whether a column has the history of another one, such as ``item_id_list`` of ``item_id``."""
        suffix = self.config["LIST_SUFFIX"]
        return self.benchmark_filename_list is not None and name.endswith(suffix) and name != suffix

    def _shortened(self, values: np.ndarray, name: str, limit: int) -> np.ndarray:
        if self._is_history(name):
            return values[-limit:]
        return super()._shortened(values, name, limit)

    def _histories(self) -> list[str]:
        """Return the columns that are histories of a loaded column, that of the items first."""
        suffix, columns = self.config["LIST_SUFFIX"], self.inter_feat.columns
        found = [name + suffix for name in columns if name + suffix in columns]
        return sorted(found, key=lambda name: name != self.iid_field + suffix)

    def _benchmark_presets(self) -> None:
        """Bring the histories into form before RecBole counts their lengths.

        Raises:
            UsageError: there are none, one has no item, or two columns of one row differ in length.
        """
        first, frame = self.iid_field + self.config["LIST_SUFFIX"], self.inter_feat
        if first not in frame or self.field2type[first] != FeatureType.TOKEN_SEQ:
            raise UsageError(
                f"{self.config['model']} reads the history of each row of given parts (benchmark_filename) "
                f"from a column {first}:token_seq, which {self.header_place()} does not have; give it, or "
                "one .inter file with times and no benchmark_filename"
            )
        lengths = frame[first].map(len).to_numpy()
        if empty := int((lengths == 0).sum()):
            raise UsageError(
                f"{self.places_of(np.flatnonzero(lengths == 0))}: {counted(empty, 'row')} of the parts "
                f"{agreeing(empty, 'have')} no item in {first}, and {self.config['model']} has nothing to "
                "read there; leave such rows out"
            )
        for name in self._histories():
            self._shorten(name, lengths)
        if long := int((lengths > self.max_item_list_len).sum()):
            self.logger.warning(
                "MAX_ITEM_LIST_LENGTH is %d, and %s of data set %r %s a longer history, of which the latest "
                "items are read",
                *(self.max_item_list_len, counted(long, "row"), self.dataset_name, agreeing(long, "have")),
            )
        super()._benchmark_presets()

    def _shorten(self, name: str, lengths: np.ndarray) -> None:
        """Keep the latest values of a column of histories.

        Raises:
            UsageError: it is of another length than that of the items somewhere.
        """
        # A numerical feature has two lists: its values, and their numbers in the table of vectors.
        pairs = self.field2type[name] == FeatureType.FLOAT_SEQ and name in self.config["numerical_features"]
        given, limit = self.inter_feat[name], self.max_item_list_len
        other = np.flatnonzero((given.str[0] if pairs else given).map(len).to_numpy() != lengths)
        if len(other):
            raise UsageError(
                f"{self.places_of(other)}: {counted(len(other), 'row')} of the parts "
                f"{agreeing(len(other), 'have')} other numbers of values in {name} and in "
                f"{self.iid_field}{self.config['LIST_SUFFIX']}; write one for each item of the history"
            )
        kept = [[half[-limit:] for half in one] if pairs else one[-limit:] for one in given]
        self.inter_feat[name] = pd.Series(kept, index=given.index)
        self.field2seqlen[name] = limit

    def _change_feat_format(self) -> None:
        """Make tensors, with histories in tables of ``MAX_ITEM_LIST_LENGTH`` columns."""
        names = self._histories() if self.benchmark_filename_list is not None else []
        super()._change_feat_format()
        for name in names:
            values = self.inter_feat[name]
            table = values.new_zeros((len(values), self.max_item_list_len, *values.shape[2:]))
            table[:, : values.shape[1]] = values
            self.inter_feat.update(Interaction({name: table}))
