"""The ranked items of each evaluated user, and RecBole's top-k metrics per user.

Longer than most files: the lists and every metric by user that reads them.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from torch import Tensor

from recbole_diffusion.errors import RunError, UsageError, did_you_mean
from recbole_diffusion.evaluation.ranking import RankedBatch, rank_batch
from recbole_diffusion.storage.atomic import write_whole
from recbole_diffusion.storage.run_folder import rerun_hint

# User tokens under "users", and one value per user under each metric's name, such as "recall@20".
UserMetrics = dict[str, np.ndarray]


def recall(hits: np.ndarray, positives: np.ndarray, k: int) -> np.ndarray:
    """Return the share of each user's held-out items that are in the first k places, [n] float64."""
    return hits[:, :k].sum(1) / positives


def precision(hits: np.ndarray, positives: np.ndarray, k: int) -> np.ndarray:  # noqa: ARG001
    """Return the share of the first k places that hold a held-out item, [n] float64."""
    return hits[:, :k].sum(1) / k


def hit(hits: np.ndarray, positives: np.ndarray, k: int) -> np.ndarray:  # noqa: ARG001
    """Return 1 where a held-out item is in the first k places, else 0, [n] float64."""
    return np.asarray(hits[:, :k].any(1), np.float64)


def mrr(hits: np.ndarray, positives: np.ndarray, k: int) -> np.ndarray:  # noqa: ARG001
    """Return the reciprocal place of the first held-out item, 0 if it is not in the first k places, [n]."""
    return hits[:, :k].any(1) / (hits[:, :k].argmax(1) + 1)


def ndcg(hits: np.ndarray, positives: np.ndarray, k: int) -> np.ndarray:
    """Return the discounted gain of the first k places over that of the ideal ranking, [n] float64."""
    discount = 1 / np.log2(np.arange(2, k + 2))  # place 1, 2, ..., k
    # DCG over that of min(positives, k) hits at the first places.
    return hits[:, :k] @ discount / np.cumsum(discount)[np.minimum(positives, k) - 1]


def average_precision(hits: np.ndarray, positives: np.ndarray, k: int) -> np.ndarray:
    """Return the sum of the precision at each hit of the first k places, over min(positives, k), [n]."""
    # Precision at each place, [n, k], summed where there is a hit.
    at_place = np.cumsum(hits[:, :k], axis=1) / np.arange(1, k + 1)
    return (at_place * hits[:, :k]).sum(1) / np.minimum(positives, k)


# By RecBole's names in lower case: hits [n, K] bool, positives [n] > 0, k <= K -> [n]. The mean over users is
# RecBole's metric.
USER_METRICS: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "recall": recall,
    "ndcg": ndcg,
    "hit": hit,
    "precision": precision,
    "mrr": mrr,
    "map": average_precision,
}


class TopKLists:
    """The first K items of each user of one full-ranking evaluation.

    A user without a held-out item has no metric and is left out. Equal scores are ordered as
    ``evaluation/ranking.py`` says.

    Attributes:
        length: K.
        users: internal ids, [n] int64.
        items: item ids from the first place to the last, [n, K] int32; 0 where only masked items were left.
        hits: whether the item in this place is held out, [n, K] bool.
        positives: number of held-out items, [n] int64, at least 1.

    Args:
        length: K, the largest k of interest.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        empty = np.zeros((0, length), np.int32)
        # users, items, hits and positives of each batch
        self._batches: list[tuple[np.ndarray, ...]] = [
            (np.zeros(0, np.int64), empty, empty.astype(bool), np.zeros(0, np.int64))
        ]

    def add(self, scores: Tensor, users: Tensor, positive_u: Tensor, positive_i: Tensor) -> None:
        """Add a batch: the scores as RecBole's collector gets them.

        Args:
            scores: [batch, n_items] on any device; masked items and the padding item have -inf.
            users: internal ids, [batch].
            positive_u: row in the batch of each held-out item, [positives].
            positive_i: its item id, [positives].

        Raises:
            UsageError: there are fewer items than places.
        """
        self.add_ranked(rank_batch(scores, users, positive_u, positive_i, self.length))

    def add_ranked(self, ranked: RankedBatch) -> None:
        """Add a batch that is ranked already, with lists of at least K items."""
        # A user without a held-out item has no metric.
        kept = (ranked.positives > 0).cpu()
        self._batches.append(
            tuple(
                column.cpu()[kept].numpy()
                for column in (
                    ranked.users,
                    ranked.items[:, : self.length].int(),
                    ranked.hits[:, : self.length],
                    ranked.positives,
                )
            )
        )

    def _column(self, number: int) -> np.ndarray:
        if len(self._batches) > 1:
            self._batches = [tuple(map(np.concatenate, zip(*self._batches, strict=True)))]
        return self._batches[0][number]

    def __len__(self) -> int:
        return len(self.users)

    @property
    def users(self) -> np.ndarray:
        """Return the internal user ids, [n] int64."""
        return self._column(0)

    @property
    def items(self) -> np.ndarray:
        """Return the ranked item ids, [n, K] int32, 0 where no items were left."""
        return self._column(1)

    @property
    def hits(self) -> np.ndarray:
        """Return whether each ranked item is held out, [n, K] bool."""
        return self._column(2)

    @property
    def positives(self) -> np.ndarray:
        """Return the number of held-out items, [n] int64."""
        return self._column(3)

    def metric(self, name: str, k: int) -> np.ndarray:
        """Return a metric for each user, [n] float64.

        Raises:
            UsageError: no such metric, or k is not from 1 to K.
        """
        function = USER_METRICS.get(name.lower())
        if function is None:
            known = ", ".join(USER_METRICS)
            raise UsageError(
                f"no metric {name!r} per user{did_you_mean(name, USER_METRICS)}; there are {known}"
            )
        if not 1 <= k <= self.length:
            raise UsageError(
                f"k is {k!r}; these lists have {self.length} places, so it takes 1 to {self.length}"
            )
        return function(self.hits, self.positives, k)

    def per_user(self, metrics: Iterable[str], topk: Iterable[int]) -> dict[str, np.ndarray]:
        """Return each metric at each k, named as RecBole does (``recall@20``), [n] float64.

        Raises:
            UsageError: see :meth:`metric`.
        """
        topk = list(topk)
        return {f"{name.lower()}@{k}": self.metric(name, k) for name in metrics for k in topk}


def save_user_metrics(
    path: Path,
    parts: Mapping[str, TopKLists],
    tokens: np.ndarray,
    topk: Iterable[int],
    metrics: Iterable[str],
    others: Mapping[str, UserMetrics] | None = None,
) -> None:
    """Write each user's metrics to one compressed ``.npz`` file of plain arrays.

    The arrays are ``<part>/users`` and ``<part>/<metric>@<k>``.

    Args:
        path: the file.
        parts: lists by part, such as ``valid`` and ``test``.
        tokens: the user token of each internal id, [n_users], as ``dataset.field2id_token`` has them.
        topk: the cut-offs k.
        metrics: names from ``USER_METRICS``.
        others: further values of each part's users by name, in the order of the lists.

    Raises:
        UsageError: an unknown metric or k.
        RunError: the file cannot be written.
    """
    topk, metrics = list(topk), list(metrics)
    arrays: dict[str, np.ndarray] = {}
    for part, lists in parts.items():
        arrays[f"{part}/users"] = np.asarray(tokens)[lists.users].astype(np.str_)
        found = lists.per_user(metrics, topk) | dict((others or {}).get(part, {}))
        arrays |= {f"{part}/{name}": values.astype(np.float32) for name, values in found.items()}

    def save(file: BinaryIO) -> None:
        # Every name has a slash, so none is savez's own argument allow_pickle.
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    write_whole(Path(path), save)


def load_user_metrics(path: Path) -> dict[str, UserMetrics]:
    """Return what :func:`save_user_metrics` has written: user tokens and float32 metrics, [n] each, by part.

    Raises:
        UsageError: there is no such file.
        RunError: it is damaged or holds something else.
    """
    parts: dict[str, UserMetrics] = {}
    if not path.is_file():
        raise UsageError(
            f"no metrics per user in {path}: no such file; name the file of a run that has ended"
        )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            for key in arrays.files:
                part, _, name = key.partition("/")
                parts.setdefault(part, {})[name] = arrays[key]
    except (
        OSError,
        ValueError,
        EOFError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise RunError(
            f"cannot read the metrics per user in {path}: {error}; {rerun_hint(path.parent)}"
        ) from error
    for part, columns in parts.items():
        sizes = {column.shape for column in columns.values()}
        kinds = {name: column.dtype.kind for name, column in columns.items()}
        if kinds.pop("users", "") != "U" or set(kinds.values()) - {"f"} or len(sizes) != 1 or () in sizes:
            raise RunError(
                f"{path} holds no metrics per user in its part {part!r}; {rerun_hint(path.parent)}"
            )
    return parts
