"""TVDiff: the contract, and each identity against the plain dense computation."""

import math

import pytest
import torch

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.layers import noise_factor
from recbole_diffusion.model.rows import tvdiff
from recbole_diffusion.model.rows.tvdiff_dense import dense_rows
from recbole_diffusion.testing import Built, ModelContract

SMALL = {
    "hidden_size": 16,
    "embedding_size": 8,
    "steps": 8,
    "train_batch_size": 64,
    "learning_rate": 0.01,
    "dropout_prob": 0.2,
}
# A schedule with so much noise that every step of the chain matters.
NOISY = {"noise_scale": 1.0, "noise_min": 0.05, "noise_max": 0.6, "first_beta": None}
VARIANTS = [
    {},
    {"denoiser": "mlp"},
    {"topology": "left"},
    {"topology": "linkprop"},
    {"topology": "three_step"},
    {"topology": "none", "aggregation": "product"},
    {"aggregation": "gating"},
]


class TestTVDiff(ModelContract):
    model = "TVDiff"
    options = SMALL
    epochs = 6


class TestTVDiffAllViews(ModelContract):
    model = "TVDiff"
    options = {
        **SMALL,
        "entropy_loss": "bce",
        "negative_sampler": "ar_gsp",
        "gamma": 0.9,
        "batch_by": "user",
        "train_batch_size": 10,
        "aggregation": "gating",
    }
    epochs = 15


class TestTVDiffSL(ModelContract):
    model = "TVDiff"
    options = {**SMALL, "negative_sampler": "sl"}
    epochs = 6


class TestTVDiffMargins(ModelContract):
    model = "TVDiff"
    options = {**SMALL, "negative_sampler": "ar_gsp", "gamma": 0.3, "margin_power": -1.0}
    epochs = 6


class TestDiffRecBackbone(ModelContract):
    model = "TVDiff"
    options = {**SMALL, "denoiser": "mlp", "entropy_loss": "none", "batch_by": "user", "train_batch_size": 10}
    epochs = 15


class TestTVDiffWithLinearTerm(ModelContract):
    model = "TVDiff"
    options = {**SMALL, "linear_term": "edlae", "linear_reg_weight": 5.0, "linear_dropout_prob": 0.2}
    options |= {"linear_weight": "valid"}
    epochs = 6


@pytest.fixture
def build(checkerboard):
    def make(**options) -> Built:
        built = Built("TVDiff", checkerboard.name, {**checkerboard.overrides, **SMALL, **options})
        built.model.double()
        built.model.diffusion.double()
        return built

    return make


def randomise(model: tvdiff.TVDiff) -> None:
    """Weights of a size at which tanh bends, so that no term is negligible."""
    generator = torch.Generator().manual_seed(7)
    for name, value in model.named_parameters():
        value.data = torch.randn(value.shape, generator=generator, dtype=torch.float64) * 0.3
        if name == "W_I":
            value.data[0] = 0


@pytest.mark.parametrize("entropy_loss", ["bpr", "bce", "nll", "none"])
@pytest.mark.parametrize("batch_by", ["user", "interaction"])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_projected_training_equals_dense_without_noise(build, monkeypatch, entropy_loss, batch_by, variant):
    """Identities 2 and 3: loss and every gradient, without noise, with the same negatives on both sides."""
    monkeypatch.setattr(
        tvdiff, "uniform_negatives", lambda positives, users: (users * 7) % (positives.n_items - 1) + 1
    )
    found = {}
    for training in ("dense", "projected"):
        built = build(
            training=training,
            entropy_loss=entropy_loss,
            batch_by=batch_by,
            dropout_prob=0.0,
            negative_sampler="uniform",
            **NOISY,
            **variant,
        )
        randomise(built.model)
        built.model.diffusion.noise.zero_()
        torch.manual_seed(3)
        parts = built.model.calculate_loss(built.batch())
        sum(parts).backward()
        found[training] = (
            [part.item() for part in parts],
            {name: p.grad for name, p in built.model.named_parameters()},
        )
    assert found["dense"][0] == pytest.approx(found["projected"][0], rel=1e-10)
    for name, gradient in found["dense"][1].items():
        assert torch.allclose(gradient, found["projected"][1][name], rtol=1e-8, atol=1e-12), name


def test_projected_noise_has_the_law_of_the_plain_one(build):
    """Identity 3: eps C and eps W_I are Gaussians of one covariance, also with more columns than items."""
    for hidden_size in (16, 80):  # fewer and more columns than items
        model = build(hidden_size=hidden_size).model
        randomise(model)
        factor = noise_factor(model.W_I)
        covariance = model.W_I.detach().T @ model.W_I.detach()
        assert torch.allclose(
            factor.T @ factor, covariance, rtol=1e-8, atol=1e-8 * float(covariance.abs().max())
        )


@pytest.mark.parametrize("dropout_prob", [0.0, 0.5])
def test_training_input_matches_the_plain_one_in_mean_and_covariance(build, monkeypatch, dropout_prob):
    """Identity 3 as used: z = dropout(x_t) W_I for one user and step, by Monte Carlo on both sides."""
    samples = {}
    count = 40_000
    for training in ("dense", "projected"):
        model = build(training=training, dropout_prob=dropout_prob, hidden_size=3, **NOISY).model
        randomise(model)
        model.train()
        monkeypatch.setattr(model, "_vectors", lambda z, t: z)
        users, t = torch.full((count,), 5), torch.full((count,), 3)
        torch.manual_seed(11)
        energy = model._dense_energy if training == "dense" else model._projected_energy
        samples[training] = energy(users, t, torch.zeros(model.n_items, 3, dtype=torch.float64))[0].detach()
    dense, projected = samples["dense"], samples["projected"]
    spread = dense.std(0)
    assert torch.allclose(dense.mean(0), projected.mean(0), atol=float(5 * spread.max() / math.sqrt(count)))
    assert torch.allclose(dense.T.cov(), projected.T.cov(), atol=float(0.06 * spread.max() ** 2))


@pytest.mark.parametrize("steps", [1, 2, 8, 50])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_chain_in_the_hidden_space_equals_the_dense_chain(build, steps, variant):
    """Identity 1: the scores of Algorithm 2, for every denoiser."""
    scores = {}
    for scoring in ("dense", "projected"):
        built = build(scoring=scoring, steps=steps, **NOISY, **variant)
        randomise(built.model)
        built.model.eval()
        scores[scoring] = built.model.full_sort_predict(built.users([1, 5, 9]))
    assert torch.allclose(scores["dense"], scores["projected"], rtol=1e-9, atol=1e-9)
    assert scores["dense"].std() > 1e-3  # a gate alone lets the chain shrink


def test_fewer_inference_steps_are_the_end_of_the_chain(build):
    scores = {}
    for key, options in {
        "all": {},
        "one": {"inference_steps": 1},
        "one dense": {"inference_steps": 1, "scoring": "dense"},
    }.items():
        built = build(**NOISY, **options)
        randomise(built.model)
        built.model.eval()
        scores[key] = built.model.full_sort_predict(built.users([2, 3]))
    assert torch.allclose(scores["one"], scores["one dense"], rtol=1e-9)
    assert not torch.allclose(scores["one"], scores["all"], rtol=1e-3)


def test_sampling_noise_is_drawn_per_evaluation_not_per_batch(build):
    built = build(sampling_steps=4, sampling_noise=True, **NOISY)
    randomise(built.model)
    built.model.eval()
    everyone = built.model.full_sort_predict(built.users(list(range(1, 51))))
    built.model.eval()
    few = built.model.full_sort_predict(built.users([9, 4]))
    assert torch.allclose(few, everyone[[8, 3]])
    clean = build(**NOISY)
    randomise(clean.model)
    clean.model.eval()
    assert not torch.allclose(clean.model.full_sort_predict(clean.users([9, 4])), few, rtol=1e-3)


@pytest.mark.parametrize("entropy_loss", ["bpr", "bce", "nll", "none"])
def test_loss_is_equation_9_written_out(build, monkeypatch, entropy_loss):
    """The scale of both parts: squares and BCE or NLL by cell, BPR by pair, times the temperature."""
    monkeypatch.setattr(
        tvdiff, "uniform_negatives", lambda positives, users: (users * 7) % (positives.n_items - 1) + 1
    )
    built = build(
        entropy_loss=entropy_loss,
        batch_by="user",
        temperature=2.5,
        dropout_prob=0.0,
        negative_sampler="uniform",
        **NOISY,
    )
    model = built.model
    randomise(model)
    model.diffusion.noise.zero_()
    users = built.batch()[model.USER_ID]
    torch.manual_seed(3)
    parts = [part.item() for part in model.calculate_loss({model.USER_ID: users})]
    torch.manual_seed(3)
    t = torch.randint(0, model.options.steps, users.shape)
    x0 = torch.from_numpy(built.train._dataset.inter_matrix(form="csr").toarray()).double()[users]
    u = torch.tanh(model.diffusion.signal[t, None] * x0 @ model.W_I + model.time_layer(model.time_table[t]))
    scores = u @ model.item_vectors().T
    cells = x0[:, 1:].numel()
    assert parts[0] == pytest.approx(((scores - x0)[:, 1:] ** 2).sum().item() / cells)
    rows, positive = x0.nonzero(as_tuple=True)
    of_positive = scores[rows, positive]
    of_negative = scores[rows, (users[rows] * 7) % (model.n_items - 1) + 1]
    entropy = {
        "bpr": lambda: -torch.sigmoid(of_positive - of_negative).log().mean(),
        "bce": lambda: (
            -(torch.sigmoid(of_positive).log().sum() + (1 - torch.sigmoid(of_negative)).log().sum()) / cells
        ),
        "nll": lambda: -torch.sigmoid(of_positive).log().sum() / cells,
    }
    assert parts[1:] == (
        [pytest.approx(2.5 * entropy[entropy_loss]().item())] if entropy_loss in entropy else []
    )


def test_view_three_draws_what_the_model_ranks_high(build, monkeypatch):
    """AR-GSP gets the vectors, steps and relaxation rate of the batch, and its draws are the hard items."""
    built = build(gamma=0.1, relaxation_rate=2.0, dropout_prob=0.0)
    model = built.model
    randomise(model)
    seen = {}
    draw = type(model.sampler).draw_by_threshold

    def spy(sampler, vectors, items, positives, users, t, counts, **named):
        drawn, threshold = draw(sampler, vectors, items, positives, users, t, counts, **named)
        ranks = (vectors @ items[1:].T).argsort(1, descending=True).argsort(1) + 1
        seen.update(rank=ranks[torch.arange(len(users)), drawn - 1], t=t, sampler=sampler, t_loss=None)
        return drawn, threshold

    monkeypatch.setattr(type(model.sampler), "draw_by_threshold", spy)
    torch.manual_seed(5)
    model.calculate_loss(built.batch())
    torch.manual_seed(5)
    assert torch.equal(seen["t"], torch.randint(0, 8, seen["t"].shape))
    assert (seen["sampler"].relaxation_rate, seen["sampler"].steps) == (2.0, 8)
    assert (
        seen["rank"].double().median() <= 5
    )  # of 50 items; a row whose five best are positives takes any other item
    seen.clear()
    build(negative_sampler="uniform").model.calculate_loss(built.batch())
    assert seen == {}


def test_margins_weigh_the_pairs_of_bpr(build, monkeypatch):
    """The entropy part is the mean of weight x -log sigmoid(difference), the weights without a gradient."""
    kept = {}
    terms, weights = tvdiff.losses.bpr_terms, tvdiff.losses.margin_weights

    def spy_terms(positive, negative):
        kept.update(terms=terms(positive, negative), negative=negative)
        return kept["terms"]

    def spy_weights(margins, power):
        kept.update(margins=margins, power=power)
        return weights(margins, power)

    monkeypatch.setattr(tvdiff.losses, "bpr_terms", spy_terms)
    monkeypatch.setattr(tvdiff.losses, "margin_weights", spy_weights)
    built = build(gamma=0.3, margin_power=-2.0, temperature=2.5)
    randomise(built.model)
    _, entropy = built.model.calculate_loss(built.batch())
    assert kept["power"] == -2.0
    assert not kept["margins"].requires_grad
    expected = 2.5 * (weights(kept["margins"], -2.0) * kept["terms"]).mean()
    assert entropy.item() == pytest.approx(expected.item())
    kept.clear()
    build(gamma=0.3).model.calculate_loss(built.batch())
    assert "power" not in kept


def test_time_reaches_the_denoiser(build):
    model = build().model
    randomise(model)
    first, last = model._vectors(torch.zeros(2, 16, dtype=torch.float64), torch.tensor([0, 7]))
    assert not torch.allclose(first, last, atol=1e-2)


@pytest.mark.parametrize("option", ["sampling_steps", "sampling_noise"])
def test_sampling_noise_has_the_law_of_the_dense_stochastic_chain(build, monkeypatch, option):
    """Two steps, by Monte Carlo: mean and covariance of u_0 against a dense chain with noise of all items."""
    value = {"sampling_steps": 2, "sampling_noise": True}[option]
    model = build(
        steps=2,
        hidden_size=3,
        **{option: value},
        noise_scale=1.0,
        noise_min=0.3,
        noise_max=0.6,
        first_beta=None,
    ).model
    randomise(model)
    model.eval()
    model.user_vectors(torch.tensor([5]))
    H, M = model._cache["H"], model._cache["M"]
    count, diffusion = 60_000, model.diffusion
    generator = torch.Generator().manual_seed(1)
    row = dense_rows(model.positives, torch.tensor([5]), model.W_I.dtype)
    monkeypatch.setattr(model, "_vectors", lambda z, t: z / 3)  # linear: the laws stay Gaussian
    hidden = model._reverse((row @ model.W_I).expand(count, -1), generator)
    x = row.expand(count, -1)

    def noise() -> torch.Tensor:
        drawn = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        drawn[:, 0] = 0
        return drawn

    if option == "sampling_steps":
        x = diffusion.signal[1] * x + diffusion.noise[1] * noise()
    x = diffusion.posterior_x0[1] * ((x @ model.W_I) / 3) @ H.T + diffusion.posterior_xt[1] * x
    if option == "sampling_noise":
        x = x + (0.5 * diffusion.posterior_log_variance[1]).exp() * noise()
    plain = (x @ model.W_I) / 3
    assert M.shape == (3, 3)
    assert torch.allclose(
        hidden.mean(0), plain.mean(0), atol=5 * plain.std(0).max().item() / math.sqrt(count)
    )
    assert plain.std() > 0.01
    assert torch.allclose(hidden.T.cov(), plain.T.cov(), atol=float(0.05 * plain.var(0).max()))


def test_blocks_of_users_have_noise_of_their_own(build, monkeypatch):
    monkeypatch.setattr("recbole_diffusion.model.user_blocks.USER_BLOCK", 16)
    built = build(sampling_steps=8, noise_scale=1.0, noise_min=0.5, noise_max=0.9, first_beta=None)
    model = built.model
    randomise(model)
    model.W_I.data[1:] = model.W_I.data[
        1
    ]  # every user's history looks alike up to its length, so that noise is what differs
    model.eval()
    vectors = model.user_vectors(torch.arange(1, 51))
    assert not torch.allclose(vectors[0:15], vectors[16:31], atol=1e-3)


def test_what_is_derived_from_weights_does_not_outlive_them(build):
    built = build(dropout_prob=0.0)
    model = built.model
    model.train()
    model.calculate_loss(built.batch())
    factor = model._noise_factor
    model.W_I.data *= 10
    model.train()  # RecBole does so before each epoch
    model.calculate_loss(built.batch())
    assert torch.allclose(model._noise_factor, 10 * factor)
    model.float()
    model.calculate_loss(built.batch())
    assert model._noise_factor.dtype == torch.float32


def test_item_towers_are_their_formulas(build):
    built = build()
    R = torch.from_numpy(built.train._dataset.inter_matrix(form="csr").toarray()).double()
    users, items = R.sum(1).clamp_min(1), R.sum(0).clamp_min(1)
    symmetric = R / users.sqrt()[:, None] / items.sqrt()
    graphs = {
        "symmetric": symmetric,
        "left": R / users[:, None],
        "linkprop": R / users[:, None] ** 0.25 / items**0.5,  # one matrix, as in the authors' Figure 11
        "three_step": symmetric @ R.T @ symmetric,
    }
    assert not any(torch.allclose(graphs["linkprop"], graphs[name]) for name in ("symmetric", "three_step"))
    for topology, graph in graphs.items():
        model = build(topology=topology).model
        randomise(model)
        assert torch.allclose(model.item_vectors(), torch.tanh(graph.T @ model.item_encoder.W_U), atol=1e-6)
    free = build(topology="none").model
    assert torch.allclose(free.item_vectors()[1:], torch.tanh(free.item_encoder.weight))
    perceptron = build(denoiser="mlp").model
    randomise(perceptron)
    assert torch.allclose(perceptron.item_vectors()[1:, :-1], perceptron.item_encoder.weight)
    assert torch.allclose(perceptron.item_vectors()[1:, -1:], perceptron.item_encoder.bias)


AGGREGATIONS = {
    "addition": lambda z, e: z + e,
    "product": lambda z, e: z * e,
    "gating": lambda z, e: z / (1 + (-e).exp()),
}


@pytest.mark.parametrize("how", AGGREGATIONS)
@pytest.mark.parametrize("denoiser", ["anisotropic", "mlp"])
def test_the_aggregation_is_its_formula_in_training_and_in_the_chain(build, how, denoiser):
    """Eq. 13 written out: x_1 from the row, one step of the chain, x_0; and x0_hat of a training step."""
    built = build(aggregation=how, denoiser=denoiser, steps=2, dropout_prob=0.0, entropy_loss="none", **NOISY)
    model, users = built.model, torch.tensor([1, 5, 9])
    randomise(model)
    model.diffusion.noise.zero_()
    x0, H = dense_rows(model.positives, users, torch.float64), model.item_vectors().detach()

    def x0_hat(x: torch.Tensor, t: int) -> torch.Tensor:
        e = model.time_table[t] @ model.time_layer.weight.T + model.time_layer.bias
        u = torch.tanh(AGGREGATIONS[how](x @ model.W_I, e))
        return (u @ H.T if denoiser == "anisotropic" else u @ H[:, :-1].T + H[:, -1]).detach()

    model.eval()
    x = model.diffusion.posterior_x0[1] * x0_hat(x0, 1) + model.diffusion.posterior_xt[1] * x0
    assert torch.allclose(model.full_sort_predict(built.users(users.tolist())), x0_hat(x, 0), rtol=1e-9)
    model.train()
    torch.manual_seed(2)
    (energy,) = model.calculate_loss({model.USER_ID: users})
    torch.manual_seed(2)
    steps = torch.randint(0, 2, users.shape).tolist()
    rows = [x0_hat(model.diffusion.signal[t] * x0[k], t) for k, t in enumerate(steps)]
    assert energy.item() == pytest.approx((torch.stack(rows) - x0)[:, 1:].square().mean().item())


def test_padding_enters_nothing(build):
    for variant in VARIANTS:
        model = build(**variant).model
        assert float(model.item_vectors()[0].abs().sum()) == 0
        assert float(model.W_I[0].abs().sum()) == 0
        built = build(training="dense", **variant)
        sum(built.model.calculate_loss(built.batch())).backward()
        assert float(built.model.W_I.grad[0].abs().sum()) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps"),
        ({"gamma": 0}, "gamma"),
        ({"gamma": 1.5}, "gamma"),
        ({"noise_min": 0.1, "noise_max": 0.01}, "noise_min must not be larger"),
        ({"inference_steps": 9}, "only 8 steps"),
        ({"scoring": "dense", "sampling_noise": True}, "scoring: projected"),
        ({"hidden_size": 8.5}, "hidden_size"),
        ({"dropout_prob": 1.0}, "dropout_prob"),
        ({"noise_min": 1e-3, "noise_max": 1e-3}, "make no schedule"),
        ({"noise_scale": 1.0, "noise_max": 1.0}, "make no schedule"),
        ({"first_beta": 1.0}, "first_beta"),
        ({"chain_tolerance": 1e-5, "aggregation": "product"}, "leave chain_tolerance at 0"),
    ],
)
def test_bad_options_are_refused_before_data_loads(checkerboard, options, words):
    with pytest.raises(UsageError, match=words):
        Built("TVDiff", "no such data set", {**checkerboard.overrides, **SMALL, **options})


def test_view_three_by_judges_draws_hard_items_of_a_rows_own(build, monkeypatch):
    """Beyond the budget of exact ranks, inside the model: thresholds by judges, candidates not shared."""
    monkeypatch.setattr("recbole_diffusion.sampler.ar_gsp.ACCEPTED_AT_LEAST", 5)  # of the judges
    built = build(gamma=0.2, dropout_prob=0.0, exact_rank_cells=1, candidate_items=25)
    model = built.model
    randomise(model)
    seen = {}
    draw = type(model.sampler).draw_by_threshold

    def spy(sampler, vectors, items, positives, users, t, counts, **named):
        drawn, threshold = draw(sampler, vectors, items, positives, users, t, counts, **named)
        assert sampler._estimated(vectors, items, None) is not None
        scores = vectors @ items[1:].T
        ranks = scores.argsort(1, descending=True).argsort(1) + 1
        rows = torch.arange(len(users)).repeat_interleave(counts)
        seen.update(
            rank=ranks[rows, drawn - 1].double(), drawn=drawn, taken=positives.contains(users[rows], drawn)
        )
        return drawn, threshold

    monkeypatch.setattr(type(model.sampler), "draw_by_threshold", spy)
    torch.manual_seed(5)
    model.calculate_loss(built.batch())
    assert not seen["taken"].any()
    # Rank(j) <= 0.2 n = 10, estimated from 25 judges: a mean near 5.5, against 25.5 of a uniform draw.
    assert seen["rank"].mean() < 12
    assert len(seen["drawn"].unique()) > 10


@pytest.mark.parametrize("k", [None, 6])
def test_the_linear_term_is_added_by_deviations(build, k):
    """Against the plain formula: rows by their own deviations, EASE's weights from RecBole's equations."""
    plain, built = (
        build(linear_term=term, linear_weight=0.7, linear_reg_weight=4.0, linear_k=k)
        for term in ("none", "ease")
    )
    built.model.load_state_dict(plain.model.state_dict())
    users = torch.arange(1, 12)
    s = plain.model.eval().full_sort_predict(plain.users(users.tolist()))
    X = torch.zeros(built.model.n_users, built.model.n_items, dtype=torch.float64)
    rows = built.train._dataset.inter_feat
    X[rows[built.model.USER_ID], rows[built.model.ITEM_ID]] = 1
    P = torch.linalg.inv(X.T @ X + 4.0 * torch.eye(X.shape[1], dtype=torch.float64))
    B = -P / P.diagonal()
    B.fill_diagonal_(0)
    if k is not None:
        B[B.abs() < B.abs().sort(0, descending=True).values[k - 1]] = 0
    linear = X[users] @ B
    expected = s / s[:, 1:].std(1, correction=0, keepdim=True)
    expected = expected + 0.7 * linear / linear[:, 1:].std(1, correction=0, keepdim=True)
    found = built.model.eval().full_sort_predict(built.users(users.tolist()))
    torch.testing.assert_close(found[:, 1:], expected[:, 1:], rtol=1e-5, atol=1e-5)
