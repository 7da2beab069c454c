"""RecBole's autoencoders: a first layer that multiplies the entries of a row alone is the layer."""

import pytest
import torch
from torch import nn

from recbole_diffusion.compat import Interaction
from recbole_diffusion.model.recbole_autoencoders import RowLinear
from tests.support.recbole_pairs import as_recboles, built, write_graph

USERS = torch.tensor([5, 1, 14, 5, 9])
SMALL = {"mlp_hidden_size": [6], "latent_dimension": 4}
MACRID = {"encoder_hidden_size": [6], "embedding_size": 4, "kfac": 3, "reg_weights": [0.1, 0.1]}
# Draws are RecBole's, so that the same seed gives the same loss.
OPTIONS = {
    "MultiVAE": {**SMALL, "dropout_prob": 0.5},
    "MultiDAE": {**SMALL, "dropout_prob": 0.5},
    "RecVAE": {"hidden_dimension": 6, "latent_dimension": 4, "dropout_prob": 0.5},
    "MacridVAE": {**MACRID, "dropout_prob": 0.5},
    "RaCT": {**SMALL, "dropout_prob": 0.5},
}


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return write_graph(tmp_path_factory.mktemp("autoencoders"))


def single(name, options):
    """A model in single precision: RecBole's rows are of no other."""
    return built(name, options).float()


def layers(model):
    return [layer for layer in model.modules() if isinstance(layer, RowLinear)]


def loss_and_gradients(model, name):
    torch.manual_seed(7)
    model.train().zero_grad()
    model.update = 0  # by which the weight of a divergence grows
    asked = Interaction({"user_id": USERS})
    loss = model.calculate_loss(asked, True) if name == "RecVAE" else model.calculate_loss(asked)
    loss.sum().backward()
    named = {one: weight.grad.clone() for one, weight in model.named_parameters() if weight.grad is not None}
    return loss.detach(), named


@pytest.mark.parametrize("name", OPTIONS)
def test_a_loss_has_recboles_value_and_gradients(graph, name):
    model = single(name, {**graph, **OPTIONS[name]})
    assert len(layers(model)) == (2 if name == "RecVAE" else 1)
    plain = as_recboles(model)
    assert not layers(plain)
    assert list(plain.state_dict()) == list(model.state_dict())
    (ours, of_ours), (theirs, of_theirs) = loss_and_gradients(model, name), loss_and_gradients(plain, name)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert of_ours.keys() == of_theirs.keys()
    for one, gradient in of_ours.items():
        torch.testing.assert_close(gradient, of_theirs[one], rtol=1e-4, atol=1e-5)
    first = next(gradient for gradient in of_ours.values() if model.n_items in gradient.shape)
    assert first.abs().max() > 0


@pytest.mark.parametrize("name", OPTIONS)
@torch.no_grad()
def test_a_full_ranking_has_recboles_scores(graph, name):
    model, asked = single(name, {**graph, **OPTIONS[name]}), Interaction({"user_id": USERS})
    found = model.full_sort_predict(asked).view(len(USERS), -1)
    assert found.std() > 0.01
    torch.testing.assert_close(found, as_recboles(model).full_sort_predict(asked).view_as(found))


def test_a_row_without_entries_has_the_bias():
    layer = RowLinear.of(nn.Linear(5, 3))
    torch.testing.assert_close(layer(torch.zeros(2, 5)), layer.bias.expand(2, 3))
    layer(torch.zeros(2, 5)).sum().backward()
    assert (layer.weight.grad == 0).all()
    assert (layer.bias.grad == 2).all()
