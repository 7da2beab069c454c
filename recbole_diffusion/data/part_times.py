"""The times of given parts: held-out rows that are older than those a model learns."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion.compat import FeatureType
from recbole_diffusion.errors import counted

MOST = 0.9
FEW = 10  # fewer rows say nothing

logger = logging.getLogger(__name__)


def tell_older_parts(dataset: Any, parts: Mapping[str, Any]) -> None:
    """Warn of given held-out parts whose rows are nearly all older than training, as if exchanged.

    A row counts as older if it is before each training row of its user, or before half of all where its user
    has none there. Of a random split hardly a row is, unless users have few.

    Args:
        dataset: the whole data set.
        parts: train, valid and the test parts by name.
    """
    field, train = dataset.time_field, parts["train"]
    if dataset.benchmark_filename_list is None or field not in train.inter_feat:
        return
    if dataset.field2type[field] != FeatureType.FLOAT:
        return
    times = {name: np.asarray(part.inter_feat[field]) for name, part in parts.items()}
    if any(one.ndim != 1 for one in times.values()):  # a numerical feature
        return
    users = {name: np.asarray(part.inter_feat[part.uid_field]) for name, part in parts.items()}
    of_user = pd.Series(times["train"]).groupby(users["train"])
    earliest = of_user.min()[of_user.size() > 1]
    for name in [name for name in parts if name != "train" and len(parts[name]) >= FEW]:
        before = earliest.reindex(users[name]).fillna(np.median(times["train"])).to_numpy()
        older = int((times[name] < before).sum())
        if older >= MOST * len(before):
            logger.warning(
                "%d of the %s of %s of data set %r are older (%s) than the rows of train, so that a model is "
                "asked for the past: if the files of the parts are exchanged, name them in the order train, "
                "valid, test in benchmark_filename",
                *(older, counted(len(before), "row"), name, dataset.dataset_name, field),
            )
