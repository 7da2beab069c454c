"""What DGRM predicts beside its generator, a closed form, and how predictions are read as levels of ratings.

Both are ours. With ``base`` the generator's target is what a closed form leaves of ratings, R^ = base + G;
with ``level_share`` predicted ratings are the ratings that occur, about as often as these do.
"""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.data.ratings import rating_rows
from recbole_diffusion.model.rows.adversarial import RatedCells, RatingRows
from recbole_diffusion.model.rows.dgrm_options import DGRMOptions
from recbole_diffusion.model.rows.ridge_fit import RatedFit, csr_of
from recbole_diffusion.model.user_blocks import USER_BLOCK

# In the least distance of two levels: the room that is left for the order where predictions lie beyond a
# level's end, and how far that end is from the midpoint to the next.
WIDTH, MARGIN = 0.05, 0.01


class ClosedForm:
    """Biases, or biases and a ridge regression of items, in the unit of :class:`RatingRows`.

    Args:
        dataset: the training part.
        ratings: its rows.
        options: of the fit, and which it is (``base``).
    """

    def __init__(self, dataset: Any, ratings: RatingRows, options: DGRMOptions) -> None:
        self.ratings = ratings
        rows = rating_rows(dataset, ratings.low, ratings.high)
        self.fit = RatedFit(rows, options, ridge=options.base == "ridge")
        # Of each training rating without itself, [ratings], in the order of ``ratings.values``.
        self.left_out = torch.from_numpy(self.fit.left_out()).float() / ratings.high
        self._fitted: Tensor | None = None

    def scores(self, cells: RatedCells) -> Tensor:
        """Return what is predicted for rows of ratings, [batch, n_items]."""
        known = csr_of(
            cells.items, cells.starts, cells.ratings * self.ratings.high, self.ratings.rated.n_items
        )
        return self.fit.scores(known).to(cells.items.device) / self.ratings.high

    def at(self, cells: RatedCells) -> Tensor:
        """Return what :meth:`scores` says of the cells themselves, [cells]."""
        return self.scores(cells)[cells.rows, cells.items]

    def fitted(self) -> Tensor:
        """Return :meth:`at` of all training ratings, [ratings], in the order of ``ratings.values``."""
        if self._fitted is None:
            everyone = torch.arange(self.fit.ratings.shape[0], device=self.ratings.values.device)
            blocks = everyone.split(USER_BLOCK)
            self._fitted = torch.cat([self.at(self.ratings.gather(users)) for users in blocks])
        return self._fitted

    def cells(self, users: Tensor, unknown: bool) -> RatedCells:
        """Return training cells with what is predicted there.

        Args:
            users: long [batch].
            unknown: by what does not know these ratings (``left_out``), or by the user's row (``fitted``).
        """
        cells = self.ratings.gather(users)
        self.left_out = self.left_out.to(users.device)  # once: it is made before the model has its device
        base = self.left_out if unknown else self.fitted()
        return cells._replace(base=base[self.ratings.rated.places(users)[0]])


class Levels:
    """An increasing function that gives predictions the distribution of ratings, moving each the least.

    Predictions between the quantiles q_k and q_{k+1} of all, whose shares are those of the ratings below L_k
    and up to L_k, are given the level L_k: they are moved into [L_k, L_k + half the way to the next), to
    which L_k is the nearest rating, and where they are no hair below the middle of the scale. One that lies
    there already stays, about; where none does, a narrow strip at the near end keeps the order.

    Args:
        predictions: of rated cells that the model was not given, [cells].
        ratings: the ratings there, [cells].
        share: how far the shares of levels go, from those of predictions to the nearest rating (0) to those
            of the ratings (1).
    """

    def __init__(self, predictions: Tensor, ratings: Tensor, share: float = 1.0) -> None:
        levels, counts = torch.unique(ratings, return_counts=True)
        rounded = torch.bucketize(predictions, (levels[1:] + levels[:-1]) / 2, right=True)
        counts = share * counts.double() + (1 - share) * torch.bincount(rounded, minlength=len(levels))
        ordered = predictions.sort().values
        # Before which prediction each level ends, [levels - 1]: as many lie below as its share asks for.
        places = (counts.cumsum(0)[:-1] / counts.sum() * len(ordered)).round().long()
        self.bounds = ordered[places.clamp(max=len(ordered) - 1)]
        self.ends = torch.cat([ordered[:1], self.bounds, ordered[-1:]])  # [levels + 1]
        gap = float(levels.diff().min()) if len(levels) > 1 else 1.0
        self.width, end = WIDTH * gap, (0.5 - MARGIN) * gap
        # Where the predictions of each level are put, [levels] each: from ``low`` to ``high``.
        self.low = self.ends[:-1].clamp(levels, levels + end - self.width)
        self.high = self.ends[1:].clamp(self.low + self.width, levels + end)
        self.length = float(predictions.std()) or 1.0 if len(predictions) > 1 else 1.0

    def of(self, predictions: Tensor) -> Tensor:
        """Return predictions [...] on the levels, in their order."""
        place = torch.bucketize(predictions.contiguous(), self.bounds, right=True)
        low, below = self.low[place], self.ends[place]
        # A line from end to end of a level, [...].
        slope = (self.high[place] - low) / (self.ends[place + 1] - below).clamp_min(1e-9)
        inside = predictions.clamp(self.ends[0], self.ends[-1])
        # Beyond all that was seen, x / (1 + x) in one more strip.
        beyond = (predictions - inside) / self.length
        return low + slope * (inside - below) + self.width * beyond / (1 + beyond.abs())


def without(cells: RatedCells, out: Tensor) -> RatedCells:
    """Return the cells where ``out`` [cells] is False, of the same rows, some of which may be empty now."""
    kept = ~out
    counts = torch.bincount(cells.rows[kept], minlength=len(cells.starts))
    starts = counts.cumsum(0) - counts
    base = None if cells.base is None else cells.base[kept]
    return RatedCells(cells.items[kept], starts, cells.rows[kept], cells.ratings[kept], base)
