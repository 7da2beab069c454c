"""TVDiff: the contract, and each identity against the plain dense computation."""

import math

import pytest
import torch
from contract import Built, ModelContract

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model import tvdiff

SMALL = {"hidden_size": 16, "embedding_size": 8, "steps": 8, "train_batch_size": 64, "learning_rate": 0.01, "dropout_prob": 0.2}
# A schedule with so much noise that every step of the chain matters.
NOISY = {"noise_scale": 1.0, "noise_min": 0.05, "noise_max": 0.6, "first_beta": None}
VARIANTS = [
    {},
    {"denoiser": "mlp"},
    {"topology": "left"},
    {"topology": "linkprop"},
    {"topology": "none"},
]


class TestTVDiff(ModelContract):
    model = "TVDiff"
    options = SMALL
    epochs = 15


class TestTVDiffAllViews(ModelContract):
    model = "TVDiff"
    options = {
        **SMALL,
        "entropy_loss": "bce",
        "negative_sampler": "ar_gsp",
        "gamma": 0.9,
        "batch_by": "user",
        "train_batch_size": 10,
    }
    epochs = 60


class TestDiffRecBackbone(ModelContract):
    model = "TVDiff"
    options = {**SMALL, "denoiser": "mlp", "entropy_loss": "none", "batch_by": "user", "train_batch_size": 10}
    epochs = 60


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
    """Identities 2 and 3: loss and every gradient, with the noise set to zero and the same negatives on both sides."""
    monkeypatch.setattr(tvdiff, "uniform_negatives", lambda positives, users: (users * 7) % (positives.n_items - 1) + 1)
    found = {}
    for training in ("dense", "projected"):
        built = build(training=training, entropy_loss=entropy_loss, batch_by=batch_by, dropout_prob=0.0, **NOISY, **variant)
        randomise(built.model)
        built.model.diffusion.noise.zero_()
        torch.manual_seed(3)
        parts = built.model.calculate_loss(built.batch())
        sum(parts).backward()
        found[training] = [part.item() for part in parts], {name: p.grad for name, p in built.model.named_parameters()}
    assert found["dense"][0] == pytest.approx(found["projected"][0], rel=1e-10)
    for name, gradient in found["dense"][1].items():
        assert torch.allclose(gradient, found["projected"][1][name], rtol=1e-8, atol=1e-12), name


def test_projected_noise_has_the_law_of_the_plain_one(build):
    """Identity 3: eps C and eps W_I are Gaussians with the same covariance."""
    for hidden_size in (16, 80):  # fewer and more columns than items
        model = build(hidden_size=hidden_size).model
        randomise(model)
        factor = model._factor()
        covariance = model.W_I.detach().T @ model.W_I.detach()
        assert torch.allclose(factor.T @ factor, covariance, rtol=1e-8, atol=1e-8 * float(covariance.abs().max()))


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
    assert scores["dense"].std() > 0.1


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


def test_views_are_switches(build):
    """Entropy changes the loss, topology the item vectors, AR-GSP the negatives."""
    one = build(entropy_loss="none").model.calculate_loss(build().batch())
    two = build(entropy_loss="bpr").model.calculate_loss(build().batch())
    assert (len(one), len(two)) == (1, 2)
    towers = {topology: build(topology=topology).model.item_vectors() for topology in ("symmetric", "left", "linkprop")}
    assert not torch.allclose(towers["symmetric"], towers["left"])
    assert not torch.allclose(towers["symmetric"], towers["linkprop"])


def test_item_tower_is_the_formula(build):
    built = build()
    model = built.model
    randomise(model)
    R = torch.from_numpy(built.train._dataset.inter_matrix(form="csr").toarray()).double()
    users, items = R.sum(1).clamp_min(1), R.sum(0).clamp_min(1)
    symmetric = R / users.sqrt()[:, None] / items.sqrt()
    assert torch.allclose(model.item_vectors(), torch.tanh(symmetric.T @ model.tower.W_U), atol=1e-7)
    link = build(topology="linkprop").model
    randomise(link)
    L = symmetric @ R.T @ symmetric
    assert torch.allclose(link.item_vectors(), torch.tanh(L.T @ link.tower.W_U), atol=1e-6)


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
    ],
)
def test_bad_options_are_refused_before_data_loads(checkerboard, options, words):
    with pytest.raises(UsageError, match=words):
        Built("TVDiff", "no such data set", {**checkerboard.overrides, **SMALL, **options})
