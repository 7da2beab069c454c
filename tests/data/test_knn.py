"""Neighbours in blocks against a plain similarity, graphs, and the cache."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_diffusion.data import knn
from recbole_diffusion.errors import UsageError


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 40), st.integers(1, 8), st.integers(1, 50), st.integers(1, 50), st.integers(0, 10**6))
def test_nearest_in_blocks_are_those_of_the_whole_similarity(count, width, rows, columns, seed):
    values = torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    k = min(5, count - 1)
    ids, cosines = knn.nearest(lambda one: values[one], count, k, rows, columns)
    similarity = F.normalize(values, dim=1) @ F.normalize(values, dim=1).T
    expected = similarity.fill_diagonal_(2.0).topk(k, dim=1).values.clamp(max=1.0)
    assert torch.equal(ids[:, 0], torch.arange(count))
    assert torch.allclose(cosines, expected, atol=1e-9)
    assert torch.allclose(similarity.clamp(max=1.0).gather(1, ids), cosines, atol=1e-9)
    assert all(len(set(one)) == k for one in ids.tolist())


def test_an_item_is_its_own_first_neighbour_among_equal_ones():
    ids, cosines = knn.nearest(lambda one: torch.ones(7, 3)[one], 7, 3)
    assert torch.equal(ids[:, 0], torch.arange(7))
    assert torch.allclose(cosines, torch.ones(7, 3))


@pytest.mark.parametrize("blocks", [(3, 2), (4, 100), (1000, 7)])
def test_of_equal_cosines_the_first_rows_count_whatever_the_blocks(blocks):
    # Directions 0 and 1 alternate, the last rows lie between: rows of a direction have one cosine.
    values = torch.tensor([[1.0, 0.0], [0.0, 2.0]] * 6 + [[1.0, 1.0]] * 2)
    ids, cosines = knn.nearest(lambda one: values[one], len(values), 4, *blocks)
    assert ids[0].tolist() == [0, 2, 4, 6]
    assert ids[8].tolist() == [8, 0, 2, 4]
    assert ids[7].tolist() == [7, 1, 3, 5]
    assert ids[13].tolist()[:3] == [13, 12, 0]
    assert torch.allclose(cosines[:12], torch.ones(12, 4))


def test_too_many_neighbours_are_refused():
    with pytest.raises(
        UsageError, match="knn_k is 5, but the data set has only 5 items with features; it takes 1 to 4"
    ):
        knn.nearest(lambda one: torch.ones(5, 2)[one], 5, 5)


def test_graphs_are_means_over_neighbours_and_their_weighted_sum():
    first, second = torch.tensor([[1, 2], [2, 3], [3, 1]]), torch.tensor([[1, 3], [2, 1], [3, 2]])
    graph = knn.mean_graph(first, 4).toarray()
    assert graph.tolist() == [[0, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.5, 0.5], [0, 0.5, 0, 0.5]]
    both = knn.fused([knn.mean_graph(first, 4), knn.mean_graph(second, 4)], [0.25, 0.75]).toarray()
    assert both[1].tolist() == [0, 0.5, 0.125, 0.375]


def test_cosines_of_given_neighbours():
    values = torch.randn(6, 3)
    neighbours = torch.tensor([[row, (row + 1) % 6] for row in range(6)])
    found = knn.cosines_of(lambda one: values[one], neighbours, rows=4)
    assert torch.allclose(found[:, 0], torch.ones(6), atol=1e-6)
    assert torch.allclose(found[2, 1], F.cosine_similarity(values[2], values[3], dim=0), atol=1e-6)


def test_cache_is_used_for_its_key_alone_and_survives_damage(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return torch.tensor([[0, 1], [1, 0]]), torch.tensor([[1.0, 0.5], [1.0, 0.5]])

    first = knn.cached(str(tmp_path / "graphs"), "a", (2, 2), compute)
    again = knn.cached(str(tmp_path / "graphs"), "a", (2, 2), compute)
    assert len(calls) == 1
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    knn.cached(str(tmp_path / "graphs"), "b", (2, 2), compute)
    assert len(calls) == 2
    (file,) = (tmp_path / "graphs").glob("*-a.npz")
    file.write_bytes(file.read_bytes()[:100])
    knn.cached(str(tmp_path / "graphs"), "a", (2, 2), compute)
    assert len(calls) == 3
    assert np.load(file)["neighbours"].tolist() == [[0, 1], [1, 0]]
    assert [path.name for path in (tmp_path / "graphs").iterdir() if path.suffix != ".npz"] == []
    knn.cached(None, "a", (2, 2), compute)
    assert len(calls) == 4


def _two_rows():
    return torch.tensor([[0, 1], [1, 0]]), torch.tensor([[1.0, 0.5], [1.0, 0.5]])


@pytest.mark.parametrize(
    "wrong", ["of another key", "of an earlier version", "other numbers", "shorter rows"]
)
def test_a_cached_file_that_is_not_the_one_that_was_written_is_computed_again(tmp_path, caplog, wrong):
    folder = str(tmp_path)
    knn.cached(folder, "a", (2, 2), lambda: (torch.tensor([[0, 0], [1, 1]]), torch.ones(2, 2)))
    with np.load(tmp_path / "knn-a.npz") as file:
        arrays = dict(file)
    if wrong == "of another key":
        (tmp_path / "knn-a.npz").rename(tmp_path / "knn-b.npz")
    elif wrong == "of an earlier version":
        del arrays["check"]
    elif wrong == "other numbers":
        arrays["cosine"] = arrays["cosine"] * 2
    else:
        arrays = {name: values[:, :1] if values.ndim else values for name, values in arrays.items()}
    if wrong != "of another key":
        np.savez(tmp_path / "knn-a.npz", **arrays)
    key = "b" if wrong == "of another key" else "a"
    assert knn.cached(folder, key, (2, 2), _two_rows)[0].tolist() == [[0, 1], [1, 0]]
    assert "its neighbours are computed again" in caplog.text
    assert np.load(tmp_path / f"knn-{key}.npz")["neighbours"].tolist() == [[0, 1], [1, 0]]


def test_the_share_of_given_neighbours_that_are_nearest():
    values = torch.randn(300, 8, generator=torch.Generator().manual_seed(1))
    exact = knn.nearest(lambda rows: values[rows], 300, 5)[0]
    half = exact.clone()
    half[:, 3:] = (exact[:, :1] + torch.tensor([[149, 151]])) % 300  # two of four are any rows
    for table, low, high in ((exact, 1, 1), (half, 0.5, 0.56), (exact.roll(150, 0), 0, 0.05)):
        table[:, 0] = torch.arange(300)
        assert low <= knn.share_of_nearest(lambda rows: values[rows], table, 64) <= high
    twice = values[:150].repeat(2, 1)  # every row has a twin, and all ties count
    nearest = knn.nearest(lambda rows: twice[rows], 300, 4)[0]
    assert knn.share_of_nearest(lambda rows: twice[rows], nearest, 300) == 1


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("mine")
    found = knn.cached(
        str(tmp_path / "file"), "a", (1, 2), lambda: (torch.tensor([[0, 1]]), torch.tensor([[1.0, 0.5]]))
    )
    assert found[0].tolist() == [[0, 1]]
    assert "neighbours are not cached, since graph_cache" in caplog.text


def test_fingerprint_tells_parts_apart():
    assert knn.fingerprint("ab", "c") != knn.fingerprint("a", "bc")
    assert knn.fingerprint(1, b"x") == knn.fingerprint(1, b"x")
