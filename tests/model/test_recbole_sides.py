"""Models of pairs whose sides are computed once: the scores are those that RecBole gives pair by pair."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recbole_diffusion.compat import Interaction
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model import recbole_sides
from recbole_diffusion.model.recbole_sides import _neighbours
from tests.support.recbole_pairs import GRAPH, all_pairs, built, recboles, write_graph

USERS = torch.tensor([5, 1, 14, 5, 9])
MAPS = {"cnn_channels": [1, 3, 4], "cnn_kernels": [2, 4], "cnn_strides": [2, 4], "embedding_size": 8}
NEAR = {"neigh_num": 9, "conv_kernel_size": 3, "pool_kernel_size": 3, "neigh_info_method": "random"}
KINDS = [
    ("NNCF", {**NEAR, "ui_embedding_size": 6, "mlp_hidden_size": [5, 4], "dropout": 0.3}),
    ("NNCF", {**NEAR, "num_conv_kernel": 2, "mlp_hidden_size": [5]}),
    ("MKR", {"load_col": GRAPH, "embedding_size": 6, "low_layers_num": 2}),
    ("MKR", {"load_col": GRAPH, "use_inner_product": False, "high_layers_num": 2, "embedding_size": 3}),
    ("ENMF", {"train_neg_sample_args": None}),
    ("CFKG", {"load_col": GRAPH, "loss_function": "transe"}),
    ("CFKG", {"load_col": GRAPH, "loss_function": "inner_product"}),
    ("ConvNCF", MAPS),
]
DROPPED = [KINDS[0], ("MKR", {"load_col": GRAPH, "dropout_prob": 0.3})]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return write_graph(tmp_path_factory.mktemp("sides"))


@pytest.mark.parametrize("size", [7, 70, 4096])  # blocks of items, of users, of all
@pytest.mark.parametrize(("name", "options"), KINDS)
@torch.no_grad()
def test_scores_are_those_of_recboles_pairs(graph, monkeypatch, name, options, size):
    monkeypatch.setattr(recbole_sides, "PAIRS", size)
    model = built(name, {**graph, **options}, scale=0.5)
    pairs = all_pairs(model, USERS)
    expected = recboles(model, "predict", pairs)
    assert expected.std() > 0.01
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model.predict(pairs[order]), expected[order])
    if name != "ConvNCF":
        found = model.full_sort_predict(Interaction({"user_id": USERS}))
        torch.testing.assert_close(found, expected.view(len(USERS), model.n_items))


@pytest.mark.parametrize(("name", "options"), DROPPED)
def test_dropout_of_the_pairs_is_left_to_the_pairs(graph, name, options):
    model = built(name, {**graph, **options}).train()
    pairs = all_pairs(model, USERS)
    with pytest.raises(NotImplementedError):
        model.full_sort_predict(Interaction({"user_id": USERS}))
    torch.manual_seed(1)
    found = model.predict(pairs)
    torch.manual_seed(1)
    assert torch.equal(found, recboles(model, "predict", pairs))


def test_neighbours_of_nncf_are_own_items_then_the_most_similar():
    # Items 1 and 2 are taken by users 0 and 1, item 3 by user 1, item 4 by user 2 alone.
    R = sp.csr_matrix([[0, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], dtype=np.float32)
    draw = np.random.default_rng(0)
    found = _neighbours(R, 3, draw)
    # Cosines of item 1: 1 with item 2, 0.71 with item 3; and the other way about.
    assert found[0].tolist() in ([1, 2, 2], [1, 2, 1])  # one of the two is drawn, the other is nearest
    assert set(found[1]) <= {1, 2, 3}  # as many as asked for: drawn with replacement
    assert found[2].tolist() == [4, 0, 0]  # nothing is similar
    assert found[3].tolist() == [0, 0, 0]
    assert {tuple(_neighbours(R, 3, draw)[0]) for _ in range(30)} == {(1, 2, 2), (1, 2, 1)}


def test_nncf_takes_neighbours_by_similarity(graph):
    model = built("NNCF", {**graph, **NEAR, "neigh_num": 20, "neigh_info_method": "knn"})
    own = model.interaction_matrix.tocsr()[3].indices
    assert 0 < len(own) < 20
    assert model.u_neigh[3, : len(own)].tolist() == own.tolist()
    assert model.u_neigh.shape == (model.n_users, 20)
    assert model.i_neigh.shape == (model.n_items, 20)
    assert model.i_neigh.max() < model.n_users


def test_the_package_of_an_options_value_is_named(graph):
    with pytest.raises(UsageError, match=r"imports community, which is not installed; pip install python-l"):
        built("NNCF", {**graph, **NEAR, "neigh_info_method": "louvain"})
