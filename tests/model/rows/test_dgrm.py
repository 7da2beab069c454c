"""DGRM: the contract for each objective and prediction, and its formulas against their plain forms."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.model.rows import adversarial
from recbole_diffusion.model.rows.dgrm import DGRM
from recbole_diffusion.model.rows.dgrm_base import Levels
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
    assert loss.item() == pytest.approx(0.3 * error.square().sum().item() / 3, rel=1e-5)


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
        assert loss.item() == pytest.approx(float(expected), rel=1e-6)
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


# Ours: a closed form beneath the generator, levels of ratings, a critic whose weight follows its gradient.

ON_RIDGE = {**SMALL, "base": "ridge", "reg_weight": 20.0, "adversarial_share": 0.5, "level_share": 0.7}


class TestOnRidge(ModelContract):
    model = "DGRM"
    options = ON_RIDGE
    epochs = 6


class TestPosteriorOnBiases(ModelContract):
    model = "DGRM"
    options = {**TestPosterior.options, "base": "bias", "noise_unit": "rating"}
    epochs = 6


def silent(model):
    """Make the generator say 0 (linear output), or its bias, everywhere."""
    with torch.no_grad():
        model.generator.V.zero_()
        model.generator.bias.zero_()


def test_the_generator_adds_to_the_closed_form_which_in_training_does_not_know_the_rating(checkerboard):
    for base in ("bias", "ridge"):
        built = build(checkerboard, base=base, reg_weight=20.0, denoising_steps=2)
        model = built.model
        silent(model)
        fit, rows = model.base.fit, model.base.fit.ratings
        cells, xt, t = model._noised(torch.tensor([3, 4]))
        left_out = fit.left_out()[rows.indptr[3] : rows.indptr[5]]
        torch.testing.assert_close(5 * model._generated(cells, xt, t), torch.from_numpy(left_out).float())
        model.eval()
        users = torch.arange(1, 51)
        expected = fit.scores(rows[1:51])
        torch.testing.assert_close(model.full_sort_predict({model.USER_ID: users}), expected)
        # Half a rating on all: F^0 is the sum, also within the backward steps.
        with torch.no_grad():
            model.generator.bias.fill_(0.5)
        model._forget()
        torch.testing.assert_close(model.full_sort_predict({model.USER_ID: users}), expected + 0.5)


@pytest.mark.parametrize("level_share", [0.0, 1.0])
def test_a_share_of_the_generator_is_added_in_scores_and_where_levels_are_fitted(checkerboard, level_share):
    models = {
        share: build(checkerboard, base="ridge", generator_share=share, level_share=level_share).model.eval()
        for share in (0.0, 0.5, 1.0)
    }
    users = torch.arange(1, 51)
    if level_share:
        found = [model._unseen()[0] for model in models.values()]
    else:
        found = [model.full_sort_predict({model.USER_ID: users}) for model in models.values()]
        fit = models[0.0].base.fit
        torch.testing.assert_close(found[0], fit.scores(fit.ratings[1:51]))
    assert float((found[2] - found[0]).abs().max()) > 0.01
    torch.testing.assert_close(found[1], (found[0] + found[2]) / 2)


def gradients(model, users, seed=0):
    """Return the gradient of each part of the generator's loss at the output biases, [n_items] each."""
    torch.manual_seed(seed)
    parts = model.generator_loss({model.USER_ID: users})
    return [torch.autograd.grad(one, model.generator.bias, retain_graph=True)[0] for one in parts]


def test_the_critics_weight_follows_its_gradient(checkerboard, monkeypatch):
    """At the generated ratings the critic's gradient is ``adversarial_share`` of the reconstruction's."""
    model = build(checkerboard, adversarial_share=0.7, output="linear").model.eval()
    kept, plain = [], DGRM._rated
    monkeypatch.setattr(DGRM, "_rated", lambda *given: kept.append(plain(*given)) or kept[-1])
    error, judged = model.generator_loss({model.USER_ID: torch.arange(1, 11)})
    first, second = (torch.autograd.grad(one, kept[0], retain_graph=True)[0] for one in (error, judged))
    assert float(second.norm() / first.norm()) == pytest.approx(0.7, rel=1e-4)
    # So the size of what the critic says is of no account, which decides with a weight of its own.
    before = gradients(model, torch.arange(1, 11))
    with torch.no_grad():
        model.critic.last.weight.mul_(100)
    after = gradients(model, torch.arange(1, 11))
    torch.testing.assert_close(before[1], after[1], rtol=1e-3, atol=1e-6)


def test_a_critic_that_takes_part_changes_what_is_learned(checkerboard, tmp_path):
    """A critic that likes high ratings, and stays as it is: with a share of 1 predictions are higher."""
    means = {}
    for share in (0.01, 1.0):
        built = build(checkerboard, adversarial_share=share, critic_steps=0, output="linear")
        with torch.no_grad():
            built.model.critic.before.fill_(0.01)
            built.model.critic.after.zero_()
            built.model.critic.last.weight.fill_(0.1)
        optimizer = torch.optim.Adam(built.model.generator.parameters(), 0.01)
        torch.manual_seed(0)
        for _ in range(60):
            optimizer.zero_grad()
            sum(built.model.generator_loss(built.batch())).backward()
            optimizer.step()
        built.model.eval()
        means[share] = float(built.model.full_sort_predict(built.users(list(range(1, 51))))[:, 1:].mean())
    assert means[1.0] > means[0.01] + 0.3


def test_noise_in_ratings_is_as_many_times_smaller_as_rows_are(checkerboard):
    for unit, deviation in (("row", 1.0), ("rating", 0.2)):
        model = build(checkerboard, noise_unit=unit, noise_scale=1.0, noise_max=0.8, fixed_step=5).model
        cells, xt, _ = model._noised(torch.arange(1, 51).repeat(20))
        rest = xt - math.sqrt(0.2) * dense_of(model, cells, cells.ratings)
        assert float(rest[:, 1:].std()) == pytest.approx(deviation * math.sqrt(0.8), rel=0.02)
        before = model._rest_of_step(torch.zeros_like(xt), torch.full((1000,), 4))
        expected = deviation * math.exp(0.5 * float(model.diffusion.posterior_log_variance[4]))
        assert float(before[:, 1:].std()) == pytest.approx(expected, rel=0.02)
        factor = model._noise_factor()
        W = deviation * model.generator.W.detach()
        torch.testing.assert_close(factor.T @ factor, W.T @ W, rtol=1e-4, atol=1e-6)


def test_levels_have_the_shares_of_ratings_keep_the_order_and_move_the_least():
    torch.manual_seed(0)
    ratings = torch.tensor([1.0] * 50 + [3.0] * 150 + [5.0] * 300)
    predictions = 3 + torch.randn(500)
    read = Levels(predictions, ratings)
    found = read.of(predictions)
    assert [int(((found - one).abs() < 1).sum()) for one in (1, 3, 5)] == [50, 150, 300]
    assert torch.equal(found.argsort(), predictions.argsort())
    # Half the way to the next level, and none below its own: a three is not below the middle of the scale.
    assert float((found - found.round().sub(1).div(2).floor().mul(2).add(1)).max()) < 1.0
    threes = (found - 3).abs() < 1
    assert float(found[threes].min()) >= 3.0
    # Far beyond everything seen, still in order.
    ends = read.of(torch.tensor([-30.0, -20.0, 20.0, 30.0]))
    assert bool((ends.diff() > 0).all())


def test_a_prediction_within_its_level_stays():
    """Quantiles at 2, 3.2 and 4.3 with levels 1, 2, 3, 4: by hand."""
    predictions = torch.tensor([1.2, 1.4, 2.0, 2.6, 3.2, 3.3, 4.3, 4.6])
    read = Levels(predictions, torch.tensor([1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]))
    torch.testing.assert_close(read.bounds, torch.tensor([2.0, 3.2, 4.3]))
    torch.testing.assert_close(read.low, torch.tensor([1.2, 2.0, 3.2, 4.3]))
    torch.testing.assert_close(read.high, torch.tensor([1.49, 2.49, 3.49, 4.49]))
    found = read.of(predictions)
    assert float(found[2]) == 2.0
    assert float(found[3]) == pytest.approx(2.0 + 0.5 * 0.49)
    assert float(found[4]) == pytest.approx(3.2)
    assert float(found[-1]) == pytest.approx(4.49)


def test_a_share_of_levels_is_between_the_two_distributions():
    predictions = torch.tensor([2.0] * 60 + [2.9] * 40) + torch.arange(100) * 1e-3
    ratings = torch.tensor([1.0] * 40 + [2.0] * 40 + [3.0] * 20)
    for share, ones in ((1.0, 40), (0.5, 20), (0.25, 10)):
        assert int((Levels(predictions, ratings, share).of(predictions) < 1.6).sum()) == ones


def test_levels_of_equal_predictions_or_of_one_rating_are_numbers():
    for ratings in (torch.tensor([1.0, 5.0, 5.0]), torch.tensor([4.0, 4.0, 4.0])):
        found = Levels(torch.full((3,), 2.0), ratings).of(torch.tensor([1.0, 2.0, 3.0]))
        assert bool(found.isfinite().all())
        assert bool((found.diff() >= 0).all())


def test_levels_are_fitted_where_a_rating_is_not_read(checkerboard):
    """A generator that says what it reads: ratings come back in scores, none where it is left out."""
    wide = {"hidden_size": 51, "output": "linear", "denoising_steps": 0, "noise_scale": 1e-9}
    model = build(checkerboard, noise_size=1, **wide).model.eval()
    silent(model)
    with torch.no_grad():
        model.generator.context.weight.zero_()
        model.generator.W.copy_(1e-3 * torch.eye(51))
        model.generator.V.copy_(1e3 * torch.eye(51))
    predictions, ratings = model._unseen()
    assert float(predictions.abs().max()) < 0.05
    users = torch.arange(1, 51)
    cells = model.ratings.gather(users)
    read = model.full_sort_predict({model.USER_ID: users})[cells.rows, cells.items]
    torch.testing.assert_close(read, ratings, atol=0.05, rtol=0)


UNREAD = {
    "base=bias": {"output", "reg_weight", "stretch"},
    "prediction=posterior": {"generator_share"},
    "base=ridge": {"output"},
    "adversarial_share=0.5": {"adversarial_weight", "reg_weight", "stretch"},
}


@pytest.mark.parametrize("given", UNREAD)
def test_what_is_unread_is_told(checkerboard, given):
    name, value = given.split("=")
    options = build(checkerboard, **{name: float(value) if "." in value else value}).model.options
    assert set(options.unread()) >= UNREAD[given]
    assert "adversarial_share" not in options.unread()
    assert ("generator_share" in options.unread()) == (
        options.base == "none" or given.startswith("prediction")
    )
