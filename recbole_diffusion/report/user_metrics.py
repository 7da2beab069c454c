"""The metrics of a run's users, which have to have the means that its ``result.json`` tells."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recbole_diffusion.errors import RunError
from recbole_diffusion.evaluation.lists import USER_METRICS, UserMetrics, load_user_metrics
from recbole_diffusion.storage.run_folder import RunFolder, rerun_hint

ROUNDING = 1e-5  # of a mean of float32


def user_metrics_of(
    folder: RunFolder, told: Mapping[str, Mapping[str, float]], digits: Any
) -> dict[str, UserMetrics] | None:
    """Return the metrics of each user by part; None for a run that stored none.

    Args:
        folder: of the run.
        told: the metrics of the test parts by name, as ``result.json`` has them.
        digits: that they are rounded to; 4, as in RecBole, where it is not known.

    Raises:
        RunError: the file is damaged, or its means are others than those told, so that a test over users
            would be of other numbers than a table.
    """
    if not folder.user_metrics.is_file():
        return None
    users = load_user_metrics(folder.user_metrics)
    allowed = 0.5 * 10.0 ** -(digits if isinstance(digits, int) else 4) + ROUNDING
    for part, values in told.items():
        for name, column in users.get(part, {}).items():
            if name.partition("@")[0] not in USER_METRICS or name not in values:
                continue
            mean = float(np.mean(column, dtype=np.float64))
            if not abs(mean - values[name]) <= allowed:  # a NaN is not
                raise RunError(
                    f"{folder.user_metrics} does not belong to result.json beside it: {name} on {part} is "
                    f"{mean:.6g} as a mean over users and {values[name]:.6g} there; {rerun_hint(folder.path)}"
                )
    return users
