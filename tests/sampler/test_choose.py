"""The switch of negative samplers, uniform negatives, user rows, and the pools of a curriculum."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.small import build

from recbole_diffusion.sampler.choose import SAMPLERS, ScoredVectors, choose_negatives
from recbole_diffusion.sampler.curriculum import (
    curricular_negatives,
    curriculum_step,
    discounted_draws,
    nearest_candidates,
    score_thresholds,
)
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.mixgcf import mixgcf
from recbole_diffusion.sampler.popularity import popularity_table
from recbole_diffusion.sampler.uniform import uniform_negatives

N_USERS, N_ITEMS, N = 9, 40, 6
GENERATOR = torch.Generator().manual_seed(5)
DENSE = np.zeros((N_USERS, N_ITEMS), np.float32)
DENSE[1:, 1:] = np.random.default_rng(3).random((N_USERS - 1, N_ITEMS - 1)) < 0.4
POSITIVES = build(DENSE)
USERS, ITEMS = (torch.from_numpy(column).long() for column in DENSE.nonzero())
U = torch.randn(N_USERS, 4, generator=GENERATOR)[USERS]
LAYERS = [torch.randn(N_ITEMS, 4, generator=GENERATOR) for _ in range(3)]
V = sum(LAYERS) / 3
HARDNESS = {"alpha": 1.0, "beta": 0.5, "p": -2.0}


def vectors():
    return ScoredVectors(U, V, LAYERS)


def chosen(name, **options):
    """Return what the switch chooses and the pool that it has chosen from."""
    torch.manual_seed(11)
    found = choose_negatives(name, POSITIVES, USERS, ITEMS, vectors, candidate_items=N, **options)
    torch.manual_seed(11)
    return *found, uniform_negatives(POSITIVES, USERS.repeat_interleave(N)).view(-1, N)


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_negative_is_a_positive(name):
    cumulative = popularity_table(torch.from_numpy(DENSE.sum(0)), 1.0)
    ids, _, _ = chosen(name, cumulative=cumulative, hardness=HARDNESS, hardest=2, false_ratio=0.5)
    assert ids.shape == USERS.shape
    assert not DENSE[USERS, ids].any()


def test_uniform_asks_for_no_vectors():
    torch.manual_seed(11)
    ids, mixed = choose_negatives("uniform", POSITIVES, USERS, ITEMS, None, candidate_items=N)
    torch.manual_seed(11)
    assert torch.equal(ids, uniform_negatives(POSITIVES, USERS))
    assert mixed is None


def test_popularity_draws_what_is_popular():
    counts = torch.ones(N_ITEMS)
    counts[7] = 1e9
    without = ~torch.from_numpy(DENSE[USERS, 7]).bool()
    ids, _, _ = chosen("popularity", cumulative=popularity_table(counts, 1.0))
    assert (ids[without] == 7).all()


def test_dns_takes_the_candidate_of_the_largest_inner_product():
    ids, _, pool = chosen("dns")
    for row in range(len(USERS)):
        assert ids[row] == max(pool[row].tolist(), key=lambda item: float(U[row] @ V[item]))


def test_ahns_takes_the_candidate_whose_cosine_is_nearest_to_the_wanted_one():
    ids, _, pool = chosen("ahns", hardness=HARDNESS)
    cosine = torch.nn.functional.cosine_similarity
    for row in range(len(USERS)):
        positive = float(cosine(U[row], V[ITEMS[row]], dim=0))
        wanted = HARDNESS["beta"] * (positive + HARDNESS["alpha"]) ** (HARDNESS["p"] + 1)
        cosines = {item: float(cosine(U[row], V[item], dim=0)) for item in pool[row].tolist()}
        wanted = min(max(wanted, min(cosines.values())), max(cosines.values()))
        gaps = {item: abs(value - wanted) for item, value in cosines.items()}
        assert gaps[int(ids[row])] == pytest.approx(min(gaps.values()), abs=1e-6)


def test_realhns_drops_the_candidates_most_like_the_positive():
    ids, _, pool = chosen("realhns", hardest=4, false_ratio=0.75)  # one of the four hardest is left
    cosine = torch.nn.functional.cosine_similarity
    for row in range(len(USERS)):
        hard = sorted(pool[row].tolist(), key=lambda item: -float(U[row] @ V[item]))[:4]
        assert ids[row] == min(hard, key=lambda item: float(cosine(V[item], V[ITEMS[row]], dim=0)))


def test_mixgcf_gives_vectors_and_an_id_of_the_pool():
    ids, mixed, pool = chosen("mixgcf")
    assert torch.equal(ids, pool[:, 0])
    assert torch.equal(mixed, mixgcf(U, LAYERS, ITEMS, pool, share_coefficients=True))


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown sampler 'hard'; choose one of uniform, popularity"):
        chosen("hard")


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 12), st.integers(0, 2**31 - 1))
def test_never_a_positive_never_padding(n_items, seed):
    generator = np.random.default_rng(seed)
    dense = (generator.random((5, n_items)) < 0.6).astype(np.float32)
    dense[:, 0], dense[:, 1], dense[:, 2] = 0, 1, 0  # every user has a positive and a negative
    users = torch.from_numpy(generator.integers(0, 5, 50))
    drawn = uniform_negatives(build(dense), users, generator=torch.Generator().manual_seed(seed))
    assert drawn.shape == users.shape
    assert bool((drawn > 0).all())
    assert not dense[users.numpy(), drawn.numpy()].any()


def test_uniform_over_the_negatives_and_repeatable():
    dense = np.zeros((2, 12), dtype=np.float32)
    dense[1, [1, 4, 5]] = 1
    users = torch.ones(20_000, dtype=torch.long)
    drawn = uniform_negatives(build(dense), users, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn, minlength=12)[[2, 3, 6, 7, 8, 9, 10, 11]]
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    assert torch.equal(
        drawn, uniform_negatives(build(dense), users, generator=torch.Generator().manual_seed(0))
    )


def test_a_user_with_every_item_is_an_error_not_an_endless_loop():
    dense = np.ones((2, 4), dtype=np.float32)
    dense[:, 0] = 0
    with pytest.raises(ValueError, match="user 1 has all 3 items"):
        uniform_negatives(build(dense), torch.tensor([1]))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_rows_and_membership_equal_the_dense_matrix(n_users, n_items, seed):
    generator = np.random.default_rng(seed)
    dense = (generator.random((n_users, n_items)) < 0.4).astype(np.float32)
    dense[0, 1] = 1  # at least one pair
    positives = build(dense)
    users = torch.from_numpy(generator.integers(0, n_users, 7))
    items, starts, rows = positives.gather(users)
    rebuilt = np.zeros((7, n_items), dtype=np.float32)
    np.add.at(rebuilt, (rows.numpy(), items.numpy()), 1)
    assert (rebuilt == dense[users.numpy()]).all()
    assert positives.counts(users).tolist() == dense[users.numpy()].sum(1).tolist()
    assert all(rows[start] == k for k, start in enumerate(starts.tolist()) if positives.counts(users)[k] > 0)
    everyone = torch.arange(n_users).repeat_interleave(n_items)
    everything = torch.arange(n_items).repeat(n_users)
    assert (
        positives.contains(everyone, everything).view(n_users, n_items).numpy() == dense.astype(bool)
    ).all()


def test_step_is_eq_7():
    assert [curriculum_step(epoch, 20, 5) for epoch in (0, 4, 5, 9, 10, 14, 15, 99)] == [
        15,
        15,
        10,
        10,
        5,
        5,
        0,
        0,
    ]
    assert [curriculum_step(epoch, 10, 1) for epoch in range(4)] == [7, 5, 2, 0]


def test_nearest_candidates_are_the_top_share_of_a_draw():
    pool = torch.randn(2101, 4, generator=torch.Generator().manual_seed(1))
    shares = {"candidate_ratio": 0.1, "top_ratio": 0.1, "candidate_limit": 10**6}
    nearest = nearest_candidates(pool, **shares, generator=torch.Generator().manual_seed(2))
    assert nearest.shape == (2101, 21)
    generator = torch.Generator().manual_seed(2)
    for block in range(3):
        candidates = torch.randperm(2100, generator=generator)[:210] + 1
        for item in (block * 1024, min(block * 1024 + 1023, 2100)):
            expected = candidates[(pool[candidates] @ pool[item]).argsort(descending=True)[:21]]
            assert set(nearest[item].tolist()) == set(expected.tolist())


def test_candidates_are_limited_and_never_the_padding_item():
    nearest = nearest_candidates(torch.randn(200, 3), candidate_ratio=1.0, top_ratio=1.0, candidate_limit=50)
    assert nearest.shape == (200, 50)
    assert nearest.min() >= 1
    all_of_them = nearest_candidates(
        torch.randn(9, 3), candidate_ratio=1.0, top_ratio=1.0, candidate_limit=50
    )
    assert sorted(all_of_them[4].tolist()) == list(range(1, 9))
    assert nearest_candidates(
        torch.randn(9, 3), candidate_ratio=0.01, top_ratio=0.01, candidate_limit=50
    ).shape == (9, 1)


def test_the_very_nearest_are_cut_off_before_the_top_share_is_taken():
    pool = torch.arange(11.0)[:, None]  # the nearest of every item is 10, then 9, ...
    shares = {"candidate_ratio": 1.0, "candidate_limit": 50}
    cut = nearest_candidates(pool, **shares, top_ratio=0.3, cut_ratio=0.2)
    assert sorted(cut[4].tolist()) == [6, 7, 8]
    # One at least is left out, and as many as leave the top share.
    assert sorted(nearest_candidates(pool, **shares, top_ratio=0.1, cut_ratio=0.01)[4].tolist()) == [9]
    assert sorted(nearest_candidates(pool, **shares, top_ratio=0.9, cut_ratio=0.9)[4].tolist()) == [
        *range(1, 10)
    ]


def test_draws_are_in_proportion_to_a_power_of_the_count():
    nearest = torch.tensor([[3, 1, 2]]).repeat(4, 1)
    counts = torch.tensor([0, 4, 0, 16])  # an item without a row counts as one with one
    cumulative = discounted_draws(nearest, counts, 0.5)
    assert torch.allclose(cumulative[2], torch.tensor([0.25, 0.75, 1.75]) / 1.75)
    positives = InteractionCSR(torch.tensor([0, 1, 1]), torch.tensor([1]), 4)
    users, items = torch.ones(20_000).long(), torch.full((20_000,), 2)
    drawn = curricular_negatives(nearest, items, users, positives, cumulative=cumulative)
    assert torch.allclose(drawn.bincount() / 20_000, torch.tensor([0, 2, 4, 1]) / 7, atol=0.02)


def test_a_negative_that_is_not_admitted_is_drawn_again():
    positives = InteractionCSR(torch.tensor([0, 1, 1]), torch.tensor([1]), 9)
    nearest, ones = torch.tensor([[3, 5, 7]]).repeat(9, 1), torch.ones(500).long()
    drawn = curricular_negatives(nearest, ones, ones, positives, admitted=lambda _, items: items > 4)
    assert set(drawn.tolist()) == {5, 7}
    drawn = curricular_negatives(nearest, ones, ones, positives, admitted=lambda _, items: items > 9)
    assert set(drawn.tolist()) == set(range(1, 9))  # none is: uniform


def test_the_threshold_is_the_score_of_the_last_of_the_top_share():
    items = torch.tensor([[99.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    users = torch.tensor([[1.0], [-1.0]])
    assert score_thresholds(users, items, 0.4).tolist() == [4.0, -2.0]
    assert score_thresholds(users, items, 0.01).tolist() == [5.0, -1.0]


def test_draws_are_uniform_among_the_nearest_that_the_user_has_not():
    positives = InteractionCSR(torch.tensor([0, 0, 2]), torch.tensor([1, 3]), 10)
    nearest = torch.tensor([[1, 3, 5, 7]]).repeat(10, 1)
    users, items = torch.ones(20_000).long(), torch.full((20_000,), 1)
    drawn = curricular_negatives(nearest, items, users, positives, generator=torch.Generator().manual_seed(0))
    counts = drawn.bincount(minlength=10)
    assert counts[[5, 7]].sum() == 20_000
    assert counts[5].item() == pytest.approx(10_000, abs=400)


def test_a_user_who_has_all_the_nearest_gets_a_uniform_negative():
    positives = InteractionCSR(torch.tensor([0, 0, 2]), torch.tensor([1, 3]), 6)
    drawn = curricular_negatives(
        torch.tensor([[1, 3]]).repeat(6, 1), torch.ones(3000).long(), torch.ones(3000).long(), positives
    )
    assert set(drawn.tolist()) == {2, 4, 5}
