"""What a model must do, as tests that its package inherits; see ``docs/adding_a_model.md``. Needs pytest."""

import pytest

pytest.register_assert_rewrite(
    "recbole_diffusion.testing.contract", "recbole_diffusion.testing.cold_contract"
)

from recbole_diffusion.testing.built import Built  # noqa: E402
from recbole_diffusion.testing.checkerboard import make_checkerboard  # noqa: E402
from recbole_diffusion.testing.cold_contract import FAST, ColdUserContract  # noqa: E402
from recbole_diffusion.testing.contract import ModelContract  # noqa: E402
from recbole_diffusion.testing.data_set import DataSet  # noqa: E402
from recbole_diffusion.testing.histories import histories_of  # noqa: E402
from recbole_diffusion.testing.two_domains import make_two_domains  # noqa: E402

__all__ = [
    "FAST",
    "Built",
    "ColdUserContract",
    "DataSet",
    "ModelContract",
    "histories_of",
    "make_checkerboard",
    "make_two_domains",
]
