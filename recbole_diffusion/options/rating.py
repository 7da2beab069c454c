"""Options of ratings and of the ranking among rated items, checked before data loads."""

from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option

RANKING = ("recall", "ndcg")


@dataclass(frozen=True)
class RatingOptions:
    """With ``rating_scale`` and a rating column, evaluations also rank rated held-out items (DGRM, 4.2)."""

    rating_scale: list | None = option(
        "[lowest, highest] rating; with it, rated held-out items are ranked too"
    )
    rated_topk: list | int = option("lengths N of the lists of rated items")
    rated_clip: bool = option("clip predicted ratings to the scale before their errors are computed")

    def __post_init__(self) -> None:
        scale = self.rating_scale
        numbers = scale is None or (
            len(scale) == 2 and all(type(one) in (int, float) for one in scale) and scale[0] < scale[1]
        )
        if not numbers:
            raise UsageError(
                f"option 'rating_scale' is {scale!r}; it takes two numbers, the lower first, such as [1, 5], "
                "or null"
            )
        if not self.lengths or not all(type(one) is int and one > 0 for one in self.lengths):
            raise UsageError(
                f"option 'rated_topk' is {self.rated_topk!r}; it takes a whole number from 1, or a list of "
                "them"
            )

    @property
    def lengths(self) -> list[int]:
        """Return the lengths N of the lists."""
        return [self.rated_topk] if isinstance(self.rated_topk, int) else list(self.rated_topk)

    @property
    def scale(self) -> tuple[float, float]:
        """Return the lowest and the highest rating.

        Raises:
            ValueError: ``rating_scale`` is not given.
        """
        if self.rating_scale is None:
            raise ValueError("rating_scale is not given")
        low, high = self.rating_scale
        return low, high

    @property
    def median(self) -> float:
        """Return the median of the scale, from which on a rating is relevant."""
        return sum(self.scale) / 2

    def names(self, predicts_ratings: bool) -> list[str]:
        """Return the names of the metrics that are computed.

        ``rated_recall@5`` and ``rated_ndcg@5`` are the paper's; ``rated_unfiltered_...`` keep items in the
        predicted list that are predicted below the median, so that they depend only on the order of
        predictions. For a model whose scores are not ratings both are the same. ``rated_both_ndcg@5`` is the
        mean of both, to choose an epoch by. ``rated_released_...`` are computed as DGRM's authors do, see
        ``evaluation/rated_released.py``. Predicted ratings also have ``rated_mae`` and ``rated_rmse``.
        """
        if self.rating_scale is None:
            return []
        ranking = [
            f"rated_{kind}{name}@{k}"
            for kind in ("", "unfiltered_")
            for k in self.lengths
            for name in RANKING
        ]
        both = [f"rated_both_ndcg@{k}" for k in self.lengths]
        released = [f"rated_released_{name}@{k}" for k in self.lengths for name in RANKING]
        return ranking + both + released + (["rated_mae", "rated_rmse"] if predicts_ratings else [])
