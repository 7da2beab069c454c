"""Columns of the interactions that give the label away: its source, or known after the event."""

import logging
from typing import Any

import numpy as np

from recbole_diffusion.compat import ModelType
from recbole_diffusion.data.columns import labels_are_read
from recbole_diffusion.data.named_features import SEQUENCES_WITH_FEATURES
from recbole_diffusion.errors import counted

EXCEPT = 0.01  # share of the rarer label's rows on which the column may be wrong
FEW = 10  # fewer rows of the rarer label, or rows for each token, agree by chance

logger = logging.getLogger(__name__)


def tell_label_columns(config: Any, dataset: Any) -> None:
    """Warn of columns that a model with features reads and that tell the label of nearly every row.

    Args:
        config: the run's configuration.
        dataset: the whole data set, before it is divided.
    """
    label, frame = config["LABEL_FIELD"], dataset.inter_feat
    with_features = config.model_class.type == ModelType.CONTEXT or config["model"] in SEQUENCES_WITH_FEATURES
    if not with_features or label not in frame or not labels_are_read(config):
        return
    liked = frame[label].to_numpy() > 0
    rarer = min(int(liked.sum()), int((~liked).sum()))
    if rarer < FEW:
        return
    unused = (config["unused_col"] or {}).get("inter") or ()
    numbers = config["numerical_features"] or ()
    for name in frame:
        kind = dataset.field2type[name].value
        if name in (dataset.uid_field, dataset.iid_field, label, *unused):
            continue
        if kind == "token":
            wrong, what = _wrong_by_token(frame[name].to_numpy(), liked), "token"
        elif kind == "float" and name in numbers:
            wrong, what = _wrong_by_number(_numbers(frame[name]), liked), "number"
        else:
            continue
        if wrong is not None and wrong <= EXCEPT * rarer:
            logger.warning(
                "the column %r of data set %r tells the %s of %d of %s, by its %s alone, and %s reads it: if "
                "it is what the label was made from, or known after the event only, metrics say nothing; "
                "leave it out with unused_col: {inter: [%s]}",
                *(name, dataset.dataset_name, label, len(liked) - wrong, counted(len(liked), "row")),
                *(what, config["model"], name),
            )


def _wrong_by_token(tokens: np.ndarray, liked: np.ndarray) -> int | None:
    """Return the rows whose label is not that of most rows of their token; None where tokens are too many."""
    codes = np.unique(tokens, return_inverse=True)[1]
    if FEW * (int(codes.max()) + 1) > len(codes):
        return None
    ones = np.bincount(codes, liked)
    return int(np.minimum(ones, np.bincount(codes) - ones).sum())


def _wrong_by_number(values: np.ndarray, liked: np.ndarray) -> int:
    """Return the rows whose label is not that of their side of the best threshold."""
    order = np.argsort(values, kind="stable")
    ones = np.cumsum(liked[order])
    ends = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))  # the last row of each value
    below, rows = ones[ends], ends + 1
    wrong = below + (len(liked) - rows) - (ones[-1] - below)  # below is 0, above is 1
    return int(np.minimum(wrong, len(liked) - wrong).min())


def _numbers(column: Any) -> np.ndarray:
    """Return the numbers of a column; RecBole keeps a numerical feature as pairs of number and place."""
    return np.array([cell[0] if np.ndim(cell) else cell for cell in column], dtype=np.float64)
