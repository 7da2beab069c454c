"""The warm start: a user's few target ratings update the transferred vector, in closed form.

The paper fine-tunes by gradient steps (section 4.1) and does not say how many. Squared error with an L2
penalty on the distance from the transferred vector w_0,

    sum of (r - offset_i - w . v_i)^2 + l2 |w - w_0|^2,

has its minimum at w_0 + (V^T V + l2 I)^-1 V^T (r - offset - V w_0): for each user a linear system as wide as
a vector.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from recbole_diffusion.data.cross_domain import Ratings

L2_CHOICES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
BLOCK = 2**16  # ratings whose outer products are held at once


class WarmStart:
    """Fine-tunes the vectors of cold users.

    Attributes:
        l2: the penalty's weight; None until :meth:`vectors` has chosen it.

    Args:
        rows: the ratings to learn from, of validation and test users.
        valid: the other ratings of the validation users, on which the weight is chosen.
        l2: weight of the penalty, or None to choose one of L2_CHOICES by the mean absolute error.
        scale: lowest and highest rating.
    """

    def __init__(self, rows: Ratings, valid: Ratings, l2: float | None, scale: tuple[float, float]) -> None:
        self.rows, self.valid, self.chooses, self.scale = rows, valid, l2 is None, scale
        self.users = torch.unique(torch.cat([rows.users, valid.users]))
        self.l2 = l2

    def vectors(
        self, transfer: Callable[[Tensor], Tensor], items: Tensor, offsets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the users [n], ascending, and their vectors [n, width].

        Args:
            transfer: from users to transferred vectors, the w_0.
            items: item vectors, [n_items, width].
            offsets: of the items, [n_items].
        """
        users, start = self.users.to(items.device), transfer(self.users)
        gram, residual = self._sums(users, start, items, offsets)
        l2 = self.l2
        if l2 is None or self.chooses:
            # The systems are filled once, and solved for each choice.
            l2 = self.l2 = min(
                L2_CHOICES, key=lambda one: self._error(one, users, start, gram, residual, items, offsets)
            )
        return users, moved(start, gram, residual, l2)

    def _sums(self, users: Tensor, start: Tensor, items: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Return V^T V [n, width, width] and V^T (r - offset - V w_0) [n, width] of each user."""
        width = items.shape[1]
        # One system for each user, filled rating by rating.
        gram, residual = items.new_zeros(len(users), width, width), items.new_zeros(len(users), width)
        rows = (self.rows.users, self.rows.items, self.rows.ratings)
        for user, item, rating in zip(
            *(column.to(items.device).split(BLOCK) for column in rows), strict=True
        ):
            place, v = torch.searchsorted(users, user), items[item]  # [block], [block, width]
            # One rating adds v v^T and (r - offset - v . w_0) v to its user's system.
            gap = rating - offsets[item] - (start[place] * v).sum(1)
            gram.index_add_(0, place, v[:, :, None] * v[:, None, :])
            residual.index_add_(0, place, gap[:, None] * v)
        return gram, residual

    def _error(
        self,
        l2: float,
        users: Tensor,
        start: Tensor,
        gram: Tensor,
        residual: Tensor,
        items: Tensor,
        offsets: Tensor,
    ) -> float:
        """Return the mean absolute error on the validation users' other ratings."""
        user, item, rating = (
            column.to(items.device) for column in (self.valid.users, self.valid.items, self.valid.ratings)
        )
        # Validation users alone, as places in ``users``.
        of_valid, place = torch.unique(torch.searchsorted(users, user), return_inverse=True)
        vectors = moved(start[of_valid], gram[of_valid], residual[of_valid], l2)
        # Clipped to the scale, as a rating would be.
        predicted = ((vectors[place] * items[item]).sum(1) + offsets[item]).clamp(*self.scale)
        return (predicted - rating).abs().mean().item()


def moved(start: Tensor, gram: Tensor, residual: Tensor, l2: float) -> Tensor:
    """Return ``start + (gram + l2 I)^-1 residual``, [n, width].

    Args:
        start: w_0, [n, width].
        gram: V^T V of each user, [n, width, width].
        residual: V^T (r - offset - V w_0) of each user, [n, width].
        l2: weight of the penalty.
    """
    eye = l2 * torch.eye(start.shape[1], dtype=start.dtype, device=start.device)
    # [n, width, width] and [n, width, 1], solved in one call.
    return start + torch.linalg.solve(gram + eye, residual[..., None]).squeeze(-1)
