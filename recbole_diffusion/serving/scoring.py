"""The best items of a block of users: by vectors if scores are inner products, else from all scores."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from recbole_diffusion import registry
from recbole_diffusion.compat import Interaction
from recbole_diffusion.errors import RunError, UsageError, shown_name
from recbole_diffusion.evaluation.near_vectors import best_in_order, for_lists
from recbole_diffusion.evaluation.ranking import NO_USER, best_items
from recbole_diffusion.evaluation.score_check import not_finite
from recbole_diffusion.evaluation.search import VectorSearch
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.recbole_models import asking

PAIRS = 2**20  # user-item pairs that a model without a full ranking scores at once
# Of the largest product of lengths: scores nearer than this are in an order that rounding may have made.
ROUNDING = 2e-6
SPARE = 4  # places beyond a list that are looked at for such scores
# From user numbers long [batch], a length k, and cells to leave out (rows of the batch, item numbers), to
# the k largest scores and their items, [batch, k] each; -inf where nothing is left.
Cells = tuple[Tensor, Tensor] | None
FindForUsers = Callable[[Tensor, int, Cells], tuple[Tensor, Tensor]]
# The same from histories and a seed.
FindForHistories = Callable[[FoldInHistories, int, int, Cells], tuple[Tensor, Tensor]]


def best_of(scores: Tensor, users: Tensor, k: int, cells: Cells) -> tuple[Tensor, Tensor]:
    """Return the ``k`` largest of scores [batch, n_items], which are overwritten, and their items.

    Args:
        scores: of all items.
        users: internal ids, long [batch], by which equal scores are ordered, as in evaluation.
        k: length of a list.
        cells: what is left out.

    Raises:
        RunError: a score is not finite.
    """
    wrong = not_finite(scores[:, 1:])
    if wrong:
        raise RunError(f"{wrong}; the training of this model has diverged, use another run")
    if cells is not None:
        scores[cells] = -torch.inf
    scores[:, 0] = -torch.inf  # the padding item
    return best_items(scores, users, k)


def scores_of_users(model: Any, seed: int) -> Callable[[Tensor], Tensor]:
    """Return the function from user numbers to scores of all items, [batch, n_items]; noise has the seed."""
    if not model.has_item_vectors:
        return _user_scores(model, seed)
    with torch.no_grad():
        vectors = model.inner_products()
    return torch.no_grad()(lambda users: vectors.users(users) @ vectors.items.T)


def finder_for_users(model: Any, seed: int) -> FindForUsers:
    """Return the function that finds the best items of known users; it seeds noise from torch's generator."""
    if model.has_item_vectors:
        with torch.no_grad():
            vectors = model.inner_products()
        return _by_vectors(vectors)
    scores = _user_scores(model, seed)
    return lambda users, k, cells: best_of(scores(users), users, k, cells)


def _by_vectors(vectors: Any) -> FindForUsers:
    search = VectorSearch(vectors.items)

    @torch.no_grad()
    def find(users: Tensor, k: int, cells: Cells) -> tuple[Tensor, Tensor]:
        found, doubt = for_lists(vectors, users)
        if doubt is not None:
            return best_in_order(search, vectors, users, found, doubt, k, cells)
        return best_settled(search, found, users, k, cells)

    return find


def best_settled(
    search: VectorSearch, vectors: Tensor, ids: Tensor, k: int, cells: Cells
) -> tuple[Tensor, Tensor]:
    """Return what ``search.best`` finds, scores that are equal up to rounding in the order of exact ones.

    The rounding of a product of matrices depends on how many users are asked for together; a list must not.

    Args:
        search: over the item vectors.
        vectors: of users, [batch, d].
        ids: internal ids of users, long [batch].
        k: at most the number of items.
        cells: what is left out.
    """
    values, items = search.best(vectors, ids, min(k + SPARE, len(search.items)), cells)
    slack = ROUNDING * vectors.norm(dim=1, keepdim=True) * search.lengths[0]
    there = values > -torch.inf
    # Rows with a place that rounding may have given to another item.
    rows = ((values[:, :-1] - values[:, 1:] <= slack) & there[:, 1:]).any(1).nonzero().view(-1)
    if len(rows):
        some = items[rows]
        # Their scores in double precision, [rows, k + SPARE], by sums that are each row's own.
        factors = search.items[search.place[some - 1]].cpu().double(), vectors[rows, None].cpu().double()
        exact = (factors[0] * factors[1]).sum(2).masked_fill(~there[rows].cpu(), -torch.inf)
        best, order = best_items(exact, ids[rows].cpu(), exact.shape[1], some.cpu())
        values[rows], items[rows] = best.to(values), order.to(items)
    return values[:, :k].contiguous(), items[:, :k].contiguous()


@torch.no_grad()
def makes_near_lists(model: Any) -> bool:
    """Return whether a model's lists begin with near vectors, so that many users are ranked together."""
    return model.has_item_vectors and model.inner_products().near is not None


def _user_scores(model: Any, seed: int) -> Callable[[Tensor], Tensor]:

    def scores(users: Tensor) -> Tensor:
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(seed)
            try:
                found = model.full_sort_predict(asking(model, users))
            except NotImplementedError:  # RecBole's way of saying that a model only scores pairs
                found = _by_pairs(model, users)
            return found.view(len(users), -1)

    return scores


def _by_pairs(model: Any, users: Tensor) -> Tensor:
    """Return the scores of all items from a model that scores pairs, [batch, n_items]."""
    found = []
    for some in users.split(max(1, PAIRS // model.n_items)):
        pairs = {model.USER_ID: some.repeat_interleave(model.n_items)}
        pairs[model.ITEM_ID] = torch.arange(model.n_items, device=some.device).repeat(len(some))
        found.append(model.predict(Interaction(pairs)).view(len(some), -1))
    return torch.cat(found)


def check_takes_histories(model: Any) -> None:
    """Raise UsageError if a model only knows the users it was trained on."""
    if not model.takes_histories:
        of_own, of_source = registry.fold_in_models()
        raise UsageError(
            f"{shown_name(model)} as trained here only knows its training users and cannot score new "
            f"ones; train it again with them, or use a model that folds users in: {of_own}; or, by ratings "
            f"in a source domain, {of_source}"
        )


def finder_for_histories(model: Any) -> FindForHistories:
    """Return the function that finds the best items of new users.

    Raises:
        UsageError: the model only knows its training users.
    """
    check_takes_histories(model)
    if not model.has_item_vectors:
        return lambda histories, seed, k, cells: best_of(
            model.fold_in_scores(histories, seed), _nobody(histories), k, cells
        )
    with torch.no_grad():
        search = VectorSearch(model.inner_products().items)
    return torch.no_grad()(
        lambda histories, seed, k, cells: best_settled(
            search, model.fold_in_vectors(histories, seed), _nobody(histories), k, cells
        )
    )


def _nobody(histories: FoldInHistories) -> Tensor:
    """Return the ids by which equal scores of new users are ordered, long [batch]."""
    return torch.full_like(histories.starts, NO_USER)
