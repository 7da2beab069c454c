"""EASE's scores by a matrix of items and by one of users, against the formula in float64."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model import base, ease
from recbole_diffusion.model.ease_scores import ByItems, ByUsers, edlae_penalties, linear_scores
from recbole_diffusion.model.full_rank import Pruned


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
    np.testing.assert_allclose(np.hstack(list(linear.columns())), B, atol=2e-6)


@pytest.mark.parametrize("form", [ByItems, ByUsers])
@pytest.mark.parametrize("k", [4, 50, 1000])
def test_the_entries_of_each_column_that_are_largest_in_size_stay(rows, form, k, monkeypatch):
    monkeypatch.setattr("recbole_diffusion.model.ease_scores.USERS", 16)  # blocks of columns
    whole = form(sp.csr_matrix(rows), 3.0)
    B = np.hstack(list(whole.columns()))
    smallest = -np.sort(-np.abs(B), axis=0)[min(k, 50) - 1]
    expected = np.where(np.abs(B) >= smallest, B, 0)
    pruned = Pruned(whole, k)
    assert np.array_equal(pruned.weights.toarray(), expected)
    assert (expected < 0).any()
    assert pruned.weights.getnnz(axis=0).max() <= k
    some = np.array([3, 7, 29, 3])
    np.testing.assert_allclose(pruned.of_users(some), rows[some] @ expected, atol=1e-6)


def test_the_smaller_matrix_is_taken(rows):
    assert isinstance(linear_scores(sp.csr_matrix(rows), 1.0), ByUsers)
    assert isinstance(linear_scores(sp.csr_matrix(rows.T), 1.0), ByItems)


def test_new_users_scores_are_exact_with_tiny_penalties_too(rows):
    X = rows.copy()
    X[5] = X[7] = X[6]  # equal users, of whose rows K is the difference
    new = (np.random.default_rng(2).random((20, 50)) < 0.2).astype(np.float32)
    for penalty in (0.1, 1e-3, 1e-6):
        P = np.linalg.inv(X.T.astype(np.float64) @ X + penalty * np.eye(50))
        B = -P / np.diag(P)
        np.fill_diagonal(B, 0)
        found = linear_scores(sp.csr_matrix(X), penalty).of_rows(sp.csr_matrix(new))
        np.testing.assert_allclose(found, new.astype(np.float64) @ B, atol=5e-5)


def test_a_matrix_beyond_the_machine_is_refused_in_one_line(rows, monkeypatch):
    monkeypatch.setattr(ease.psutil, "virtual_memory", lambda: SimpleNamespace(total=30 * 30 * 8 - 1))
    with pytest.raises(UsageError, match=r"30 x 30.*SparseEASE"):
        linear_scores(sp.csr_matrix(rows), 1.0)


@pytest.mark.parametrize(("name", "most"), [("ROWS", 3), ("CELLS", 3 * 5)])
def test_pairs_are_read_from_rows_block_by_block(monkeypatch, name, most):
    """Users 0..9 in blocks of three, each in several pairs: the scores stand where the pairs do."""
    monkeypatch.setattr(base, name, most)
    table, asked = torch.randn(10, 5), []

    def rows(interaction):
        asked.append(len(interaction["u"]))
        return table[interaction["u"]]

    model = SimpleNamespace(USER_ID="u", ITEM_ID="i", n_items=5, full_sort_predict=rows)
    users, items = torch.randint(0, 10, (40,)), torch.randint(0, 5, (40,))
    assert torch.equal(base.pairs_of_rows(model, {"u": users, "i": items}), table[users, items])
    assert max(asked) == 3
    assert sum(asked) == len(users.unique())
