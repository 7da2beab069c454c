"""Baselines that need no gradient: chance, means, ALS, linear models of residuals; each chosen on validation.

A candidate is a function without arguments that returns the scores of all users and items, float32
[n_users, n_items]: the released reading compares a score with the mean of its user's row.
"""

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import svds

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.data.ratings import rating_rows
from recbole_diffusion.evaluation.distribution import compare
from recbole_diffusion.evaluation.rated import READINGS, rated_rankings, rating_errors
from recbole_diffusion.evaluation.rated_released import MASK, released_rankings
from recbole_diffusion.evaluation.rated_released import NAME as RELEASED
from recbole_diffusion.model.rows.least_squares import RatedSide

MAIN = "top, predicted from the median"
NAMES = (
    "random on the scale",
    "item mean, shrunken",
    "item mean and user offset",
    "MF (ALS)",
    "item-item ridge on residuals",
    "SVD of residuals",
)
MEDIAN = 3.0
Candidate = Callable[[], np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """A held-out part, in the order of its rows.

    Attributes:
        users: [rows].
        items: [rows].
        ratings: [rows].
        known: number of items of each user in the parts before it, [n_users].
    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    known: np.ndarray


def parts_of(dataset: str, seed: int, options: dict[str, Any]) -> tuple[sp.csr_matrix, dict[str, HeldOut]]:
    """Return the training ratings, and valid and test, as a run cuts them."""
    from recbole_diffusion.compat import init_seed

    sys.argv = sys.argv[:1]  # RecBole reads it in places
    config = Config("Pop", dataset, overrides={**options, "seed": seed, "use_gpu": False})
    init_seed(seed, True)
    train, valid, tests = prepare_data(config, create_dataset(config))
    rows = rating_rows(train._dataset, 1, 5)
    known, held_out = np.diff(rows.indptr), {}
    for name, part in (("valid", valid._dataset), ("test", tests["test"]._dataset)):
        users, items, ratings = (
            part.inter_feat[column].numpy() for column in ("user_id", "item_id", "rating")
        )
        held_out[name] = HeldOut(users, items, ratings, known)
        known = known + np.bincount(users, minlength=len(known))
    return rows, held_out


def item_means(rows: sp.csr_matrix, shrinkage: float) -> np.ndarray:
    """Return each item's mean rating, shrunken to the global mean by ``shrinkage`` ratings, [n_items]."""
    counts = np.bincount(rows.indices, minlength=rows.shape[1])
    sums = np.bincount(rows.indices, rows.data, minlength=rows.shape[1])
    return (sums + shrinkage * rows.data.mean()) / (counts + shrinkage)


def user_offsets(rows: sp.csr_matrix, of_items: np.ndarray, shrinkage: float = 5.0) -> np.ndarray:
    """Return how far each user's ratings are above the items' means, shrunken to 0, [n_users]."""
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    rest = np.bincount(owner, rows.data - of_items[rows.indices], minlength=rows.shape[0])
    return rest / (np.diff(rows.indptr) + shrinkage)


def factors(
    rest: sp.csr_matrix, rank: int, penalty: float, seed: int, sweeps: int = 12
) -> tuple[np.ndarray, np.ndarray]:
    """Return user and item factors of residuals, by alternating least squares; float32 [n, rank] each."""
    owner = torch.repeat_interleave(torch.arange(rest.shape[0]), torch.from_numpy(np.diff(rest.indptr)))
    items, values = torch.from_numpy(rest.indices).long(), torch.from_numpy(rest.data)
    sides = RatedSide(owner, items, rest.shape[0]), RatedSide(items, owner, rest.shape[1])
    draw = torch.Generator().manual_seed(seed)
    right = torch.randn(rest.shape[1], rank, generator=draw) * 0.1
    for _ in range(sweeps):
        left = sides[0].solve(right, values, torch.full((rest.shape[0],), penalty))
        right = sides[1].solve(left, values, torch.full((rest.shape[1],), penalty))
    return left.float().numpy(), right.float().numpy()


def item_ridge(rest: sp.csr_matrix, penalty: float) -> np.ndarray:
    """Return the item-item weights B of EASE (Steck, WWW 2019) on residuals, [n_items, n_items].

    With P = (X^T X + penalty I)^-1, B = I - P / diag(P), whose diagonal is 0.
    """
    gram = (rest.T @ rest).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += penalty
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights.astype(np.float32)


def judged(part: HeldOut, scores: np.ndarray, k: int) -> dict[str, list[float]]:
    """Return Recall@k and NDCG@k by reading, of scores [n_users, n_items]."""
    users, of_pairs = part.users, scores[part.users, part.items].astype(np.float64)
    columns, found = (users, part.items, part.ratings, of_pairs), {}
    for name, reading in READINGS.items():
        _, recall, ndcg = rated_rankings(*columns, median=MEDIAN, lengths=[k], reading=reading)[k]
        found[name] = [float(recall.mean()), float(ndcg.mean())]
    # Mean of each user's row after 99 was taken off where the user has the item already, without the padding.
    sums = scores[:, 1:].sum(1, dtype=np.float64)
    floors = (sums - MASK * part.known) / (scores.shape[1] - 1)
    rows = (users, np.arange(len(users)), part.ratings, of_pairs, floors[users])
    _, recall, ndcg = released_rankings(*rows, median=MEDIAN, lengths=[k])[k]
    found[RELEASED] = [float(recall.mean()), float(ndcg.mean())]
    return found


def both(readings: dict[str, list[float]]) -> float:
    """Return the mean of the NDCG that is filtered and that is not, ``rated_both_ndcg``."""
    return (readings[MAIN][1] + readings["top"][1]) / 2


def best_of(candidates: dict[str, Candidate], parts: dict[str, HeldOut]) -> dict[str, Any]:
    """Return the test numbers of the candidate with the best rated_both_ndcg@2 on validation."""
    best, name, scores = -np.inf, "", np.empty(0)
    for one, make in candidates.items():
        made = make()
        value = both(judged(parts["valid"], made, 2))
        if value > best:
            best, name, scores = value, one, made
    test = parts["test"]
    of_pairs = scores[test.users, test.items].astype(np.float64)
    mae, rmse = rating_errors(test.ratings, of_pairs, 1, 5)
    distribution = of_distribution(compare(test.users, test.ratings, of_pairs, 1, 5))
    return {"point": name, "readings": judged(test, scores, 5), "mae": mae, "rmse": rmse, **distribution}


def of_distribution(report: dict[str, Any]) -> dict[str, Any]:
    """Return how predicted and actual ratings are distributed; nothing for scores that are not ratings."""
    if not report:
        return {}
    found = {name: report[name] for name in ("kl", "kl_reverse", "actual", "predicted")}
    agree = report["ks_rounded"]["agree"]
    return {**found, "agree": agree["0.05"], "agree_01": agree["0.01"], "covered": report["modes_covered"]}


def candidates_of(rows: sp.csr_matrix, seed: int) -> dict[str, dict[str, Candidate]]:
    """Return, for each baseline, its candidates by name."""
    n_users, n_items = rows.shape
    means = {shrinkage: item_means(rows, shrinkage) for shrinkage in (1, 5, 10, 25, 50)}
    # Item mean and user offset, [n_users, n_items], and the residuals of the ratings, which have its shape.
    with_offset = {s: user_offsets(rows, of_items)[:, None] + of_items for s, of_items in means.items()}
    base = with_offset[10].astype(np.float32)
    rest = rows.copy()
    rest.data = rows.data - base[np.repeat(np.arange(n_users), np.diff(rows.indptr)), rows.indices]

    def factorised(rank: int, penalty: float) -> np.ndarray:
        left, right = factors(rest, rank, penalty, seed)
        return base + left @ right.T

    def projected(rank: int, scale: float) -> np.ndarray:
        left, values, right = svds(rest.astype(np.float64), k=rank, random_state=seed)
        return base + (scale * (left * values) @ right).astype(np.float32)

    candidates: list[dict[str, Candidate]] = [
        {"": lambda: np.random.default_rng(seed).uniform(1, 5, (n_users, n_items)).astype(np.float32)},
        {f"shrinkage {s}": lambda s=s: np.tile(means[s].astype(np.float32), (n_users, 1)) for s in means},
        {f"shrinkage {s}": lambda s=s: with_offset[s].astype(np.float32) for s in means},
        {
            f"rank {rank}, penalty {penalty:g}": lambda r=rank, p=penalty: factorised(r, p)
            for rank, penalty in itertools.product((10, 20), (10.0, 20.0))
        },
        {f"penalty {p:g}": lambda p=p: base + rest @ item_ridge(rest, p) for p in (100.0, 300.0, 1000.0)},
        {
            f"rank {rank}, times {scale:g}": lambda r=rank, s=scale: projected(r, s)
            for rank, scale in itertools.product((6, 12, 20), (1.0, 1.5))
        },
    ]
    return dict(zip(NAMES, candidates, strict=True))


def baselines(dataset: str, seeds: list[int], options: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return each baseline's numbers, one entry a seed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in seeds:
        rows, parts = parts_of(dataset, seed, options)
        for name, candidates in candidates_of(rows, seed).items():
            found.setdefault(name, []).append(best_of(candidates, parts))
    return found
