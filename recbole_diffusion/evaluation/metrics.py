"""RecBole's metrics of what is recommended, corrected, and the evaluator that uses them.

RecBole 1.2.1 divides ShannonEntropy by the number of different items, so that a wider choice lowers it,
counts the padding item as one of the catalogue in ItemCoverage and GiniIndex, and goes through lists place by
place in Python. Places without an item, where a user has fewer candidates than k, belong to no item here.
"""

from typing import Any

import numpy as np

from recbole_diffusion.compat import DataStruct, Evaluator, recbole_metrics


class _OfLists:
    """Metrics of lists [n, K] of item ids, 0 where a user had no items left; goes before RecBole's class."""

    topk: list[int]
    decimal_place: int

    def calculate_metric(self, dataobject: DataStruct) -> dict[str, float]:
        """Return the metric at each k by name."""
        items, name = dataobject.get("rec.items").numpy(), type(self).__name__.lower()
        values = {k: self.of_lists(items[:, :k], dataobject) for k in self.topk}
        return {f"{name}@{k}": round(float(value), self.decimal_place) for k, value in values.items()}

    def of_lists(self, items: np.ndarray, collected: DataStruct) -> float:
        """Return the metric of lists [n, k]."""
        raise NotImplementedError

    def counts(self, items: np.ndarray, collected: DataStruct) -> np.ndarray:
        """Return how often each item of the catalogue is listed, int64 [n_items - 1], without the padding."""
        return np.bincount(items.ravel(), minlength=collected.get("data.num_items"))[1:]

    def mean_over_lists(self, items: np.ndarray, of_item: dict[int, float]) -> float:
        """Return the mean over users of a value's mean over the items of a list; an empty list has none."""
        # The value of each item id, and 0 for the padding, which fills places without an item.
        table = np.zeros(max(int(items.max(initial=0)), max(of_item, default=0)) + 1)
        table[list(of_item)] = list(of_item.values())
        table[0] = 0
        length = (items > 0).sum(1)
        return float((table[items].sum(1)[length > 0] / length[length > 0]).mean()) if length.any() else 0.0


class ItemCoverage(_OfLists, recbole_metrics.ItemCoverage):
    """Share of the catalogue that is in at least one list."""

    def of_lists(self, items: np.ndarray, collected: DataStruct) -> float:  # noqa: D102
        return (self.counts(items, collected) > 0).mean()


class ShannonEntropy(_OfLists, recbole_metrics.ShannonEntropy):
    """Entropy in nats of the distribution of all listed places over the items, ``-sum p log p``."""

    def of_lists(self, items: np.ndarray, collected: DataStruct) -> float:  # noqa: ARG002, D102
        # Without the padding item; -sum p log p over the items that are listed at all.
        counts = np.bincount(items.ravel())[1:]
        shares = counts[counts > 0] / max(counts.sum(), 1)
        return float(-(shares * np.log(shares)).sum()) + 0.0


class GiniIndex(_OfLists, recbole_metrics.GiniIndex):
    """Gini coefficient of how often each item of the catalogue is listed: 0 if all equally, near 1 if one."""

    def of_lists(self, items: np.ndarray, collected: DataStruct) -> float:  # noqa: D102
        # sum_i (2 i - n - 1) c_i / (n sum c) of ascending counts c_i, i from 1.
        counts = np.sort(self.counts(items, collected))
        place = np.arange(1, len(counts) + 1)
        return ((2 * place - len(counts) - 1) * counts).sum() / max(len(counts) * counts.sum(), 1)


class AveragePopularity(_OfLists, recbole_metrics.AveragePopularity):
    """Mean over users of the mean number of training rows of the listed items."""

    def of_lists(self, items: np.ndarray, collected: DataStruct) -> float:  # noqa: D102
        return self.mean_over_lists(items, dict(collected.get("data.count_items")))


class TailPercentage(_OfLists, recbole_metrics.TailPercentage):
    """Mean over users of the share of listed items that are in the tail.

    With ``tail_ratio`` up to 1 the tail is this share of the items that have training rows, rounded down but
    one at least, those with the fewest rows, equal numbers by id; above 1, all with so many rows or fewer. An
    item without a training row is not among them, as in RecBole.
    """

    def of_lists(self, items: np.ndarray, collected: DataStruct) -> float:  # noqa: D102
        counts = dict(collected.get("data.count_items"))
        if self.tail > 1:
            tail = [item for item, count in counts.items() if count <= self.tail]
        else:
            ranked = sorted(counts, key=lambda item: (counts[item], item))
            tail = ranked[: max(int(len(ranked) * self.tail), 1)]
        return self.mean_over_lists(items, dict.fromkeys(tail, 1.0))


class MRR(recbole_metrics.MRR):
    """RecBole's own numbers, of all users at once."""

    def metric_info(self, pos_index: np.ndarray) -> np.ndarray:
        """Return the reciprocal place of the first hit at each k, float64 [n, K], from hits, bool [n, K]."""
        # First hit of each list, [n, 1]; without a hit no place reaches infinity.
        first = pos_index.argmax(1)[:, None]
        found = np.arange(pos_index.shape[1]) >= np.where(pos_index.any(1, keepdims=True), first, np.inf)
        return np.where(found, 1 / (first + 1), 0.0)


class NDCG(recbole_metrics.NDCG):
    """RecBole's own numbers, of all users at once."""

    def metric_info(self, pos_index: np.ndarray, pos_len: np.ndarray) -> np.ndarray:
        """Return NDCG at each k, float64 [n, K], from hits, bool [n, K], and held-out items, [n]."""
        # DCG@k is a running sum over places; the ideal one stops after as many places as there are positives.
        places = np.arange(1, pos_index.shape[1] + 1)
        discount = 1 / np.log2(places + 1.0)
        ideal = np.cumsum(discount)[np.minimum(places, pos_len[:, None]) - 1]
        return np.cumsum(np.where(pos_index, discount, 0), axis=1) / ideal


class MAP(recbole_metrics.MAP):
    """RecBole's own numbers, of all users at once."""

    def metric_info(self, pos_index: np.ndarray, pos_len: np.ndarray) -> np.ndarray:
        """Return average precision at each k, float64 [n, K]; arguments as for NDCG."""
        # Precision at each place, [n, K]; its running sum over hits is average precision before the division.
        places = np.arange(1, pos_index.shape[1] + 1)
        precision = pos_index.cumsum(axis=1) / places
        return np.cumsum(precision * pos_index, axis=1) / np.minimum(places, pos_len[:, None])


class GAUC(recbole_metrics.GAUC):
    """RecBole's own number in 64 bits: one of 32 bits has other digits behind those that it is rounded to."""

    def metric_info(self, *columns: np.ndarray) -> float:
        """Return GAUC from the sums of ranks, [n, 1], the candidates and the held-out items, [n]."""
        return float(super().metric_info(*(column.astype(np.float64) for column in columns)))


OF_LISTS = (ItemCoverage, ShannonEntropy, GiniIndex, AveragePopularity, TailPercentage)
REPLACED = {cls.__name__.lower(): cls for cls in (*OF_LISTS, MRR, NDCG, MAP, GAUC)}


class RunEvaluator(Evaluator):
    """RecBole's evaluator with the metrics of this module in place of RecBole's."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        for name in self.metrics:
            if name in REPLACED:
                self.metric_class[name] = REPLACED[name](config)
