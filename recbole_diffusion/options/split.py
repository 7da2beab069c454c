"""Options of the split under distribution shift and of its validation part, checked before data loads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option

VALID_PARTS = ("iid", "latest")
SHIFTS = ("none", "popularity", "temporal", "exposure")
VALID_SHIFTS = SHIFTS[:3]


@dataclass(frozen=True)
class SplitOptions:
    """How the interactions are split into train, valid, test_iid and test_ood, and which rows are valid.

    ``none`` leaves the split to ``eval_args``.
    """

    shift: str = option("distribution shift of the second test part", choices=SHIFTS)
    shift_seed: int = option("seed of the split, independent of the run's seed", low=0, high=2**32 - 1)
    shift_ratio: float = option(
        "share of the interactions in test_ood (popularity, temporal)",
        low=0,
        high=1,
        open_low=True,
        open_high=True,
    )
    shift_rest: list = option("shares of train, valid and test_iid among all other interactions")
    shift_test: str | None = option("file of the fully exposed interactions, test_ood of the exposure shift")

    valid_part: str = option(
        "validation rows: as the split or the files have them (iid), or each user's latest among those of "
        "train and valid, for any way of splitting but by time",
        choices=VALID_PARTS,
    )
    valid_shift: str = option(
        "shift of the validation part that chooses epoch and settings, cut from train: near-uniform over "
        "items, or each user's latest; the part that the split makes stays beside as valid_iid",
        choices=VALID_SHIFTS,
    )
    valid_shift_ratio: float = option(
        "share of train's rows in the shifted validation part",
        low=0,
        high=1,
        open_low=True,
        open_high=True,
    )

    def __post_init__(self) -> None:
        check_shares(self.shift_ratio, self.shift_rest)
        if (self.shift == "exposure") != bool(self.shift_test):
            given = f"shift is {self.shift!r} and shift_test is {self.shift_test!r}"
            raise UsageError(
                f"{given}; the exposure shift needs an atomic .inter file in shift_test, and only that shift "
                "takes one"
            )


def check_shares(share: float, rest: Sequence[float]) -> None:
    """Check the share of test_ood and the shares of the other three parts.

    Raises:
        UsageError: a share outside (0, 1), or shares of the rest that are not three or do not sum to 1.
    """
    if not _is_share(share):
        raise UsageError(
            f"option 'shift_ratio' is {share!r}; it takes a number between 0 and 1, both excluded"
        )
    if len(rest) != 3 or not all(map(_is_share, rest)) or not math.isclose(sum(rest), 1, abs_tol=1e-6):
        raise UsageError(
            f"option 'shift_rest' is {list(rest)!r}; it takes three shares between 0 and 1 that sum to 1, of "
            "train, valid and test_iid, such as [0.7, 0.1, 0.2]"
        )


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1
