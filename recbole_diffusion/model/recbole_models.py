"""Adapters from RecBole's own models to ``ModelInterface``."""

import copyreg
import functools
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional

from recbole_diffusion.compat import Interaction
from recbole_diffusion.model.base import FoldInHistories, InnerProducts, ModelInterface

STRIP = 2**19  # numbers in a strip of a matrix of items x items: 2 MB


class _Embeddings(ModelInterface):
    """BPR: two tables."""

    has_item_vectors = True

    def inner_products(self: Any) -> InnerProducts:
        return InnerProducts(self.user_embedding, self.item_embedding.weight.detach())


class _KeptVectors(ModelInterface):
    """Graph models that keep the vectors of an evaluation, whose inner products are the scores."""

    has_item_vectors = True

    @torch.no_grad()
    def inner_products(self: Any) -> InnerProducts:
        self.full_sort_predict(asking(self, torch.ones(1, dtype=torch.long)))  # computes and keeps them
        users = self.restore_user_e.detach()
        return InnerProducts(lambda numbers: users[numbers], self.restore_item_e.detach())


class _Rows(ModelInterface):
    """Autoencoders, whose only input is the user's row from ``get_rating_matrix``."""

    takes_histories = True

    def fold_in_scores(self: Any, histories: FoldInHistories, seed: int) -> Tensor:
        many = len(histories.starts)
        # The users' rows, 0 and 1, in the place of those that RecBole makes of its training part.
        rows = torch.zeros(many, self.n_items, device=histories.items.device)
        rows[histories.rows, histories.items] = 1.0
        self.get_rating_matrix = lambda users: rows[users]
        try:
            # Noise of its own seed, and the run's random stream as it was.
            with torch.no_grad(), torch.random.fork_rng():
                torch.manual_seed(seed)
                return self.full_sort_predict(asking(self, torch.arange(many))).view(many, -1)
        finally:
            del self.get_rating_matrix


class _DiffusedRows(_Rows):
    """DiffRec and LDiffRec; weighing interactions by their time needs more than the row."""

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        # RecBole's class comes next in the MRO.
        super().__init__(config, dataset)  # type: ignore[call-arg]
        self.takes_histories = not self.time_aware


class _ItemSimilarity(ModelInterface):
    """Scores are a row times an item-item matrix, dense (EASE) or sparse (SLIM)."""

    takes_histories = True

    def similarity(self: Any) -> Any:
        return self.item_similarity

    def fold_in_scores(self: Any, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002
        items = histories.items.cpu().numpy()
        # A CSR matrix of the histories: each user's items, and where the next user's begin.
        offsets = np.r_[histories.starts.cpu().numpy(), len(items)]
        shape = len(offsets) - 1, self.n_items
        # [users, n_items] times [n_items, n_items], both sparse for SLIM.
        found = sp.csr_matrix((np.ones(len(items), np.float32), items, offsets), shape) @ self.similarity()
        return torch.from_numpy(np.asarray(found.todense() if sp.issparse(found) else found)).to(self.device)


class _DenseSimilarity(_ItemSimilarity):
    """EASE, scored by strips of its matrix that stay in the cache; RecBole reads all of it for each row.

    The sums are RecBole's own, term by term. The strips are a second matrix of items x items.
    """

    _strips: tuple[Any, list[Tensor]] = (None, [])  # the matrix and its strips

    @torch.no_grad()
    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        if self._strips[0] is not self.item_similarity:
            whole = torch.from_numpy(np.asarray(self.item_similarity))
            # A multiple of 16 columns, one strip about as large as STRIP.
            width = max(STRIP // len(whole) // 16 * 16, 16)
            self._strips = self.item_similarity, [one.contiguous() for one in whole.split(width, 1)]
        # [users, n_items]: the training rows, as bags of items for each strip.
        rows = self.interaction_matrix[interaction[self.USER_ID].cpu().numpy(), :]
        items, starts = torch.from_numpy(rows.indices).long(), torch.from_numpy(rows.indptr[:-1]).long()
        weights = torch.from_numpy(rows.data)
        parts = [
            functional.embedding_bag(items, strip, starts, mode="sum", per_sample_weights=weights)
            for strip in self._strips[1]
        ]
        return torch.cat(parts, 1).to(self.device)


class _ItemKNN(_ItemSimilarity):
    """Neighbours of items; the method by users only knows the trained users."""

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        # RecBole's class comes next in the MRO.
        super().__init__(config, dataset)  # type: ignore[call-arg]
        self.takes_histories = self.method == "item"

    def similarity(self: Any) -> Any:
        return self.w


class _Counts(ModelInterface):
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
        return self.fake_loss.sum()  # of one weight that nothing reads


ADAPTERS: dict[str, type[ModelInterface]] = {
    "BPR": _Embeddings,
    "Pop": _Counts,
    **dict.fromkeys(("LightGCN", "NGCF", "DGCF", "SGL", "NCL", "SpectralCF"), _KeptVectors),
    **dict.fromkeys(("MultiVAE", "MultiDAE", "MacridVAE", "RecVAE", "RaCT"), _Rows),
    **dict.fromkeys(("DiffRec", "LDiffRec"), _DiffusedRows),
    "EASE": _DenseSimilarity,
    "SLIMElastic": _ItemSimilarity,
    "ItemKNN": _ItemKNN,
}


def asking(model: Any, users: Tensor) -> Interaction:
    """Return an interaction that asks for some users, long [batch], on the model's device."""
    return Interaction({model.USER_ID: users}).to(model.device)


class _Adapted(type):
    """The type of adapted classes; pickle, which finds a class by its name, is told how to make one again."""


@functools.cache
def adapted(cls: type) -> type:
    """Return a model class with the attributes and methods of ``ModelInterface``, under the same name.

    Attributes of the class itself take precedence over the defaults. A class that inherits one of RecBole's
    may score differently: it gets the defaults alone, and declares what it can do.
    """
    if issubclass(cls, ModelInterface):
        return cls
    of_recbole = cls.__module__.startswith("recbole.")
    adapters = [ADAPTERS[cls.__name__]] if of_recbole and cls.__name__ in ADAPTERS else []
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    return _Adapted(cls.__name__, (*adapters, cls, ModelInterface), {**names, "adapts": cls})


def _reduced(cls: Any) -> tuple[Any, tuple[type]]:
    return adapted, (cls.adapts,)


copyreg.pickle(_Adapted, _reduced)
