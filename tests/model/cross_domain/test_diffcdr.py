"""DiffCDR: its parts, losses and stages against plain forms."""

import pytest
import torch

from recbole_diffusion.diffusion import LinearVP, antithetic_steps, fast_orders, solve
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.cross_domain.diffcdr_denoiser import Denoiser, transferred
from recbole_diffusion.model.cross_domain.diffcdr_losses import align_distance, denoiser_error
from recbole_diffusion.testing import FAST, ColdUserContract

OPTIONS = {**FAST, "learning_rate": 0.01, "train_batch_size": 64, "hidden_size": 32, "evaluations": 6}
# What --preset=best has over the defaults: the profile for the source vector, no start or guidance as the
# paper has them.
BEST = {"condition": "profile", "start": "mean", "guidance": 1.0, "rating_count_half_weight": 100.0}
BEST |= {"task_absolute": 0.75, "item_offset_reg_weight": 8.0}


class TestDiffCDR(ColdUserContract):
    model = "DiffCDR"
    options = OPTIONS
    epochs = 40

    @pytest.mark.parametrize("norm", [1, 2])
    def test_the_alignment_loss_is_equation_7(self, checkerboard, norm):
        built = self.build(
            checkerboard,
            align_norm=norm,
            align_weight=0.5,
            task_weight=3.0,
            task_absolute=0.0,
            item_offset_reg_weight=None,
        )
        model, users = built.model, built.model.shared[:7]
        vectors = model.alignment(model.diffused(users))
        squares = []
        for row, user in enumerate(users.tolist()):
            for who, item, rating in zip(
                model.ratings.users, model.ratings.items, model.ratings.ratings, strict=True
            ):
                if who == user:
                    v = torch.cat([model.target.items[item], torch.ones(1)])
                    bias = model.target.mean + model.target.item_bias[item]
                    squares.append((vectors[row] @ v + bias - rating).square())
        gap = vectors - model.target_vectors(users)
        distance = gap.abs().sum(1) if norm == 1 else (gap * gap).sum(1)  # Eq. 6, each user's
        expected = 0.5 * distance.mean() + 3 * torch.stack(squares).mean()
        assert torch.allclose(model.align_loss(users), expected, rtol=1e-5)

    def test_users_weigh_by_their_ratings_in_the_loss_of_noise(self, checkerboard):
        model = self.build(checkerboard, rating_count_half_weight=6.0, condition_dropout=0.0).model
        model.begin_transfer()
        users = model.shared[:8]
        torch.manual_seed(5)
        found = model.noise_loss(users)
        torch.manual_seed(5)
        x0 = (model.target_vectors(users) - model.statistics[2]) / model.statistics[3]
        t = (antithetic_steps(1000, 8) + 1) / 1000
        noise, alpha, sigma = (
            torch.randn_like(x0),
            model.denoiser.schedule.alpha(t),
            model.denoiser.schedule.sigma(t),
        )
        given = model.denoiser(alpha[:, None] * x0 + sigma[:, None] * noise, t, model.condition(users))
        errors = (given - model.denoiser.target(x0, noise, t)).square().mean(1)
        counts = torch.tensor([float((model.ratings.users == user).sum()) for user in users])
        weights = counts / (counts + 6)
        assert torch.allclose(found, (weights * errors).sum() / weights.sum())

    def test_the_paper_aligns_by_absolute_gaps_unless_told_otherwise(self, checkerboard):
        model = self.build(checkerboard, task_weight=0.0, align_weight=1.0).model
        users = model.shared[:7]
        gap = model.alignment(model.diffused(users)) - model.target_vectors(users)
        assert torch.allclose(model.align_loss(users), gap.abs().sum(1).mean(), rtol=1e-5)

    @pytest.mark.parametrize("ratio", [0.0, 0.4, 1.0])
    def test_a_ratio_of_the_users_trains_without_condition(self, checkerboard, ratio):
        """Zeros in its place: the unconditional noise of Eq. 3, which is trained by no other users."""
        model = self.build(checkerboard, condition_dropout=ratio).model
        model.begin_transfer()
        users, told = model.shared.repeat(40), []
        hook = model.denoiser.register_forward_hook(lambda _, given, __: told.append(given[2]))
        torch.manual_seed(4)
        model.noise_loss(users)
        hook.remove()
        without = (told[0] == 0).all(1)
        assert torch.equal(told[0][~without], model.condition(users)[~without])
        assert without.double().mean().item() == pytest.approx(ratio, abs=0.03 * (0 < ratio < 1))

    @pytest.mark.parametrize(("condition", "size"), [("vector", 5), ("profile", 9), ("both", 14)])
    def test_the_condition_is_the_source_vector_the_profile_or_both(self, checkerboard, condition, size):
        model = self.build(checkerboard, condition=condition).model
        model.begin_transfer()
        users = model.shared[:6]
        told = model.condition(users)
        assert told.shape == (6, size)
        if condition != "profile":
            standard = (model.source_vectors(users) - model.statistics[0]) / model.statistics[1]
            assert torch.equal(told[:, :5], standard)
        if condition != "vector":
            assert torch.equal(told[:, -9:], model.profiles_of(users))

    @pytest.mark.parametrize("start", ["mean", "source", "noise"])
    def test_where_the_solver_starts(self, checkerboard, start):
        model = self.build(checkerboard, start=start).model
        users = model.shared[:6]
        begun = (model.diffused(users, 0) - model.statistics[2]) / model.statistics[3]
        if start == "noise":
            assert torch.equal(begun, model.noise[users])
        else:
            expected = (model.source_vectors(users) - model.statistics[0]) / model.statistics[1]
            assert torch.allclose(begun, expected * (start == "source"))

    def test_no_gradient_goes_through_the_solver(self, checkerboard):
        model = self.build(checkerboard).model
        model.align_loss(model.shared).backward()
        assert all(one.grad is None for one in model.denoiser.parameters())
        assert model.alignment.matrix.weight.grad.abs().sum() > 0

    def test_one_solver_run_for_each_distinct_user(self, checkerboard, monkeypatch):
        built = self.build(checkerboard)
        built.model.eval()
        cold = built.model.is_cold.nonzero().flatten()[1:4]
        calls = []
        monkeypatch.setattr(
            built.model, "transfer", lambda users: calls.append(users.tolist()) or built.model.known(users)
        )
        pairs = {built.model.USER_ID: cold.repeat(5), built.model.ITEM_ID: torch.arange(1, 16)}
        built.model.predict(pairs)
        assert calls == [cold.tolist()]

    def test_the_diagnostics_tell_figure_4(self, checkerboard, tmp_path):
        built, _, _ = self.trained(checkerboard, tmp_path, epochs=2)
        found = built.model.final_diagnostics()["distance_to_target"]
        assert list(found) == ["source", "1", "5", "30", "aligned", "mean vector"]
        users = built.model.drawn_users(1000)
        assert torch.equal(users, built.model.shared)  # fewer than that, so all
        standard = (built.model.source_vectors(users) - built.model.statistics[0]) / built.model.statistics[1]
        start = standard * built.model.statistics[3] + built.model.statistics[2]
        assert found["source"] == pytest.approx(
            (start - built.model.target_vectors(users)).norm(dim=1).mean().item()
        )

    def test_the_users_of_figure_4_are_drawn_by_the_seed(self, checkerboard):
        one, same, other = (self.build(checkerboard, seed=seed).model for seed in (3, 3, 4))
        drawn = one.drawn_users(5)
        assert len(torch.unique(drawn)) == 5
        assert torch.isin(drawn, one.shared).all()
        assert torch.equal(drawn, same.drawn_users(5))
        assert not torch.equal(drawn, other.drawn_users(5))

    def test_a_batch_of_ratings_has_the_error_and_the_user_of_each(self, checkerboard):
        model = self.build(
            checkerboard, batch_rows="ratings", align_loss="smooth_l1", align_weight=0.5, task_weight=3.0
        ).model
        places = model.transfer_rows(model.shared)
        assert len(places) == model.shared_ratings
        batch = places[torch.tensor([3, 40, 4, 200, 3])]  # two of one user, one rating twice
        users = model.users_of(batch)
        assert len(set(users.tolist())) < 5
        alone = {int(user): model.transfer(users[row : row + 1])[0] for row, user in enumerate(users)}
        items, offsets = model.item_side()
        squares, distances = [], []
        for place, user in zip(batch.tolist(), users.tolist(), strict=True):
            item, rating = model.rated.items[place], model.rated_values[place]
            theirs = (model.ratings.users == user) & (model.ratings.items == item)
            assert rating == model.ratings.ratings[theirs]
            vector = alone[user]
            squares.append((vector @ items[item] + offsets[item] - rating).square())
            gap = (vector - model.target_vectors(torch.tensor([user]))[0]).abs()
            distances.append(torch.where(gap < 1, gap.square() / 2, gap - 0.5).mean())
        expected = 0.5 * torch.stack(distances).mean() + 3 * torch.stack(squares).mean()
        assert torch.allclose(model.align_loss(batch), expected, rtol=1e-4)

    def test_each_switch_of_the_released_code_changes_what_is_learned(self, checkerboard, tmp_path):
        switches = (
            {},
            {"align_start": "random"},
            {"denoiser_loss": "smooth_l1"},
            {"denoiser_loss": "norm"},
            {"align_loss": "smooth_l1"},
            {"one_optimizer": True},
            {"clip_grad_norm": {"max_norm": 0.1}, "learner": "sgd"},
            {"learner": "sgd"},
            {"batch_rows": "ratings"},
        )
        found = []
        for number, switch in enumerate(switches):
            built, trainer, _ = self.trained(checkerboard, tmp_path / str(number), epochs=2, **switch)
            assert trainer.records[-1]["stage"] == "transfer"
            found.append(built.model.transfer(built.model.shared[:5]))
        for number, one in enumerate(found):
            assert all(not torch.allclose(one, other) for other in found[:number]), switches[number]

    def test_the_alignment_starts_as_the_identity_or_at_random(self, checkerboard):
        one, other = (self.build(checkerboard, align_start=start).model for start in ("identity", "random"))
        assert torch.equal(one.alignment.matrix.weight, torch.eye(5))
        drawn = other.alignment.matrix.weight
        assert drawn.abs().max() <= 5**-0.5
        assert torch.equal(other.ema_alignment.copy.matrix.weight, drawn)


class TestNoiseWithoutDiffusion(ColdUserContract):
    """Ablation AT: no denoiser."""

    model = "DiffCDR"
    options = {**OPTIONS, "diffusion": False, "learning_rate": 0.03}
    epochs = 40


class TestDiffusionWithoutAlignment(ColdUserContract):
    """No ALM: what the diffusion makes is scored with shifted offsets."""

    model = "DiffCDR"
    options = {**OPTIONS, **BEST, "alignment": False}
    epochs = 40

    def test_vectors_stay_as_the_diffusion_makes_them(self, checkerboard):
        model = self.build(checkerboard).model
        assert torch.equal(model.transfer(model.shared[:5]), model.diffused(model.shared[:5]))
        assert [name for name, _ in model.alignment.named_parameters()] == ["item_offset", "common"]
        assert (
            len(self.build(checkerboard, task_weight=0.0).model.mapping_updates()) == 1
        )  # nothing is left to align


def denoiser(velocity: bool, join: str = "hidden") -> Denoiser:
    torch.manual_seed(3)
    return Denoiser(LinearVP(), (5, 5), 16, 8, "silu", velocity, join).double()


@pytest.mark.parametrize("guidance", [0.0, 0.1, 1.0, 2.0])
@pytest.mark.parametrize("join", ["hidden", "input"])
def test_guided_noise_is_equation_3_in_one_pass(guidance, join):
    net = denoiser(False, join)
    x, c, t = (
        torch.randn(4, 5, dtype=torch.float64),
        torch.randn(4, 5, dtype=torch.float64),
        torch.full((4,), 0.3, dtype=torch.float64),
    )
    unconditional, conditional = net(x, t, torch.zeros_like(c)), net(x, t, c)
    expected = unconditional + guidance * (conditional - unconditional)
    assert torch.allclose(net.guided(c, guidance)(x, t), expected)


def test_velocity_and_noise_tell_the_same_data():
    net, schedule = denoiser(True), LinearVP()
    x0, noise = torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    t = torch.full((6,), 0.4, dtype=torch.float64)
    alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    xt, target = alpha * x0 + sigma * noise, net.target(x0, noise, t)
    assert torch.allclose(sigma * xt + alpha * target, noise)
    assert torch.allclose(alpha * xt - sigma * target, x0)
    assert torch.equal(denoiser(False).target(x0, noise, t), noise)


def test_the_transfer_solves_with_the_schedule_of_training():
    net, c = denoiser(True), torch.randn(4, 5, dtype=torch.float64)
    slow = solve(
        lambda x, t: net.schedule.sigma(t)[:, None] * x + net.schedule.alpha(t)[:, None] * net(x, t, c),
        c,
        LinearVP(),
        fast_orders(30),
    )
    assert torch.allclose(transferred(net, c, c, 1.0, 30), slow)
    assert torch.equal(transferred(net, c, c, 1.0, 0), c)


def test_few_evaluations_do_not_blow_up_where_steps_of_higher_order_would():
    net, c = denoiser(True), torch.randn(50, 5, dtype=torch.float64)
    exact = transferred(net, c, c, 1.0, 300)
    away = {n: (transferred(net, c, c, 1.0, n) - exact).norm(dim=1).mean() for n in (1, 2, 5, 9, 30)}
    assert away[1] > away[2] > away[5] > away[9] > 10 * away[30]
    with torch.no_grad():
        second = solve(net.guided(c, 1.0), c, net.schedule, fast_orders(2))
    assert (second - exact).norm(dim=1).mean() > 50 * away[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_size": 5}, "even number"),
        ({"beta_0": 3.0, "beta_1": 2.0}, "cannot fall"),
        ({"align_weight": 0.0, "task_weight": 0.0}, "would learn nothing"),
        ({"diffusion": False, "alignment": False, "task_weight": 0.0}, "would learn nothing"),
        ({"align_loss": "smooth_l1", "align_norm": 2}, "does not read"),
        ({"mirror_gradient": True}, "trains in stages"),
    ],
)
def test_what_cannot_be_is_refused(two_domains, tmp_path, options, message):
    from recbole_diffusion.quick_start import run

    with pytest.raises(UsageError, match=message):
        run("DiffCDR", two_domains.name, overrides={**two_domains.overrides, **OPTIONS, **options})


def test_the_learned_offsets_of_items_are_in_the_scores(two_domains):
    built = TestDiffCDR().build(two_domains, item_offset_reg_weight=16.0)
    model, learned = built.model.eval(), built.model.ema_alignment.copy
    users = {model.USER_ID: built.dataset.test_users[:3]}
    before = model.full_sort_predict(users).view(3, -1)
    offsets = torch.linspace(-1, 1, model.n_items)
    with torch.no_grad():
        learned.item_offset.copy_(offsets)
        learned.common.fill_(0.25)
    after = model.train().eval().full_sort_predict(users).view(3, -1)
    assert torch.allclose(after - before, (offsets + 0.25).expand(3, -1), atol=1e-5)


FOUND, TARGET = torch.tensor([[0.5, 3.0], [0.0, -4.0]]), torch.tensor([[0.0, 1.0], [3.0, 0.0]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("squared", [(0.25 + 4) / 2, (9 + 16) / 2]),
        ("norm", [4.25**0.5, 5.0]),
        # d^2 / 2 below 1, |d| - 1/2 above; a mean over the two coordinates.
        ("smooth_l1", [(0.125 + 1.5) / 2, (2.5 + 3.5) / 2]),
    ],
)
def test_the_error_of_the_denoiser_by_row(kind, expected):
    assert denoiser_error(FOUND, TARGET, kind).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "norm", "expected"),
    [
        ("norm", 1, (2.5 + 7) / 2),  # over coordinates a sum, over users a mean
        ("norm", 2, (4.25 + 25) / 2),
        ("smooth_l1", 1, (0.125 + 1.5 + 2.5 + 3.5) / 4),  # a mean over both
    ],
)
def test_the_distance_of_aligned_vectors(kind, norm, expected):
    assert align_distance(FOUND, TARGET, kind, norm).item() == pytest.approx(expected)
