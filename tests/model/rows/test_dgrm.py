"""DGRM: the contract for each objective and prediction, and its formulas against their plain forms."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.model.rows import adversarial
from recbole_diffusion.quick_start import run
from recbole_diffusion.testing import ModelContract, make_checkerboard


@pytest.fixture
def checkerboard(tmp_path):
    return make_checkerboard(tmp_path, rated=True)


SMALL = {
    "hidden_size": 16,
    "critic_size": 16,
    "noise_size": 4,
    "step_size": 4,
    "train_batch_size": 10,
    "learning_rate": 0.01,
    "valid_metric": "rated_ndcg@5",
    "dropout_prob": 0.2,
}


class TestDGRM(ModelContract):
    model = "DGRM"
    options = SMALL
    epochs = 6


class TestKL(ModelContract):
    model = "DGRM"
    options = {**SMALL, "objective": "kl", "denoising_steps": 0}
    epochs = 6


class TestClippedCritic(ModelContract):
    model = "DGRM"
    options = {**SMALL, "lipschitz": "clip", "denoising_steps": 5, "critic_steps": 2, "generator_steps": 1}
    epochs = 6


class TestGeneratorAlone(ModelContract):
    model = "DGRM"
    options = {**SMALL, "objective": "none", "output": "linear", "fixed_step": 1}
    epochs = 9


class TestPosterior(ModelContract):
    model = "DGRM"
    options = {**SMALL, "prediction": "posterior", "denoising_steps": 2, "noise_scale": 1e-4}
    epochs = 6


def build(checkerboard, **more):
    return TestDGRM().build(checkerboard, **more)


def dense_of(model, cells, values):
    """Return rated cells as rows with zeros elsewhere, [batch, n_items]."""
    return model.ratings.dense(len(cells.starts), cells.rows, cells.items, values)


def test_rows_are_ratings_over_the_scales_end(checkerboard):
    built = build(checkerboard)
    users = built.batch()[built.model.USER_ID]
    cells, _, _ = built.model._noised(users)
    x0 = dense_of(built.model, cells, cells.ratings)
    inter = built.train._dataset.inter_feat
    for row, user in enumerate(users.tolist()):
        own = inter["user_id"] == user
        expected = torch.zeros(built.model.n_items)
        expected[inter["item_id"][own]] = inter["rating"][own].float() / 5
        assert torch.allclose(x0[row], expected)


def test_noise_follows_equation_14_and_spares_the_padding(checkerboard):
    built = build(checkerboard, noise_scale=0.5, noise_min=0.1, noise_max=0.8, steps=4, denoising_steps=0)
    model = built.model
    users = torch.arange(1, 51).repeat(400)
    for step in range(1, 5):
        built = build(
            checkerboard,
            noise_scale=0.5,
            noise_min=0.1,
            noise_max=0.8,
            steps=4,
            denoising_steps=0,
            fixed_step=step,
        )
        cells, xt, t = built.model._noised(users)
        x0 = dense_of(built.model, cells, cells.ratings)
        variance = 0.5 * (0.1 + (step - 1) / 3 * 0.7)
        assert set(t.tolist()) == {step - 1}
        rest = (xt - math.sqrt(1 - variance) * x0)[:, 1:]
        assert float(rest.var()) == pytest.approx(variance, rel=0.01)
        assert not xt[:, 0].any()
    assert model.diffusion.steps == 4


def test_two_steps_have_the_joint_distribution_of_the_forward_process(checkerboard):
    torch.manual_seed(0)
    model = build(
        checkerboard, noise_scale=0.9, noise_min=0.1, noise_max=0.9, steps=3, denoising_steps=0, fixed_step=3
    ).model
    users = torch.ones(60_000, dtype=torch.long)
    cells, xt, t = model._noised(users)
    rated = int(cells.items[0])
    before, xt = (rows[:, rated] for rows in (model._previous_step(cells, cells.ratings, xt, t), xt))
    rating = float(cells.ratings[0])
    bar = [1 - 0.9 * (0.1 + step / 2 * 0.8) for step in range(3)]
    assert float(before.mean()) == pytest.approx(math.sqrt(bar[1]) * rating, abs=0.01)
    assert float(before.var()) == pytest.approx(1 - bar[1], rel=0.02)
    alpha = bar[2] / bar[1]  # R^t = sqrt(alpha) R^{t-1} + noise
    slope = float(((before - before.mean()) * (xt - xt.mean())).mean() / before.var())
    assert slope == pytest.approx(math.sqrt(alpha), rel=0.02)
    assert float((xt - math.sqrt(alpha) * before).var()) == pytest.approx(1 - alpha, rel=0.02)


def test_the_generator_learns_from_rated_items_alone(checkerboard):
    built = build(checkerboard, objective="none")
    users = torch.tensor([1, 2])
    batch = {built.model.USER_ID: users}
    built.model.generator_loss(batch)[0].backward()
    rated = built.model.ratings.rated
    seen = set(rated.gather(users)[0].tolist())
    moved = set(built.model.generator.V.grad.abs().sum(1).nonzero().view(-1).tolist())
    assert moved == seen


def test_reconstruction_is_the_squared_error_in_ratings_summed_by_user(checkerboard):
    built = build(
        checkerboard, objective="none", dropout_prob=0.0, noise_scale=1e-6, reconstruction_weight=0.3
    )
    model, G = built.model, built.model.generator
    users = torch.tensor([3, 4, 9])
    torch.manual_seed(5)
    (loss,) = model.generator_loss({model.USER_ID: users})
    torch.manual_seed(5)
    (items, _, rows, values, _), xt, t = model._noised(users)
    z = torch.randn(3, 4)
    dense = torch.sigmoid(torch.tanh(xt @ G.W + G.context(torch.cat([z, G.steps(t)], 1))) @ G.V.T + G.bias)
    error = (5 * (dense - 0))[rows, items] - 5 * values
    assert float(loss) == pytest.approx(0.3 * float(error.square().sum()) / 3, rel=1e-5)


@pytest.mark.parametrize(
    ("objective", "lipschitz"), [("wasserstein", "gradient_penalty"), ("wasserstein", "clip"), ("kl", "clip")]
)
def test_the_losses_are_those_of_the_equations(checkerboard, objective, lipschitz):
    """Against the critic as a perceptron on whole rows, with its derivative by autograd.

    The same seed draws the same noise.
    """
    built = build(
        checkerboard, objective=objective, lipschitz=lipschitz, penalty_weight=3.0, adversarial_weight=2.0
    )
    model, critic = built.model.double(), built.model.critic
    batch = {model.USER_ID: torch.tensor([1, 2, 3])}
    weight = torch.cat([critic.before, critic.after, critic.context.weight.T])

    def plain(before, after, t):
        first = torch.cat([before, after, critic.steps(t)], 1) @ weight + critic.context.bias
        return critic.last(F.leaky_relu(first, 0.2)).squeeze(1)

    torch.set_default_dtype(torch.float64)  # of what is drawn
    try:
        torch.manual_seed(3)
        loss = model.critic_loss(batch)
        torch.manual_seed(3)
        cells, xt, t = model._noised(batch[model.USER_ID])
        generated = model._generated(cells, xt, t).detach()
        real, fake = (model._previous_step(cells, values, xt, t) for values in (cells.ratings, generated))
        of_real, of_fake = plain(real, xt, t), plain(fake, xt, t)
        if objective == "kl":
            of_ones = F.binary_cross_entropy_with_logits(of_real, torch.ones(3))
            expected = of_ones + F.binary_cross_entropy_with_logits(of_fake, torch.zeros(3))
        else:
            expected = of_fake.mean() - of_real.mean()  # Eq. 21 with the signs of Eq. 10
            if lipschitz == "gradient_penalty":
                between = torch.lerp(real, fake, torch.rand(3, 1)).requires_grad_()
                (slope,) = torch.autograd.grad(plain(between, xt, t).sum(), between, create_graph=True)
                expected = expected + 3.0 * (slope.norm(dim=1) - 1).square().mean()
        assert float(loss) == pytest.approx(float(expected), rel=1e-6)
        players = list(critic.parameters())
        for mine, theirs in zip(
            torch.autograd.grad(loss, players), torch.autograd.grad(expected, players), strict=True
        ):
            assert torch.allclose(mine, theirs, rtol=1e-5, atol=1e-7)

        torch.manual_seed(4)
        _, part = model.generator_loss(batch)
        torch.manual_seed(4)
        cells, xt, t = model._noised(batch[model.USER_ID])
        fake = model._previous_step(cells, model._generated(cells, xt, t), xt, t)
        expected = -2.0 * plain(fake, xt, t).mean()
        assert float(part) == pytest.approx(float(expected), rel=1e-6)
        W = model.generator.W
        assert torch.allclose(
            *(torch.autograd.grad(one, W)[0] for one in (part, expected)), rtol=1e-5, atol=1e-9
        )
    finally:
        torch.set_default_dtype(torch.float32)


def test_clipping_bounds_the_critic(checkerboard, tmp_path):
    built, _, _ = TestClippedCritic().trained(checkerboard, tmp_path, epochs=1, clip_value=0.02)
    assert max(float(one.abs().max()) for one in built.model.critic.parameters()) <= 0.02


def test_fake_rows_differ_from_real_ones_at_rated_items_alone(checkerboard):
    model = build(checkerboard).model
    cells, xt, t = model._noised(torch.tensor([5, 6]))
    rows = []
    for values in (cells.ratings, model._generated(cells, xt, t)):
        torch.manual_seed(1)
        rows.append(model._previous_step(cells, values, xt, t))
    differs = (rows[0] != rows[1]).nonzero()
    rated = dense_of(model, cells, cells.ratings) != 0
    assert bool(rated[differs[:, 0], differs[:, 1]].all())
    assert len(differs) > 0


def test_the_critic_keeps_its_weights_through_a_step_of_the_generator(checkerboard, tmp_path):
    built, trainer, _ = TestDGRM().trained(checkerboard, tmp_path, epochs=1)
    critic = [one.detach().clone() for one in built.model.critic.parameters()]
    trainer._generator_step(built.batch(), 0.0)
    assert all(one.grad is None for one in built.model.critic.parameters())
    assert all(
        torch.equal(one, other) for one, other in zip(built.model.critic.parameters(), critic, strict=True)
    )
    assert all(one.requires_grad for one in built.model.critic.parameters())


# Prediction.


def test_the_projection_is_the_plain_computation_without_noise(checkerboard):
    """With next to no noise every draw is its mean, so that the sparse chain must equal the dense one."""
    built = build(checkerboard, noise_scale=1e-9, denoising_steps=3, noise_size=1)
    model, G, d = built.model.eval(), built.model.generator, built.model.diffusion
    with torch.no_grad():
        G.context.weight[:, 0] = 0  # z does not matter
    users = torch.arange(1, 51)
    items, _, rows, values = model.ratings.gather(users)[:4]
    x0 = model.ratings.dense(50, rows, items, values)
    x, mask, zeros = d.signal[4] * x0, (x0 > 0).float(), torch.zeros(50, 1)
    for step in (4, 3, 2):
        t = torch.full((50,), step)
        x = d.posterior_mean(G.all(G.hidden(x @ G.W, zeros, t)) * mask, x, t)
    expected = 5 * G.all(G.hidden(x @ G.W, zeros, torch.full((50,), 1)))
    assert torch.allclose(model.full_sort_predict(built.users(users.tolist())), expected, atol=2e-3)


def test_projected_noise_has_the_covariance_of_the_dense_one(checkerboard):
    model = build(checkerboard).model
    W = model.generator.W.detach().double()
    factor = model._noise_factor().double()
    assert torch.allclose(factor.T @ factor, W.T @ W, atol=1e-6)


def test_the_posterior_sample_is_on_the_rating_scale(checkerboard):
    """A generator that always says the same: R^{T-T'} must say it too, whatever T'."""
    for steps in (1, 3, 5):
        built = build(checkerboard, prediction="posterior", denoising_steps=steps, noise_scale=1e-9)
        model = built.model.eval()
        with torch.no_grad():
            model.generator.V.zero_()
            model.generator.bias.fill_(math.log(0.7 / 0.3))
        scores = model.full_sort_predict(built.users([3]))
        unrated = torch.ones(model.n_items, dtype=torch.bool)
        unrated[model.ratings.gather(torch.tensor([3]))[0]] = False
        unrated[0] = False
        assert torch.allclose(scores[0, unrated], torch.tensor(3.5), atol=1e-2)


def test_blocks_of_users_do_not_change_scores(checkerboard, monkeypatch):
    built = build(checkerboard)
    monkeypatch.setattr("recbole_diffusion.model.user_blocks.USER_BLOCK", 7)
    built.model.eval()
    everyone = built.model.full_sort_predict(built.users(list(range(1, 51))))
    built.model.eval()
    assert torch.allclose(built.model.full_sort_predict(built.users([20, 3])), everyone[[19, 2]], atol=1e-6)


# A run.


def test_two_optimizers_are_in_the_checkpoint(checkerboard, tmp_path):
    _, trainer, _ = TestDGRM().trained(checkerboard, tmp_path, epochs=1)
    found = trainer.optimizers()
    assert set(found) == {"optimizer", "critic_optimizer"}
    players = {
        name: {id(p) for group in one.param_groups for p in group["params"]} for name, one in found.items()
    }
    assert players["optimizer"] == {id(p) for p in trainer.model.generator.parameters()}
    assert players["critic_optimizer"] == {id(p) for p in trainer.model.critic.parameters()}
    state = torch.load(trainer.folder.checkpoint, weights_only=True)
    assert set(state["optimizers"]) == {"optimizer", "critic_optimizer"}


def test_a_run_reports_rated_items_distributions_and_every_epoch(checkerboard, tmp_path):
    result = run(
        "DGRM", overrides={**checkerboard.overrides, **SMALL, "epochs": 15, "run_dir": str(tmp_path / "run")}
    )
    assert result["best_valid_score"] == result["valid"]["rated_ndcg@5"]
    report = result["rated"]["test"]
    assert report["users"] == 50
    assert report["relevant_from"] == 3
    first = report["readings"]["top, predicted from the median"]
    names = ("recall@2", "ndcg@2", "recall@5", "ndcg@5")
    assert first == {name: pytest.approx(result["test"][f"rated_{name}"], abs=1e-6) for name in names}
    assert result["test"]["rated_rmse"] < 1.0  # the mean of fives and ones has 2
    assert report["distribution"]["modes"] == [1.0, 5.0]
    assert sum(report["counts"]["rated"]) == 50 * 5
    assert sum(report["counts"]["unrated"]) == 50  # one item a user is in no part
    lines = [
        json.loads(line) for line in (Path(result["run_dir"]) / "metrics.jsonl").read_text().splitlines()
    ]
    for line in lines:
        assert sum(line["ratings"]["rated"]) == 50 * 4
        assert sum(line["ratings"]["unrated"]) == 50 * 6
        assert len(line["ratings"]["edges"]) == len(line["ratings"]["rated"]) + 1


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_a_loss_that_is_no_number_stops_with_both_losses_and_advice(
    checkerboard,
    tmp_path,
    monkeypatch,
    player,
):
    if player == "critic":
        monkeypatch.setattr(
            "recbole_diffusion.model.rows.dgrm.DGRM.critic_loss", lambda *_: torch.tensor(math.nan)
        )
    else:
        bad = (torch.tensor(math.inf), torch.tensor(1.0))
        monkeypatch.setattr("recbole_diffusion.model.rows.dgrm.DGRM.generator_loss", lambda *_: bad)
    with pytest.raises(
        RunError,
        match=r"epoch 0: a loss is not finite; critic .*, generator .*\. Try a smaller critic.*No epoch was",
    ):
        TestDGRM().trained(checkerboard, tmp_path, epochs=1)


def test_a_critic_that_diverges_stops(checkerboard, tmp_path):
    with pytest.raises(
        RunError,
        match=r"beyond divergence_limit 10; critic -?[0-9.e+]+, generator .* penalty_weight, or fewer critic",
    ):
        TestDGRM().trained(
            checkerboard,
            tmp_path,
            epochs=20,
            penalty_weight=0.0,
            critic_learning_rate=1.0,
            divergence_limit=10.0,
        )


REFUSED = {
    "denoising_steps=6": r"denoising_steps \(T'\) is 6, but there are only 5 diffusion steps",
    "fixed_step=6": "fixed_step is 6, but there are only 5",
    "noise_max=1.0,noise_scale=1.0": "make no schedule",
    "noise_min=0.1": "make no schedule",
}


@pytest.mark.parametrize("options", REFUSED)
def test_options_that_contradict_are_refused(checkerboard, options):
    given = {
        name: float(value) if "." in value else int(value)
        for name, value in (one.split("=") for one in options.split(","))
    }
    with pytest.raises(UsageError, match=REFUSED[options]):
        build(checkerboard, **given)


def test_a_missing_scale_is_refused(checkerboard):
    with pytest.raises(UsageError, match="valid_metric is 'rated_ndcg@5', but rating_scale is not given"):
        build(checkerboard, rating_scale=None)
    with pytest.raises(
        UsageError, match=r"rating_scale is None; a model of rating rows needs \[lowest, highest\]"
    ):
        build(checkerboard, rating_scale=None, valid_metric="Recall@10")
    with pytest.raises(UsageError, match=r"rating_scale is \[-1, 5\]; a model of rating rows needs"):
        build(checkerboard, rating_scale=[-1, 5])


def test_a_wide_critic_says_what_it_costs(checkerboard, monkeypatch, caplog):
    monkeypatch.setattr(adversarial, "COSTLY_WEIGHTS", 1000)
    build(checkerboard)
    assert "the critic reads rows of all 50 items: 0.0 million weights, 0 MB" in caplog.text


def test_without_updates_the_critic_stays_as_it_was_drawn(checkerboard, tmp_path):
    """What the released code does in effect: the generator learns against a random critic."""
    contract = TestDGRM()
    before = contract.build(checkerboard, critic_steps=0).model.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    built, trainer, _ = contract.trained(checkerboard, tmp_path / "runs", epochs=2, critic_steps=0)
    moved = {name for name, value in built.model.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.partition(".")[0] for name in moved} == {"generator"}
    assert trainer.records[-1]["loss"]["critic"] == 0
    assert trainer.records[-1]["loss"]["adversarial"] != 0
