"""Level factors: what an item and a user add to the log odds of each rating level, in both domains.

A factorisation predicts a number; a rating is a level. With L levels

    p(l | u, i) = softmax over l of (c_l + A_il + (z_u W)_l + a_ul),

so that a user is a vector a_u of L numbers: rates high, rates everything alike, gives no fives. Coordinate l
means level l in every domain, a common basis that two factorisations do not have. z_u is what is told of the
user, in the target domain how the user rates in the source (``profile.py``); c, A and W are fitted without a,
since a cold user's is only guessed, and a_u is what they leave of the user's own ratings. DiffCDR diffuses
[u, a_u] with ``levels``, and ``LevelAlignment`` learns how far the guess of a_u can be trusted.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.cross_domain.readout import minimised

USER_PENALTY = 3.0  # L2 of a_u
TOLD_PENALTY = 300.0  # L2 of W
NEWTON_STEPS, LONGEST_STEP, CONVERGED = 40, 1.0, 1e-9  # at most, in log odds, and a step that is the last
BLOCK = 2**16  # ratings whose matrices are held at once


class LevelFactors(nn.Module):
    """The level factors of one domain, fitted whole by L-BFGS; buffers, since no gradient step moves them.

    Attributes:
        items: c + A, [n_items, L].
        told: z W, [n_users, L]; zeros without z.
        users: a, [n_users, L]; zeros for users without ratings.

    Args:
        n_users: number of user ids.
        n_items: number of item ids.
        levels: of the scale, ascending, [L].
    """

    items: Tensor
    told: Tensor
    users: Tensor
    levels: Tensor

    def __init__(self, n_users: int, n_items: int, levels: Tensor) -> None:
        super().__init__()
        self.register_buffer("levels", levels, persistent=False)
        self.register_buffer("items", torch.zeros(n_items, len(levels)))
        self.register_buffer("told", torch.zeros(n_users, len(levels)))
        self.register_buffer("users", torch.zeros(n_users, len(levels)))

    def places(self, ratings: Tensor) -> Tensor:
        """Return the nearest level of each rating, 0..L-1, long [n]."""
        middles = (self.levels[1:] + self.levels[:-1]) / 2
        return torch.searchsorted(middles, ratings.to(self.levels))

    def fit(self, own: Ratings, penalty: float, told: Tensor | None = None, steps: int = 100) -> None:
        """Fit c, A and W to ratings by maximum likelihood with L2 penalties, then a.

        Args:
            own: the ratings of the domain, [n].
            penalty: of an item's numbers; counts as so many ratings that are as all others.
            told: z of each user, [n_users, size]; None for nothing.
            steps: of L-BFGS.
        """
        users, items, ratings = (
            column.to(self.items.device) for column in (own.users, own.items, own.ratings)
        )
        where, zeros = self.places(ratings), self.items.new_zeros
        size = len(self.levels)
        common, by_level, slope = zeros(size), zeros(self.items.shape), zeros(len(self.items), 1)
        z = zeros(len(self.users), 0) if told is None else told
        weights = zeros(z.shape[1], size)
        line = torch.linspace(-2, 2, size, device=common.device)  # a shift of all levels

        def loss() -> Tensor:
            logits = common + by_level[items] + slope[items] * line + (z @ weights)[users]
            held = penalty * (1.5 * by_level.square().sum() + slope.square().sum())
            held = held + TOLD_PENALTY / 2 * weights.square().sum()
            return (F.cross_entropy(logits, where, reduction="sum") + held) / len(ratings)

        minimised([one for one in (common, by_level, slope, weights) if one.numel()], loss, steps)
        self.items.copy_(common + by_level + slope * line)
        self.told.copy_(z @ weights)
        self.users.copy_(self.of_histories(items, users, ratings, len(self.users), self.told))

    @torch.no_grad()
    def of_histories(
        self, items: Tensor, rows: Tensor, ratings: Tensor, many: int, told: Tensor | None = None
    ) -> Tensor:
        """Return a_u of users by their ratings, all else fixed, [many, L].

        A convex problem of L numbers for each user, solved by Newton's method: users do not depend on who is
        asked for beside them. Its steps are limited: a whole one from 0 leads a user of 30 ratings, all of a
        level that is rare, so far beyond the minimum that the next one leads back to 0.

        Args:
            items: long [total].
            rows: the user of each, 0..many-1, [total].
            ratings: [total].
            many: number of users; one without ratings gets zeros.
            told: z W of each user, [many, L]; None for zeros.
        """
        size = len(self.levels)
        found = self.items.new_zeros(many, size, dtype=torch.float64)
        base = found if told is None else told.double()
        wanted, eye = self.places(ratings), torch.eye(size, dtype=torch.float64, device=found.device)
        for _ in range(NEWTON_STEPS):
            slope, curve = -USER_PENALTY * found, (USER_PENALTY * eye).repeat(many, 1, 1)
            for item, row, place in zip(*(one.split(BLOCK) for one in (items, rows, wanted)), strict=True):
                p = (self.items[item].double() + base[row] + found[row]).softmax(1)  # [block, L]
                slope.index_add_(0, row, eye[place] - p)
                curve.index_add_(0, row, torch.diag_embed(p) - p[:, :, None] * p[:, None, :])
            step = torch.linalg.solve(curve, slope[..., None]).squeeze(-1)
            longest = step.abs().amax(1, keepdim=True)  # [many, 1]
            found = found + torch.where(
                longest > CONVERGED, step / (longest / LONGEST_STEP).clamp(min=1), 0.0
            )
            if not (longest > CONVERGED).any():
                break
        return found.to(self.items.dtype)


class LevelAlignment(nn.Module):
    """ALM's part for levels: a matrix over transferred a_u, and a number for each level.

    It starts at 0, where the probabilities are those of what is told alone. Items have nothing of their own
    here: A has seen the same ratings already.

    Args:
        size: L.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.matrix = nn.Linear(size, size, bias=False)
        nn.init.zeros_(self.matrix.weight)
        self.common = nn.Parameter(torch.zeros(size))

    def forward(self, base: LevelFactors, users: Tensor, items: Tensor, vectors: Tensor) -> Tensor:
        """Return the log odds of the levels of pairs, [pairs, L].

        Args:
            base: the level factors of the target.
            users: of the pairs, long [pairs].
            items: of the pairs, long [pairs].
            vectors: transferred a_u of the pairs' users, [pairs, L].
        """
        return base.items[items] + base.told[users] + self.common + self.matrix(vectors)
