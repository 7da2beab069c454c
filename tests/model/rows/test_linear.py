"""EDLAE, PureSVD, P3alpha, RP3beta and UserKNN: the contract, by hand, and dense formulas in float64."""

import itertools

import numpy as np
import pytest
import torch
from support.small import built_of_rows

from recbole_diffusion.testing import ModelContract


class TestEDLAE(ModelContract):
    model = "EDLAE"


class TestPureSVD(ModelContract):
    model = "PureSVD"
    options = {"embedding_size": 4}


class TestP3alpha(ModelContract):
    model = "P3alpha"


class TestRP3beta(ModelContract):
    model = "RP3beta"
    options = {"k": 15, "normalize": True}


class TestUserKNN(ModelContract):
    model = "UserKNN"
    options = {"k": 10}


def random_rows(n_users, n_items, seed, share=0.5):
    """Return a matrix of 0 and 1 whose rows and columns all have an entry."""
    R = (np.random.default_rng(seed).random((n_users, n_items)) < share).astype(float)
    R[np.arange(n_users), np.arange(n_users) % n_items] = 1
    return R


def build(tmp_path, model, R, **options):
    """Return a model on the users and items of R, its scores of them, and the ids of the items."""
    built, scores, items = built_of_rows(tmp_path, model, R, **options)
    return built.model, scores, items


def identity_scores(model, items):
    """Return the scores of users who have one item each: the matrix of items x items."""
    from scipy import sparse

    one = sparse.csr_matrix(np.eye(model.n_items, dtype=np.float32))[items]
    return model.row_scores(one)[:, torch.as_tensor(items)].double().numpy()


def test_edlae_minimises_the_error_of_the_dropped_entries_over_all_dropouts(tmp_path):
    """Least squares over the 2^5 ways to drop entries of a row of five, weighed by their probability."""
    R, p, reg_weight = random_rows(8, 5, 1, share=0.4), 0.3, 0.7
    model, scores, items = build(tmp_path, "EDLAE", R, dropout_prob=p, reg_weight=reg_weight)
    B = np.zeros((5, 5))
    for j in range(5):
        others = [i for i in range(5) if i != j]
        left, right = np.zeros((4, 4)), np.zeros(4)
        for kept in itertools.product([0, 1], repeat=5):
            if kept[j]:
                continue  # weight b = 0: an entry that was seen need not be predicted
            probability = np.prod([1 - p if one else p for one in kept]) / p  # given that j is dropped
            seen = (R * kept)[:, others] / (1 - p)  # in the mean the row itself, which is scored
            left += probability * seen.T @ seen
            right += probability * seen.T @ R[:, j]
        B[others, j] = np.linalg.solve(left + reg_weight * np.eye(4), right)
    found = identity_scores(model, items)
    np.testing.assert_allclose(found, B, atol=1e-5)
    assert np.diag(found).tolist() == [0, 0, 0, 0, 0]
    np.testing.assert_allclose(scores, R @ B, atol=1e-5)


def test_without_dropout_edlae_is_ease(tmp_path):
    R = random_rows(12, 7, 2)
    _, ours, _ = build(tmp_path / "a", "EDLAE", R, dropout_prob=0.0, reg_weight=3.0)
    _, theirs, _ = build(tmp_path / "b", "EASE", R, reg_weight=3.0)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_edlae_discounts_scores_by_a_power_of_the_count(tmp_path):
    R = random_rows(12, 7, 2)
    _, plain, _ = build(tmp_path / "a", "EDLAE", R, reg_weight=3.0)
    _, less, _ = build(tmp_path / "b", "EDLAE", R, reg_weight=3.0, popularity_discount=0.5)
    np.testing.assert_allclose(less, plain / np.sqrt(R.sum(0)), atol=1e-6)


def test_puresvd_is_the_nearest_matrix_of_its_rank(tmp_path):
    R = random_rows(20, 9, 3)
    model, scores, _ = build(tmp_path, "PureSVD", R, embedding_size=3)
    left, values, right = np.linalg.svd(R, full_matrices=False)
    np.testing.assert_allclose(scores, left[:, :3] * values[:3] @ right[:3], atol=1e-5)
    torch.testing.assert_close(model.item_vectors.T @ model.item_vectors, torch.eye(3))
    _, scores, _ = build(tmp_path / "more", "PureSVD", R, embedding_size=50)
    np.testing.assert_allclose(scores, R, atol=1e-5)


def test_puresvd_tells_that_its_vectors_reproduce_each_row(tmp_path, caplog):
    """Such scores of items that a user does not have are rounding, and another batch rounds otherwise."""
    R = random_rows(20, 9, 3)
    twice = np.repeat(R[:4], 5, axis=0)  # of rank 4 at most, fewer than rows and items
    for name, rows, size, told in (("all", R, 9, True), ("rank", twice, 4, True), ("less", R, 8, False)):
        caplog.clear()
        _, scores, _ = build(tmp_path / name, "PureSVD", rows, embedding_size=size)
        assert ("those of chance; give a smaller embedding_size" in caplog.text) is told, name
        assert bool(np.abs(scores - rows).max() < 1e-5) is told, name


def test_a_walk_of_three_steps_by_hand(tmp_path):
    """Items 0, 1 of user 0 and 0, 2, 3 of user 1: from item 0 half the walks go to each user."""
    R = np.array([[1, 1, 0, 0], [1, 0, 1, 1]])
    model, _, items = build(tmp_path / "a", "P3alpha", R)
    sixth, third = 1 / 6, 1 / 3
    expected = [[0, 1 / 4, sixth, sixth], [1 / 2, 0, 0, 0], [third, 0, 0, third], [third, 0, third, 0]]
    np.testing.assert_allclose(identity_scores(model, items), expected, atol=1e-6)
    # Item 0 has two users: with beta 1 a walk to it counts half.
    model, scores, items = build(tmp_path / "b", "RP3beta", R, beta=1.0)
    found = identity_scores(model, items)
    np.testing.assert_allclose(found, np.array(expected) / [2, 1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(scores, R @ found, atol=1e-6)
    # The strongest of each item, the first of equal ones; then as shares.
    model, _, items = build(tmp_path / "c", "P3alpha", R, k=2, normalize=True)
    order = np.argsort(items)  # of equal weights the first by id
    found = identity_scores(model, items)
    assert (found > 0).sum(1).tolist() == [2, 1, 2, 2]
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    first = min((2, 3), key=list(order).index)
    assert found[0, 1] == pytest.approx(0.6)
    assert found[0, first] == pytest.approx(0.4)


def test_with_all_weights_the_walks_are_linkprop_without_the_way_back_to_the_item(tmp_path):
    R = random_rows(8, 6, 4)
    walks, _, items = build(tmp_path / "a", "RP3beta", R, alpha=0.7, beta=0.3)
    powers = {"alpha": 0.0, "beta": 0.7, "gamma": 0.7, "delta": 0.3}
    paths, _, _ = build(tmp_path / "b", "LinkProp", R, **powers)
    expected = identity_scores(paths, items)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(identity_scores(walks, items), expected, rtol=1e-5, atol=1e-7)


def test_blocks_of_items_do_not_change_the_walks(tmp_path, monkeypatch):
    R = random_rows(8, 6, 5)
    whole, _, items = build(tmp_path / "a", "RP3beta", R, k=3)
    monkeypatch.setattr("recbole_diffusion.model.rows.linear.CELLS", 14)  # two items a block
    parts, _, _ = build(tmp_path / "b", "RP3beta", R, k=3)
    assert np.array_equal(identity_scores(whole, items), identity_scores(parts, items))


@pytest.mark.parametrize(("k", "shrink"), [(3, 0.0), (4, 2.5), (50, 1.0)])
def test_userknn_is_the_sum_over_the_nearest_users(tmp_path, k, shrink):
    R = random_rows(7, 30, 2, share=0.4)
    R = R[:, R.any(0)]
    _, scores, _ = build(tmp_path, "UserKNN", R, k=k, shrink=shrink)
    lengths = np.sqrt(R.sum(1))
    similarity = R @ R.T / (np.outer(lengths, lengths) + shrink)
    for user, row in enumerate(similarity):
        ranked = np.sort(row)[::-1]
        cut = ranked[min(k, 7) - 1]
        assert k >= 7 or cut > ranked[k] + 1e-4, "a tie at the cut: choose another seed"
        np.testing.assert_allclose(scores[user], (row * (row >= cut)) @ R, atol=1e-5)


def test_userknn_has_the_lists_of_recboles_neighbours_of_users(tmp_path):
    """RecBole leaves the user out of its own neighbours, which changes the scores of its own items alone."""
    R = random_rows(12, 15, 9, share=0.35)
    _, ours, _ = build(tmp_path / "a", "UserKNN", R, k=12)
    _, theirs, _ = build(tmp_path / "b", "ItemKNN", R, k=11, shrink=0.0, knn_method="user")
    new = R == 0
    np.testing.assert_allclose(ours[new], theirs[new], atol=1e-5)
