"""EASE's scores by a matrix of items and by one of users, against the formula in float64."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model import ease
from recbole_diffusion.model.ease_scores import ByItems, ByUsers, edlae_penalties, linear_scores


@pytest.fixture(scope="module")
def rows():
    """Return X [30, 50] with an empty row and an empty column, as ids of padding are."""
    X = (np.random.default_rng(0).random((30, 50)) < 0.2).astype(np.float32)
    X[0] = X[:, 0] = 0
    X[4, 5] = 2  # a repeated row, which RecBole's EASE counts twice
    return X


@pytest.mark.parametrize("form", [ByItems, ByUsers])
@pytest.mark.parametrize("dropout_prob", [0.0, 0.4])
def test_scores_are_those_of_the_formula(rows, form, dropout_prob):
    X = rows.astype(np.float64)
    D = 3.0 + dropout_prob / (1 - dropout_prob) * (X > 0).sum(0)
    P = np.linalg.inv(X.T @ X + np.diag(D))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    given = sp.csr_matrix(rows)
    linear = form(given, edlae_penalties(given, 3.0, dropout_prob))
    some = np.array([3, 7, 29, 3])
    np.testing.assert_allclose(linear.of_users(some), X[some] @ B, atol=2e-6)
    new = (np.random.default_rng(1).random((400, 50)) < 0.3).astype(np.float32)  # more than a block
    new[5] = 0
    np.testing.assert_allclose(linear.of_rows(sp.csr_matrix(new)), new.astype(np.float64) @ B, atol=2e-5)


def test_the_smaller_matrix_is_taken(rows):
    assert isinstance(linear_scores(sp.csr_matrix(rows), 1.0), ByUsers)
    assert isinstance(linear_scores(sp.csr_matrix(rows.T), 1.0), ByItems)


def test_a_matrix_beyond_the_machine_is_refused_in_one_line(rows, monkeypatch):
    monkeypatch.setattr(ease.psutil, "virtual_memory", lambda: SimpleNamespace(total=30 * 30 * 8 - 1))
    with pytest.raises(UsageError, match=r"30 x 30.*SparseEASE"):
        linear_scores(sp.csr_matrix(rows), 1.0)
