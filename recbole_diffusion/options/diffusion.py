"""The noise schedule of a diffusion, under the option names of RecBole's DiffRec."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option

if TYPE_CHECKING:
    from torch import Tensor

SCHEDULES = ("linear-var", "linear", "cosine", "exp", "sqrt", "binomial")  # those of diffusion/schedule.py


@dataclass(frozen=True)
class NoiseBoundsOptions:
    """Steps and bounds of a schedule whose variance 1 - abar_t grows linearly (DiffRec's ``linear-var``)."""

    noise_schedule = "linear-var"

    steps: int = option("diffusion steps T", low=1)
    noise_scale: float = option("factor of noise_min and noise_max", low=0, high=1, open_low=True)
    noise_min: float = option("lower bound of the noise", low=0, high=1, open_low=True)
    noise_max: float = option("upper bound of the noise", low=0, high=1, open_low=True)

    def betas(self) -> "Tensor":
        """Return the betas of the schedule, float64 [steps]."""
        from recbole_diffusion.diffusion import make_betas  # late: --help of a model does not need torch

        bounds = {"noise_scale": self.noise_scale, "noise_min": self.noise_min, "noise_max": self.noise_max}
        return make_betas(self.noise_schedule, self.steps, **bounds)

    def check_schedule(self) -> None:
        """Raise UsageError if the options do not give a schedule; for ``__post_init__``."""
        if self.noise_min > self.noise_max:
            raise UsageError(
                f"noise_min is {self.noise_min} and noise_max {self.noise_max}; noise_min must not be larger"
            )
        try:
            self.betas()
        except ValueError as error:
            raise UsageError(
                f"noise_scale, noise_min, noise_max and steps make no schedule: {error}"
            ) from error


@dataclass(frozen=True)
class NoiseScheduleOptions(NoiseBoundsOptions):
    """A schedule chosen by name."""

    noise_schedule: str = option("schedule of the betas", choices=SCHEDULES)

    def unread(self) -> dict[str, str]:
        """Return what a schedule without bounds does not read, with the reason."""
        if self.noise_schedule in ("linear-var", "linear"):
            return {}
        reason = f"noise_schedule is {self.noise_schedule}"
        return dict.fromkeys(("noise_scale", "noise_min", "noise_max"), reason)
