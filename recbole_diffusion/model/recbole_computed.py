"""Adapters of RecBole's models that are computed when they are made: nothing of them is learned by steps."""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion.compat import GeneralRecommender, Interaction
from recbole_diffusion.model.base import FoldInHistories, ModelInterface, pairs_of_rows
from recbole_diffusion.model.ease import Strips, ease_weights
from recbole_diffusion.model.ease_scores import ByUsers, by_users
from recbole_diffusion.model.history_model import history_rows
from recbole_diffusion.model.user_blocks import generators_of


class ItemSimilarity(ModelInterface):
    """Scores are a row times an item-item matrix, dense (EASE) or sparse (SLIM)."""

    takes_histories = True

    def similarity(self: Any) -> Any:
        """Return the item-item matrix, [n_items, n_items]."""
        return self.item_similarity

    def fold_in_scores(self: Any, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002
        """Return scores by the items of histories, [batch, n_items]; see ``ModelInterface``."""
        # [users, n_items] times [n_items, n_items], both sparse for SLIM.
        found = history_rows(histories, self.n_items) @ self.similarity()
        return torch.from_numpy(np.asarray(found.todense() if sp.issparse(found) else found)).to(self.device)


class EASE(ItemSimilarity):
    """EASE, scored by strips of its matrix that stay in the cache; RecBole reads all of it for each row.

    The sums are RecBole's own, term by term. The strips are a second matrix of items x items; there are never
    more than two in single precision. Where users are fewer than items, scores are those of one matrix of
    users x users instead (``model/ease_scores.py``), equal up to rounding.
    """

    computed_when_made = True
    _strips: tuple[Any, Any] = (None, None)  # the matrix and its strips

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        # Not the constructor of RecBole's class, which inverts a matrix beside three others.
        GeneralRecommender.__init__(self, config, dataset)
        self.dummy_param = torch.nn.Parameter(torch.zeros(1))
        self.interaction_matrix = dataset.inter_matrix(form="csr").astype(np.float32)
        self.item_similarity = None  # unless a checkpoint has it
        self.reg_weight = float(config["reg_weight"])
        self.other_parameter_name = ["interaction_matrix", "reg_weight"]
        if by_users(self.interaction_matrix, self.reg_weight):
            self.by_users = self._made_by_users()
        else:
            self.item_similarity = ease_weights(self.interaction_matrix, self.reg_weight)
            self.other_parameter_name.append("item_similarity")

    def _made_by_users(self: Any) -> ByUsers:
        return ByUsers(self.interaction_matrix, self.reg_weight)

    def load_other_parameter(self: Any, para: Any) -> None:
        """Take the matrices of a checkpoint, and drop what was made of those before."""
        self._strips = None, None
        rows, reg_weight = self.interaction_matrix, self.reg_weight
        # RecBole's class comes next in the MRO.
        super().load_other_parameter(para)  # type: ignore[misc]
        if self.item_similarity is None:
            # A checkpoint has no matrix of users, which is made again of other rows or with another penalty.
            same = rows.shape == self.interaction_matrix.shape and not (rows != self.interaction_matrix).nnz
            if not same or reg_weight != self.reg_weight:
                self.by_users = self._made_by_users()

    @torch.no_grad()
    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return scores of all items, [batch, n_items]."""
        users = interaction[self.USER_ID].cpu().numpy()
        if self.item_similarity is None:
            return self.by_users.of_users(users).to(self.device)
        if self._strips[0] is not self.item_similarity:
            self._strips = self.item_similarity, Strips(self.item_similarity)
        # The training rows, [users, n_items].
        return self._strips[1].times(self.interaction_matrix[users, :]).to(self.device)

    @torch.no_grad()
    def predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of user-item pairs, [batch]."""
        if self.item_similarity is not None:
            return super().predict(interaction)  # type: ignore[misc]
        return pairs_of_rows(self, interaction)

    def fold_in_scores(self: Any, histories: FoldInHistories, seed: int) -> Tensor:
        """Return scores by the items of histories, [batch, n_items]; see ``ModelInterface``."""
        if self.item_similarity is not None:
            return super().fold_in_scores(histories, seed)
        return self.by_users.of_rows(history_rows(histories, self.n_items)).to(self.device)


class SLIM(ItemSimilarity):
    """SLIMElastic: a sparse matrix of one regression for each item."""

    computed_when_made = True


class ItemKNN(ItemSimilarity):
    """Neighbours of items; the method by users only knows the trained users."""

    computed_when_made = True

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        # RecBole's class comes next in the MRO.
        super().__init__(config, dataset)  # type: ignore[call-arg]
        self.takes_histories = self.method == "item"

    def similarity(self: Any) -> Any:
        """Return the similarities of each item's neighbours, sparse [n_items, n_items]."""
        return self.w


class Computed(ModelInterface):
    """Models whose constructor computes all that they score by, if anything; their loss is a constant."""

    computed_when_made = True


class Drawn(Computed):
    """Random: an order of the items for each user, the same each time in a run.

    RecBole draws one order for all users of a batch, so that the lists, and how many items are in any, depend
    on ``eval_batch_size``, and no second evaluation has the numbers of the first.
    """

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        # RecBole's class comes next in the MRO.
        super().__init__(config, dataset)  # type: ignore[call-arg]
        self.evaluation_seed = config["seed"]

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return scores of all items, [batch, n_items]."""
        generators = generators_of(interaction[self.USER_ID], self.evaluation_seed)
        rows = [torch.rand(self.n_items, generator=one, dtype=torch.float64) for one in generators]
        return torch.stack(rows).to(self.device)

    def predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of user-item pairs, [batch], in the 32 bits in which RecBole collects them."""
        return pairs_of_rows(self, interaction).float()


class Counts(Computed):
    """Pop: the number of training rows of each item.

    RecBole counts an item once in a batch, so that the counts depend on ``train_batch_size`` (of 476 rows it
    finds 79 in batches of 2,048), and counts sampled negatives too.
    """

    constant_scores = True  # where all items are equally popular

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        # RecBole's class comes next in the MRO.
        super().__init__(config, dataset)  # type: ignore[call-arg]
        # Once for each training row, whatever the batches were.
        counts = torch.bincount(dataset.inter_feat[dataset.iid_field], minlength=self.n_items)
        self.item_cnt = counts[:, None].to(self.device)
        self.max_cnt = self.item_cnt.max(0).values

    def calculate_loss(self: Any, interaction: Any) -> Tensor:  # noqa: ARG002
        """Return a constant: there is nothing to train."""
        return self.fake_loss.sum()  # of one weight that nothing reads
