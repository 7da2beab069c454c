"""Metrics of the rated held-out items, from the scores of one full ranking."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_diffusion.data.ratings import rating_column
from recbole_diffusion.evaluation import distribution
from recbole_diffusion.evaluation.rated import (
    READINGS,
    ListReading,
    errors_by_user,
    rated_rankings,
    rating_errors,
)
from recbole_diffusion.evaluation.rated_released import NAME as RELEASED
from recbole_diffusion.evaluation.rated_released import released_rankings
from recbole_diffusion.options.rating import RatingOptions


class RatedScores:
    """The scores of a part's rated pairs, picked out of the score tables of a full ranking.

    Args:
        part: data set of the evaluated part.
        options: the scale and the lengths of the lists.
        predicts_ratings: whether scores are ratings; if not, only their order counts.
        read_out: from users, items and scores of pairs to the ratings whose absolute and whose squared errors
            count; None for the scores themselves.

    Raises:
        ValueError: the options have no scale.
    """

    def __init__(
        self,
        part: Any,
        options: RatingOptions,
        predicts_ratings: bool,
        read_out: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        self.scale, self.read_out = options.scale, read_out
        self.options, self.predicts_ratings, self.n_items = options, predicts_ratings, part.item_num
        users, items = (
            np.asarray(part.inter_feat[name]).astype(np.int64) for name in (part.uid_field, part.iid_field)
        )
        # One number for each pair, ascending; the rating of a pair, and its row, are found by it later.
        self._keys, self._order = np.unique(users * self.n_items + items, return_index=True)
        self._ratings = rating_column(part)[self._order]
        self._batches: list[tuple[np.ndarray, ...]] = []
        # By user; what no row is below where the scores of all items are not given.
        self._floors = np.full(part.user_num, -np.inf)
        self.unrated: np.ndarray | None = None  # int64 [BINS]; None where scores of pairs alone are added

    def add_floors(self, users: Tensor, floors: Tensor) -> None:
        """Add the means of users' score rows, [batch] each, of ``rated_released.row_means``."""
        self._floors[users.cpu().numpy()] = floors.cpu().numpy()

    def add(self, scores: Tensor, users: Tensor, positive_u: Tensor, positive_i: Tensor) -> None:
        """Add a batch: the scores as RecBole's collector gets them.

        Args:
            scores: [batch, n_items] on any device; masked items and the padding item have -inf.
            users: internal ids, [batch].
            positive_u: row in the batch of each held-out item, [positives].
            positive_i: its item id, [positives].
        """
        # The scores of the held-out cells, [positives], out of the table [batch, n_items].
        rows, items = positive_u.to(scores.device), positive_i.to(scores.device)
        values = self.add_values(scores[rows, items], users.to(scores.device)[rows], items)
        if self.predicts_ratings:
            # All cells by bin, less those of rated items: what is left are predictions for unrated items.
            low, high = distribution.edges(*self.scale)[[0, -1]]
            counts = torch.histc(
                scores.clamp(low, high).float(), distribution.BINS, float(low), float(high)
            ).long()
            counts[0] -= torch.isneginf(scores).sum()  # masked cells are not predictions
            others = counts.cpu().numpy() - distribution.histogram(values, *self.scale)
            self.unrated = others if self.unrated is None else self.unrated + others

    def add_values(self, scores: Tensor, users: Tensor, items: Tensor) -> np.ndarray:
        """Add the scores of rated pairs, [pairs] each on one device; return them as float64."""
        values = scores.double().cpu().numpy()
        # With a read-out two more columns, of the absolute and of the squared errors.
        read = () if self.read_out is None else self.read_out(users, items, scores)
        columns = tuple(one.double().cpu().numpy() for one in read)
        self._batches.append(((users * self.n_items + items).cpu().numpy(), values, *columns))
        return values

    def _columns(self) -> tuple[np.ndarray, ...]:
        """Return number and score of each rated pair and, with a read-out, its two ratings, [rows] each."""
        if len(self._batches) > 1:
            self._batches = [tuple(map(np.concatenate, zip(*self._batches, strict=True)))]
        return self._batches[0]

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return users, items, ratings and scores of the rated pairs, [rows] each."""
        keys, scores = self._columns()[:2]
        # Ratings in the order of the scores, [rows].
        ratings = self._ratings[np.searchsorted(self._keys, keys)]
        return keys // self.n_items, keys % self.n_items, ratings, scores

    def ranking(self, reading: ListReading) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return Recall and NDCG at each length, with their users, by name (``recall@5``)."""
        rows = self.rows()
        found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        lengths, median = self.options.lengths, self.options.median
        for k, (users, recall, ndcg) in rated_rankings(
            *rows, median=median, lengths=lengths, reading=reading
        ).items():
            found |= {f"recall@{k}": (users, recall), f"ndcg@{k}": (users, ndcg)}
        return found

    def released_ranking(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the same under the released reading; every user with a rated item is among the users."""
        users, items, ratings, scores = self.rows()
        order = self._order[np.searchsorted(self._keys, users * self.n_items + items)]
        found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        lengths, median = self.options.lengths, self.options.median
        for k, (of, recall, ndcg) in released_rankings(
            users, order, ratings, scores, self._floors[users], median=median, lengths=lengths
        ).items():
            found |= {f"recall@{k}": (of, recall), f"ndcg@{k}": (of, ndcg)}
        return found

    def _rankings(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the users [n] and their values [n] of each ranking among ``RatingOptions.names``."""
        plain = self.ranking(ListReading())
        filtered = self.ranking(ListReading(filter_predicted=True)) if self.predicts_ratings else plain
        values = [*filtered.values(), *plain.values()]
        for k in self.options.lengths:
            # Mean of the two readings, by user.
            (users, one), (_, other) = filtered[f"ndcg@{k}"], plain[f"ndcg@{k}"]
            values.append((users, (one + other) / 2))
        values += self.released_ranking().values()
        return dict(zip(self.options.names(False), values, strict=True))

    def metrics(self) -> dict[str, float]:
        """Return the metrics of this part by name, see ``RatingOptions.names``.

        Without a user who has a relevant item the means have no value, and are left out.
        """
        found = {name: float(values.mean()) for name, (_, values) in self._rankings().items() if len(values)}
        if self.predicts_ratings:
            _, _, ratings, scores = self.rows()
            errors = rating_errors(ratings, scores, *self.scale, self.options.rated_clip)
            if self.read_out is not None:
                found |= dict(zip(("rated_raw_mae", "rated_raw_rmse"), errors, strict=True))
                read = [rating_errors(ratings, one, *self.scale) for one in self._columns()[2:]]
                errors = read[0][0], read[1][1]
            found |= dict(zip(("rated_mae", "rated_rmse"), errors, strict=True))
        return found

    def by_user(self, users: np.ndarray) -> dict[str, np.ndarray]:
        """Return the metrics per user, float64 [users] each.

        These are the rankings of :meth:`metrics`, NaN for a user without relevant items (0 under the released
        reading), and for predicted ratings ``rated_mae`` and ``rated_mse``, NaN for a user without ratings,
        and ``rated_count``, the number of those ratings.
        """
        found = {}
        for name, (of, values) in self._rankings().items():
            # Where each asked user is in the ranking's ascending users.
            place = np.searchsorted(of, users).clip(max=max(len(of) - 1, 0))
            found[name] = (
                np.where(of[place] == users, values[place], np.nan)
                if len(of)
                else np.full(len(users), np.nan)
            )
        if self.predicts_ratings:
            of, _, ratings, scores = self.rows()
            errors = errors_by_user(users, of, ratings, scores, *self.scale, self.options.rated_clip)
            if self.read_out is not None:
                found |= dict(zip(("rated_raw_mae", "rated_raw_mse"), errors, strict=True))
                read = [errors_by_user(users, of, ratings, one, *self.scale) for one in self._columns()[2:]]
                errors = read[0][0], read[1][1]
            distinct, counts = np.unique(of, return_counts=True)
            place = np.searchsorted(distinct, users).clip(max=max(len(distinct) - 1, 0))
            rated = (
                np.where(distinct[place] == users, counts[place], 0)
                if len(distinct)
                else np.zeros(len(users), dtype=int)
            )
            found |= dict(zip(("rated_mae", "rated_mse", "rated_count"), (*errors, rated), strict=True))
        return found

    def counts(self) -> dict[str, Any]:
        """Return the edges of the bins, and the counts of predicted and of actual ratings in each.

        Predicted ratings of rated and of unrated items are counted separately; those of unrated ones where
        whole tables of scores were added, not where the lists are by vectors.
        """
        _, _, ratings, scores = self.rows()
        found = {
            "edges": distribution.edges(*self.scale).round(6).tolist(),
            "rated": distribution.histogram(scores, *self.scale).tolist(),
            "actual": distribution.histogram(ratings, *self.scale).tolist(),
        }
        return found if self.unrated is None else {**found, "unrated": self.unrated.tolist()}

    def report(self) -> dict[str, Any]:
        """Return Recall and NDCG by reading, the number of users, and how the distributions compare."""
        o = self.options
        possible = {
            name: one for name, one in READINGS.items() if self.predicts_ratings or not one.filter_predicted
        }
        found = {
            name: {
                metric: float(values.mean())
                for metric, (_, values) in self.ranking(reading).items()
                if len(values)
            }
            for name, reading in possible.items()
        }
        found[RELEASED] = {
            metric: float(values.mean()) for metric, (_, values) in self.released_ranking().items()
        }
        users, _, ratings, scores = self.rows()
        report = {
            "relevant_from": o.median,
            "readings": found,
            "users": len(np.unique(users[ratings >= o.median])),
        }
        if self.predicts_ratings:
            report |= {
                "counts": self.counts(),
                "calibration": distribution.calibration(ratings, scores, *self.scale),
                "distribution": distribution.compare(users, ratings, scores, *self.scale),
            }
        return report
