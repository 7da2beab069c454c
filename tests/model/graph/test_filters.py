"""LinkProp, BSPM and ChebyCF: the contract, matrices worked out by hand, and dense formulas in float64."""

import itertools

import numpy as np
import pytest
from numpy.polynomial import chebyshev
from support.small import built_of_rows

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.graph.filters import chebyshev_coefficients
from recbole_diffusion.model.history_model import singular_vectors
from recbole_diffusion.testing import ModelContract

HALF = {"alpha": 0.5, "beta": 0.5, "gamma": 0.5, "delta": 0.5}


class TestLinkProp(ModelContract):
    model = "LinkProp"


class TestLinkPropMulti(ModelContract):
    model = "LinkProp"
    options = {"rounds": 3, "link_share": 0.05, "alpha": 0.3}


class TestBSPM(ModelContract):
    model = "BSPM"
    options = {"ideal_rank": 4, "combination": True, "solver": "rk4", "sharpening_steps": 2}


class TestChebyCF(ModelContract):
    model = "ChebyCF"
    options = {"ideal_rank": 4}


# Three users and four items; degrees (2, 2, 3) and (2, 2, 2, 1).
X = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1]])


def build(tmp_path, model, R, **options):
    """Return a model on the users and items of R, and its scores of them."""
    return built_of_rows(tmp_path, model, R, **options)[:2]


def random_rows(n_users=6, n_items=5, seed=3):
    """Return a matrix of 0 and 1 whose rows and columns all have an entry."""
    R = (np.random.default_rng(seed).random((n_users, n_items)) < 0.5).astype(int)
    R[np.arange(n_users), np.arange(n_users) % n_items] = 1
    return R


def smoothing(R):
    """Return P and R~, float64."""
    normalised = R / np.sqrt(np.outer(R.sum(1), R.sum(0)))
    return normalised.T @ normalised, normalised


def test_linkprop_of_three_users_is_the_matrix_worked_out_by_hand(tmp_path):
    _, scores = build(tmp_path, "LinkProp", X, **HALF)
    expected = [[0.704124, 0.75, 0.454124, 0.288675], [0.454124, 0.75, 0.704124, 0.288675]]
    np.testing.assert_allclose(scores[:2], expected, atol=2e-6)
    np.testing.assert_allclose(scores[2], [0.77316, 0.408248, 0.77316, 0.804738], atol=2e-6)


def test_without_powers_linkprop_counts_the_paths(tmp_path):
    _, scores = build(tmp_path, "LinkProp", X, alpha=0.0, beta=0.0, gamma=0.0, delta=0.0)
    assert scores.tolist() == [[3, 3, 2, 1], [2, 3, 3, 1], [4, 2, 4, 3]]


def paths(R, users, items, alpha, beta, gamma, delta):
    """Return LinkProp's scores as sums over paths, one after the other; any degrees."""
    scores = np.zeros(R.shape)
    n_users, n_items = map(range, R.shape)
    for u, j, v, i in itertools.product(n_users, n_items, n_users, n_items):
        if R[u, j] and R[v, j] and R[v, i]:
            weight = users[u] ** -alpha * items[j] ** -beta * users[v] ** -gamma
            scores[u, i] += weight * items[i] ** -delta
    return scores


def test_each_power_of_linkprop_belongs_to_its_degree(tmp_path):
    R, powers = random_rows().astype(float), (0.2, 0.3, 0.4, 0.55)
    named = dict(zip(("alpha", "beta", "gamma", "delta"), powers, strict=True))
    _, scores = build(tmp_path, "LinkProp", R, **named)
    np.testing.assert_allclose(scores, paths(R, R.sum(1), R.sum(0), *powers), rtol=1e-5)


@pytest.mark.parametrize("rounds", [2, 3])
def test_the_best_links_of_all_users_count_in_the_next_degrees(tmp_path, rounds, monkeypatch):
    R, powers = random_rows(7, 6, 5).astype(float), (0.2, 0.3, 0.4, 0.55)
    users, items, many = R.sum(1), R.sum(0), 4
    for _ in range(rounds - 1):
        scores = paths(R, users, items, *powers)
        order = sorted(zip(*np.nonzero(R == 0), strict=True), key=lambda pair: -scores[pair])
        assert scores[order[many - 1]] - scores[order[many]] > 1e-4  # no tie at the cut
        links = np.zeros_like(R)
        links[tuple(np.transpose(order[:many]))] = 1
        users, items = R.sum(1) + links.sum(1), R.sum(0) + links.sum(0)
    named = dict(zip(("alpha", "beta", "gamma", "delta"), powers, strict=True))
    monkeypatch.setattr("recbole_diffusion.model.graph.filters.LINK_CELLS", 14)  # two users a block
    _, found = build(tmp_path, "LinkProp", R, rounds=rounds, link_share=float(many / R.sum()), **named)
    # A user's own degree is the length of the row, as a new user's is.
    np.testing.assert_allclose(
        found, paths(R, users, items, 0, *powers[1:]) / R.sum(1)[:, None] ** 0.2, rtol=1e-5
    )
    assert not np.allclose(found, paths(R, R.sum(1), R.sum(0), *powers), rtol=1e-3)


def test_rounds_without_links_are_refused(tmp_path):
    with pytest.raises(UsageError, match="link_share is 0"):
        build(tmp_path, "LinkProp", X, rounds=2)


BSPM = {
    "euler_early": {"solver": "euler", "sharpening_time": 1.0, "sharpening_steps": 2, "ideal_weight": 0.1},
    "rk4_early": {"solver": "rk4", "sharpening_time": 2.5, "sharpening_steps": 1, "ideal_weight": 0.2},
    "combined": {"sharpening_time": 1.2, "combination": True},
    "rk4_late": {"solver": "rk4", "sharpening_time": 2.2, "sharpening_steps": 2, "merge": "late"},
}
FIRST_ROWS = {
    "euler_early": [0.236343, 0.268711, 0.044937, -0.002947],
    "rk4_early": [0.503782, 0.503558, 0.369787, 0.237968],
    "combined": [0.300378, 0.345357, 0.087878, 0.012582],
    "rk4_late": [0.299331, 0.310553, 0.155089, 0.066225],
}


@pytest.mark.parametrize("name", BSPM)
def test_bspm_of_three_users_is_the_row_worked_out_by_hand(tmp_path, name):
    _, scores = build(tmp_path, "BSPM", X, ideal_rank=1, **BSPM[name])
    np.testing.assert_allclose(scores[0], FIRST_ROWS[name], atol=2e-6)


def test_bspm_sharpens_by_the_solution_of_its_equation(tmp_path):
    """Many steps of order four are the matrix exponential: y(T) = y(0) exp(-T P)."""
    R = random_rows()
    P, normalised = smoothing(R)
    options = {"solver": "rk4", "sharpening_time": 3.0, "sharpening_steps": 40, "ideal_weight": 0.4}
    _, scores = build(tmp_path, "BSPM", R, ideal_rank=2, **options)
    values, vectors = np.linalg.eigh(P)
    low = np.linalg.svd(normalised)[2][:2].T
    power = np.sqrt(R.sum(0))
    start = R @ (P + 0.4 * (low @ low.T / power[:, None] * power))
    expected = start @ vectors @ np.diag(np.exp(-3.0 * values)) @ vectors.T
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_full_low_pass_filter_returns_the_row(tmp_path):
    options = {"sharpening_time": 0.0, "merge": "late", "ideal_weight": 5.0}
    R = random_rows()
    _, scores = build(tmp_path, "BSPM", R, ideal_rank=5, **options)
    np.testing.assert_allclose(scores, R @ smoothing(R)[0] + 5 * R, atol=1e-5)


@pytest.mark.parametrize("name", ["BSPM", "ChebyCF", "GiffCF"])
def test_a_filter_of_all_singular_vectors_is_told(tmp_path, caplog, name):
    R = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1], [1, 0, 1, 0, 0]])
    built_of_rows(tmp_path / "few", name, R, ideal_rank=2, ideal_weight=0.5)
    assert "reproduce" not in caplog.text
    built_of_rows(tmp_path / "all", name, R, ideal_rank=9, ideal_weight=0.5)
    assert f"{name}: ideal_rank is 9, and 5 singular vectors reproduce each user's row" in caplog.text


def test_a_step_that_would_amplify_is_refused(tmp_path):
    with pytest.raises(UsageError, match="give more sharpening_steps"):
        build(tmp_path, "BSPM", X, ideal_rank=1, sharpening_time=2.5)


@pytest.mark.parametrize(
    ("options", "first", "third"),
    [
        (
            {"ideal_weight": 0.0, "degree_power": 0.0},
            [0.690131, 0.767212, 0.394135, 0.224191],
            [0.825982, 0.482474, 0.825982, 0.829026],
        ),
        (
            {"ideal_rank": 1},
            [0.804417, 0.881498, 0.50842, 0.231149],
            [1.070532, 0.644758, 1.070532, 0.80221],
        ),
    ],
)
def test_chebycf_of_three_users_is_the_matrix_worked_out_by_hand(tmp_path, options, first, third):
    _, scores = build(tmp_path, "ChebyCF", X, **options)
    np.testing.assert_allclose(scores[[0, 2]], [first, third], atol=2e-6)


@pytest.mark.parametrize(("order", "flatness"), [(8, 1.5), (5, 10.0)])
def test_the_polynomial_of_chebycf_is_numpys_interpolation_of_the_plateau(tmp_path, order, flatness):
    R = random_rows()
    P, _ = smoothing(R)

    def plateau(y):
        return np.where(y < 0, 0.5 + np.abs(y) ** flatness / 2, 0.5 - np.abs(y) ** flatness / 2)

    expected = chebyshev.chebinterpolate(plateau, order)
    np.testing.assert_allclose(chebyshev_coefficients(order, flatness, "consistent"), expected, atol=1e-12)
    options = {"order": order, "flatness": flatness, "nodes": "consistent", "ideal_weight": 0.0}
    _, scores = build(tmp_path, "ChebyCF", R, degree_power=0.0, **options)
    values, vectors = np.linalg.eigh(P)
    gains = chebyshev.chebval(1 - 2 * values, expected)
    np.testing.assert_allclose(scores, R @ (vectors * gains) @ vectors.T, atol=1e-5)


def test_the_released_coefficients_are_those_of_the_authors_code():
    expected = {
        1.5: [-0.492679, -0.032332, 0.021115, -0.001107],
        15: [-0.278593, -0.191295, -0.083496, -0.018428],
    }
    for flatness, odd in expected.items():
        found = chebyshev_coefficients(8, flatness, "released")
        assert found[1::2] == pytest.approx(odd, abs=1e-6)
        assert found[::2] == pytest.approx([0.5, 0, 0, 0, 0], abs=1e-9)


def test_three_filters_are_one_where_their_definitions_meet(tmp_path):
    """x P: LinkProp with (0, 1/2, 1, 1/2), BSPM's blur, and ChebyCF's plateau that is a line."""
    R = random_rows(9, 7, 1)
    _, links = build(tmp_path / "a", "LinkProp", R, alpha=0.0, beta=0.5, gamma=1.0, delta=0.5)
    _, blur = build(tmp_path / "b", "BSPM", R, ideal_weight=0.0, sharpening_time=0.0)
    line = {"flatness": 1.0, "nodes": "consistent", "ideal_weight": 0.0, "degree_power": 0.0}
    _, plateau = build(tmp_path / "c", "ChebyCF", R, **line)
    for found in (links, blur, plateau):
        np.testing.assert_allclose(found, R @ smoothing(R)[0], atol=1e-5)


def test_singular_vectors_are_those_of_the_dense_decomposition_and_the_same_each_time():
    from scipy import sparse

    R = sparse.csr_matrix(random_rows(40, 30, 2).astype(np.float32))
    found = singular_vectors(R, 6)
    wanted = np.linalg.svd(R.toarray().astype(np.float64))[2][:6].T
    np.testing.assert_allclose(np.abs(wanted.T @ found), np.eye(6), atol=1e-5)
    assert np.array_equal(found, singular_vectors(R, 6))
    assert singular_vectors(R, 31).shape == (30, 30)  # all that there are
