"""Knowledge graphs: what RecBole leaves out or reads over where items and entities are linked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recbole_diffusion.errors import UsageError, agreeing, counted

if TYPE_CHECKING:
    from recbole_diffusion.compat import KnowledgeBasedDataset
else:
    KnowledgeBasedDataset = object  # a mixin: the data set class comes after it in the MRO

KNOWN = 0.1  # share of the interactions that stand in the graph; entities with names of users are few
FEW = 50  # so few triples may have a relation each


class LinkedItems(KnowledgeBasedDataset):
    """Mixin for RecBole's data sets with a graph of knowledge (``.kg``) and its items there (``.link``).

    RecBole leaves out interactions with items that the graph does not have, without a word; links of one item
    to two entities, or of two to one, number both wrongly or end in an error.
    """

    config: Any
    inter_feat: Any
    row_numbers: np.ndarray | None
    item2entity: dict[str, str]
    entity2item: dict[str, str]

    def _check_kg(self, kg: pd.DataFrame | None) -> None:
        self._require_columns(kg, "kg", (self.head_entity_field, self.relation_field, self.tail_entity_field))

    def _check_link(self, link: pd.DataFrame | None) -> None:
        fields = (self.iid_field, self.entity_field)
        self._require_columns(link, "link", fields)
        assert link is not None  # required above
        for field, other in (fields, fields[::-1]):
            again = link[field][link[field].duplicated()]
            if len(again):
                raise UsageError(
                    f"the .link file of data set {self.dataset_name!r} has several rows for {field} "
                    f"{again.iloc[0]!r} ({counted(len(again), 'row')} too many in all); each has one "
                    f"{other}: remove the others"
                )

    def _require_columns(self, table: pd.DataFrame | None, kind: str, fields: Sequence[str]) -> None:
        """Refuse a file without the columns that the graph is made of, or with a gap in one.

        Raises:
            UsageError: a column is missing or not loaded, or a value is missing.
        """
        where = f"the .{kind} file of data set {self.dataset_name!r}"
        missing = [field for field in fields if table is None or field not in table]
        if missing:
            raise UsageError(
                f"{self.config['model']} reads {', '.join(fields)} of {where}, but {', '.join(missing)} "
                f"{agreeing(len(missing), 'are')} not loaded; name the columns in load_col.{kind}"
            )
        assert table is not None  # since nothing is missing
        gaps = int(table[list(fields)].isna().any(axis=1).sum())
        if gaps:
            raise UsageError(
                f"{counted(gaps, 'row')} of {where} {agreeing(gaps, 'have')} no value of "
                f"{' or '.join(fields)}; write it, or remove the row"
            )

    def _filter_link(self) -> None:
        """Leave out what is not linked, as RecBole does, and tell how many interactions that are."""
        before = self.inter_feat.index
        super()._filter_link()
        kept = before.isin(self.inter_feat.index)
        gone = int((~kept).sum())
        if not gone:
            return
        if not kept.any():
            raise UsageError(
                f"no interaction of data set {self.dataset_name!r} has an item that the graph of knowledge "
                "has (.link, .kg); check their ids, or loosen entity_kg_num_interval or "
                "relation_kg_num_interval"
            )
        self.logger.warning(
            "%d of the %s of data set %r %s left out, whose item has no entity in the graph of knowledge "
            "(.link, .kg); filters by numbers of interactions have counted them",
            *(gone, counted(len(kept), "interaction"), self.dataset_name, agreeing(gone, "are")),
        )
        numbers = np.arange(len(kept)) if self.row_numbers is None else self.row_numbers
        self.row_numbers = numbers[kept]
        self.inter_feat = self.inter_feat.reset_index(drop=True)

    def _remap_ID_all(self) -> None:  # noqa: N802
        if self.benchmark_filename_list is not None:  # given parts are not filtered, but unknown links go
            items, entities = self._get_rec_item_token(), self._get_entity_token()
            links = self.item2entity.items()
            self.item2entity = {one: other for one, other in links if one in items and other in entities}
            self.entity2item = {other: one for one, other in self.item2entity.items()}
        if not self.config.stored:
            self._tell_graph()
        super()._remap_ID_all()

    def _tell_graph(self) -> None:
        """Warn of triples that are interactions, also held-out ones, and of columns in another order."""
        heads, relations, tails = (
            self.kg_feat[field].astype(str)
            for field in (self.head_entity_field, self.relation_field, self.tail_entity_field)
        )
        triples = pd.MultiIndex.from_arrays([heads, tails])
        users = self.inter_feat[self.uid_field].astype(str)
        entities = self.inter_feat[self.iid_field].map(self.item2entity).astype(str)
        known = sum(
            pd.MultiIndex.from_arrays(pair).isin(triples) for pair in ((users, entities), (entities, users))
        )
        count, kinds = int((np.asarray(known) > 0).sum()), relations.nunique()
        if count >= KNOWN * len(users):
            self.logger.warning(
                "%d of the %s of data set %r stand in its .kg file too, as triples of the user and the "
                "item's entity: a model learns held-out ones from there; leave such triples out, models that "
                "want interactions in their graph add those of train",
                *(count, counted(len(users), "interaction"), self.dataset_name),
            )
        if len(relations) > FEW and (kinds > tails.nunique() or 2 * kinds > len(relations)):
            self.logger.warning(
                "the .kg file of data set %r has %s (%s) for %s of %s: a graph has few kinds of relations, "
                "so see to it that the columns have the names of what is in them",
                *(self.dataset_name, counted(kinds, "relation"), self.relation_field),
                *(counted(len(relations), "triple"), counted(tails.nunique(), "tail")),
            )
