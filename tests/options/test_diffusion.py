"""The options of a noise schedule."""

import pytest
import torch

from recbole_diffusion import diffusion
from recbole_diffusion.diffusion import make_betas
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.diffusion import SCHEDULES, NoiseBoundsOptions, NoiseScheduleOptions

VALUES = {"steps": 7, "noise_scale": 0.5, "noise_min": 0.01, "noise_max": 0.2}


def test_the_betas_are_those_of_the_named_schedule_and_of_linear_variance_without_a_name():
    named = NoiseScheduleOptions(**VALUES, noise_schedule="cosine")
    assert torch.equal(named.betas(), make_betas("cosine", 7))
    bounds = {name: value for name, value in VALUES.items() if name != "steps"}
    assert torch.equal(NoiseBoundsOptions(**VALUES).betas(), make_betas("linear-var", 7, **bounds))
    assert "noise_schedule" not in NoiseBoundsOptions.__dataclass_fields__


def test_the_names_are_those_of_the_schedules_that_there_are():
    assert set(SCHEDULES) == set(diffusion.SCHEDULES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"noise_min": 0.3}, "noise_min is 0.3 and noise_max 0.2; noise_min must not be larger"),
        ({"noise_scale": 1.0, "noise_max": 1.0}, "make no schedule: noise must satisfy 0 < start <= end < 1"),
    ],
)
def test_bounds_that_make_no_schedule_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        NoiseBoundsOptions(**{**VALUES, **wrong}).check_schedule()
