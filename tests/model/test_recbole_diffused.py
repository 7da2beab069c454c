"""RecBole's DiffRec: the chain in the width of the hidden layer gives the scores of RecBole's chain."""

import pytest
import torch

from recbole_diffusion.compat import Interaction
from tests.support.recbole_pairs import as_recboles, built, write_graph

USERS = torch.tensor([5, 1, 14, 5, 9])
SMALL = {"dims_dnn": [6], "steps": 4, "noise_scale": 0.5, "noise_min": 0.01, "noise_max": 0.4}
KINDS = [
    {},
    {"mean_type": "eps"},
    {"dims_dnn": [6, 5, 7]},
    {"noise_scale": 0.0},
    {"beta_fixed": False, "mlp_act_func": "sigmoid"},
    {"noise_schedule": "cosine", "mean_type": "eps", "sampling_steps": 3},
    {"sampling_steps": 4},
    # By RecBole's own chain.
    {"norm": True},
    {"sampling_noise": True},
]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return write_graph(tmp_path_factory.mktemp("diffused"))


def single(options):
    """A model in single precision: RecBole's rows are of no other."""
    return built("DiffRec", options, scale=0.3).float()


@pytest.mark.parametrize("options", KINDS, ids=str)
@torch.no_grad()
def test_a_full_ranking_has_recboles_scores(graph, options):
    model = single({**graph, **SMALL, **options})
    plain = as_recboles(model)
    rows = model.get_rating_matrix(USERS)
    torch.manual_seed(3)
    found = model.p_sample(rows)
    torch.manual_seed(3)
    expected = plain.p_sample(rows)
    assert found.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)


@torch.no_grad()
def test_what_is_kept_of_the_weights_is_dropped_with_them(graph):
    model = single({**graph, **SMALL})
    rows = model.get_rating_matrix(USERS)
    model.p_sample(rows)
    model.mlp.mlp_layers.mlp_layers[1].weight += 0.5
    model.eval()  # as before each evaluation
    torch.testing.assert_close(model.p_sample(rows), as_recboles(model).p_sample(rows), rtol=1e-4, atol=2e-5)


@torch.no_grad()
@pytest.mark.parametrize("assign", [False, True])
def test_loaded_weights_are_ranked_by_without_a_switch_to_evaluation(graph, assign):
    model = single({**graph, **SMALL})
    rows = model.get_rating_matrix(USERS)
    others = {name: -value.flip(0) for name, value in model.state_dict().items()}
    model.p_sample(rows)
    model.load_state_dict(others, assign=assign)
    torch.testing.assert_close(model.p_sample(rows), as_recboles(model).p_sample(rows), rtol=1e-4, atol=2e-5)


@torch.no_grad()
def test_scores_under_autocast_leave_no_chain_of_less_precision(graph):
    model = single({**graph, **SMALL})
    rows = model.get_rating_matrix(USERS)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.p_sample(rows).isfinite().all()
    torch.testing.assert_close(model.p_sample(rows), as_recboles(model).p_sample(rows), rtol=1e-4, atol=2e-5)


@torch.no_grad()
def test_the_catalogue_is_multiplied_once(graph, monkeypatch):
    model = single({**graph, **SMALL})
    seen = []
    layer = model.mlp.mlp_layers.mlp_layers[-1]
    monkeypatch.setattr(layer, "forward", lambda hidden: seen.append(hidden))
    found = model.full_sort_predict(Interaction({"user_id": USERS}))
    assert found.shape == (len(USERS), model.n_items)
    assert not seen
