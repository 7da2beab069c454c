"""RealHNS in one domain: high scores, without those most like the positive."""

import pytest
import torch

from recbole_diffusion.sampler.realhns import real_hard


def test_draws_are_among_the_hard_ones_that_are_not_false():
    scores = torch.tensor([[9.0, 8, 7, 6, 1, 0]]).repeat(4000, 1)
    similarities = torch.tensor([[0.2, 0.9, 0.1, 0.3, 0.0, 0.0]]).repeat(4000, 1)
    drawn = real_hard(scores, similarities, 4, 0.5, generator=torch.Generator().manual_seed(0))
    counts = drawn.bincount(minlength=6)
    assert counts.tolist()[1] == counts.tolist()[3] == counts.tolist()[4] == 0
    assert counts[0].item() == pytest.approx(2000, abs=200)


def test_no_share_is_dns_and_the_whole_share_leaves_the_least_similar():
    scores, similarities = torch.randn(50, 8), torch.randn(50, 8)
    assert torch.equal(real_hard(scores, similarities, 1, 0.0), scores.argmax(1))
    assert torch.equal(real_hard(scores, similarities, 8, 1.0), similarities.argmin(1))


@pytest.mark.parametrize(
    ("shape", "hardest", "share"), [((2, 3), 2, 0.5), ((2, 4), 5, 0.5), ((2, 4), 0, 0.5), ((2, 4), 2, 1.5)]
)
def test_arguments_that_do_not_fit_are_refused(shape, hardest, share):
    with pytest.raises(ValueError, match=r"both be|hardest takes"):
        real_hard(torch.zeros(2, 4), torch.zeros(shape), hardest, share)
