"""CNSDiff: the contract for each backbone and sampler, and each part of the loss against its plain form."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.encoder import LightGCNEncoder
from recbole_diffusion.storage.preset import read_preset
from recbole_diffusion.testing import Built, ModelContract

SMALL = {
    "embedding_size": 16,
    "denoiser_size": 16,
    "time_size": 8,
    "steps": 8,
    "start": 2,
    "stride": 3,
    "train_batch_size": 128,
    "learning_rate": 0.02,
    "candidate_items": 4,
    "curriculum_epochs": 10,
    "mix_final": [5.0, 5.0],  # with mostly generated negatives the loss rises with their hardness
    "alignment_weight": 0.01,
    "sampling_weight": 0.01,
}


class TestCNSDiff(ModelContract):
    model = "CNSDiff"
    options = SMALL
    epochs = 12


class TestMatrixFactorisation(ModelContract):
    model = "CNSDiff"
    options = {**SMALL, "backbone": "mf", "causal": "kl", "mixing": "mean"}
    epochs = 15


class TestPlainDiffusion(ModelContract):
    model = "CNSDiff"
    options = {**SMALL, "causal": "none", "alignment_weight": 0.0}
    epochs = 12


class TestAgainstPopularity(ModelContract):
    model = "CNSDiff"
    options = {
        **SMALL,
        "environment_by": "popularity",
        "random_negatives": "popularity",
        "popularity_power": 0.5,
        "popularity_discount": 0.1,
    }
    epochs = 12


class TestWithLinearTerm(ModelContract):
    model = "CNSDiff"
    options = {**SMALL, "linear_term": "ease", "linear_reg_weight": 5.0, "linear_weight": "valid"}
    options |= {"linear_popularity_discount": 0.3}
    epochs = 12


class SamplerContract(ModelContract):
    model = "CNSDiff"
    epochs = 12


class TestUniform(SamplerContract):
    options = {**SMALL, "negative_sampler": "uniform"}


class TestPopularity(SamplerContract):
    options = {**SMALL, "negative_sampler": "popularity"}


class TestDNS(SamplerContract):
    options = {**SMALL, "negative_sampler": "dns", "hardest": 2}


class TestMixGCF(SamplerContract):
    options = {**SMALL, "negative_sampler": "mixgcf"}


class TestAHNS(SamplerContract):
    options = {**SMALL, "negative_sampler": "ahns"}


@pytest.fixture
def build(checkerboard):
    def make(**options) -> Built:
        built = Built("CNSDiff", checkerboard.name, {**checkerboard.overrides, **SMALL, **options})
        built.model.double()
        return built

    return make


def test_encoder_equals_lightgcn_on_a_dense_adjacency(build):
    model = build().model
    n_users = model.n_users
    rows = torch.zeros(n_users, model.n_items, dtype=torch.double)
    items, _, users = model.positives.gather(torch.arange(n_users))
    rows[users, items] = 1
    A = torch.cat(
        [
            torch.cat([torch.zeros(n_users, n_users), rows], 1),
            torch.cat([rows.T, torch.zeros(len(rows.T), len(rows.T))], 1),
        ]
    )
    degree = A.sum(1).clamp_min(1e-30)
    A = A / (degree[:, None] * degree).sqrt()
    layer = torch.cat([model.encoder.users, model.encoder.items])
    layers = [layer, A @ layer, A @ (A @ layer)]
    U, V = model.vectors()
    assert isinstance(model.encoder, LightGCNEncoder)
    assert torch.allclose(
        torch.cat([U, V]), torch.stack(layers).mean(0), atol=1e-7
    )  # the graph is kept in float32


def test_gradient_through_the_graph_is_that_of_the_plain_product(build):
    model = build().model
    U, V = model.vectors()
    (U.square().sum() + (V**3).sum()).backward()
    graph = model.encoder.graph.matrix.to_dense().double()
    users, items = (table.detach().requires_grad_() for table in (model.encoder.users, model.encoder.items))
    u, v, us, vs = users, items, [users], [items]
    for _ in range(2):
        u, v = graph @ v, graph.T @ u
        us.append(u)
        vs.append(v)
    (torch.stack(us).mean(0).square().sum() + (torch.stack(vs).mean(0) ** 3).sum()).backward()
    assert torch.allclose(model.encoder.users.grad, users.grad, atol=1e-8)
    assert torch.allclose(model.encoder.items.grad, items.grad, atol=1e-8)


@pytest.mark.parametrize("mean_type", ["eps", "x0"])
def test_generated_negatives_are_snapshots_of_one_chain_at_the_steps_of_eq_14(build, mean_type):
    model = build(causal="none", mean_type=mean_type).model
    o = model.options
    assert o.snapshots() == [2, 5, 8]
    V = torch.randn(5, 16, dtype=torch.double) * 3
    levels = model.negatives.generate(V, generator=torch.Generator().manual_seed(1))
    # The chain as Ho et al. write it, Algorithm 2, with the noise estimate inside the mean.
    generator = torch.Generator().manual_seed(1)
    length = V.norm(dim=1, keepdim=True) / 4
    noise = torch.randn(5, 16, generator=generator, dtype=torch.double)
    betas = o.betas()
    abar = torch.cumprod(1 - betas, 0)
    z = abar[-1].sqrt() * V / length + (1 - abar[-1]).sqrt() * noise
    states = {8: z}
    for t in range(7, 1, -1):
        eps = model.negatives.denoiser(z, torch.full((5,), t))
        if mean_type == "x0":  # the estimate is of z_0, and this its noise
            eps = (z - abar[t].sqrt() * eps) / (1 - abar[t]).sqrt()
        z = (z - betas[t] / (1 - abar[t]).sqrt() * eps) / (1 - betas[t]).sqrt()
        z = z + (betas[t] * (1 - abar[t - 1]) / (1 - abar[t])).sqrt() * torch.randn(
            5, 16, generator=generator, dtype=torch.double
        )
        states[t] = z
    for step, level in zip(o.snapshots(), levels, strict=True):
        assert torch.allclose(level, states[step] * length, rtol=1e-4, atol=1e-5), step


def test_a_row_gets_the_level_with_the_largest_inner_product(build):
    model = build(mixing="none").model
    distinct = torch.randn(4, 16, dtype=torch.double)
    where, u = torch.tensor([0, 3, 3, 1]), torch.randn(4, 16, dtype=torch.double)
    torch.manual_seed(3)
    levels = model.negatives.generate(distinct)
    torch.manual_seed(3)
    chosen = model._generated(distinct, where, u)
    for row in range(4):
        candidates = levels[:, where[row]]
        assert torch.equal(chosen[row], candidates[(candidates @ u[row]).argmax()])


def test_every_environment_equals_one_by_one(build):
    denoiser = build().model.negatives.denoiser
    z, t = torch.randn(6, 16, dtype=torch.double), torch.tensor([0, 1, 2, 7, 7, 3])
    every = denoiser.every_environment(z, t)
    for e in range(4):
        assert torch.allclose(every[:, e], denoiser(z, t, torch.full((6,), e)))
    assert not torch.allclose(every[:, 0], every[:, 1])


@pytest.mark.parametrize("mean_type", ["eps", "x0"])
def test_without_its_perceptron_the_denoiser_is_the_best_linear_estimate(build, mean_type):
    model = build(mean_type=mean_type).model
    torch.nn.init.zeros_(model.negatives.denoiser.output_layer.weight)
    torch.nn.init.zeros_(model.negatives.denoiser.output_layer.bias)
    z, t = torch.randn(3, 16, dtype=torch.double), torch.tensor([0, 3, 7])
    abar = torch.cumprod(1 - model.options.betas(), 0)[t, None]
    # Of data and noise of unit variance: the covariance with z_t over the variance of z_t, which is 1.
    expected = ((1 - abar).sqrt() if mean_type == "eps" else abar.sqrt()) * z
    assert torch.allclose(model.negatives.denoiser(z, t, t % 4), expected, atol=1e-6)
    assert torch.allclose(model.negatives.denoiser.every_environment(z, t)[:, 1], expected, atol=1e-6)


@pytest.mark.parametrize("mean_type", ["eps", "x0"])
def test_causal_term_is_minus_the_bound_of_eq_17(build, monkeypatch, mean_type):
    """E_q[-log p(z' | z, e)] up to its constant, plus KL(q || p0), by torch's own distributions."""
    model = build(sampling_weight=1.0, causal_weight=0.3, free_information=0.0, mean_type=mean_type).model
    diffusion = model.negatives.diffusion
    items = torch.randn(7, 16, dtype=torch.double)
    t = torch.tensor([0, 1, 2, 3, 5, 6, 7])
    noise = torch.randn(7, 16, dtype=torch.double)
    monkeypatch.setattr("recbole_diffusion.model.graph.cnsdiff_diffusion.uniform_steps", lambda *_, **__: t)
    monkeypatch.setattr(torch, "randn_like", lambda _: noise)
    sampling, causal = model.negatives.losses(items)[0]
    z0, _ = model.negatives.unit(items)
    z = diffusion.q_sample(z0, t, noise)
    variance = diffusion.posterior_log_variance[t].double().exp()[:, None]
    target = torch.distributions.Normal(diffusion.posterior_mean(z0, z, t), variance.sqrt())
    before = diffusion.posterior_mean(z0, z, t) + diffusion.posterior_std(t, z) * noise
    q = torch.distributions.Categorical(logits=model.negatives.posterior(before, t))
    prior = torch.distributions.Categorical(probs=torch.full((7, 4), 0.25, dtype=torch.double))
    expected, errors = torch.zeros(7, dtype=torch.double), []
    for e in range(4):
        found = model.negatives.denoiser(z, t, torch.full((7,), e))
        of_z0 = found if mean_type == "x0" else diffusion.x0_from_eps(z, t, found)
        # The environment's mean error: items weighed by how surely they are in it.
        error = (found - (z0 if mean_type == "x0" else noise)).square().mean(1)
        errors.append((q.probs[:, e] * error).sum() / q.probs[:, e].sum())
        step = torch.distributions.Normal(diffusion.posterior_mean(of_z0, z, t), variance.sqrt())
        expected += q.probs[:, e] * torch.distributions.kl_divergence(target, step).sum(1)
    expected += torch.distributions.kl_divergence(q, prior)
    assert sampling.item() == pytest.approx(torch.stack(errors).mean().item())
    assert causal.item() == pytest.approx(0.3 * expected.mean().item() / 16, rel=1e-4)


def test_environments_are_found(build):
    """Items of two kinds, near two opposite points: the posterior separates them, and denoisers differ."""
    model = build(sampling_weight=0.0, causal_weight=1.0, environments=2, noise_max=0.9).model
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(1, 16, dtype=torch.double, generator=generator)
    kind = torch.arange(64) % 2
    items = (2.0 * kind[:, None] - 1) * centre + 0.2 * torch.randn(
        64, 16, dtype=torch.double, generator=generator
    )
    optimizer = torch.optim.Adam(
        [*model.negatives.denoiser.parameters(), *model.negatives.posterior.parameters()], lr=0.01
    )
    torch.manual_seed(1)
    for _ in range(200):
        optimizer.zero_grad()
        sum(model.negatives.losses(items)[0]).backward()
        optimizer.step()
    model.diagnostics.begin_epoch()
    model.diagnostics.record_environment_stats(model.negatives.losses(items)[1])
    assert model.epoch_diagnostics()["environment_information"] > 0.3
    q = model.negatives.posterior(model.negatives.unit(items)[0], torch.zeros(64, dtype=torch.long)).exp()
    assert (q[kind == 0, 0].mean() - q[kind == 1, 0].mean()).abs() > 0.6
    z, t = torch.randn(64, 16, dtype=torch.double), torch.full((64,), 7)
    first, second = model.negatives.denoiser.every_environment(z, t).unbind(1)
    assert (first - second).square().mean().sqrt() > 0.1


def test_an_environment_by_popularity_is_the_items_own_and_drawn_like_any_when_generating(build, monkeypatch):
    """The same as a latent one whose posterior is certain, without the divergence, which is log K then."""
    model = build(environment_by="popularity", environments=2, causal_weight=0.3, sampling_weight=1.0).model
    assert "posterior" not in dict(model.negatives.named_children())
    counts = np.asarray(model.interactions.sum(0)).ravel()
    groups = model.item_environment.numpy()
    # Groups of about equal interactions, the popular items apart from the others.
    assert counts[groups == 0].max() <= counts[groups == 1].min()
    assert abs(counts[groups == 0].sum() - counts[groups == 1].sum()) <= counts.max()
    items = torch.randn(6, 16, dtype=torch.double)
    t, noise = torch.tensor([0, 1, 2, 5, 6, 7]), torch.randn(6, 16, dtype=torch.double)
    environment = torch.tensor([0, 1, 1, 0, 1, 1])
    monkeypatch.setattr("recbole_diffusion.model.graph.cnsdiff_diffusion.uniform_steps", lambda *_, **__: t)
    monkeypatch.setattr(torch, "randn_like", lambda _: noise)
    (sampling, causal), q = model.negatives.losses(items, environment=environment)
    z = model.negatives.diffusion.q_sample(model.negatives.unit(items)[0], t, noise)
    error = (noise - model.negatives.denoiser(z, t, environment)).square().sum(1)
    of_groups = [error.detach()[environment == group].mean() for group in (0, 1)]
    assert sampling.item() == pytest.approx(float(sum(of_groups)) / 2 / 16, rel=1e-5)
    bound = (0.5 * model.negatives.transition_weight[t] * error.detach()).mean()
    assert causal.item() == pytest.approx(0.3 * float(bound) / 16, rel=1e-5)
    assert q.argmax(1).tolist() == environment.tolist()


def test_random_negatives_by_popularity_follow_the_counts_to_the_power(build):
    model = build(random_negatives="popularity", popularity_power=2.0).model
    torch.manual_seed(0)
    user = int(np.argmin(np.asarray(model.interactions.sum(1)).ravel()[1:])) + 1
    drawn = model._random(torch.full((40_000,), user)).bincount(minlength=model.n_items).numpy()
    weights = np.asarray(model.interactions.sum(0)).ravel() ** 2.0
    weights[model.interactions[user].indices] = 0
    assert np.abs(drawn / 40_000 - weights / weights.sum()).max() < 0.01


def test_a_discount_divides_scores_by_a_power_of_the_count_and_nothing_that_trains(build):
    plain, less = (build(popularity_discount=power).model for power in (0.0, 0.5))
    less.load_state_dict(plain.state_dict())
    counts = np.maximum(np.asarray(plain.interactions.sum(0)).ravel(), 1)
    plain.eval(), less.eval()
    users = {"user_id": torch.tensor([1, 2, 3])}
    expected = plain.full_sort_predict(users) / torch.from_numpy(counts**0.5)
    assert torch.allclose(less.full_sort_predict(users).double(), expected.double(), atol=1e-6)
    assert torch.equal(plain.vectors()[1], less.vectors()[1])


def test_kl_term_is_the_divergence_between_neighbouring_steps(build, monkeypatch):
    model = build(causal="kl", causal_weight=1.0).model
    diffusion = model.negatives.diffusion
    t, items = torch.tensor([1, 4, 7]), torch.randn(3, 16, dtype=torch.double)
    noise = torch.randn(3, 16, dtype=torch.double)
    monkeypatch.setattr("recbole_diffusion.model.graph.cnsdiff_diffusion.uniform_steps", lambda *_, **__: t)
    monkeypatch.setattr(torch, "randn_like", lambda _: noise)
    _, causal = model.negatives.losses(items)[0]
    z0, _ = model.negatives.unit(items)
    z = diffusion.q_sample(z0, t, noise)
    x0 = diffusion.x0_from_eps(z, t, model.negatives.denoiser(z, t))
    std = diffusion.posterior_std(t, z)
    first, second = (torch.distributions.Normal(diffusion.posterior_mean(one, z, t), std) for one in (z0, x0))
    assert causal.item() == pytest.approx(
        torch.distributions.kl_divergence(first, second).mean().item(), rel=1e-4
    )


def test_sampling_weight_scales_what_reaches_the_items_and_not_the_denoiser(build):
    gradients = []
    for weight in (1.0, 0.25):
        model = build(sampling_weight=weight, causal="none").model
        items = torch.randn(
            5, 16, dtype=torch.double, generator=torch.Generator().manual_seed(0)
        ).requires_grad_()
        torch.manual_seed(5)
        model.negatives.losses(items)[0][0].backward()
        gradients.append((items.grad, model.negatives.denoiser.output_layer.weight.grad))
    assert torch.allclose(gradients[1][0], 0.25 * gradients[0][0])
    assert gradients[0][0].abs().max() > 0
    assert torch.allclose(gradients[1][1], gradients[0][1])


@pytest.mark.parametrize("mean_type", ["eps", "x0"])
def test_steps_weigh_by_their_drop_of_signal_to_noise_if_asked(build, monkeypatch, mean_type):
    """The error of z_0 at step t counts SNR(t-1) - SNR(t) times, once at the first step."""
    t = torch.tensor([0, 1, 4, 7])
    items, noise = torch.randn(2, 4, 16, dtype=torch.double)
    monkeypatch.setattr("recbole_diffusion.model.graph.cnsdiff_diffusion.uniform_steps", lambda *_, **__: t)
    monkeypatch.setattr(torch, "randn_like", lambda _: noise)
    model = build(causal="none", mean_type=mean_type, reweight=True).model
    negatives = model.negatives
    abar = torch.cumprod(1 - model.options.betas(), 0)
    expected = 0.0
    for row, step in enumerate(t.tolist()):
        z0 = items[row] / items[row].square().mean().sqrt()
        z = abar[step].sqrt() * z0 + (1 - abar[step]).sqrt() * noise[row]
        found = negatives.denoiser(z[None], t[row, None])[0]
        of_z0 = found if mean_type == "x0" else (z - (1 - abar[step]).sqrt() * found) / abar[step].sqrt()
        before, now = (abar[k] / (1 - abar[k]) for k in (step - 1, step))
        weight = before - now if step else 1.0
        expected += float(weight * (z0 - of_z0).square().mean()) / 4
    assert negatives.losses(items)[0][0].item() == pytest.approx(expected, rel=1e-4)


def test_with_the_released_noise_the_chain_begins_beside_its_item(build):
    """At the last step of the released schedule 4.5 % of the scale is noise, 95 % by default."""
    options = read_preset("released", "CNSDiff", "food").options
    noise = {name: value for name, value in options.items() if name.startswith("noise_")}
    V = torch.randn(200, 16, dtype=torch.double)
    for given, part in ((noise, 0.002**0.5), ({}, 0.9**0.5)):
        negatives = build(**given).model.negatives
        z0, length = negatives.unit(V)
        last = negatives.generate(V, [8])[0] / length
        assert (last - (1 - part**2) ** 0.5 * z0).std().item() == pytest.approx(part, rel=0.05)


@pytest.mark.parametrize("causal", ["environment", "kl"])
@pytest.mark.parametrize(("weight", "reach"), [(0.3, 3.0), (0.0, 0.0), (None, 0.05)])
def test_the_causal_weight_of_the_encoder_scales_what_reaches_the_items_alone(build, causal, weight, reach):
    """Of the causal term's gradient the items get weight / lambda_1, without a weight lambda_2."""

    def gradients(**options):
        model = build(causal=causal, causal_weight=0.1, **options).model
        items = torch.randn(9, 16, dtype=torch.double, generator=torch.Generator().manual_seed(0))
        items.requires_grad_()
        torch.manual_seed(5)
        sampling, term = model.negatives.losses(items)[0]
        wanted = [items, model.negatives.denoiser.input_layer.weight]
        of_sampling = torch.autograd.grad(sampling, wanted, retain_graph=True)
        return float(term), of_sampling, torch.autograd.grad(term, wanted)

    value, sampling, found = gradients(causal_encoder_weight=weight, sampling_weight=0.05)
    plain_value, plain_sampling, plain = gradients(causal_encoder_weight=0.1, sampling_weight=1.0)
    assert value == pytest.approx(plain_value)
    assert plain[0].abs().max() > 0
    assert torch.allclose(found[0], reach * plain[0], atol=1e-12)
    assert torch.allclose(found[1], plain[1])
    assert torch.allclose(sampling[0], 0.05 * plain_sampling[0])
    assert torch.allclose(sampling[1], plain_sampling[1])


def test_the_encoder_learns_from_the_causal_term(build):
    """Without a weight its part of the gradient is a thousandth, and with one it is a part that moves."""
    gradients = []
    for weight in (None, 0.128):
        model = build(causal_encoder_weight=weight, sampling_weight=1e-3).model
        users, items = torch.arange(1, 20), torch.arange(1, 20)
        torch.manual_seed(2)
        losses = model.calculate_loss({model.USER_ID: users, model.ITEM_ID: items})
        parts = dict(zip(model.loss_names, losses, strict=True))
        ranking, causal = (
            torch.autograd.grad(parts[name], model.encoder.items, retain_graph=True)[0].norm()
            for name in ("bpr", "causal")
        )
        gradients.append(float(causal / ranking))
    assert gradients[1] == pytest.approx(gradients[0] * 0.128 / (1e-3 * 0.1))
    assert gradients[0] < 0.01 < gradients[1]


def test_mixing_follows_the_curriculum(build):
    model = build(mixing="mean", mix_initial=[2.0, 8.0], mix_final=[9.0, 1.0], curriculum_epochs=8).model
    hard, easy = torch.ones(3, 16, dtype=torch.double), torch.zeros(3, 16, dtype=torch.double)
    shares = []
    for epoch in (0, 7, 50):
        model.begin_epoch(epoch)
        shares.append(model._mixed(hard, easy)[0, 0].item())
    assert shares == pytest.approx([0.2, 0.9, 0.9])
    drawn = build(mixing="beta", mix_initial=[2.0, 8.0]).model
    many = drawn._mixed(torch.ones(20_000, 1, dtype=torch.double), torch.zeros(20_000, 1, dtype=torch.double))
    assert many.mean().item() == pytest.approx(0.2, abs=0.01)  # Beta(2, 8)
    assert many.var().item() == pytest.approx(2 * 8 / (10**2 * 11), rel=0.1)
    bare = build(mixing="beta", mix_initial=[0.0, 10.0], mix_final=[10.0, 0.0], curriculum_epochs=1).model
    assert torch.equal(bare._mixed(hard, easy), easy)
    assert torch.equal(build(mixing="none").model._mixed(hard, easy), hard)


@pytest.mark.parametrize("form", ["cosine", "inner_product", "released"])
def test_alignment_is_eq_21_row_by_row(build, monkeypatch, form):
    built = build(alignment_form=form, alignment_temperature=0.5, alignment_noise=0.2, alignment_size=4)
    items, random, negative = torch.randn(3, 6, 16, dtype=torch.double)
    noise = torch.randn(4, 16, dtype=torch.double)
    monkeypatch.setattr(torch, "randn_like", lambda _: noise)
    item_ids, random_ids = torch.tensor([5, 7, 5, 9, 1, 2]), torch.tensor([3, 5, 8, 9, 3, 3])
    found = built.model._alignment(items, random, negative, item_ids, random_ids)

    def scaled(x):
        return F.normalize(x, dim=0) if form == "cosine" else x

    losses = []
    for row in range(4):
        anchor = scaled(items[row])
        positive = scaled(anchor + 0.2 * F.normalize(noise[row], dim=0))
        every = form == "released"  # an item's own negatives too
        others = [scaled(negative[k]) for k in range(4) if every or item_ids[k] != item_ids[row]]
        others += [scaled(random[k]) for k in range(4) if every or random_ids[k] != item_ids[row]]
        e = math.exp(anchor @ positive / 0.5)
        rest = sum(math.exp(anchor @ other / 0.5) for other in others)
        losses.append(-math.log(e / (rest if every else e + rest)))
    assert found.item() == pytest.approx(sum(losses) / 4)


@pytest.mark.parametrize("kind", ["mixed", "generated"])
def test_items_are_contrasted_with_mixed_or_with_generated_negatives(build, monkeypatch, kind):
    model = build(alignment_negatives=kind, alignment_weight=0.7, alignment_size=4, mixing="mean").model
    users, items, drawn = torch.tensor([1, 2, 3]), torch.tensor([4, 5, 4]), torch.tensor([20, 21, 22])
    monkeypatch.setattr("recbole_diffusion.model.graph.cnsdiff.uniform_negatives", lambda *_: drawn)
    generated = torch.randn(3, 16, dtype=torch.double)
    monkeypatch.setattr(model, "_generated", lambda *_: generated)
    monkeypatch.setattr(torch, "randn_like", torch.ones_like)
    model.begin_epoch(0)
    V = model.vectors()[1].detach()
    expected = generated if kind == "generated" else 0.2 * generated + 0.8 * V[drawn]  # Beta(2, 8)
    losses = model.calculate_loss({model.USER_ID: users, model.ITEM_ID: items})
    plain = model._alignment(V[items], V[drawn], expected, items, drawn)
    assert float(losses[-1]) == pytest.approx(0.7 * float(plain))


def test_the_parts_live(checkerboard, tmp_path):
    """The denoiser learns, and its negatives differ from item to item and are harder at smaller steps."""
    contract = TestCNSDiff()
    # Next to nothing of the causal term in the encoder: it moves the items, and on so few of them, with some
    # seeds, the order of hardness too.
    options = {"noise_max": 0.7, "start": 0, "stride": 4, "causal_encoder_weight": None}
    built, trainer, _ = contract.trained(
        checkerboard, tmp_path / "runs", epochs=25, stopping_step=25, **options
    )
    first, last = (trainer.records[k] for k in (0, -1))
    assert last["loss"]["sampling"] < first["loss"]["sampling"]
    assert max(last["diagnostics"][f"cosine_between_negatives@{step}"] for step in (0, 4, 8)) < 0.9
    scores = [
        sum(record["diagnostics"][f"score@{step}"] for record in trainer.records[5:]) for step in (0, 4, 8)
    ]
    assert scores[0] > scores[1] > scores[2]
    assert built.model.loss_names == ("bpr", "penalty", "sampling", "causal", "alignment")


def test_false_hard_negatives_are_counted(build):
    built = build(negative_sampler="uniform", false_negative_part="valid")
    model = built.model
    model.observe_parts({"valid": built.valid._dataset})
    model.begin_epoch(0)
    users = torch.tensor([1, 2, 3])
    held_out, starts, _ = model.diagnostics.held_out.gather(users)
    V = torch.randn(model.n_items, 16, dtype=torch.double)
    negatives = torch.randn(3, 16, dtype=torch.double)
    negatives[1] = 2 * V[held_out[starts[1]]]  # a held-out item of user 2
    model.diagnostics.count_false_negatives(users, negatives, lambda: V)
    assert model.epoch_diagnostics()["false_negative_rate"] == pytest.approx(1 / 3)
    with pytest.raises(UsageError, match="false_negative_part is 'valid'; this run has test"):
        model.observe_parts({"test": built.test._dataset})


def test_false_hard_negatives_are_counted_by_popularity_and_time_of_the_held_out_item(build):
    built = build(negative_sampler="uniform", false_negative_part="valid", report_groups=3)
    model, part = built.model, built.valid._dataset
    pairs = [part.inter_feat[field].tolist() for field in (part.uid_field, part.iid_field)]
    start = 1_700_000_000.0  # seconds, which float32 cannot tell apart
    part.times = start + np.random.default_rng(0).permutation(len(part)).astype(float)
    model.observe_parts({"valid": part})
    first: dict[tuple[int, int], float] = {}
    for user, item, time in zip(*pairs, part.times.tolist(), strict=True):
        first[user, item] = min(first.get((user, item), math.inf), time)
    in_time = sorted(first, key=first.__getitem__)
    time_of = {
        pair: group for group, some in enumerate(np.array_split(in_time, 3)) for pair in map(tuple, some)
    }
    counts = np.bincount(built.train._dataset.inter_feat[part.iid_field].numpy(), minlength=model.n_items)
    ranked = sorted(range(1, model.n_items), key=lambda item: (-counts[item], item))
    popularity_of = {
        int(item): group for group, some in enumerate(np.array_split(ranked, 3)) for item in some
    }
    users = torch.tensor([1, 2, 3, 2])
    items, starts, _ = model.diagnostics.held_out.gather(users)
    V = torch.randn(model.n_items, 16, dtype=torch.double)
    negatives = torch.randn(4, 16, dtype=torch.double)
    near = [(row, int(items[starts[row] + nth])) for row, nth in ((0, 0), (1, 0), (3, -1 % 2))]
    for row, item in near:
        negatives[row] = 3 * V[item]
    model.diagnostics.count_false_negatives(users, negatives, lambda: V)
    found = model.epoch_diagnostics()
    expected = {
        f"false_negative_rate@{kind}_{one}": 0.0 for kind in ("popularity", "time") for one in (1, 2, 3)
    }
    for row, item in near:
        expected[f"false_negative_rate@popularity_{popularity_of[item] + 1}"] += 1 / 4
        expected[f"false_negative_rate@time_{time_of[int(users[row]), item] + 1}"] += 1 / 4
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["false_negative_rate"] == pytest.approx(3 / 4)


def test_with_generated_negatives_too_the_ranking_loss_and_the_penalty_are_their_plain_forms(
    build, monkeypatch
):
    model = build(reg_weight=0.2, mixing="mean").model
    users, items, drawn = torch.tensor([1, 2, 2]), torch.tensor([4, 5, 6]), torch.tensor([20, 21, 22])
    monkeypatch.setattr("recbole_diffusion.model.graph.cnsdiff.uniform_negatives", lambda *_: drawn)
    generated = torch.randn(3, 16, dtype=torch.double)
    monkeypatch.setattr(model, "_generated", lambda *_: generated)
    model.begin_epoch(0)
    U, V = (one.detach() for one in model.vectors())
    ranking, penalty, *_ = model.calculate_loss({model.USER_ID: users, model.ITEM_ID: items})
    of_users, of_items = model.encoder.users.detach(), model.encoder.items.detach()
    expected, squares = 0.0, 0.0
    for row, (u, i, j) in enumerate(zip(users, items, drawn, strict=True)):
        gap = float(U[u] @ V[i] - U[u] @ (0.2 * generated[row] + 0.8 * V[j]))  # Beta(2, 8)
        expected += math.log1p(math.exp(-gap)) / 3
        squares += sum(float((one**2).sum()) for one in (of_users[u], of_items[i], of_items[j]))
    assert float(ranking) == pytest.approx(expected)
    assert float(penalty) == pytest.approx(0.2 * squares / (2 * 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 6, "stride": 3}, "start \\+ stride must not be beyond steps"),
        ({"environments": 0}, "environments"),
        ({"noise_min": 0.5, "noise_max": 0.1}, "noise_min must not be larger"),
        ({"mix_initial": [0, 0]}, "mix_initial"),
        ({"mix_final": [1.0]}, "mix_final"),
        ({"negative_sampler": "dns", "hardest": 5}, "dns takes M of N"),
    ],
)
def test_contradicting_options_are_refused(build, options, message):
    with pytest.raises(UsageError, match=message):
        build(**options)


def test_the_ranking_loss_and_the_penalty_are_their_plain_forms(build, monkeypatch):
    built = build(negative_sampler="uniform", reg_weight=0.2)
    model = built.model
    users, items = torch.tensor([1, 2, 2]), torch.tensor([4, 5, 6])
    drawn = torch.tensor([20, 21, 22])
    monkeypatch.setattr(
        "recbole_diffusion.model.graph.cnsdiff.choose_negatives", lambda *_, **__: (drawn, None)
    )
    U, V = (one.detach() for one in model.vectors())
    model.train()
    ranking, penalty = model.calculate_loss({model.USER_ID: users, model.ITEM_ID: items})
    e_u, e_i = model.encoder.users.detach(), model.encoder.items.detach()
    gaps = [float(U[u] @ V[i] - U[u] @ V[j]) for u, i, j in zip(users, items, drawn, strict=True)]
    assert float(ranking) == pytest.approx(sum(math.log1p(math.exp(-gap)) for gap in gaps) / 3)
    squares = sum(
        float((e_u[u] ** 2).sum() + (e_i[i] ** 2).sum() + (e_i[j] ** 2).sum())
        for u, i, j in zip(users, items, drawn, strict=True)
    )
    assert float(penalty) == pytest.approx(0.2 * squares / (2 * 3))


@pytest.mark.parametrize("k", [None, 6])
def test_the_linear_term_is_added_by_deviations_each_part_over_its_own_power_of_the_counts(build, k):
    discounts = {"popularity_discount": 0.3, "linear_popularity_discount": 0.6}
    plain = build().model
    built = build(linear_term="ease", linear_weight=0.7, linear_reg_weight=4.0, linear_k=k, **discounts)
    built.model.load_state_dict(plain.state_dict())
    users = torch.arange(1, 12)
    X = torch.from_numpy(plain.interactions.toarray()).double()
    counts = X.sum(0).clamp_min(1)
    P = torch.linalg.inv(X.T @ X + 4.0 * torch.eye(X.shape[1], dtype=torch.float64))
    B = (-P / P.diagonal()).fill_diagonal_(0)
    if k is not None:
        B[B.abs() < B.abs().sort(0, descending=True).values[k - 1]] = 0
    u, v = plain.eval().vectors()
    own, linear = u[users] @ v.T / counts**0.3, X[users] @ B / counts**0.6
    expected = own / own[:, 1:].std(1, correction=0, keepdim=True)
    expected = expected + 0.7 * linear / linear[:, 1:].std(1, correction=0, keepdim=True)
    found = built.model.eval().full_sort_predict(built.users(users.tolist()))
    torch.testing.assert_close(found[:, 1:], expected[:, 1:], rtol=1e-5, atol=1e-5)
    pairs = {built.model.USER_ID: users, built.model.ITEM_ID: users + 1}
    torch.testing.assert_close(built.model.predict(pairs), found[torch.arange(11), users + 1])
    if k is not None:
        parts = built.model.hybrid_products()
        dense, sparse = parts.users(users)
        summed = dense @ parts.items.T + torch.from_numpy((sparse @ parts.sparse_items.T).toarray())
        torch.testing.assert_close(summed[:, 1:], expected[:, 1:], rtol=1e-4, atol=1e-4)
