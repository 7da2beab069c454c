"""KGCN, KGNNLS and RippleNet: full rankings by blocks have the scores of RecBole's trees and memories."""

import pytest
import torch

from recbole_diffusion.compat import Interaction
from recbole_diffusion.model import recbole_knowledge
from tests.support.recbole_pairs import GRAPH, all_pairs, built, recboles, write_graph

USERS = torch.tensor([5, 1, 14, 5, 9])


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return write_graph(tmp_path_factory.mktemp("knowledge")) | {"load_col": GRAPH, "embedding_size": 6}


@pytest.mark.parametrize("cells", [1, 100, 2**14])  # blocks of one user, of some, of all
@pytest.mark.parametrize("aggregator", ["sum", "concat", "neighbor"])
@pytest.mark.parametrize("n_iter", [1, 2, 3])
@pytest.mark.parametrize("name", ["KGCN", "KGNNLS"])
@torch.no_grad()
def test_neighbours_give_recboles_scores(graph, monkeypatch, cells, aggregator, n_iter, name):
    monkeypatch.setattr(recbole_knowledge, "CELLS", cells)
    options = {"aggregator": aggregator, "n_iter": n_iter, "neighbor_sample_size": 3}
    model = built(name, {**graph, **options}, scale=0.8)
    asked = Interaction({"user_id": USERS})
    found = model.full_sort_predict(asked)
    assert found.std(1).min() > 0.05
    torch.testing.assert_close(found, recboles(model, "full_sort_predict", asked).view_as(found))


@pytest.mark.parametrize("cells", [1, 100, 2**14])
@torch.no_grad()
def test_memories_of_some_users_at_a_time_give_recboles_scores(graph, monkeypatch, cells):
    monkeypatch.setattr(recbole_knowledge, "CELLS", cells)
    model = built("RippleNet", {**graph, "n_memory": 5}, scale=0.8)
    asked = Interaction({"user_id": USERS})
    found = model.full_sort_predict(asked).view(len(USERS), -1)
    assert found.std(1).min() > 0.05
    torch.testing.assert_close(found, recboles(model, "full_sort_predict", asked).view_as(found))
    pairs = all_pairs(model, USERS)
    pairs = pairs[torch.randperm(len(pairs), generator=torch.Generator().manual_seed(1))]
    torch.testing.assert_close(model.predict(pairs), recboles(model, "predict", pairs))


@pytest.mark.parametrize("n_hop", [1, 3])
@torch.no_grad()
def test_a_user_without_a_training_row_has_empty_memories(graph, n_hop):
    split = {"split": {"RS": [0.15, 0.05, 0.8]}, "group_by": "none", "order": "RO", "mode": "full"}
    model = built("RippleNet", {**graph, "n_memory": 5, "n_hop": n_hop, "eval_args": split})
    unknown = [user for user in range(1, model.n_users) if user not in model.user_dict]
    assert unknown
    users = torch.arange(1, model.n_users)
    found = model.full_sort_predict(Interaction({"user_id": users})).view(len(users), -1)
    assert found.isfinite().all()
    vectors, turn = model.entity_embedding.weight, model.transform_matrix.weight
    items, around = vectors[: model.n_items], 0
    for _ in range(n_hop):  # all memories have the padding's vector, however they are weighed
        items, around = (items + vectors[0]) @ turn.T, around + vectors[0]
    # RecBole's softmax of a full ranking is over the memories.
    torch.testing.assert_close(found[unknown[0] - 1], items @ around)
