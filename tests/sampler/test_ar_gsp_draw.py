"""AR-GSP: ranks, temperature, acceptance, and the law of the draws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.small import build

from recbole_diffusion.sampler.ar_gsp import ArGsp
from recbole_diffusion.sampler.ar_gsp_draw import (
    acceptance_log_probability,
    ascending,
    gumbel,
    gumbel_softmax_draw,
    rank_threshold,
    step_temperature,
)


def test_temperature_rises_with_the_step_to_one():
    found = step_temperature(torch.tensor([0, 4, 9]), 10, 3.0)
    assert found.tolist() == pytest.approx([math.exp(-2.7), math.exp(-1.5), 1.0])


@pytest.mark.parametrize(("gamma", "keep"), [(0.1, 1), (0.3, 3), (1.0, 10), (0.01, 1)])
def test_threshold_accepts_exactly_the_first_ranks(gamma, keep):
    scores = torch.stack([torch.randperm(10), torch.randperm(10)]).float()
    accepted = acceptance_log_probability(scores, rank_threshold(scores, gamma)) == 0
    assert accepted.sum(1).tolist() == [keep, keep]
    assert all(scores[row][accepted[row]].min() > 9 - keep for row in range(2))


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_place_in_ascending_order_is_found_on_any_device(place):
    scores = torch.rand(5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ascending(scores, place), scores.sort(1).values[:, place])


def test_ranks_do_not_suffer_from_floating_point_and_ties_are_all_in():
    assert (
        acceptance_log_probability(torch.arange(100.0)[None], rank_threshold(torch.arange(100.0)[None], 0.29))
        == 0
    ).sum() == 29
    tied = torch.tensor([[3.0, 2.0, 2.0, 2.0, 1.0]])
    assert (acceptance_log_probability(tied, rank_threshold(tied, 0.4)) == 0).tolist() == [
        [True, True, True, True, False]
    ]


def test_a_very_cold_step_is_still_a_uniform_draw():
    drawn = gumbel_softmax_draw(
        torch.zeros(4000, 5),
        step_temperature(torch.zeros(4000), 50, 100.0),
        torch.ones(4000, dtype=torch.long),
        torch.ones(4000, 5, dtype=torch.bool),
        generator=torch.Generator().manual_seed(2),
    )
    assert stats.chisquare(torch.bincount(drawn, minlength=5).numpy()).pvalue > 1e-3


def test_rejected_candidates_do_not_fill_up_for_accepted_ones():
    log_p = torch.tensor([[0.0, 0.0, math.log(1e-10), math.log(1e-10)], [math.log(1e-10)] * 4])
    drawn = gumbel_softmax_draw(
        log_p, torch.ones(2), torch.tensor([6, 4]), torch.ones(2, 4, dtype=torch.bool)
    )
    assert sorted(drawn[:6].tolist()) == [0, 0, 0, 1, 1, 1]
    assert sorted(drawn[6:].tolist()) == [0, 1, 2, 3]  # nothing is accepted: all share epsilon


def test_gumbel_noise_has_its_law():
    noise = gumbel(torch.empty(50_000), torch.Generator().manual_seed(1))
    assert stats.kstest(noise.numpy(), "gumbel_r").pvalue > 1e-3


def test_one_draw_is_uniform_over_the_accepted_at_every_temperature():
    log_p = torch.tensor([0.0, 0.0, math.log(1e-10), 0.0, math.log(1e-10), 0.0]).expand(6000, 6)
    allowed = torch.ones(6000, 6, dtype=torch.bool)
    allowed[:, 0] = False
    for temperature in (0.05, 0.4, 1.0):
        drawn = gumbel_softmax_draw(
            log_p,
            torch.full((6000,), temperature),
            torch.ones(6000, dtype=torch.long),
            allowed,
            generator=torch.Generator().manual_seed(3),
        )
        counts = torch.bincount(drawn, minlength=6)
        assert counts[[0, 2, 4]].tolist() == [0, 0, 0]
        assert stats.chisquare(counts[[1, 3, 5]].numpy()).pvalue > 1e-3


def test_temperature_decides_how_much_the_infinitesimal_leaks():
    # Eq. 17 with a large epsilon: rejected items come through more often when the step is noisy.
    log_p = torch.tensor([0.0] + [math.log(0.05)] * 9).expand(4000, 10)
    allowed, counts = torch.ones(4000, 10, dtype=torch.bool), torch.ones(4000, dtype=torch.long)
    share = []
    for temperature in (0.05, 1.0):
        drawn = gumbel_softmax_draw(
            log_p,
            torch.full((4000,), temperature),
            counts,
            allowed,
            generator=torch.Generator().manual_seed(4),
        )
        share.append((drawn > 0).float().mean().item())
    assert share[0] == pytest.approx(
        9 * 0.05 / 1.45, abs=0.03
    )  # cold: the Gumbel maximum, an exact draw from p_n
    assert abs(share[1] - share[0]) > 0.02


def test_rows_get_what_they_ask_for_without_repeats_until_they_run_out():
    allowed = torch.tensor([[True, True, True, False], [False, True, False, False]])
    drawn = gumbel_softmax_draw(
        torch.zeros(2, 4),
        torch.ones(2),
        torch.tensor([3, 2]),
        allowed,
        generator=torch.Generator().manual_seed(0),
    )
    assert sorted(drawn[:3].tolist()) == [0, 1, 2]
    assert drawn[3:].tolist() == [1, 1]
    with pytest.raises(ValueError, match="no candidate left"):
        gumbel_softmax_draw(
            torch.zeros(1, 2), torch.ones(1), torch.tensor([1]), torch.zeros(1, 2, dtype=torch.bool)
        )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31 - 1), st.booleans(), st.sampled_from([0.05, 0.3, 1.0]))
def test_never_a_positive_never_padding_in_both_modes(seed, exact, gamma):
    generator = np.random.default_rng(seed)
    dense = (generator.random((6, 40)) < 0.3).astype(np.float32)
    dense[:, 0] = 0
    users = torch.from_numpy(generator.integers(0, 6, 9))
    counts = torch.from_numpy(generator.integers(0, 4, 9))
    draw = ArGsp(gamma, 3.0, 10, exact_cells=10**6 if exact else 0, candidate_items=18)
    source = torch.Generator().manual_seed(seed)
    items = draw.draw(
        torch.randn(9, 5, generator=source),
        torch.randn(40, 5, generator=source),
        build(dense),
        users,
        torch.from_numpy(generator.integers(0, 10, 9)),
        counts,
        generator=source,
    )
    rows = users.repeat_interleave(counts)
    assert len(items) == counts.sum()
    assert bool((items > 0).all())
    assert not dense[rows.numpy(), items.numpy()].any()


def test_exact_mode_draws_only_the_first_ranks_and_subset_mode_nearly():
    torch.manual_seed(0)
    items, vectors = torch.randn(2001, 8), torch.randn(64, 8)
    empty = build(np.eye(64, 2001, k=1, dtype=np.float32))
    users, t, counts = torch.arange(64), torch.zeros(64, dtype=torch.long), torch.full((64,), 20)
    ranks = (vectors @ items[1:].T).argsort(1, descending=True).argsort(1) + 1  # 1 is the best
    shares = {}
    for name, cells in (("exact", 10**7), ("subset", 0)):
        drawn = ArGsp(0.2, 3.0, 50, cells, candidate_items=500).draw(
            vectors, items, empty, users, t, counts, generator=torch.Generator().manual_seed(5)
        )
        shares[name] = ranks[users.repeat_interleave(20), drawn - 1] / 2000
    assert shares["exact"].max() <= 0.2
    assert (
        shares["subset"].quantile(0.95) <= 0.26
    )  # the threshold's sampling error: sqrt(0.2 * 0.8 / 500) = 0.018
    assert shares["subset"].mean() == pytest.approx(0.1, abs=0.02)


def test_a_small_gamma_gets_larger_subsets():
    torch.manual_seed(0)
    items, vectors = torch.randn(8001, 4), torch.randn(32, 4)
    empty = build(np.eye(32, 8001, k=1, dtype=np.float32))
    users, zeros = torch.arange(32), torch.zeros(32, dtype=torch.long)
    ranks = (vectors @ items[1:].T).argsort(1, descending=True).argsort(1) + 1
    drawn = ArGsp(0.005, 3.0, 50, 0, candidate_items=64).draw(vectors, items, empty, users, zeros, zeros + 8)
    share = ranks[users.repeat_interleave(8), drawn - 1] / 8000
    assert share.quantile(0.9) <= 0.012  # 64 candidates would hold a third of one accepted item


def plain_draw(scores, gamma, t, counts, lacks, generator):
    """Draw by Eq. 16 and 17 as they are written, from all items."""
    log_p = acceptance_log_probability(scores, rank_threshold(scores, gamma))
    return gumbel_softmax_draw(log_p, step_temperature(t, 10, 3.0), counts, lacks, generator=generator)


@pytest.mark.parametrize("cells", [10**9, 0])
@pytest.mark.parametrize(("gamma", "many"), [(0.5, 1), (0.5, 2), (0.15, 1), (0.15, 2)])
def test_rejection_has_the_law_of_equations_16_and_17(cells, gamma, many):
    # One user of 20 items, twelve thousand times, at all steps; three of the best ranks are positives.
    rows, source = 12_000, torch.Generator().manual_seed(1)
    vectors, items = torch.randn(1, 4, generator=source), torch.randn(21, 4, generator=source)
    scores = (vectors @ items[1:].T).expand(rows, -1)
    dense = np.zeros((1, 21), dtype=np.float32)
    dense[0, 1 + scores[0].topk(3).indices.numpy()] = 1
    if gamma < 0.2:
        dense[:] = 0  # three ranks are accepted in all; the last one is a positive
        dense[0, 1 + int(scores[0].argmin())] = 1
    positives, users = build(dense), torch.zeros(rows, dtype=torch.long)
    t, counts = torch.arange(rows) % 10, torch.full((rows,), many)
    # Threshold by judges: so many that they are all items, in batches of one row.
    sampler = ArGsp(gamma, 3.0, 10, cells, candidate_items=20)
    found = sampler.draw(vectors.expand(rows, -1), items, positives, users, t, counts, generator=source)
    lacks = positives.lacks(users[:1], torch.arange(1, 21)).expand(rows, -1)
    expected = plain_draw(scores, gamma, t, counts, lacks, source) + 1
    # Ordered tuples of a row as one number each.
    coded = [
        drawn.view(rows, many) @ torch.tensor([21**place for place in range(many)])
        for drawn in (found, expected)
    ]
    values = torch.unique(torch.cat(coded))
    table = np.array([[int((one == value).sum()) for value in values] for one in coded])
    accepted = 10 - 3 if gamma == 0.5 else 3
    assert len(values) == math.perm(accepted, many)
    assert stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("cells", [10**9, 0])
def test_the_threshold_beside_a_draw_is_the_score_of_the_last_accepted_rank(cells):
    source = torch.Generator().manual_seed(4)
    vectors, items = torch.randn(30, 4, generator=source), torch.randn(201, 4, generator=source)
    nobody = build(np.eye(30, 201, k=1, dtype=np.float32))
    rows, ones = torch.arange(30), torch.ones(30, dtype=torch.long)
    sampler = ArGsp(0.1, 3.0, 10, cells, candidate_items=200)  # the judges are all items
    drawn, threshold = sampler.draw_by_threshold(vectors, items, nobody, rows, rows % 10, ones)
    scores = vectors @ items[1:].T
    torch.testing.assert_close(threshold, scores.topk(20, dim=1).values[:, -1])
    assert bool((scores[rows, drawn - 1] >= threshold - 1e-6).all())


def test_by_judges_no_draw_depends_on_how_scores_are_rounded():
    """The judge at the threshold is accepted: its score by pairs and by matrices differ in the last bit."""
    source = torch.Generator().manual_seed(4)
    vectors, items = torch.randn(400, 64, generator=source), torch.randn(101, 64, generator=source)
    nobody = build(np.eye(400, 101, k=1, dtype=np.float32))
    rows, twice = torch.arange(400), torch.full((400,), 2)
    sampler = ArGsp(0.5, 3.0, 10, 0, candidate_items=32)

    def drawn(by):
        return sampler.draw(
            by, items, nobody, rows, rows % 10, twice, generator=torch.Generator().manual_seed(5)
        )

    noise = 1 + 1e-7 * torch.randn(400, 64, generator=source)
    assert torch.equal(drawn(vectors * noise), drawn(vectors))


def test_a_row_that_runs_out_of_accepted_items_repeats_them_as_the_plain_form_does():
    items, vectors = torch.arange(41.0)[:, None], torch.ones(3, 1)  # item 40 has the best rank
    dense = np.zeros((3, 41), dtype=np.float32)
    dense[1, 37:] = 1  # a user of all that is accepted
    drawn = ArGsp(0.1, 3.0, 10, 10**6, 20).draw(
        vectors,
        items,
        build(dense),
        torch.arange(3),
        torch.zeros(3, dtype=torch.long),
        torch.tensor([6, 5, 3]),
    )
    assert (sorted(set(drawn[:6].tolist())), len(set(drawn[11:].tolist()))) == ([37, 38, 39, 40], 3)
    assert len(set(drawn[6:11].tolist())) == 5  # nothing is left of the accepted: all others share epsilon
    assert drawn[6:11].max() < 37


@pytest.mark.parametrize(("counts", "refused"), [([1, 1], True), ([1, 0], False)])
def test_one_row_without_a_candidate_is_refused_if_it_needs_one(counts, refused):
    allowed = torch.tensor([[True, True], [False, False]])
    given = torch.zeros(2, 2), torch.ones(2), torch.tensor(counts), allowed
    if refused:
        with pytest.raises(ValueError, match="no candidate left"):
            gumbel_softmax_draw(*given)
    else:
        assert len(gumbel_softmax_draw(*given)) == 1
