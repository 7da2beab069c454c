"""Energy and entropy against hand-computed values."""

import math

import pytest
import torch

from recbole_diffusion.evaluation.thermodynamics import (
    original_thermodynamics,
    row_energy,
    row_entropy,
    row_probabilities,
    thermodynamics,
)
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

# Users 1 and 2 (0 is padding), items 1 to 4: user 1 has 1 and 2, user 2 has 3.
POSITIVES = InteractionCSR(torch.tensor([0, 0, 2, 3]), torch.tensor([1, 2, 3]), 5)


def test_energy_counts_reached_cells_and_shares_of_the_others():
    original = torch.tensor([[0.5, 0.5, 0.0, 0.0]])
    reconstructed = torch.tensor([[0.6, 0.1, 0.3, -0.2]])
    # 1 (0.6 >= 0.5) + 0.1 / 0.5 + 1 (0.3 >= 0) + 0 (negative against 0)
    assert row_energy(reconstructed, original).tolist() == pytest.approx([2.2])


def test_entropy_is_shannon_entropy():
    assert row_entropy(torch.tensor([[0.25] * 4, [1.0, 0, 0, 0]])).tolist() == pytest.approx(
        [math.log(4), 0.0]
    )


def test_probabilities_by_both_rules():
    scores = torch.tensor([[3.0, -1.0]])
    assert row_probabilities(scores, "l1").tolist() == [pytest.approx([0.75, -0.25])]
    assert row_probabilities(scores, "softmax").sum().item() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="'l1' or 'softmax'"):
        row_probabilities(scores, "l2")


@pytest.mark.parametrize("block", [1, 2, 100])
def test_whole_data_set_by_blocks_leaves_padding_out(block):
    scores = torch.tensor([[9.0] * 5, [9.0, 1.0, 1.0, 1.0, 1.0], [9.0, 0.0, 0.0, 1.0, 0.0]])
    found = thermodynamics(lambda users: scores[users], POSITIVES, block=block)
    # user 1: 0.25 everywhere against 0.5 for two items: 0.5 + 0.5 + 1 + 1, entropy log 4; user 2: exact, 4
    # cells, entropy 0
    assert (found.energy, found.entropy, found.users) == (pytest.approx(7.0), pytest.approx(math.log(4)), 2)


def test_interactions_themselves():
    found = original_thermodynamics(POSITIVES)
    assert (found.energy, found.entropy, found.users) == (pytest.approx(8.0), pytest.approx(math.log(2)), 2)
    perfect = torch.zeros(3, 5)
    perfect[1, 1:3], perfect[2, 3] = 0.5, 1.0
    again = thermodynamics(lambda users: perfect[users], POSITIVES)
    assert (again.energy, again.entropy) == (pytest.approx(found.energy), pytest.approx(found.entropy))
