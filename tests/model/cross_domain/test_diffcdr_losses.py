"""DiffCDR's distances of vectors, computed by hand."""

import pytest
import torch

from recbole_diffusion.model.cross_domain.diffcdr_losses import align_distance, denoiser_error

FOUND, TARGET = torch.tensor([[0.5, 3.0], [0.0, -4.0]]), torch.tensor([[0.0, 1.0], [3.0, 0.0]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("squared", [(0.25 + 4) / 2, (9 + 16) / 2]),
        ("norm", [4.25**0.5, 5.0]),
        # d^2 / 2 below 1, |d| - 1/2 above; a mean over the two coordinates.
        ("smooth_l1", [(0.125 + 1.5) / 2, (2.5 + 3.5) / 2]),
    ],
)
def test_the_error_of_the_denoiser_by_row(kind, expected):
    assert denoiser_error(FOUND, TARGET, kind).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "norm", "expected"),
    [
        ("norm", 1, (2.5 + 7) / 2),  # over coordinates a sum, over users a mean
        ("norm", 2, (4.25 + 25) / 2),
        ("smooth_l1", 1, (0.125 + 1.5 + 2.5 + 3.5) / 4),  # a mean over both
    ],
)
def test_the_distance_of_aligned_vectors(kind, norm, expected):
    assert align_distance(FOUND, TARGET, kind, norm).item() == pytest.approx(expected)
