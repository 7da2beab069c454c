"""How many users a split by user holds rows out of: of those with few rows it holds out none."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from recbole_diffusion.errors import counted

logger = logging.getLogger(__name__)


def tell_evaluated_users(config: Any, dataset: Any, parts: Mapping[str, Any]) -> None:
    """Warn of held-out parts with rows of fewer than half of the users, of whom alone metrics speak.

    Args:
        config: the run's configuration.
        dataset: the whole data set.
        parts: train, valid and the test parts by name.
    """
    args = config["eval_args"]
    of_users = "LS" in args["split"] or ("RS" in args["split"] and args["group_by"] == "user")
    given = dataset.benchmark_filename_list is not None or config.split.shift != "none"
    if given or not of_users or hasattr(dataset, "source"):  # cold users are divided themselves
        return
    users, said = dataset.user_num - 1, []
    for name in ("valid", "test"):
        part = parts.get(name)
        if part is not None and len(part):
            held_out = len(np.unique(np.asarray(part.inter_feat[part.uid_field])))
            if 2 * held_out < users:
                said.append(f"{name} has rows of {held_out} of the {counted(users, 'user')}")
    if said:
        logger.warning(
            "data set %r: %s, since the others have too few rows for eval_args.split %s: metrics speak of "
            "these users alone; user_inter_num_interval leaves users with few rows out",
            *(dataset.dataset_name, " and ".join(said), args["split"]),
        )
