"""SLIM, SparseEASE and IALS: the contract, and optimality conditions and dense formulas in float64."""

import sys

import numpy as np
import pytest
import torch
from support.small import built_of_rows

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.testing import Built, ModelContract, make_checkerboard


class TestSLIM(ModelContract):
    model = "SLIM"


class TestSparseEASE(ModelContract):
    model = "SparseEASE"
    options = {"k": 15}


class TestIALS(ModelContract):
    model = "IALS"
    options = {"embedding_size": 8, "reg_weight": 1.0}
    epochs = 4


def random_rows(n_users, n_items, seed, share=0.4):
    """Return a matrix of 0 and 1 whose rows and columns all have an entry, in float64."""
    R = (np.random.default_rng(seed).random((n_users, n_items)) < share).astype(float)
    R[np.arange(n_users), np.arange(n_users) % n_items] = 1
    return R


def weights_of(tmp_path, model, R, **options):
    """Return W of a model by the columns of R, [n_items, n_items], the model, and its scores of R."""
    # A user and an item of nobody else: RecBole refuses a user who has every item.
    apart = np.block([[R, np.zeros((len(R), 1))], [np.zeros((1, R.shape[1])), np.ones((1, 1))]])
    built, scores, items = built_of_rows(tmp_path, model, apart, **options)
    W = built.model.weights[items][:, items].toarray().astype(float)
    assert not W[-1].any()
    assert not W[:, -1].any()
    return W[:-1, :-1], built.model, scores[:-1, :-1]


@pytest.fixture
def to_the_end(monkeypatch):
    monkeypatch.setattr("recbole_diffusion.model.rows.sparse_linear.TOLERANCE", 1e-9)


def test_slim_meets_the_conditions_of_its_minimum(tmp_path, to_the_end):
    """Of 1/2 |x_j - X w|^2 + beta/2 |w|^2 + lambda |w|_1: its slope is 0 where w > 0, at least 0 else."""
    R, l1, l2 = random_rows(30, 9, 0), 2.5, 1.5
    W, _, scores = weights_of(tmp_path, "SLIM", R, l1_weight=l1, l2_weight=l2)
    assert W.min() == 0
    assert np.diag(W).tolist() == [0.0] * 9
    derivative = -R.T @ (R - R @ W) + l2 * W + l1
    others = ~np.eye(9, dtype=bool)
    np.testing.assert_allclose(derivative[W > 0], 0, atol=1e-3)
    assert derivative[(W == 0) & others].min() > -1e-3
    assert 0 < (W > 0).sum() < 72
    np.testing.assert_allclose(scores, R @ W, atol=1e-5)


def test_slim_leaves_out_only_what_the_whole_problem_would_set_to_zero(tmp_path, to_the_end):
    """The same regressions with every other item in them, by scikit-learn on the dense matrix."""
    from sklearn.linear_model import ElasticNet

    R, l1, l2 = random_rows(25, 8, 1, share=0.25), 2.0, 0.5
    W, _, _ = weights_of(tmp_path, "SLIM", R, l1_weight=l1, l2_weight=l2)
    settings = {"l1_ratio": l1 / (l1 + l2), "positive": True, "fit_intercept": False, "tol": 1e-10}
    for j in range(8):
        others = [i for i in range(8) if i != j]
        net = ElasticNet(alpha=(l1 + l2) / 25, max_iter=10_000, **settings).fit(R[:, others], R[:, j])
        np.testing.assert_allclose(W[others, j], net.coef_, atol=1e-4)


def test_slim_of_two_items_by_hand(tmp_path):
    """min 1/2 |x_j - w x_i|^2 + beta/2 w^2 + lambda w has w = (x_i . x_j - lambda) / (|x_i|^2 + beta)."""
    R = np.array([[1, 1], [1, 1], [1, 1], [1, 0], [0, 1], [0, 1]])
    W, _, _ = weights_of(tmp_path / "a", "SLIM", R, l1_weight=1.0, l2_weight=2.0)
    np.testing.assert_allclose(W, [[0, 2 / 6], [2 / 7, 0]], atol=1e-4)
    W, _, _ = weights_of(tmp_path / "b", "SLIM", R[:, [0, 1, 0]], l1_weight=3.5, l2_weight=1.0)
    assert W[0, 1] == W[1, 0] == 0  # three users have both: not more than lambda
    assert W[0, 2] > 0


def test_sparse_ease_of_all_items_is_ease_and_edlae(tmp_path):
    R = random_rows(20, 7, 2)
    for model, dropout in (("EASE", {}), ("EDLAE", {"dropout_prob": 0.4})):
        _, sparse, ours = weights_of(
            tmp_path / f"a{model}", "SparseEASE", R, k=50, reg_weight=3.0, **{"dropout_prob": 0.0, **dropout}
        )
        _, theirs, _ = built_of_rows(tmp_path / f"b{model}", model, R, reg_weight=3.0, **dropout)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
        assert sparse.final_diagnostics() == {"residual": pytest.approx(0, abs=1e-6), "weights": 42}


def test_sparse_ease_is_the_regression_on_the_most_similar_items(tmp_path):
    """Each column by its own least squares; and what the pattern leaves of the normal equations."""
    R, k, reg_weight, p = random_rows(40, 8, 5), 3, 2.0, 0.25
    W, model, _ = weights_of(tmp_path, "SparseEASE", R, k=k, reg_weight=reg_weight, dropout_prob=p)
    degrees = R.sum(0)
    cosine = R.T @ R / np.sqrt(np.outer(degrees, degrees))
    np.fill_diagonal(cosine, -1)
    left = whole = 0.0
    for j in range(8):
        ranked = np.sort(cosine[j])[::-1]
        assert ranked[k - 1] > ranked[k] + 1e-6, "a tie at the cut: choose another seed"
        items = np.flatnonzero(cosine[j] >= ranked[k - 1])
        penalties = p / (1 - p) * degrees[items] + reg_weight
        padded = np.r_[R[:, items], np.diag(np.sqrt(penalties))]
        expected = np.linalg.lstsq(padded, np.r_[R[:, j], np.zeros(k)], rcond=None)[0]
        assert np.flatnonzero(W[:, j]).tolist() == items.tolist()
        np.testing.assert_allclose(W[items, j], expected, atol=1e-6)
        outside = [i for i in range(8) if i != j and i not in items]
        missing = R.T @ (R[:, j] - R[:, items] @ expected)
        left += np.square(missing[outside]).sum()
        whole += np.square(np.delete(R.T @ R[:, j], j)).sum()
    assert model.final_diagnostics()["residual"] == pytest.approx(np.sqrt(left / whole), rel=1e-5)


@pytest.mark.parametrize("model", ["SLIM", "SparseEASE"])
def test_blocks_of_items_do_not_change_the_weights(tmp_path, monkeypatch, model):
    R = random_rows(12, 6, 5)
    whole, _, _ = weights_of(tmp_path / "a", model, R)
    monkeypatch.setattr("recbole_diffusion.model.rows.sparse_linear.CELLS", 14)  # two items a block
    parts, _, _ = weights_of(tmp_path / "b", model, R)
    assert whole.any()
    assert np.array_equal(whole, parts)


def dense_sum(R, X, Y, alpha, reg_weight):
    confidence = 1 + alpha * R
    return (confidence * np.square(R - X @ Y.T)).sum() + reg_weight * (
        np.square(X).sum() + np.square(Y).sum()
    )


def test_ials_solves_the_normal_equations_over_all_cells(tmp_path):
    """x_u = (Y^T C_u Y + lambda I)^-1 Y^T C_u r_u with C_u dense, and the same for the items."""
    R, alpha, reg_weight = random_rows(14, 9, 3), 4.0, 0.7
    built, scores, items = built_of_rows(
        tmp_path, "IALS", R, embedding_size=3, alpha=alpha, reg_weight=reg_weight, init_high=1.0
    )
    model, users = built.model, built.dataset.token2id("user_id", [f"u{k}" for k in range(14)])

    def best(fixed, rows):
        return np.stack(
            [
                np.linalg.solve(
                    fixed.T @ ((1 + alpha * row)[:, None] * fixed) + reg_weight * np.eye(3),
                    fixed.T @ ((1 + alpha * row) * row),
                )
                for row in rows
            ]
        )

    Y = model.items.detach().double().numpy()[items]
    X = best(Y, R)
    np.testing.assert_allclose(scores, X @ Y.T, rtol=1e-4, atol=1e-4)
    values = []
    for _ in range(4):
        values.append(model.sweep())
        Y = best(X, R.T)
        np.testing.assert_allclose(model.items.detach().numpy()[items], Y, rtol=1e-3, atol=1e-4)
        assert values[-1] == pytest.approx(dense_sum(R, X, Y, alpha, reg_weight) / R.sum(), rel=1e-4)
        X = best(Y, R)
        found, _ = model.vectors()
        np.testing.assert_allclose(found.numpy()[users], X, rtol=1e-3, atol=1e-4)
        # With the best users, which the sum after the next sweep is not above.
        loss = float(model.calculate_loss(None).detach())
        assert loss == pytest.approx(dense_sum(R, X, Y, alpha, reg_weight) / R.sum(), rel=1e-4)
    assert values == sorted(values, reverse=True)


def test_ials_says_what_to_install(tmp_path, monkeypatch):
    board = make_checkerboard(tmp_path)
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(UsageError, match=r"pip install 'recbole-diffusion\[ials\]'"):
        Built("IALS", board.name, board.overrides)


def test_an_epoch_of_ials_is_one_sweep_and_takes_no_mirror_steps(tmp_path):
    board = make_checkerboard(tmp_path)
    given = {**board.overrides, "embedding_size": 4, "epochs": 2}
    model = Built("IALS", board.name, given).model
    expected = [model.sweep() for _ in range(2)]
    result = run("IALS", board.name, overrides={**given, "run_dir": str(tmp_path / "run")})
    text = (tmp_path / "run/metrics.jsonl").read_text()
    assert all(f"{value:.4f}"[:5] in text for value in expected)
    assert result["test"]["recall@10"] > 0
    with pytest.raises(UsageError, match="mirror_gradient does not go with IALS"):
        run("IALS", board.name, overrides={**given, "mirror_gradient": True})
    assert torch.equal(model.items[0], torch.zeros(4))  # nobody has the padding item


@pytest.mark.parametrize("given", [{"alpha": 1e30}, {"init_high": 1e20}])
def test_ials_without_a_finite_solution_says_what_to_change(tmp_path, given):
    board = make_checkerboard(tmp_path)
    overrides = {**board.overrides, **given, "epochs": 1, "run_dir": str(tmp_path / "run")}
    with pytest.raises(
        RunError, match="IALS have no finite solution; give a larger reg_weight, or a smaller"
    ):
        run("IALS", board.name, overrides=overrides)
