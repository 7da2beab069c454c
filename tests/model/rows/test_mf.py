"""MF: the contract with both solvers, and its least squares by hand and against a plain loop."""

import json

import numpy as np
import pytest
import torch

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.rows import least_squares
from recbole_diffusion.model.rows.least_squares import RatedSide
from recbole_diffusion.quick_start import run
from recbole_diffusion.testing import Built, ModelContract, histories_of
from recbole_diffusion.testing.checkerboard import write_parts

SMALL = {
    "embedding_size": 4,
    "reg_weight": 0.05,
    "penalty": "weighted",
    "train_batch_size": 100,
    "valid_metric": "rated_ndcg@5",
}


class TestMFByAlternatingLeastSquares(ModelContract):
    model = "MF"
    options = {**SMALL, "solver": "als"}
    epochs = 10

    def test_a_user_folded_in_by_its_history_has_its_scores(self, checkerboard, tmp_path):
        """After a sweep, whose last half solves for the users: a new user with these ratings is the same."""
        for bias in (True, False):
            built, _, _ = self.trained(checkerboard, tmp_path / f"runs{bias}", epochs=2, bias=bias)
            found, scores = folded(built)
            torch.testing.assert_close(found, scores, rtol=1e-4, atol=1e-4)


class TestMFByGradientSteps(ModelContract):
    model = "MF"
    options = {**SMALL, "solver": "sgd"}
    epochs = 30

    def test_a_user_folded_in_by_its_history_has_its_scores(self, checkerboard, tmp_path):
        """Near the minimum, where the gradient of the user's part is small."""
        built, _, _ = self.trained(checkerboard, tmp_path / "runs", epochs=20, stopping_step=20)
        found, scores = folded(built)
        assert float((found - scores).abs().mean()) < 0.1


def folded(built):
    """Return the scores of all users by their ratings, and as they were trained."""
    model, rows = built.model.eval(), built.train._dataset.inter_feat
    everyone = list(range(1, model.n_users))
    columns = (rows[name] for name in (model.USER_ID, model.ITEM_ID, "rating"))
    return model.fold_in_scores(histories_of(*columns, everyone), 0), model.full_sort_predict(
        built.users(everyone)
    )


def build(tmp_path, cells, **options):
    """Return a model on a few ratings, and one by a user and of an item that have no other."""
    cells = [*cells, ("apart", "alone", 4)]  # RecBole refuses a user who knows every item
    data = write_parts(tmp_path, "cells", {"train": cells, "valid": cells[-1:], "test": cells[-1:]})
    overrides = {**data.overrides, "rating_scale": [0, 5], "allow_overlap": True, "topk": [1]}
    return Built("MF", "cells", {**overrides, "valid_metric": "rated_ndcg@2", **options}).model


def predictions(model, n_users, n_items):
    users, items = model.vectors()
    return (users[1 : n_users + 1] @ items[1 : n_items + 1].T).detach()


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [("plain", [[4.9476, 2.9349], [3.9277, 2.3299]]), ("weighted", [[4.8500, 2.9359], [3.9236, 2.3751]])],
)
def test_three_cells_have_the_predictions_of_the_minimum(tmp_path, penalty, expected):
    """r = [[5, 3], [4, -]], lambda 0.1, one factor, no biases; the minimum by another solver."""
    cells = [("u1", "i1", 5), ("u1", "i2", 3), ("u2", "i1", 4)]
    options = {"bias": False, "embedding_size": 1, "reg_weight": 0.1, "penalty": penalty}
    model = build(tmp_path, cells, **options)
    model.users.data.abs_()  # factors of one sign: a start of both signs ends in another, local minimum
    for _ in range(400):
        model.sweep()
    torch.testing.assert_close(predictions(model, 2, 2), torch.tensor(expected), atol=1e-3, rtol=0)


def test_one_cell_shrinks_by_lambda(tmp_path):
    """min (2 - p q)^2 + p^2 + q^2 has p q = 2 - 1."""
    model = build(tmp_path, [("u1", "i1", 2)], bias=False, embedding_size=1, reg_weight=1.0)
    for _ in range(400):
        model.sweep()
    assert float(predictions(model, 1, 1)) == pytest.approx(1.0, abs=1e-3)


def test_half_a_step_by_hand():
    """From q = (1, 2), lambda 0.5: p_1 = (5 + 2 * 3) / (1 + 4 + 0.5) and p_2 = 4 / 1.5."""
    side = RatedSide(torch.tensor([1, 0, 0]), torch.tensor([0, 0, 1]), 3)
    found = side.solve(torch.tensor([[1.0], [2.0]]), torch.tensor([4.0, 5.0, 3.0]), torch.full((3,), 0.5))
    torch.testing.assert_close(found, torch.tensor([[2.0], [4 / 1.5], [0.0]], dtype=torch.float64))


def test_rows_of_any_length_and_block_are_solved_as_one_by_one(monkeypatch):
    monkeypatch.setattr(least_squares, "BLOCK", 60)  # a few rows a block
    draw = np.random.default_rng(0)
    own, other = draw.integers(0, 12, 90), draw.integers(0, 9, 90)
    features, targets, penalties = draw.normal(size=(9, 3)), draw.normal(size=90), draw.uniform(0.1, 2, 15)
    side = RatedSide(torch.tensor(own), torch.tensor(other), 15)
    assert len(side.blocks(3)) > 2
    found = side.solve(*map(torch.tensor, (features, targets, penalties)))
    for row in range(15):
        F, y = features[other[own == row]], targets[own == row]
        expected = np.linalg.solve(F.T @ F + penalties[row] * np.eye(3), F.T @ y)
        np.testing.assert_allclose(found[row], expected)


@pytest.mark.parametrize("penalty", ["plain", "weighted"])
def test_a_sweep_never_raises_what_both_solvers_minimise(tmp_path, penalty):
    draw = np.random.default_rng(1)
    cells = [
        (f"u{u}", f"i{i}", int(draw.integers(1, 6)))
        for u in range(9)
        for i in range(8)
        if draw.random() < 0.6
    ]
    model = build(tmp_path, cells, embedding_size=3, reg_weight=0.3, penalty=penalty)
    users, items = model._pairs()
    before, values = (
        float(model._loss(users, items, model.values).detach()),
        [model.sweep() for _ in range(12)],
    )
    assert all(new <= old + 1e-6 for old, new in zip([before, *values], values, strict=False))
    # The sum as it is written, by the weights of the class docstring.
    p, q, b, c = (getattr(model, name).detach() for name in ("users", "items", "user_bias", "item_bias"))
    errors = model.values - (model.mean + b[users] + c[items] + (p[users] * q[items]).sum(1))
    size = [torch.bincount(one, minlength=n) for one, n in ((users, len(p)), (items, len(q)))]
    w_u, w_i = size if penalty == "weighted" else ((one > 0).float() for one in size)
    norms = (w_u * (p.square().sum(1) + b.square())).sum() + (w_i * (q.square().sum(1) + c.square())).sum()
    assert values[-1] == pytest.approx(float((errors.square().sum() + 0.3 * norms) / len(users)), rel=1e-5)


def test_an_infinite_penalty_leaves_the_mean(tmp_path):
    model = build(tmp_path, [("u1", "i1", 5), ("u1", "i2", 3), ("u2", "i1", 4)], reg_weight=1e9)
    model.sweep()
    torch.testing.assert_close(predictions(model, 2, 2), torch.full((2, 2), 4.0))


def test_an_epoch_of_least_squares_is_one_sweep_and_takes_no_mirror_steps(tmp_path):
    cells = [(f"u{u}", f"i{i}", 1 + (u + i) % 5) for u in range(8) for i in range(6) if (u + i) % 4 != 1]
    parts = {"valid": cells[::9], "test": cells[4::9]}
    parts = {"train": [c for c in cells if c not in parts["valid"] + parts["test"]], **parts}
    data = write_parts(tmp_path, "cells", parts)
    overrides = {**data.overrides, "rating_scale": [1, 5], "epochs": 3, "valid_metric": "rated_rmse"}
    overrides |= {"embedding_size": 2, "topk": [2]}
    built = Built("MF", "cells", overrides)
    expected = [built.model.sweep() for _ in range(3)]
    result = run("MF", "cells", overrides={**overrides, "run_dir": str(tmp_path / "run")})
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"]["total"] for line in lines] == pytest.approx(expected, rel=1e-6)
    assert "rated_released_ndcg@5" in result["test"]
    with pytest.raises(UsageError, match="mirror_gradient does not go with MF"):
        run("MF", "cells", overrides={**overrides, "mirror_gradient": True})


def test_gradient_steps_end_where_the_sweeps_do(tmp_path):
    """From the same start; steps on all ratings at once, so that nothing is left of the batches' noise."""
    draw = np.random.default_rng(2)
    rated = [(u, i) for u in range(12) for i in range(9) if draw.random() < 0.7]
    cells = [(f"u{u}", f"i{i}", 1 + (u * i + u) % 5) for u, i in rated]
    options = {"embedding_size": 2, "reg_weight": 0.2, "penalty": "weighted"}
    swept, stepped = (build(tmp_path / name, cells, **options) for name in ("a", "b"))
    assert torch.equal(swept.users, stepped.users)
    expected = [swept.sweep() for _ in range(100)][-1]
    users, items = stepped._pairs()
    batch = {stepped.USER_ID: users, stepped.ITEM_ID: items}
    optimizer = torch.optim.Adam(stepped.parameters(), lr=0.02)
    for _ in range(500):
        optimizer.zero_grad()
        stepped.calculate_loss(batch).backward()
        optimizer.step()
    assert float(stepped.calculate_loss(batch).detach()) == pytest.approx(expected, rel=1e-2)
