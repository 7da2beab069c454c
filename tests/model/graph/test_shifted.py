"""DMNS, AdvInfoNCE and InvCF: the contract, and their formulas against numbers worked out by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from recbole_diffusion.config import Config
from recbole_diffusion.diffusion import GaussianDiffusion, linear_betas
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.graph.advinfonce import AdvInfoNCE
from recbole_diffusion.model.graph.dmns import DMNS
from recbole_diffusion.model.graph.invcf import Batch, InvCF, distance_correlation
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.testing import Built, ModelContract
from recbole_diffusion.trainer.factory import trainer_for

SMALL = {"embedding_size": 16, "train_batch_size": 200, "learning_rate": 0.02}
CONTRAST = {**SMALL, "n_negatives": 8, "temperature": 0.3}


class TestDMNS(ModelContract):
    model = "DMNS"
    options = {**SMALL, "steps": 10, "level_divisors": [5, 2], "level_weights": [1.0, 0.5]}
    epochs = 12


class TestDMNSOfFactorsFromScaledNoise(ModelContract):
    model = "DMNS"
    options = {**SMALL, "backbone": "mf", "start": "scaled", "denoiser_loss": "l1", "reg_weight": 0.0}
    options |= {"steps": 10, "level_weights": [0.2] * 4}  # items of the user's own are not pushed far
    epochs = 20


class TestAdvInfoNCE(ModelContract):
    model = "AdvInfoNCE"
    options = {**CONTRAST, "adversary_interval": 3, "adversary_learning_rate": 0.01}
    epochs = 12


class TestInvCF(ModelContract):
    model = "InvCF"
    options = {**CONTRAST, "popularity_weight": 0.1, "joined_weight": 0.1, "independence_weight": 0.1}
    epochs = 12


class TestInvCFInBatch(ModelContract):
    model = "InvCF"
    options = {**CONTRAST, "n_negatives": None, "backbone": "mf", "positives_by": "interaction"}
    epochs = 30


@pytest.fixture
def build(checkerboard):
    return lambda model, **more: Built(model, checkerboard.name, {**checkerboard.overrides, **SMALL, **more})


# DMNS.


def chain_of(A, b, betas, levels, rows, start="noise", neighbours=None):
    """Return the levels of a chain whose denoiser is A x + b at every step, [S, rows, d]."""
    diffusion = GaussianDiffusion(betas)
    options = SimpleNamespace(steps=len(betas), levels=lambda: levels, start=start)
    denoiser = SimpleNamespace(
        time=lambda table: table, time_table=torch.zeros(len(betas), 1), factors=lambda a, c: (A, b)
    )
    model = SimpleNamespace(options=options, diffusion=diffusion, denoiser=denoiser)
    condition = torch.zeros(rows, len(b))
    return DMNS.generate(model, condition, condition if neighbours is None else neighbours)


@pytest.mark.parametrize("start", ["noise", "scaled"])
def test_the_chain_of_an_affine_denoiser_is_the_gaussian_of_the_recursion(start):
    torch.manual_seed(0)
    A, b = torch.tensor([0.6, 0.9, 0.3]), torch.tensor([0.2, -0.3, 0.0])
    betas, levels, x = linear_betas(20, 1e-3, 0.2), [2, 5, 15], torch.tensor([1.0, -2.0, 0.5])
    found = chain_of(A, b, betas, levels, 20_000, start, x.expand(20_000, -1))
    abar = torch.cumprod(1 - betas, 0)
    mean, variance = torch.zeros(3).double(), torch.ones(3).double()
    if start == "scaled":
        mean, variance = abar[-1].sqrt() * x.double(), (1 - abar[-1]) * variance
    for t in reversed(range(2, 20)):
        root = (1 - abar[t]).sqrt()
        mean = ((1 - betas[t] * A / root) * mean - betas[t] / root * b) / (1 - betas[t]).sqrt()
        variance = ((1 - betas[t] * A / root) / (1 - betas[t]).sqrt()) ** 2 * variance
        variance = variance + betas[t] * (1 - abar[t - 1]) / (1 - abar[t])
        if t in levels:
            state = found[levels.index(t)].double()
            assert torch.allclose(state.mean(0), mean, atol=0.04)
            assert torch.allclose(state.var(0), variance, rtol=0.05)


def test_with_one_neighbour_and_its_optimal_denoiser_the_chain_ends_in_it():
    betas, star = linear_betas(50, 1e-4, 0.02), torch.tensor([0.7, -1.3])
    diffusion = GaussianDiffusion(betas)
    model = SimpleNamespace(
        options=SimpleNamespace(steps=50, levels=lambda: [0], start="noise"),
        diffusion=diffusion,
        denoiser=SimpleNamespace(
            time=lambda table: table,
            time_table=torch.arange(50),
            # eps = (x - sqrt(abar) x*) / sqrt(1 - abar)
            factors=lambda t, c: (1 / diffusion.noise[t], -diffusion.signal[t] / diffusion.noise[t] * star),
        ),
    )
    torch.manual_seed(3)
    (end,) = DMNS.generate(model, torch.zeros(100, 2), torch.zeros(100, 2))
    assert torch.allclose(end, star.expand(100, 2), atol=1e-4)


def test_the_film_layers_make_an_affine_estimate(build):
    denoiser = build("DMNS", steps=10).model.denoiser
    torch.manual_seed(1)
    x, c, t = torch.randn(5, 16), torch.randn(5, 16), torch.tensor([0, 9, 3, 3, 7])
    hidden = F.silu(denoiser.time(denoiser.time_table[t]) + c)
    expected = x
    for layer in denoiser.film:
        scale, shift = layer(hidden)[:, :16], layer(hidden)[:, 16:]
        expected = (1 + scale) * expected + shift
    assert torch.allclose(denoiser(x, t, c), expected, atol=1e-5)


def test_the_loss_of_dmns_by_hand(build, monkeypatch):
    """u.v = 0.5, u.n = 0.2 and all generated ones equal to n: 1/2 [sp(-0.5) + sp(0.2) (1 + 3.4) / 5]."""
    model = build("DMNS", reg_weight=0.0).model
    u, v, n = torch.zeros(3, 16), torch.zeros(3, 16), torch.zeros(3, 16)
    u[:, 0], v[:, 0], n[:, 0] = 1.0, 0.5, 0.2
    monkeypatch.setattr(model.encoder, "of_batch", lambda users, items: (u, torch.stack([v, n])))
    # At unit mean square times the length of v, 0.5 / 4, the states are n.
    monkeypatch.setattr(model, "generate", lambda c, x: (n[: len(c)] / (0.5 / 4)).expand(4, -1, -1))
    batch = {model.USER_ID: torch.tensor([1, 2, 1]), model.ITEM_ID: torch.tensor([3, 4, 5])}
    ranking, _ = model.calculate_loss(batch)
    assert ranking.item() == pytest.approx(
        0.5 * (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(0.2)) * 4.4 / 5), rel=1e-5
    )


def test_a_user_of_a_batch_has_one_chain_and_its_own_condition(build, monkeypatch):
    built = build("DMNS", steps=10, level_divisors=[5], level_weights=[1.0])
    seen = []
    monkeypatch.setattr(
        built.model, "generate", lambda c, x: seen.append((c, x)) or torch.zeros(1, len(c), 16)
    )
    batch = {
        built.model.USER_ID: torch.tensor([7, 3, 7, 3, 9]),
        built.model.ITEM_ID: torch.tensor([1, 2, 3, 4, 5]),
    }
    built.model.calculate_loss(batch)
    ((c, x),) = seen
    U, V = built.model.vectors()
    assert torch.allclose(c, F.normalize(U[[3, 7, 9]]) * 4, atol=1e-5)
    assert torch.allclose(x, F.normalize(V[[2, 1, 5]]) * 4, atol=1e-5)


# AdvInfoNCE.


def contrast(share, factor=1.0):
    """Return the loss and the radius of the notes' row: tau 0.5, s 0.8 against 0.2 and -0.4."""
    model = SimpleNamespace(options=SimpleNamespace(temperature=0.5, negative_factor=factor))
    harder = torch.tensor([[math.log(share), math.log(1 - share)]], dtype=torch.float64)
    scores = torch.tensor([0.8]).double(), torch.tensor([[0.2, -0.4]]).double()
    return [float(value) for value in AdvInfoNCE.contrast(model, *scores, harder)]


def test_the_contrast_of_weighted_negatives_by_hand():
    assert contrast(0.5) == pytest.approx([0.33068, 0.0], abs=1e-5)
    assert contrast(0.9) == pytest.approx([0.44487, 0.36806], abs=1e-5)
    assert contrast(0.5, 64.0)[0] == pytest.approx(3.26126, abs=1e-5)
    assert contrast(0.9, 64.0)[0] == pytest.approx(3.60709, abs=1e-5)


def test_with_an_adversary_of_zeros_it_is_infonce(build):
    built = build("AdvInfoNCE", n_negatives=5, temperature=0.3, backbone="mf")
    model = built.model
    for table in model.adversary.values():
        torch.nn.init.zeros_(table)
    users, items = torch.tensor([1, 2, 1]), torch.tensor([3, 4, 5])
    negatives = torch.tensor([[7, 7, 8, 9, 1], [6, 5, 4, 3, 2], [9, 9, 9, 9, 9]])
    loss, radius = model._contrast(users, items, negatives)
    U, V = model.vectors()
    assert U[1:].norm(dim=1).tolist() == pytest.approx([1.0] * (len(U) - 1), abs=1e-5)
    scores = torch.einsum("bd,bnd->bn", U[users], V[torch.cat([items[:, None], negatives], 1)]) / 0.3
    assert loss.item() == pytest.approx(F.cross_entropy(scores, torch.zeros(3).long()).item(), rel=1e-5)
    assert radius.item() == pytest.approx(0.0, abs=1e-6)


def test_the_adversary_climbs_what_the_encoder_descends(build, monkeypatch):
    built = build("AdvInfoNCE", n_negatives=8, adversary_learning_rate=0.05)
    model = built.model
    drawn = model._drawn(built.batch())
    monkeypatch.setattr(model, "_drawn", lambda batch: drawn)
    start = model._contrast(*drawn)[0].item()
    loss = model.adversary_loss(None)
    loss.backward()
    assert all(weight.grad is None for weight in model.encoder.parameters())
    torch.optim.Adam(model.adversary.parameters(), lr=0.05).step()
    climbed = model._contrast(*drawn)[0].item()
    assert climbed > start + 1e-4
    model.zero_grad()
    model.calculate_loss(None)[0].backward()
    torch.optim.Adam(model.encoder.parameters(), lr=0.01).step()
    assert model._contrast(*drawn)[0].item() < climbed - 1e-3


@pytest.mark.parametrize(
    ("options", "due"),
    [
        ({}, [2, 7, 12, 17, 22, 27, 32]),
        ({"adversary_epochs": 2, "adversary_start": 3}, [7, 12]),
        ({"adversary_interval": 15, "adversary_epochs": 3}, [12, 27, 42]),
        ({"adversary_epochs": 0}, []),
    ],
)
def test_the_adversary_has_the_published_epochs(options, due):
    model = SimpleNamespace(options=Config("AdvInfoNCE", "ml-100k", overrides=options).options)
    assert [epoch for epoch in range(60) if AdvInfoNCE.adversary_due(model, epoch)] == due


CLIPPED = {"clip_grad_norm": {"max_norm": 0.01}, "learner": "sgd", "backbone": "mf", "adversary_interval": 3}


@pytest.fixture
def clipped(build, tmp_path):
    """A model with clipped gradients, and its trainer."""
    built = build("AdvInfoNCE", **CLIPPED, n_negatives=8, adversary_learning_rate=0.5)
    run_folder = RunFolder.create("AdvInfoNCE", "checkerboard", str(tmp_path), None)
    built.config["checkpoint_dir"] = str(run_folder.path)
    return built, trainer_for(built.config, built.model, run_folder)


def test_an_update_of_the_adversary_is_clipped_like_one_of_the_encoder(clipped):
    built, trainer = clipped
    before = {name: table.detach().clone() for name, table in built.model.adversary.items()}
    trainer._train_adversary([built.batch()])
    moved = sum((built.model.adversary[name] - one).square().sum() for name, one in before.items())
    assert moved.sqrt().item() == pytest.approx(0.5 * 0.01, rel=1e-3)


def test_the_length_that_clips_the_encoder_knows_nothing_of_the_adversary(clipped):
    """What its epoch leaves behind would count in the length, and would not after a resume."""
    built, trainer = clipped
    trainer._train_adversary(built.train)
    assert all(table.grad is None for table in built.model.adversary.values())


def test_pairs_by_user_count_users_alike_and_are_positives(build):
    model = build("AdvInfoNCE").model
    users = torch.arange(1, 51).repeat(400)
    drawn, items = model.drawn_pairs({model.USER_ID: users, model.ITEM_ID: users})
    assert model.positives.contains(drawn, items).all()
    counts = drawn.bincount(minlength=51)[1:]
    assert counts.min() > 320
    assert counts.max() < 480
    of_one = items[drawn == 5].bincount(minlength=51)
    assert (of_one > 0).sum() == 20


# InvCF.


def test_distance_correlation_by_hand():
    first, second, third = ([0.0, 0, 1, 1], [0.0, 1, 0, 1], [0.0, 1, 2])
    columns = [torch.tensor(one, dtype=torch.float64)[:, None] for one in (first, second, third)]
    assert distance_correlation(*columns[:2]).item() == pytest.approx(0.0, abs=1e-5)
    assert distance_correlation(columns[2], 3 * columns[2] + 1).item() == pytest.approx(1.0)
    tent = torch.tensor([[0.0], [1.0], [0.0]], dtype=torch.float64)
    assert distance_correlation(columns[2], tent).item() == pytest.approx(0.5623, abs=1e-4)
    alike = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
    still = distance_correlation(alike, columns[0])
    still.backward()
    assert still.item() == 0
    assert not alike.grad.isnan().any()


def plain_contrast(u, i, n, tau):
    """Return InfoNCE on cosines, one row after the other."""
    losses = []
    for row in range(len(u)):
        scores = F.cosine_similarity(u[row], torch.cat([i[row, None], n[row]]), dim=-1) / tau
        losses.append(scores.logsumexp(0) - scores[0])
    return torch.stack(losses).mean()


@pytest.fixture
def parts():
    """Return vectors of 4 users and 6 items of two kinds, and a batch of 5 pairs and 3 negatives."""
    generator = torch.Generator().manual_seed(5)
    kinds = [
        (torch.randn(4, 3, generator=generator), torch.randn(6, 3, generator=generator)) for _ in range(2)
    ]
    users, items = torch.tensor([0, 1, 2, 3, 1]), torch.tensor([0, 5, 2, 2, 1])
    negatives = torch.randint(6, (5, 3), generator=generator)
    return kinds, Batch(users, torch.cat([items, negatives.flatten()]), 5)


MODEL = SimpleNamespace(options=SimpleNamespace(temperature=0.4))
MODEL.contrast = lambda *given: InvCF.contrast(MODEL, *given)


def test_the_contrasts_of_invcf_equal_plain_loops(parts):
    (preference, popularity), batch = parts
    order = torch.tensor([2, 0, 1, 4, 3])
    (u, i), (w, j) = batch.rows(*preference), batch.rows(*popularity)
    n, m = preference[1][batch.negatives], popularity[1][batch.negatives]
    assert InvCF.contrast(MODEL, batch, preference).item() == pytest.approx(
        plain_contrast(u, i, n, 0.4).item()
    )
    expected = plain_contrast(torch.cat([w, u], 1), torch.cat([j, i], 1), torch.cat([m, n], 2), 0.4)
    again = plain_contrast(
        torch.cat([w[order], u], 1), torch.cat([j[order], i], 1), torch.cat([m, n], 2), 0.4
    )
    found = InvCF.joined(MODEL, batch, preference, popularity, order)
    assert found.item() == pytest.approx((expected + again).item(), rel=1e-5)
    same = InvCF.joined(MODEL, batch, preference, popularity, torch.arange(5))
    assert same.item() == pytest.approx(2 * expected.item(), rel=1e-5)
    # Popularity vectors of zeros leave the contrast of preference.
    zeros = tuple(torch.zeros_like(table) for table in popularity)
    empty = InvCF.joined(MODEL, batch, preference, zeros, order)
    assert empty.item() == pytest.approx(2 * plain_contrast(u, i, n, 0.4).item(), rel=1e-5)


def test_in_batch_negatives_are_the_positives_of_rows_with_other_items(parts):
    ((users, items), _), batch = parts
    batch.negatives = None
    found = InvCF.contrast(MODEL, batch, (users, items))
    u, i = batch.rows(users, items)
    losses = []
    for row in range(5):
        others = [k for k in range(5) if batch.items[k] != batch.items[row]]
        losses.append(plain_contrast(u[row, None], i[row, None], i[others][None], 0.4))
    assert found.item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


def test_popularity_vectors_are_those_of_a_class_and_do_not_rank(build):
    model = build("InvCF", backbone="mf").model.eval()
    counts = torch.from_numpy(model.interactions.getnnz(axis=0))
    _, items = model.popularity_vectors((torch.tensor([1]), torch.arange(1, model.n_items)))
    same = counts[1:, None] == counts[1:]
    assert torch.equal((items[:, None] == items).all(2), same)
    before = model.full_sort_predict({model.USER_ID: torch.tensor([1, 2])}).clone()
    model.train().eval()
    for table in model.popularity.values():
        torch.nn.init.normal_(table)
    assert torch.equal(model.full_sort_predict({model.USER_ID: torch.tensor([1, 2])}), before)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("DMNS", {"level_divisors": [10, 1]}, "it takes whole numbers from 2 to steps, which is 50"),
        ("DMNS", {"level_weights": [1.0]}, "a number above 0 for each of the 4 level_divisors"),
        ("DMNS", {"beta_min": 0.5}, "beta_min is 0.5 and beta_max 0.02"),
        ("InvCF", {"popularity_weight": 0.0, "joined_weight": 0.0}, "the popularity vectors are not trained"),
    ],
)
def test_options_that_contradict_each_other_are_refused(model, options, message):
    with pytest.raises(UsageError, match=message):
        Config(model, "ml-100k", overrides=options)
