"""What DGRM predicts beside its generator, and how predictions are read: a closed form, and levels of ratings.

Both are ours. With ``base`` the generator's target is what a closed form leaves of ratings, R^ = base + G; with
``readout: level`` predicted ratings are the ratings that occur, as often as these do.
"""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.data.ratings import rating_rows
from recbole_diffusion.model.rows.adversarial import RatedCells, RatingRows
from recbole_diffusion.model.rows.dgrm_options import DGRMOptions
from recbole_diffusion.model.rows.ridge_fit import RatedFit, csr_of
from recbole_diffusion.model.user_blocks import USER_BLOCK

WIDTH = 0.1  # of a level, in the least distance of two: room for the order within it


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
        base = self.left_out if unknown else self.fitted()
        return cells._replace(base=base.to(users.device)[self.ratings.places(users[cells.rows], cells.items)])


class Levels:
    """An increasing function that gives predictions the distribution of ratings.

    A prediction v between the quantiles q_k and q_{k+1} of all, whose shares are those of the ratings up to
    L_k and up to L_{k+1}, becomes the level L_{k+1}, and a tenth of a step at most above it for the order
    within the level. So an item at the middle of the scale is at the middle, not a hair below.

    Args:
        predictions: of rated cells that the model was not given, [cells].
        ratings: the ratings there, [cells].
    """

    def __init__(self, predictions: Tensor, ratings: Tensor) -> None:
        self.levels, counts = torch.unique(ratings, return_counts=True)
        shares = (counts.cumsum(0)[:-1] / counts.sum()).double()
        ordered = predictions.double().sort().values
        # The quantile of each share, [levels - 1]: so many predictions lie below it.
        places = (shares * len(ordered)).round().long().clamp(max=len(ordered) - 1)
        self.bounds = ordered[places].to(predictions.dtype)
        gaps = self.levels.diff()
        self.width = WIDTH * float(gaps.min()) if len(gaps) else WIDTH
        # A length in the predictions' unit for the two ends, which have no second bound.
        self.length = predictions.std().clamp_min(1e-6) if len(predictions) > 1 else predictions.new_ones(())

    def of(self, predictions: Tensor) -> Tensor:
        """Return predictions [...] on the levels, in their order."""
        place = torch.bucketize(predictions.contiguous(), self.bounds, right=True)
        level = self.levels.to(predictions.dtype)[place]
        if not len(self.bounds):
            return level + self.width * torch.sigmoid(predictions / self.length)
        last = len(self.bounds)
        below = self.bounds[(place - 1).clamp(min=0)]
        above = self.bounds[place.clamp(max=last - 1)]
        # Share of the way through the level, in 0..1: a line between two bounds, beyond them x / (1 + x).
        within = (predictions - below) / (above - below).clamp_min(1e-9)
        over = ((predictions - below) / self.length).clamp_min(0)
        under = ((above - predictions) / self.length).clamp_min(0)
        within = torch.where(place == last, over / (1 + over), within)
        within = torch.where(place == 0, 1 / (1 + under), within)
        return level + self.width * within


def without(cells: RatedCells, out: Tensor) -> RatedCells:
    """Return the cells where ``out`` [cells] is False, of the same rows, some of which may be empty now."""
    kept = ~out
    counts = torch.bincount(cells.rows[kept], minlength=len(cells.starts))
    starts = counts.cumsum(0) - counts
    base = None if cells.base is None else cells.base[kept]
    return RatedCells(cells.items[kept], starts, cells.rows[kept], cells.ratings[kept], base)
