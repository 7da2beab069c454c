"""Curricular negatives: the step of Eq. 7, the nearest candidates, and draws among them."""

import pytest
import torch

from recbole_diffusion.sampler.curriculum import curricular_negatives, curriculum_step, nearest_candidates
from recbole_diffusion.sampler.interaction_csr import InteractionCSR


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
    shares = {"candidate_share": 0.1, "top_share": 0.1, "candidate_limit": 10**6}
    nearest = nearest_candidates(pool, **shares, generator=torch.Generator().manual_seed(2))
    assert nearest.shape == (2101, 21)
    generator = torch.Generator().manual_seed(2)
    for block in range(3):
        candidates = torch.randperm(2100, generator=generator)[:210] + 1
        for item in (block * 1024, min(block * 1024 + 1023, 2100)):
            expected = candidates[(pool[candidates] @ pool[item]).argsort(descending=True)[:21]]
            assert set(nearest[item].tolist()) == set(expected.tolist())


def test_candidates_are_limited_and_never_the_padding_item():
    nearest = nearest_candidates(torch.randn(200, 3), candidate_share=1.0, top_share=1.0, candidate_limit=50)
    assert nearest.shape == (200, 50)
    assert nearest.min() >= 1
    all_of_them = nearest_candidates(
        torch.randn(9, 3), candidate_share=1.0, top_share=1.0, candidate_limit=50
    )
    assert sorted(all_of_them[4].tolist()) == list(range(1, 9))
    assert nearest_candidates(
        torch.randn(9, 3), candidate_share=0.01, top_share=0.01, candidate_limit=50
    ).shape == (9, 1)


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
