"""An index by inner product finds what exact search finds, offsets and popular items included."""

import numpy as np
import pytest

from recbole_diffusion.serving.index import build_index, centred, recall_of, require_faiss, unreachable

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
