"""Normalised user-item matrices, sparse, from the training interactions."""

from typing import Any

import numpy as np
import scipy.sparse as sp


def binary_interactions(dataset: Any) -> sp.csr_matrix:
    """Return R [n_users, n_items] of a RecBole data set, 1 for its pairs; row and column 0 are empty."""
    return binary(dataset.inter_matrix(form="csr"))


def binary(interactions: Any) -> sp.csr_matrix:
    """Return a scipy matrix as CSR of float32, 1 where it has an entry, columns in order."""
    matrix = interactions.tocsr().astype(np.float32)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    matrix.sort_indices()
    return matrix


def scaled(matrix: sp.csr_matrix, user_power: float, item_power: float) -> sp.csr_matrix:
    """Return D_U^-user_power R D_I^-item_power with the degrees of R, the sums of its rows and columns.

    Empty rows and columns stay empty. ``user_power = item_power = 1/2`` is the symmetric normalisation of
    LightGCN and TV-Diff, ``(1, 0)`` the left one.
    """
    users = np.asarray(matrix.sum(axis=1)).ravel().astype(np.float64)
    items = np.asarray(matrix.sum(axis=0)).ravel().astype(np.float64)
    left, right = degree_powers(users, -user_power), degree_powers(items, -item_power)
    result = sp.diags(left) @ matrix.astype(np.float64) @ sp.diags(right)
    return result.tocsr().astype(np.float32)


def degree_powers(degrees: np.ndarray, power: float) -> np.ndarray:
    """Return degrees to a power, positive or negative, float64 [n]; 0 where the degree is 0."""
    exact = degrees.astype(np.float64)
    return np.power(exact, power, where=exact > 0, out=np.zeros_like(exact))


def popularity_groups(counts: np.ndarray, n_groups: int) -> np.ndarray:
    """Return each item's group by popularity, int64 [n_items]: of about equal interactions, 0 the rarest.

    Args:
        counts: interactions of each item, [n_items]; items without one are in group 0.
        n_groups: how many.
    """
    order = np.argsort(counts, kind="stable")
    ends = np.cumsum(counts[order])
    # By the middle of an item's interactions among all of them, in order of popularity.
    middle = (ends - counts[order] / 2) / max(ends[-1], 1)
    groups = np.zeros(len(counts), np.int64)
    groups[order] = np.minimum((middle * n_groups).astype(np.int64), n_groups - 1)
    return groups


def popularity_discount(counts: np.ndarray, power: float) -> np.ndarray:
    """Return factors of the items' scores, count^-power, float32 [n_items]; 1 where the count is 0."""
    return (np.maximum(counts, 1).astype(np.float64) ** -power).astype(np.float32)


def popularity(matrix: sp.csr_matrix) -> np.ndarray:
    """Return the number of users of each item, int64 [n_items]."""
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.int64)
