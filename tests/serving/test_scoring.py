"""RecBole's models: vectors score as they do, and histories given as new users as known users."""

import pytest
import torch

from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.serving.scoring import (
    check_takes_histories,
    finder_for_histories,
    finder_for_users,
)
from recbole_diffusion.testing import Built

SMALL = {"mlp_hidden_size": [8], "latent_dimension": 4}
OF_ROWS = {
    "MultiVAE": SMALL,
    "MultiDAE": SMALL,
    "MacridVAE": {"encoder_hidden_size": [8], "embedding_size": 4},
    "RaCT": SMALL,
    "RecVAE": {"hidden_dimension": 8, "latent_dimension": 4},
    "DiffRec": {"dims_dnn": [8], "steps": 2},
    "LDiffRec": {"dims_dnn": [8], "steps": 2, "in_dims": [8], "n_cate": 1},
    "EASE": {},
    "SLIMElastic": {},
    "ItemKNN": {},
}


def scores_of_all(model, users):
    """Return the model's scores, from lists of all items, [batch, n_items] without the padding item."""
    values, items = finder_for_users(model, 0)(users, model.n_items - 1, None)
    return torch.zeros(len(users), model.n_items).scatter_(1, items, values.float())[:, 1:]


@pytest.mark.parametrize("name", ["BPR", "LightGCN", "NGCF", "DGCF", "SGL", "NCL", "SpectralCF"])
def test_vectors_give_the_scores(checkerboard, name):
    model = Built(name, checkerboard.name, checkerboard.overrides).model.eval()
    vectors, users = model.inner_products(), torch.tensor([1, 5, 9])
    expected = model.full_sort_predict({model.USER_ID: users}).view(3, -1)
    assert torch.allclose(vectors.users(users) @ vectors.items.T, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(UsageError, match=f"{name} as trained here only knows its training users"):
        check_takes_histories(model)


@pytest.mark.parametrize("name", OF_ROWS)
def test_own_histories_as_new_users(checkerboard, name):
    built = Built(name, checkerboard.name, {**checkerboard.overrides, **OF_ROWS[name]})
    model = built.model.eval()
    matrix = binary_interactions(built.train._dataset)
    positives = InteractionCSR.from_scipy(matrix)
    users = torch.tensor([3, 1, 20])
    histories = FoldInHistories(*positives.gather(users))
    values, items = finder_for_histories(model)(histories, 0, model.n_items - 1, None)
    found = torch.zeros(3, model.n_items).scatter_(1, items, values.float())[:, 1:]
    assert torch.allclose(found, scores_of_all(model, users), rtol=1e-5, atol=1e-6)
    assert found.std() > 0
    assert not model.has_item_vectors


@pytest.mark.parametrize(
    ("name", "options"), [("ItemKNN", {"knn_method": "user"}), ("CDAE", {}), ("NeuMF", {})]
)
def test_models_that_know_users_by_number(checkerboard, name, options):
    model = Built(name, checkerboard.name, {**checkerboard.overrides, **options}).model.eval()
    assert not model.takes_histories


def test_a_model_of_pairs_is_ranked(checkerboard):
    model = Built("NeuMF", checkerboard.name, checkerboard.overrides).model.eval()
    users = torch.tensor([4, 2])
    pairs = {
        model.USER_ID: users.repeat_interleave(model.n_items),
        model.ITEM_ID: torch.arange(model.n_items).repeat(2),
    }
    assert torch.allclose(scores_of_all(model, users), model.predict(pairs).view(2, -1)[:, 1:])


def test_noise_is_the_same_each_time_and_the_stream_of_the_process_is_left_alone(checkerboard):
    options = {**OF_ROWS["DiffRec"], "sampling_steps": 2, "noise_scale": 0.1}
    model = Built("DiffRec", checkerboard.name, {**checkerboard.overrides, **options}).model.eval()
    before = torch.get_rng_state()
    first, again = (scores_of_all(model, torch.tensor([1, 2])) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)
