"""Baselines that need no gradient: chance, item means, MF by ALS; each chosen on validation."""

import itertools
import sys
from typing import Any

import numpy as np
import scipy.sparse as sp

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.data.ratings import rating_rows
from recbole_diffusion.evaluation.distribution import compare
from recbole_diffusion.evaluation.rated import READINGS, rated_ranking, rating_errors

MAIN = "top, predicted from the median"
NAMES = ("random on the scale", "item mean, shrunken", "item mean and user offset", "MF (ALS)")


def parts_of(dataset: str, seed: int, options: dict[str, Any]) -> tuple[sp.csr_matrix, dict[str, tuple]]:
    """Return the training ratings, and (users, items, ratings) of valid and test, as a run cuts them."""
    from recbole_diffusion.compat import init_seed

    sys.argv = sys.argv[:1]  # RecBole reads it in places
    config = Config("Pop", dataset, overrides={**options, "seed": seed, "use_gpu": False})
    init_seed(seed, True)
    train, valid, tests = prepare_data(config, create_dataset(config))
    held_out = {}
    for name, part in (("valid", valid._dataset), ("test", tests["test"]._dataset)):
        held_out[name] = tuple(part.inter_feat[column].numpy() for column in ("user_id", "item_id", "rating"))
    return rating_rows(train._dataset, 1, 5), held_out


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
    rows: sp.csr_matrix, base: np.ndarray, rank: int, penalty: float, sweeps: int = 12
) -> tuple[np.ndarray, np.ndarray]:
    """Return user and item factors of the ratings minus ``base`` [ratings], by alternating least squares."""
    rest = rows.copy()
    rest.data = rows.data - base
    draw = np.random.default_rng(0)
    left, right = (draw.normal(0, 0.1, (size, rank)) for size in rows.shape)
    for _ in range(sweeps):
        for matrix, mine, other in ((rest, left, right), (rest.T.tocsr(), right, left)):
            for k in range(len(mine)):
                own = slice(matrix.indptr[k], matrix.indptr[k + 1])
                seen = other[matrix.indices[own]]
                mine[k] = np.linalg.solve(seen.T @ seen + penalty * np.eye(rank), seen.T @ matrix.data[own])
    return left, right


def judged(part: tuple, scores: np.ndarray, k: int) -> dict[str, list[float]]:
    """Return Recall@k and NDCG@k by reading."""
    users, items, ratings = part
    found = {}
    for name, reading in READINGS.items():
        _, recall, ndcg = rated_ranking(users, items, ratings, scores, median=3, k=k, reading=reading)
        found[name] = [float(recall.mean()), float(ndcg.mean())]
    return found


def both(readings: dict[str, list[float]]) -> float:
    """Return the mean of the NDCG that is filtered and that is not, ``rated_both_ndcg``."""
    return (readings[MAIN][1] + readings["top"][1]) / 2


def best_of(candidates: dict[str, Any], parts: dict[str, tuple]) -> dict[str, Any]:
    """Return the test numbers of the candidate with the best rated_both_ndcg@2 on validation.

    A candidate maps each part to its scores.
    """
    valid = {
        name: both(judged(parts["valid"], scores(parts["valid"]), 2)) for name, scores in candidates.items()
    }
    name = max(valid, key=valid.get)
    scores = candidates[name](parts["test"])
    users, _, ratings = parts["test"]
    mae, rmse = rating_errors(ratings, scores, 1, 5)
    distribution = of_distribution(compare(users, ratings, scores, 1, 5))
    return {
        "point": name,
        "readings": judged(parts["test"], scores, 5),
        "mae": mae,
        "rmse": rmse,
        **distribution,
    }


def of_distribution(report: dict[str, Any]) -> dict[str, Any]:
    """Return how predicted and actual ratings are distributed; nothing for scores that are not ratings."""
    if not report:
        return {}
    found = {name: report[name] for name in ("kl", "kl_reverse", "actual", "predicted")}
    agree = report["ks_rounded"]["agree"]
    return {**found, "agree": agree["0.05"], "agree_01": agree["0.01"], "covered": report["modes_covered"]}


def candidates_of(rows: sp.csr_matrix, seed: int) -> dict[str, dict[str, Any]]:
    """Return, for each baseline, its candidates by name: functions from (users, items, ratings) to scores."""
    means = {shrinkage: item_means(rows, shrinkage) for shrinkage in (1, 5, 10, 25, 50)}
    offsets = {shrinkage: user_offsets(rows, of_items) for shrinkage, of_items in means.items()}
    draw, of_items, of_users = np.random.default_rng(seed), means[10], offsets[10]
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    rest = of_items[rows.indices] + of_users[owner]

    def factorised(rank: int, penalty: float) -> Any:
        left, right = factors(rows, rest, rank, penalty)
        return lambda part: of_items[part[1]] + of_users[part[0]] + (left[part[0]] * right[part[1]]).sum(1)

    def with_offset(shrinkage: int) -> Any:
        return lambda part: means[shrinkage][part[1]] + offsets[shrinkage][part[0]]

    candidates: list[dict[str, Any]] = [
        {"": lambda part: draw.uniform(1, 5, len(part[0]))},
        {f"shrinkage {s}": lambda part, s=s: means[s][part[1]] for s in means},
        {f"shrinkage {s}": with_offset(s) for s in means},
        {
            f"rank {rank}, penalty {penalty:g}": factorised(rank, penalty)
            for rank, penalty in itertools.product((10, 20), (10.0, 20.0))
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
