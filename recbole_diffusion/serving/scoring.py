"""The best items of a block of users: by vectors where the scores are inner products, else out of the scores of all items."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import AutoEncoderMixin
from torch import Tensor

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.base import Histories, InnerProducts
from recbole_diffusion.serving.search import VectorSearch

PAIRS = 2**20  # user-item pairs that a model without a full ranking scores at once
# RecBole's graph models that keep the vectors of an evaluation, whose inner products are their scores.
KEEP_VECTORS = frozenset({"LightGCN", "NGCF", "DGCF", "SGL"})
# RecBole's models of interaction rows that know a user by nothing but the row.
ROW_MODELS = frozenset({"MultiVAE", "MultiDAE", "MacridVAE", "RecVAE", "RaCT", "DiffRec", "LDiffRec"})
# From user numbers long [batch], a length k, and the cells that are left out (rows of the batch and item
# numbers), to the k largest scores and their items, [batch, k] each; -inf where nothing is left.
Cells = tuple[Tensor, Tensor] | None
FindForUsers = Callable[[Tensor, int, Cells], tuple[Tensor, Tensor]]
# The same from histories and a seed.
FindForHistories = Callable[[Histories, int, int, Cells], tuple[Tensor, Tensor]]


@torch.no_grad()
def inner_products(model: Any) -> InnerProducts | None:
    """Return the vectors whose inner products are the model's scores, or None."""
    if hasattr(model, "inner_products"):
        return model.inner_products()
    name = type(model).__name__
    if name == "BPR":
        return InnerProducts(model.user_embedding, model.item_embedding.weight.detach())
    if name in KEEP_VECTORS:
        model.full_sort_predict(_asking(model, torch.ones(1, dtype=torch.long)))
        users = model.restore_user_e.detach()
        return InnerProducts(lambda numbers: users[numbers], model.restore_item_e.detach())
    return None


def best_of(scores: Tensor, k: int, cells: Cells) -> tuple[Tensor, Tensor]:
    """Return the ``k`` largest scores of each row and their items; ``scores`` [batch, n_items] is overwritten."""
    if cells is not None:
        scores[cells] = -torch.inf
    scores[:, 0] = -torch.inf  # the padding item
    return scores.topk(k)


def finder_for_users(model: Any, seed: int) -> FindForUsers:
    """Return what finds the best items of known users; noise that a model draws from torch's global stream is seeded."""
    vectors = inner_products(model)
    if vectors is not None:
        search = VectorSearch(vectors.items)
        return torch.no_grad()(lambda users, k, cells: search.best(vectors.users(users), k, cells))
    scores = _user_scores(model, seed)
    return lambda users, k, cells: best_of(scores(users), k, cells)


def _user_scores(model: Any, seed: int) -> Callable[[Tensor], Tensor]:

    def scores(users: Tensor) -> Tensor:
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(seed)
            try:
                found = model.full_sort_predict(_asking(model, users))
            except NotImplementedError:  # RecBole's way to say that a model scores pairs alone
                found = _by_pairs(model, users)
            return found.view(len(users), -1)

    return scores


def _asking(model: Any, users: Tensor) -> Interaction:
    return Interaction({model.USER_ID: users}).to(model.device)


def _by_pairs(model: Any, users: Tensor) -> Tensor:
    """Return the scores of all items from a model that scores pairs, [batch, n_items]."""
    found = []
    for some in users.split(max(1, PAIRS // model.n_items)):
        pairs = {model.USER_ID: some.repeat_interleave(model.n_items)}
        pairs[model.ITEM_ID] = torch.arange(model.n_items, device=some.device).repeat(len(some))
        found.append(model.predict(Interaction(pairs)).view(len(some), -1))
    return torch.cat(found)


def takes_histories(model: Any) -> bool:
    """Return whether a model can score users that it was not trained on, by what they have."""
    name = type(model).__name__
    if name == "ItemKNN":
        return model.method == "item"
    if name in ROW_MODELS:
        return isinstance(model, AutoEncoderMixin) and not getattr(model, "time_aware", False)
    return name == "EASE" or hasattr(model, "history_scores") or hasattr(model, "history_vectors")


def check_takes_histories(model: Any) -> None:
    """Raise UsageError if a model knows users by number only."""
    if not takes_histories(model):
        raise UsageError(
            f"{type(model).__name__} as trained here knows users by number only and cannot score new ones; "
            "train it again with "
            "them, or use a model of rows: TVDiff, DGRM, CFGAN, DiffRec, MultiVAE, EASE, ItemKNN, ...; or "
            "one of source ratings: "
            "DiffCDR, EMCDR, PTUPCDR, SSCDR, LACDR, CMF"
        )


def finder_for_histories(model: Any) -> FindForHistories:
    """Return what finds the best items of new users.

    Raises:
        UsageError: the model knows users by number only.
    """
    check_takes_histories(model)
    name = type(model).__name__
    if hasattr(model, "history_vectors"):
        search = VectorSearch(inner_products(model).items)
        return lambda histories, seed, k, cells: search.best(model.history_vectors(histories, seed), k, cells)
    scores = getattr(model, "history_scores", None)
    if name in ROW_MODELS:
        scores = functools.partial(_of_rows, model)
    elif scores is None:
        scores = functools.partial(
            _of_similarity, model, model.item_similarity if name == "EASE" else model.w
        )
    return lambda histories, seed, k, cells: best_of(scores(histories, seed), k, cells)


def _of_rows(model: Any, histories: Histories, seed: int) -> Tensor:
    """Return the scores of a RecBole model that asks ``get_rating_matrix`` for the rows of users."""
    many = len(histories.starts)
    rows = torch.zeros(many, model.n_items, device=histories.items.device)
    rows[histories.rows, histories.items] = 1.0
    model.get_rating_matrix = lambda users: rows[users]
    try:
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(seed)
            return model.full_sort_predict(_asking(model, torch.arange(many))).view(many, -1)
    finally:
        del model.get_rating_matrix


def _of_similarity(model: Any, similarity: Any, histories: Histories, seed: int) -> Tensor:  # noqa: ARG001
    """Return rows times an item-item matrix, dense (EASE) or sparse (ItemKNN)."""
    items = histories.items.cpu().numpy()
    offsets = np.r_[histories.starts.cpu().numpy(), len(items)]
    rows = sp.csr_matrix((np.ones(len(items), np.float32), items, offsets), (len(offsets) - 1, model.n_items))
    found = rows @ similarity
    return torch.from_numpy(np.asarray(found.todense() if sp.issparse(found) else found)).to(model.device)
