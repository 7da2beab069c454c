"""New users of models of cold users: by their source ratings, through the same transfer as the cold users of the run."""

from typing import Any

import torch
from recbole.data.interaction import Interaction

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.base import Histories
from recbole_diffusion.serving.scoring import takes_histories
from support.contract import OF_SOURCE


def histories_of(ratings: Ratings, users: list[int]) -> Histories:
    """Return the ratings of some users of a domain."""
    rows = [torch.nonzero(ratings.users == user).flatten() for user in users]
    rows = [some[ratings.items[some].argsort()] for some in rows]
    counts = torch.tensor([len(some) for some in rows])
    chosen = torch.cat(rows)
    starts, owners = counts.cumsum(0) - counts, torch.repeat_interleave(torch.arange(len(users)), counts)
    return Histories(ratings.items[chosen], starts, owners, ratings.ratings[chosen])


def check_new_users(built: Any) -> None:
    """If a cold user's source vector were the folded-in one, a new user with the same ratings would have the same scores."""
    model = built.model.eval()
    assert takes_histories(model) == (built.config["model"] in OF_SOURCE)
    if built.config["model"] not in OF_SOURCE:
        return
    stages, factors = model.stages(), model.source_factors()
    cold = torch.nonzero(model.is_cold & (model.source_of > 0)).flatten()[[0, 3, 5]]
    histories = histories_of(model.source_ratings, model.source_of[cold].tolist())
    rows = cold if built.config["model"] == "CMF" else model.source_of[cold]
    with torch.no_grad():
        found = factors.fold_in(model.source_history(histories), model.history_weight)
        factors.users[rows] = found[:, : factors.users.shape[1]]
        if factors.bias:
            factors.user_bias[rows] = found[:, -1]
    for stage in stages:
        if stage.begin:
            stage.begin()
    model.eval()  # what was derived from other weights is dropped
    expected = model.full_sort_predict(Interaction({model.USER_ID: cold}))
    scores = model.history_vectors(histories, 0) @ model.inner_products().items.T
    assert scores.std(0).max() > 0  # users differ
    assert torch.allclose(scores, expected, rtol=1e-4, atol=1e-5)
