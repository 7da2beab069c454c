"""Vectors score as RecBole's models do, new users as known ones; an index finds what exact search finds."""

import numpy as np
import pytest
import torch

from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.serving.index import build_index, centred, recall_of, require_faiss, unreachable
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


faiss = pytest.importorskip("faiss")


def rating_vectors(shift):
    """Return vectors of 300 users, with a one behind, and of 3,000 items with their offsets behind.

    The offsets are those of mean ratings around ``shift``, the norms of the factors are log-normal.
    """
    draw = np.random.default_rng(1)
    users = np.c_[0.3 * draw.standard_normal((300, 16)), np.ones(300)].astype(np.float32)
    norms = np.exp(0.7 * draw.standard_normal(3000))[:, None]
    items = np.c_[0.3 * norms * draw.standard_normal((3000, 16)), shift + 0.4 * draw.standard_normal(3000)]
    return users, items.astype(np.float32)


@pytest.mark.parametrize("shift", [3.5, -4.0])
def test_offsets_that_point_one_way_hide_no_item(tmp_path, shift):
    users, items = rating_vectors(shift)
    plain = faiss.IndexHNSWFlat(17, 32, faiss.METRIC_INNER_PRODUCT)
    plain.add(items)
    faiss.write_index(plain, str(tmp_path / "plain"))
    before = recall_of(tmp_path / "plain", users, items, 20)
    assert before["unreachable"] > 0 or shift > 0
    told = build_index(items, tmp_path / "hnsw", "faiss", users)
    assert told["subtracted"] == {"16": pytest.approx(shift, abs=0.05)}
    found = recall_of(tmp_path / "hnsw", users, items, 20)
    assert found["unreachable"] == 0
    assert found["recall"] >= max(0.99, before["recall"] - 0.001)


def test_what_no_link_leads_to_is_what_no_effort_finds():
    _, items = rating_vectors(-4.0)
    index = faiss.IndexHNSWFlat(17, 32, faiss.METRIC_INNER_PRODUCT)
    index.add(items)
    index.hnsw.efSearch = len(items)
    everything = index.search(items[:1], len(items))[1][0]
    assert set(unreachable(index.hnsw)) == set(range(len(items))) - set(everything.tolist())


def test_centring_changes_no_ranking_and_only_offsets():
    users, items = rating_vectors(3.5)
    moved, subtracted = centred(items, users)
    assert np.array_equal(moved[:, :16], items[:, :16])
    assert np.allclose(users @ moved.T + subtracted["16"], users @ items.T, atol=1e-4)
    without = centred(items[:, :16], users[:, :16])
    assert without[1] == {}
    assert np.array_equal(without[0], items[:, :16])


def test_the_flat_index_is_exact_and_ties_are_no_misses(tmp_path):
    users, items = rating_vectors(3.5)
    twice = np.concatenate([items[:500]] * 2)
    assert build_index(twice, tmp_path / "flat", "flat", users)["kind"] == "faiss flat, inner product, exact"
    assert recall_of(tmp_path / "flat", users, twice, 15)["recall"] == 1.0
    require_faiss()


def test_a_recall_that_is_not_full_is_measured(tmp_path):
    users, items = rating_vectors(0.0)
    best = np.argsort(-(users @ items.T), 1, kind="stable")[:, :10]
    gone = best[0, 0]  # an index without the best item of the first user
    index = faiss.IndexFlatIP(17)
    far = np.r_[np.zeros(16), -1000].astype(np.float32)
    index.add(np.where(np.arange(len(items))[:, None] == gone, far, items))
    faiss.write_index(index, str(tmp_path / "poor"))
    expected = 1 - (best == gone).sum() / best.size
    assert recall_of(tmp_path / "poor", users, items, 10)["recall"] == pytest.approx(expected, abs=1e-4)
