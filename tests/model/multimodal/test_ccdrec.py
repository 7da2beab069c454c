"""CCDRec: the contract over each backbone and for each switch, and its equations against plain forms."""

import random

import pytest
import torch
from support.small import OPTIONS, with_features

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.multimodal.batch_softmax import batch_softmax
from recbole_diffusion.sampler.curriculum import score_thresholds
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.testing import Built, ModelContract

SMALL = {
    **OPTIONS,
    "steps": 8,
    "edge_dropout": 0.2,
    "feed_forward_size": 16,
    "curriculum_interval": 2,
    "curriculum_end": 8,
    "candidate_ratio": 0.5,
    "candidate_items": 4,
    "hardest": 3,
    "negative_weight": 0.5,
}


@pytest.fixture
def checkerboard(checkerboard):
    return with_features(checkerboard)


class TestCCDRec(ModelContract):
    model = "CCDRec"
    options = SMALL
    epochs = 10


class TestFusedOutput(ModelContract):
    model = "CCDRec"
    options = {**SMALL, "fusion": "output", "key_size": 4, "chain_noise": False}
    epochs = 10


class TestReleased(ModelContract):
    model = "CCDRec"
    options = {**SMALL, "gradient_path": "full", "diffused_scale": "raw", "identity_path": False}
    options |= {"diffusion_error": "mean"}
    options |= {"estimator": "attention", "outside_batch": "high_order", "noise_schedule": "linear"}
    options |= {"noise_min": 1e-4, "noise_max": 0.02, "modal_weight": 0.0, "diffused_ratio": 0.5}
    epochs = 10


class TestLattice(ModelContract):
    model = "CCDRec"
    options = {**SMALL, "backbone": "LATTICE"}
    epochs = 10


class TestMCDRec(ModelContract):
    model = "CCDRec"
    options = {**SMALL, "backbone": "MCDRec"}
    epochs = 10


class TestWithoutCurriculum(ModelContract):
    model = "CCDRec"
    options = {**SMALL, "curriculum": False}
    epochs = 10


class TestAligningAlone(ModelContract):
    model = "CCDRec"
    options = {**SMALL, "negative_sampler": "uniform"}
    epochs = 10


class TestOurs(ModelContract):
    model = "CCDRec"
    options = {
        **SMALL,
        "random_loss": "softmax",
        "softmax_items": 20,
        "curriculum_end": None,
        "cut_ratio": 0.05,
    }
    options |= {"draw_discount": 0.5, "score_share": 0.6, "generated_negatives": True}
    options |= {"negative_weight_decay": 0.9, "ema_decay": 0.8, "backbone": "LATTICE"}
    epochs = 10


class TestWithLinearTerm(ModelContract):
    model = "CCDRec"
    options = {**SMALL, "linear_term": "edlae", "linear_reg_weight": 5.0, "linear_dropout_prob": 0.2}
    epochs = 10


class TestDns(ModelContract):
    model = "CCDRec"
    options = {**SMALL, "aligning": False, "negative_sampler": "dns"}
    epochs = 10


class TestMixgcf(ModelContract):
    model = "CCDRec"
    options = {**SMALL, "aligning": False, "negative_sampler": "mixgcf", "backbone": "LATTICE"}
    epochs = 10


class TestRealhns(ModelContract):
    model = "CCDRec"
    options = {**SMALL, "aligning": False, "negative_sampler": "realhns"}
    epochs = 10


@pytest.fixture
def build(checkerboard):
    return lambda **more: Built("CCDRec", checkerboard.name, {**checkerboard.overrides, **SMALL, **more})


def test_realhns_as_published_is_uniform_in_the_warm_epochs_and_then_has_a_rising_threshold(build):
    given = {"aligning": False, "negative_sampler": "realhns", "realhns": "threshold", "warm_epochs": 1}
    built = build(**given, candidate_items=32)
    model, batch = built.model, built.batch()
    model.begin_epoch(0)
    assert model._threshold.limit is None
    limits = []
    for epoch in (1, 3):
        model.begin_epoch(epoch)
        limits.append(model._threshold.limit)
    assert limits[1] == pytest.approx(1.15 * limits[0])
    torch.manual_seed(1)
    second = model._second(batch[model.USER_ID], batch[model.ITEM_ID])
    model._threshold = model._threshold._replace(limit=-9.0)  # nothing is left: uniform, without choosing
    torch.manual_seed(1)
    uniform = model._second(batch[model.USER_ID], batch[model.ITEM_ID])
    assert not torch.equal(second, uniform)


@pytest.mark.parametrize("place", ["input", "output"])
def test_a_batch_whose_estimates_are_the_chain_s_end_has_the_vectors_of_scoring(build, place, monkeypatch):
    model = build(fusion=place, edge_dropout=0.0, diffused_ratio=0.3).model
    fusion, distinct = model.fusion, torch.tensor([3, 7, 20])
    end = fusion.states(model.backbone)[0].detach()
    monkeypatch.setattr(fusion, "end", end)
    monkeypatch.setattr(fusion.item_diffusion, "learn", lambda *_: (end[distinct], torch.zeros(())))
    monkeypatch.setattr(fusion, "states", lambda _: {0: end})
    some_users = torch.tensor([2, 5])
    batch = fusion.of_batch(model.backbone, distinct, some_users)
    users, items = fusion.of_all(model.backbone)
    assert torch.allclose(batch.users, users[some_users], atol=1e-6)
    assert torch.allclose(batch.items, items[distinct], atol=1e-6)


def test_chain_is_the_posterior_step_by_step(build):
    model = build(chain_noise=False).model
    aligning, d = model.fusion.item_diffusion, model.fusion.item_diffusion.diffusion
    states = model.fusion.states(model.backbone)
    assert sorted(states) == [0, 2, 4, 6]
    table = model.backbone.ego_items().detach()
    scale = table[1:].square().mean().sqrt()
    noise = torch.randn(table.shape, generator=torch.Generator().manual_seed(0))
    conditions = model.backbone.projections.project_all()
    betas = model.options.betas()
    abar = torch.cumprod(1 - betas, 0).float()
    x = abar[-1].sqrt() * table / scale + (1 - abar[-1]).sqrt() * noise
    for step in reversed(range(8)):
        x0 = aligning.estimator(
            x, torch.full((len(x),), step), aligning.estimator.prepare(conditions)
        ).detach()
        x0 = x0 + abar[step].sqrt() * x
        before = abar[step - 1] if step else torch.tensor(1.0)
        beta = betas[step].float()
        x = (beta * before.sqrt() * x0 + (1 - beta).sqrt() * (1 - before) * x) / (1 - abar[step])
        if step in states:
            assert torch.allclose(states[step], x * scale, atol=1e-4)
    assert d.steps == 8


def test_item_vectors_are_fused_with_the_end_of_the_chain(build):
    for place in ("output", "input"):
        model = build(fusion=place, diffused_ratio=0.3).model.eval()
        backbone = model.backbone
        with torch.no_grad():
            fused = 0.7 * backbone.high_order() + 0.3 * model.fusion.states(backbone)[0]
            users, propagated = backbone.encoder.pooled(
                backbone.encoder.layers(fused if place == "input" else None)
            )
            U, V = model.vectors()
            expected = propagated + (fused if place == "output" else backbone.high_order())
        assert torch.allclose(U, users, atol=1e-6)
        assert torch.allclose(V, expected, atol=1e-6)


def test_samplers_by_score_see_the_vectors_that_are_scored(build):
    for place in ("output", "input"):
        model = build(fusion=place, negative_sampler="dns").model.eval()
        with torch.no_grad():
            model.begin_epoch(0)
            U, tables = model._tables()
            users, items = model.vectors()
        assert torch.allclose(U, users, atol=1e-6)
        assert torch.allclose(torch.stack(tables).mean(0), items, atol=1e-6)


def test_loss_is_eq_9(build, monkeypatch):
    built = build(negative_sampler="uniform", negative_weight=0.7, diffusion_weight=2.0, modal_weight=0.5)
    model = built.model.train()
    model.begin_epoch(0)
    batch = built.batch()
    users, items = batch[model.USER_ID], batch[model.ITEM_ID]
    seen = {}
    original = model.fusion.of_batch
    monkeypatch.setattr(
        model.fusion,
        "of_batch",
        lambda *one: seen.update(ids=one[1], users=one[2], made=original(*one)) or seen["made"],
    )
    drawn = iter([items.roll(1), items.roll(2)])
    for module in ("model.multimodal.ccdrec", "sampler.choose"):
        monkeypatch.setattr(f"recbole_diffusion.{module}.uniform_negatives", lambda *_, **__: next(drawn))
    parts = dict(zip(model.loss_names, model.calculate_loss(batch), strict=True))
    U, V, modal, diffusion = seen["made"]
    place = {int(item): row for row, item in enumerate(seen["ids"])}
    of_user = torch.searchsorted(seen["users"], users)

    def pair(vectors, negatives):
        rows = [torch.tensor([place[int(item)] for item in ids]) for ids in (items, negatives)]
        differences = (U[of_user] * (vectors[rows[0]] - vectors[rows[1]])).sum(1)
        return -torch.log(torch.sigmoid(differences)).mean().item()

    assert parts["random"].item() == pytest.approx(0.3 * pair(V, items.roll(1)), rel=1e-4)
    assert parts["hard"].item() == pytest.approx(0.7 * pair(V, items.roll(2)), rel=1e-4)
    assert parts["modal"].item() == pytest.approx(
        0.5 * sum(pair(modal[:, m], items.roll(1)) for m in (0, 1)), rel=1e-4
    )
    assert parts["diffusion"].item() == pytest.approx(2 * diffusion.item())


def test_softmax_is_the_cross_entropy_of_the_item_against_the_batch(build):
    positives = InteractionCSR(torch.tensor([0, 0, 2, 3]), torch.tensor([1, 3, 2]), 6)
    users, items = torch.tensor([1, 1, 2]), torch.tensor([[1, 3, 2], [4, 2, 4]])
    draw = torch.Generator().manual_seed(0)
    table, u = torch.randn(6, 3, generator=draw), torch.randn(3, 3, generator=draw)
    found = batch_softmax(users, u, items, table[items], positives, temperature=0.5, number=9)
    cosines = torch.nn.functional.cosine_similarity(u[:, None], table[None], dim=2) / 0.5
    # The batch has 1, 2, 3, 4; user 1 has 1 and 3, user 2 has 2.
    held = [[1, 2, 4], [3, 2, 4], [2, 1, 3, 4]]
    expected = [-cosines[row, ids].log_softmax(0)[0] for row, ids in enumerate(held)]
    assert found.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-5)
    one = {
        batch_softmax(users, u, items, table[items], positives, temperature=0.5, number=1).item()
        for _ in range(20)
    }
    assert len(one) > 1  # of the four another one each time


def test_softmax_takes_the_place_of_the_random_pairs(build, monkeypatch):
    built = build(random_loss="softmax", negative_weight=0.7, softmax_items=7, softmax_temperature=0.3)
    built.model.begin_epoch(0)
    given, table = {}, torch.randn(9, 16)
    monkeypatch.setattr(
        "recbole_diffusion.model.multimodal.ccdrec.batch_softmax",
        lambda *_, **named: given.update(named) or torch.tensor(2.0),
    )
    batch = built.batch()
    rows = torch.arange(len(batch[built.model.USER_ID])) % 3
    v = table.view(3, 3, 16)[:, rows]  # of p, r and c, for users with the vectors of c
    monkeypatch.setattr(
        built.model, "_batch", lambda *_: (v[2], v, table.new_zeros(2, len(rows), 2, 16), None)
    )
    parts = dict(zip(built.model.loss_names[:-1], built.model.calculate_loss(batch), strict=True))
    assert parts["random"].item() == pytest.approx(0.3 * 2)
    assert given == {"temperature": 0.3, "number": 7}
    # The hard pair by cosines over tau: c is the user's own vector, of cosine 1.
    margin = (torch.nn.functional.cosine_similarity(v[2], v[0], dim=1) - 1) / 0.3
    expected = -0.7 * torch.nn.functional.logsigmoid(margin).mean().item()
    assert parts["hard"].item() == pytest.approx(expected, rel=1e-5)


def test_scores_are_by_the_average_and_training_by_the_weights(build):
    built = build(ema_decay=0.3, aligning=False, negative_sampler="uniform")
    model, batch = built.model.train(), built.batch()
    first = model.backbone.encoder.items.detach().clone()
    seen = []
    for step in range(3):
        model.calculate_loss(batch)
        with torch.no_grad():
            model.backbone.encoder.items += step + 1
            seen.append(model.backbone.encoder.items.clone())
        model.after_step()
    # Updates 1 to 3 keep 2 / 11, 3 / 12 and 4 / 13 of the average, below the decay 0.3 but for the last.
    average = first
    for keep, weights in zip((2 / 11, 3 / 12, 0.3), seen, strict=True):
        average = keep * average + (1 - keep) * weights
    plain = build(aligning=False, negative_sampler="uniform").model.eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("average")})
    plain.backbone.encoder.items.data = average
    own = model.backbone.encoder.items.detach().clone()
    for one, other in zip(model.eval().vectors(), plain.vectors(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert torch.equal(model.backbone.encoder.items, own)


def test_omega_decays_and_denoised_vectors_stand_in_the_place_of_the_graph_s(build):
    built = build(generated_negatives=True, negative_weight=0.8, negative_weight_decay=0.5, curriculum_end=6)
    model, batch = built.model.eval(), built.batch()
    second = model._second
    for epoch, pool in ((0, "chain"), (7, "final")):
        model.begin_epoch(epoch)
        assert model._omega == pytest.approx(0.8 * 0.5**epoch)
        states = model.fusion.states(model.backbone)
        expected = model.vectors()[1] if pool == "final" else model.backbone.high_order() + states[6]
        assert torch.allclose(model._generated, expected, atol=1e-6)
        drawn = second(batch[model.USER_ID], batch[model.ITEM_ID])
        assert (drawn[:, None] == model._generated).all(2).any(1).all()  # rows of the table


def test_the_linear_term_is_added_by_deviations(build):
    plain, summed = (
        build(linear_term=term, linear_weight=0.7, linear_reg_weight=4.0).model for term in ("none", "ease")
    )
    summed.load_state_dict(plain.state_dict())
    asked = {plain.USER_ID: torch.arange(1, 9)}
    s = plain.eval().full_sort_predict(asked)[:, 1:]
    X = torch.from_numpy(plain.backbone.interactions.toarray()).double()
    P = torch.linalg.inv(X.T @ X + 4.0 * torch.eye(X.shape[1], dtype=torch.float64))
    B = (-P / P.diagonal()).fill_diagonal_(0)
    linear = (X[1:9] @ B)[:, 1:].float()
    expected = s / s.std(1, correction=0, keepdim=True)
    expected = expected + 0.7 * linear / linear.std(1, correction=0, keepdim=True)
    assert torch.allclose(summed.eval().full_sort_predict(asked)[:, 1:], expected, atol=1e-4)


def test_a_pruned_linear_term_is_a_sparse_part_of_the_vectors(build):
    model = build(linear_term="ease", linear_reg_weight=4.0, linear_k=5).model.eval()
    users = torch.arange(1, 9)
    found = model.hybrid_products()
    dense, sparse = found.users(users)
    assert 0 < found.sparse_items.getnnz(axis=1).max() <= 5
    scores = dense @ found.items.T + torch.from_numpy((sparse @ found.sparse_items.T).toarray())
    assert torch.allclose(scores[:, 1:], model.full_sort_predict({model.USER_ID: users})[:, 1:], atol=1e-5)


def test_second_negatives_are_within_the_user_s_top_share(build):
    built = build(score_share=0.5, candidate_ratio=1.0, top_ratio=1.0)
    model, batch = built.model.eval(), built.batch()
    model.begin_epoch(0)
    users, items = model.vectors()
    assert torch.allclose(model._admitting[2], score_thresholds(users, items, 0.5, sample=50))
    of_batch = batch[model.USER_ID]
    drawn = model._second(of_batch, batch[model.ITEM_ID])
    scores = (users[of_batch] * items[drawn]).sum(1)
    assert (scores >= model._admitting[2][of_batch] - 1e-6).float().mean() > 0.99


def test_pool_follows_the_curriculum_with_one_chain_an_epoch(build, monkeypatch):
    model = build(curriculum_interval=2, curriculum_end=7).model.eval()
    chains = []
    chain = model.fusion.item_diffusion.chain
    monkeypatch.setattr(model.fusion.item_diffusion, "chain", lambda *one: chains.append(1) or chain(*one))
    pools = []
    monkeypatch.setattr(
        "recbole_diffusion.model.multimodal.ccdrec.nearest_candidates",
        lambda pool, **_: pools.append(pool) or torch.ones(51, 3).long(),
    )
    states = model.fusion.states(model.backbone)
    model.eval()
    for epoch in range(9):
        model.begin_epoch(epoch)
        model.train()
        model.eval()
        model.full_sort_predict(
            {model.USER_ID: torch.tensor([1])}
        )  # the evaluation runs the chain that the next epoch uses
    expected = [states[step] for step in (6, 6, 4, 4, 2, 2, 0, 0)] + [model.vectors()[1]]
    assert all(torch.allclose(one, other) for one, other in zip(pools, expected, strict=True))
    assert len(chains) == 1 + 9 + 1


def test_features_in_the_wrong_rows_are_noticed(write_parts, tmp_path):
    """Users with one training item each, of their parity: features give the rest, unless tokens are wrong."""
    draw, parts = random.Random(3), {"train": [], "valid": [], "test": []}
    for user in range(50):
        items = draw.sample(range(user % 2, 50, 2), 12)
        for part, chosen in zip(parts, (items[:1], items[1:3], items[3:]), strict=True):
            parts[part] += [(f"u{user}", f"i{item}") for item in chosen]
    data = with_features(write_parts("sparse", **parts))
    contract = ModelContract()
    contract.model = "CCDRec"
    contract.options = {
        **SMALL,
        "n_layers": 1,
        "train_batch_size": 32,
        "fusion": "output",
        "diffused_ratio": 0.1,
        "edge_dropout": 0.0,
    }
    contract.options |= {"negative_sampler": "uniform", "knn_k": 12}
    right = contract.trained(data, tmp_path / "right", epochs=10, stopping_step=10)[2]
    for name in OPTIONS["modalities"]:
        file = data.folder / f"sparse.{name}.tokens"
        items = file.read_text().split()
        file.write_text("".join(f"{item}\n" for item in draw.sample(items, len(items))))
    wrong = contract.trained(data, tmp_path / "wrong", epochs=10, stopping_step=10)[2]
    assert right["recall@10"] > wrong["recall@10"] + 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"curriculum_end": 5}, "tau_end.* is 5, before the hardest pool is reached in epoch 6"),
        ({"aligning": False}, "draws from the diffusion"),
        ({"aligning": False, "negative_sampler": "dns", "backbone": "MCDRec"}, "is MCDRec itself"),
        ({"steps": 3}, "need 4 steps"),
        ({"cut_ratio": 0.6, "top_ratio": 0.5}, "more than all candidates"),
        ({"negative_sampler": "realhns", "hardest": 5}, "realhns takes M of N"),
        ({"noise_min": 0.5, "noise_max": 0.1}, "noise_min must not be larger"),
        ({"backbone": "LightGCN"}, "backbone"),
        ({"modalities": []}, "modalities"),
        ({"modality_weights": [0.5, 0.6]}, "modality_weights"),
    ],
)
def test_contradicting_options_are_refused(build, options, message):
    with pytest.raises(UsageError, match=message):
        build(**options)
