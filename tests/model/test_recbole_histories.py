"""FISM, NAIS, SimpleX: scores by what is summed over a history once are RecBole's."""

import pytest
import torch

from recbole_diffusion.compat import Interaction
from recbole_diffusion.model import recbole_histories
from tests.support.recbole_pairs import all_pairs, built, recboles, write_graph

USERS = torch.tensor([5, 1, 14, 5, 9])
KINDS = [
    ("FISM", {"alpha": 0.4}),
    ("NAIS", {"algorithm": "prod", "beta": 0.3}),
    ("NAIS", {"algorithm": "concat", "weight_size": 5}),
]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return write_graph(tmp_path_factory.mktemp("histories"))


@pytest.fixture(params=[1, 7, 2**14])
def sizes(request, monkeypatch):
    """Blocks of one pair and one item, of some, of all."""
    monkeypatch.setattr(recbole_histories, "PAIRS", request.param)
    monkeypatch.setattr(recbole_histories, "COLUMNS", min(request.param, 128))


@pytest.mark.parametrize(("name", "options"), KINDS)
@torch.no_grad()
def test_a_full_ranking_has_recboles_scores(graph, sizes, name, options):
    model, asked = built(name, {**graph, **options}), Interaction({"user_id": USERS})
    lengths = model.history_lens[USERS]
    assert lengths.min() >= 2
    assert lengths.unique().numel() == 4  # histories of different lengths, whose padding must not count
    found = model.full_sort_predict(asked)
    assert found.shape == (len(USERS), model.n_items)
    assert found.std() > 0.05
    expected = recboles(model, "full_sort_predict", asked).view_as(found)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), KINDS)
@pytest.mark.parametrize("few", [True, False])
@torch.no_grad()
def test_drawn_items_have_recboles_scores(graph, sizes, monkeypatch, name, options, few):
    model = built(name, {**graph, **options})
    pairs = all_pairs(model, USERS)
    pairs = pairs[torch.randperm(len(pairs), generator=torch.Generator().manual_seed(1))]
    pairs = pairs[:6] if few else pairs
    expected, whole, ranked = recboles(model, "predict", pairs), model.full_sort_predict, []
    monkeypatch.setattr(model, "full_sort_predict", lambda some: ranked.append(some) or whole(some))
    torch.testing.assert_close(model.predict(pairs), expected, rtol=1e-6, atol=1e-6)
    # NAIS ranks all items where that costs less; users of FISM are vectors.
    assert bool(ranked) == (name == "NAIS" and not few)


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_a_loss_has_recboles_value_and_gradients(graph, name, options):
    model = built(name, {**graph, **options}).train()
    pairs = all_pairs(model, USERS)
    pairs["label"] = (torch.arange(len(pairs)) % 3 == 0).to(model.item_src_embedding.weight.dtype)
    found = []
    for method in ("forward", "inter_forward"):  # ours, and what RecBole's forward calls
        model.zero_grad()
        output = getattr(model, method)(pairs["user_id"], pairs["item_id"])
        loss = model.bceloss(output, pairs["label"]) + model.reg_loss()
        loss.backward()
        found.append([loss.detach(), *(weight.grad.clone() for weight in model.parameters())])
    assert all(gradient.abs().max() > 0 for gradient in found[0])
    for ours, recboles_own in zip(*found, strict=True):
        torch.testing.assert_close(ours, recboles_own, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(model.calculate_loss(pairs).detach(), found[0][0])


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1])
@pytest.mark.parametrize("name", ["FISM", "NAIS"])
@torch.no_grad()
def test_users_without_a_history_have_the_biases(graph, name, alpha):
    model = built(name, {**graph, "alpha": alpha})
    model.history_lens[3] = model.mask_mat[3] = 0
    users = torch.tensor([5, 3])
    expected = model.item_bias + model.user_bias[3] if name == "FISM" else model.bias.sigmoid()
    found = model.full_sort_predict(Interaction({"user_id": users}))
    torch.testing.assert_close(found[1], expected)
    assert found[0].isfinite().all()
    expected = expected.sigmoid().sigmoid() if name == "FISM" else expected
    for pairs in (all_pairs(model, users), all_pairs(model, users)[-2:]):  # by all items, and pair by pair
        mine = pairs["user_id"] == 3
        torch.testing.assert_close(model.predict(pairs)[mine], expected[pairs["item_id"][mine]])


@pytest.mark.parametrize("aggregator", ["mean", "user_attention", "self_attention"])
@torch.no_grad()
def test_a_history_of_simplex_is_read_once_for_drawn_items(graph, monkeypatch, aggregator):
    model = built("SimpleX", {**graph, "aggregator": aggregator})
    pairs = all_pairs(model, USERS)
    expected, read, whole = recboles(model, "predict", pairs), [], model.get_UI_aggregation
    monkeypatch.setattr(
        model, "get_UI_aggregation", lambda *given: read.append(len(given[0])) or whole(*given)
    )
    torch.testing.assert_close(model.predict(pairs), expected)
    assert read == [len(USERS.unique())]


@pytest.mark.parametrize("room", [0, 2**26])
@torch.no_grad()
def test_attention_is_computed_once_for_all_batches_until_the_weights_change(graph, monkeypatch, room):
    monkeypatch.setattr(recbole_histories, "KEPT", room)
    model, computed = built("NAIS", graph), []
    whole, asked = model._attended, Interaction({"user_id": torch.arange(1, 15)})
    monkeypatch.setattr(model, "_attended", lambda *given: computed.append(1) or whole(*given))
    for _ in range(3):
        model.full_sort_predict(asked)
    assert len(computed) == (1 if room else 3)
    model.full_sort_predict(Interaction({"user_id": torch.tensor([2])}))  # whose items are few: none is kept
    before = len(computed)
    model.item_src_embedding.weight[3] += 1
    found = model.full_sort_predict(asked)
    assert len(computed) == before + 1
    expected = recboles(model, "full_sort_predict", asked).view_as(found)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
