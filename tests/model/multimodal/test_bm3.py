"""BM3 alone and under MCDRec and CCDRec, MCDRec's U-Net, and feature matrices that are trained."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.small import OPTIONS, with_features

from recbole_diffusion.config import Config
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.multimodal.mcdrec import MCDRec, MCDRecOverBM3, MCDRecOverFREEDOM
from recbole_diffusion.model.multimodal.unet import UNetEstimator
from recbole_diffusion.quick_start import run
from recbole_diffusion.serving.scoring import check_takes_histories
from recbole_diffusion.testing import Built, ModelContract

ALONE = {
    name: OPTIONS[name] for name in ("modalities", "embedding_size", "train_batch_size", "learning_rate")
}
SMALL = {**OPTIONS, "steps": 6, "curriculum_interval": 2, "curriculum_end": 8, "candidate_ratio": 0.5}
# MCDRec's released code, but for width, batch and step size.
RELEASED = {"backbone": "BM3", "estimator": "unet", "graph_input": "perceptron", "diffused_scale": "raw"}
RELEASED |= {"identity_path": False, "gradient_path": "full", "noise_schedule": "linear", "noise_min": 1e-4}
RELEASED |= {"noise_max": 0.02, "edge_dropout": 0.1, "graph_temperature": 0.3, "n_layers": 1}
OF_MCDREC = {**OPTIONS, "steps": 6, **RELEASED}


@pytest.fixture
def checkerboard(checkerboard):
    return with_features(checkerboard)


class TestBM3(ModelContract):
    model = "BM3"
    options = ALONE
    epochs = 10


class TestMCDRecOverBM3(ModelContract):
    model = "MCDRec"
    options = {**OF_MCDREC, "estimator": "perceptron", "graph_input": "fused", "diffused_ratio": 0.3}
    epochs = 12


class TestMCDRecReleased(ModelContract):
    model = "MCDRec"
    options = {**OF_MCDREC, "steps": 3, "train_batch_size": 1024}  # images of 4 x 4
    epochs = 3

    def test_learns_the_checkerboard(self, learned):
        """Its loss falls. No negatives: of 50 users and items the perceptron makes one direction."""
        _, trainer, _ = learned
        first, last = (trainer.records[k]["loss"]["total"] for k in (0, -1))
        assert last < first


class TestCCDRecOverBM3(ModelContract):
    model = "CCDRec"
    options = {**SMALL, "backbone": "BM3", "feed_forward_size": 16, "train_features": True}
    epochs = 10


@pytest.fixture
def built(checkerboard):
    return lambda model, **more: Built(model, checkerboard.name, {**checkerboard.overrides, **more})


# BM3's losses


@pytest.fixture
def plain(built):
    """BM3 in float64 with phi the identity and no dropout."""
    model = built("BM3", **ALONE, dropout_prob=0.0, cl_weight=2.0).model.double()
    model.predictor.weight.data = torch.eye(16, dtype=torch.float64)
    model.predictor.bias.data.zero_()
    return model


def rows(*values):
    """Return rows of width 16 that begin with the given numbers."""
    return F.pad(torch.tensor(values, dtype=torch.float64), (0, 16 - len(values[0])))


@pytest.mark.parametrize(("other", "expected"), [((2.0, 0.0), 0), ((-1.0, 0.0), 2), ((0.0, 3.0), 1)])
def test_each_distance_is_one_minus_the_cosine(plain, other, expected):
    u, v = rows((1.0, 0.0)), rows(other)
    parts = plain.bootstrapped(u, v, torch.stack([v, u], 1), v)
    assert float(parts["graph"].detach()) == pytest.approx(2 * expected)
    # The first modality is v itself, the second u; both are themselves.
    assert float(parts["modal"].detach()) == pytest.approx(2 * expected)


def test_the_penalty_is_of_whole_tables_not_squared_by_the_number_of_items(plain):
    plain.options.__dict__["reg_weight"] = 1.0
    found = plain._penalty(torch.ones(2, 2), torch.ones(3, 2))["penalty"]
    assert float(found) == pytest.approx((2 + math.sqrt(6)) / (plain.n_items - 1))


def test_targets_have_no_gradient(plain):
    plain.predictor.weight.data.zero_()
    plain.predictor.bias.data.fill_(1.0)
    u, v, modal = (torch.randn(4, *shape, 16, dtype=torch.float64) for shape in ((), (), (2,)))
    for one in (u, v, modal):
        one.requires_grad_()
    torch.stack(list(plain.bootstrapped(u, v, modal, v).values())).sum().backward()
    assert [float(one.grad.abs().sum()) for one in (u, v, modal)] == [0, 0, 0]
    assert float(plain.predictor.bias.grad.abs().sum()) > 0


def test_the_loss_and_the_scores_are_those_of_dense_matrices(built):
    one = built("BM3", **ALONE, dropout_prob=0.0, reg_weight=0.3, cl_weight=1.5, n_layers=2)
    model = one.model
    R = torch.from_numpy(model.interactions.toarray())
    graph = R / (R.sum(1, keepdim=True) * R.sum(0)).clamp_min(1e-9).sqrt()
    layers = [(model.encoder.users, model.encoder.items)]
    for _ in range(2):
        layers.append((graph @ layers[-1][1], graph.T @ layers[-1][0]))
    U, V = (sum(tables) / 3 for tables in zip(*layers, strict=True))
    V = V + model.encoder.items
    users, items, phi = torch.tensor([1, 2, 2]), torch.tensor([4, 9, 4]), model.predictor
    distance = lambda a, b: 1 - F.cosine_similarity(phi(a), b, dim=1).mean()  # noqa: E731
    u, v, aligned = U[users], V[items], 0.0
    for modality, projection in zip(one.dataset.modalities.values(), model.projections, strict=True):
        features = torch.from_numpy(modality.values[modality.rows].astype(np.float32))[items - 1]
        h = projection.linear(features)
        aligned += distance(h, v) + distance(h, h)
    expected = distance(u, v) + distance(v, u), 1.5 * aligned, 0.3 * (U.norm() + V.norm()) / 50
    found = model.calculate_loss({model.USER_ID: users, model.ITEM_ID: items})
    assert [float(x.detach()) for x in found] == pytest.approx(
        [float(x.detach()) for x in expected], rel=1e-5
    )
    scores = model.eval().full_sort_predict(one.users([1, 2]))
    assert torch.allclose(scores[:, 1:], (phi(U) @ phi(V).T)[1:3, 1:], atol=1e-6)


def test_the_mean_cosine_of_items_is_told(plain):
    items = F.pad(torch.eye(2, dtype=torch.float64).repeat(25, 1), (0, 14))
    plain.vectors = lambda: (items, torch.cat([items[:1], items]))
    # Of 50 * 49 ordered pairs, 2 * 25 * 24 are equal and the others orthogonal.
    assert plain.epoch_diagnostics()["item_cosine"] == pytest.approx(1200 / 2450)


# MCDRec over BM3


def test_the_option_chooses_the_backbone_and_a_copy_keeps_it(built):
    over = built("MCDRec", **OF_MCDREC).model
    assert type(over) is MCDRecOverBM3
    assert type(built("MCDRec", **OPTIONS).model) is MCDRecOverFREEDOM
    assert type(copy.deepcopy(over)) is MCDRecOverBM3
    assert isinstance(over, MCDRec)
    assert over.loss_names == ("graph", "modal", "penalty", "diffusion")
    assert not hasattr(over, "item_graph")


def test_without_diffused_vectors_mcdrec_scores_as_bm3(built):
    """mu = 0, and the first layer of the graph's perceptron passes the fused vectors on, as all others do."""
    options = {**OF_MCDREC, "diffused_ratio": 0.0, "edge_dropout": 0.0, "graph_temperature": 0.0}
    over, bm3 = built("MCDRec", **options).model, built("BM3", **ALONE, n_layers=1).model
    network = over.fusion.network
    for number, layer in enumerate(one for one in network if isinstance(one, torch.nn.Linear)):
        layer.weight.data = torch.eye(*layer.weight.shape)
        layer.bias.data.fill_(5.0 if number == 0 else 0.0)  # so that ReLU cuts nothing
    network[-1].bias.data.fill_(-5.0)
    # What the padding of the first layer to 32 numbers brings is cut off by the second.
    state = {name: value for name, value in over.state_dict().items() if not name.startswith("fusion")}
    bm3.load_state_dict(state)
    for one, other in zip(over.eval().vectors(), bm3.eval().vectors(), strict=True):
        assert torch.allclose(one[1:], other[1:], atol=1e-5)


def test_a_batch_whose_estimates_are_the_chain_s_end_has_the_vectors_of_scoring(built, monkeypatch):
    options = {**OF_MCDREC, "edge_dropout": 0.0, "graph_temperature": 0.0}
    model = built("MCDRec", **options).model.eval()  # no dropout in the perceptron
    model.begin_epoch(0)
    fusion, distinct, users = model.fusion, torch.tensor([3, 7, 20]), torch.tensor([2, 5])
    monkeypatch.setattr(fusion.item_diffusion, "learn", lambda *_: (fusion.end[distinct], torch.zeros(())))
    batch = fusion.of_batch(model, distinct, users)
    U, V = model.vectors()
    assert torch.allclose(model.scored(batch.users), U[users], atol=1e-6)
    assert torch.allclose(model.scored(batch.items), V[distinct], atol=1e-6)
    # The features of the batch have their gradient through the perceptron.
    gradient = torch.autograd.grad(batch.users.sum(), model.projections[0].linear.weight)[0]
    assert float(gradient.abs().sum()) > 0


def test_modal_losses_of_mcdrec_align_with_the_free_vectors(built):
    model = built("MCDRec", **OF_MCDREC, dropout_prob=0.0, cl_weight=1.0).model
    u, v, items = torch.randn(3, 16), torch.randn(3, 16), torch.tensor([4, 9, 4])
    modal = torch.randn(1, 3, 2, 16)
    found = float(model.other_losses(u, items, items, items, modal, v)["modal"])
    e, phi = model.encoder.items[items], model.predictor
    terms = [
        2 - F.cosine_similarity(phi(h), e).mean() - F.cosine_similarity(phi(h), h).mean()
        for h in modal[0].unbind(1)
    ]
    assert found == pytest.approx(float(sum(terms).detach()), rel=1e-5)


def test_an_estimator_that_gives_the_vectors_back_has_no_loss_and_its_chain_ends_in_them(built, monkeypatch):
    model = built("MCDRec", **OF_MCDREC).model
    diffusion, e = model.fusion.item_diffusion, model.encoder.items
    some = torch.tensor([3, 7])
    monkeypatch.setattr(diffusion, "estimate", lambda *_: e[some])
    assert float(diffusion.learn(e[some], torch.zeros(2, 2, 16), torch.ones(()), True)[1].detach()) == 0
    monkeypatch.setattr(diffusion, "estimate", lambda *_: e)
    assert torch.equal(model.fusion.states(model)[0], e)


def test_an_interaction_of_opposite_vectors_vanishes(built):
    model = built("MCDRec", **{**OF_MCDREC, "edge_dropout": 0.0, "graph_temperature": 1.0}).model
    user, item = (int(one[0]) for one in model.interactions.nonzero())
    guides = torch.randn(model.n_items, 16)
    guides[item] = -3 * model.encoder.users[user].detach()
    model.set_diffused_items(guides)
    assert float(model._edge_weights()[0]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("size", [16, 64])
def test_the_unet_reads_every_pixel_every_modality_and_the_step(size):
    torch.manual_seed(1)
    unet = UNetEstimator(size, 5, 2).eval()
    x, conditions, t = torch.randn(3, size), torch.randn(3, 2, size), torch.tensor([0, 2, 4])
    estimate = unet(x, t, unet.prepare(conditions))
    assert estimate.shape == (3, size)
    # Rows are independent, and some of them are those rows.
    some = torch.tensor([2, 0])
    chosen = unet(x[some], t[some], unet.chosen(unet.prepare(conditions), some))
    assert torch.allclose(chosen, estimate[some], atol=1e-6)
    assert not torch.allclose(unet(x, t.flip(0), unet.prepare(conditions)), estimate, atol=1e-4)
    x.requires_grad_()
    conditions.requires_grad_()
    unet(x, t, unet.prepare(conditions))[:, 0].square().sum().backward()
    assert bool((x.grad != 0).all())
    assert bool((conditions.grad != 0).all())


def test_the_unet_is_about_as_costly_as_the_published_one():
    """1.4 million multiplications and additions an item, sides 8, 4, 2 and 1."""
    unet, seen = UNetEstimator(64, 5, 2), []

    def counted(layer, _, output):
        seen.append(output[0].numel() * layer.weight[0].numel())

    for layer in unet.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(counted)
    unet(torch.randn(1, 64), torch.tensor([0]), unet.prepare(torch.randn(1, 2, 64)))
    assert 1.0e6 < sum(seen) < 1.8e6
    assert len(unet.smaller) == len(unet.larger) == 3


def test_a_chain_at_the_start_of_an_epoch_has_no_dropout(built):
    model = built("MCDRec", **OF_MCDREC).model
    model.train()
    model.begin_epoch(0)
    first = model.fusion.end
    assert model.fusion.item_diffusion.estimator.training
    model.train()
    model.begin_epoch(0)
    assert torch.equal(model.fusion.end, first)


def test_widths_that_are_no_image_are_refused(built):
    with pytest.raises(UsageError, match="takes 16, 64, 256 or 1024"):
        built("MCDRec", **{**OF_MCDREC, "embedding_size": 32})


# CCDRec over BM3


def test_ccdrec_over_bm3_learns_from_pairs_as_they_are_scored_and_from_bm3_s_losses(built, monkeypatch):
    options = {
        **SMALL,
        "backbone": "BM3",
        "aligning": False,
        "negative_sampler": "uniform",
        "negative_weight": 0.25,
    }
    one = built("CCDRec", **options, dropout_prob=0.0, cl_weight=1.0, reg_weight=0.2)
    model, backbone = one.model, one.model.backbone
    drawn = iter([torch.tensor([20, 21, 22]), torch.tensor([30, 31, 32])])
    monkeypatch.setattr(
        "recbole_diffusion.model.multimodal.ccdrec.uniform_negatives", lambda *_: torch.tensor([20, 21, 22])
    )
    monkeypatch.setattr(model, "_second", lambda *_: torch.tensor([30, 31, 32]))
    users, items = torch.tensor([1, 2, 5]), torch.tensor([4, 9, 11])
    found = dict(
        zip(model.loss_names, model.calculate_loss({model.USER_ID: users, model.ITEM_ID: items}), strict=True)
    )
    U, V = model.vectors()
    for name, weight in (("random", 0.75), ("hard", 0.25)):
        negatives = next(drawn)
        gaps = (U[users] * (V[items] - V[negatives])).sum(1)
        assert float(found[name].detach()) == pytest.approx(
            -weight * float(F.logsigmoid(gaps).mean().detach()), rel=1e-5
        )
    u, v = backbone.unscored_from(backbone.high_order())
    modal = backbone.modal_items(items)
    expected = backbone.bootstrapped(u[users], v[items], modal, v[items])
    assert float(found["graph"].detach()) == pytest.approx(float(expected["graph"].detach()), rel=1e-5)
    penalty = 0.2 * (backbone.encoder.users.norm() + backbone.encoder.items.norm()) / 50
    assert float(found["penalty"].detach()) == pytest.approx(float(penalty.detach()), rel=1e-5)


def test_candidates_of_mixgcf_over_bm3_have_the_scores_of_the_model(built):
    model = built("CCDRec", **SMALL, backbone="BM3", aligning=False, negative_sampler="mixgcf").model
    users = torch.tensor([1, 2])
    found, (U, V) = model._candidate_vectors(users), model.vectors()
    assert torch.allclose(found.users, U[users], atol=1e-6)
    assert torch.allclose(found.items, V, atol=1e-6)


# Trained features


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("FREEDOM", {**OPTIONS, "edge_dropout": 0.0}),
        ("LATTICE", OPTIONS),
        ("BM3", ALONE),
        ("MCDRec", {**OPTIONS, "graph_temperature": 0.0}),
        ("CCDRec", {**SMALL, "gradient_path": "full"}),
    ],
)
def test_trained_features_begin_as_the_features_and_move(built, model, options):
    frozen, one = (built(model, **options, train_features=trained) for trained in (False, True))
    assert not [name for name, _ in frozen.model.named_parameters() if "table" in name]
    tables = {name: value for name, value in one.model.named_parameters() if "table" in name}
    assert len(tables) == 2
    for table, modality in zip(tables.values(), one.dataset.modalities.values(), strict=True):
        assert torch.equal(table.detach()[1:], torch.from_numpy(modality.values[modality.rows]))
    losses = []
    for each in (frozen, one):
        torch.manual_seed(3)
        losses.append(each.loss())
    assert float(losses[1].detach()) == pytest.approx(float(losses[0].detach()), rel=1e-5)
    losses[1].backward()
    for table in tables.values():
        assert float(table.grad.abs().sum()) > 0
        assert float(table.grad[0].abs().sum()) == 0  # the padding item
    assert set(tables) <= set(one.model.state_dict())


def test_what_trained_features_take_is_told_in_one_line(built, caplog):
    with caplog.at_level("INFO"):
        built("BM3", **ALONE, train_features=True)
    # 51 rows of 12 and of 7 numbers.
    assert [line for line in caplog.messages if "train_features" in line] == [
        "train_features: 969 numbers of features are trained, 0 MB with gradients and Adam's means"
    ]


def test_trained_features_score_after_a_resume_as_without_a_stop(checkerboard, tmp_path):
    common = {**checkerboard.overrides, **ALONE, "train_features": True, "eval_step": 1}
    straight = run(
        "BM3", checkerboard.name, overrides={**common, "epochs": 2, "run_dir": str(tmp_path / "a")}
    )
    run("BM3", checkerboard.name, overrides={**common, "epochs": 1, "run_dir": str(tmp_path / "b")})
    resumed = run(resume=tmp_path / "b", overrides={"epochs": 2})
    assert resumed["test"] == straight["test"]
    a, b = (
        torch.load(tmp_path / folder / "best.pt", weights_only=True)["state_dict"]["projections.0.table"]
        for folder in "ab"
    )
    assert torch.equal(a, b)
    modality = next(iter(Built("BM3", checkerboard.name, common).dataset.modalities.values()))
    assert not torch.allclose(a[1:], torch.from_numpy(modality.values[modality.rows]))


PERCEPTRON = {"estimator": "perceptron", "graph_input": "fused"}


@pytest.mark.parametrize(
    ("model", "options"),
    [("MCDRec", {**OF_MCDREC, **PERCEPTRON}), ("CCDRec", {**SMALL, "backbone": "BM3"})],
)
def test_vectors_of_one_number_are_refused_where_they_are_diffused(checkerboard, model, options):
    given = {**checkerboard.overrides, **options, "embedding_size": 1}
    with pytest.raises(UsageError, match="embedding_size is 1; vectors that are diffused take 2 numbers"):
        Config(model, checkerboard.name, [], given)


def test_a_last_batch_of_one_item_goes_through_the_unet_and_smaller_images_are_refused(checkerboard):
    torch.manual_seed(1)
    unet = UNetEstimator(16, 5, 2).train()
    found = unet(torch.randn(1, 16), torch.tensor([3]), unet.prepare(torch.randn(1, 2, 16)))
    assert bool(found.isfinite().all())
    given = {**checkerboard.overrides, **OF_MCDREC, "embedding_size": 4}
    with pytest.raises(UsageError, match="no image of 4, 8, 16"):
        Config("MCDRec", checkerboard.name, [], given)


def test_messages_name_the_model_and_not_the_class_of_its_backbone(built):
    for backbone in ("BM3", "FREEDOM"):
        model = built("MCDRec", **{**OF_MCDREC, **PERCEPTRON, "backbone": backbone}).model
        with pytest.raises(UsageError, match=r"^MCDRec as trained here"):
            check_takes_histories(model)
