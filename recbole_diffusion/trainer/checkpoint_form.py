"""The form of checkpoints: what is damaged in one whose file is whole, by its place."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from recbole_diffusion.storage.form import (
    COUNT,
    NUMBER,
    TEXT,
    WHOLE,
    Form,
    each,
    fields,
    kind,
    or_none,
    shown,
)
from recbole_diffusion.storage.result_form import PART, damage_of_epoch

TENSOR, NOTHING_OR_MAPPING = kind(torch.Tensor), or_none(kind(dict))


def _value(value: Any, place: str) -> str | None:
    """Return what is wrong with a metric, which earlier versions have stored as an array of no dimension."""
    of_array = isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iuf"
    return None if of_array else NUMBER(value, place)


def _numbers(value: Any, place: str) -> str | None:
    return None if isinstance(value, bool | torch.Tensor | np.ndarray) else NUMBER(value, place)


WEIGHTS: dict[str, Form] = {
    "model": TEXT,
    "ids": TEXT,
    "data": each(PART),
    "epoch": kind(int, low=-1),
    "state_dict": each(TENSOR),
    "other_parameter": NOTHING_OR_MAPPING,
}
STATE: dict[str, Form] = {
    "cur_step": COUNT,
    "best_epoch": WHOLE,
    "best_valid_score": NUMBER,
    "best_valid_result": or_none(each(_value)),
    "records": TEXT,
    "plain": each(_numbers),
    "optimizers": each(kind(dict)),
    "random": fields(("python", "numpy", "torch", "cuda"), torch=TENSOR, cuda=kind(list)),
    "loader": or_none(TENSOR),
    "trainer": kind(dict),
}


def damage_of_weights(state: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the weights in a checkpoint of ours; None if nothing is.

    What an earlier version did not write may be missing.
    """
    return fields(("state_dict",), **WEIGHTS)(state, "")


def damage_of_state(state: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the state of a run after an epoch, besides weights; None if nothing is."""
    needed = [name for name in STATE if name != "trainer"]
    if found := fields(("epoch", *needed), **STATE)(state, ""):
        return found
    if state["best_valid_score"] != state["best_valid_score"]:
        return "best_valid_score is nan"
    try:
        records = json.loads(state["records"])
    except (ValueError, RecursionError) as error:
        return f"records is not JSON: {error}"
    if not isinstance(records, list):
        return f"records is {shown(records)}"
    for number, record in enumerate(records):
        if found := damage_of_epoch(record):
            return f"records[{number}]: {found}"
    last = records[-1].get("epoch") if records else -1
    if last != state["epoch"]:
        return f"epoch is {shown(state['epoch'])}, that of its last record {last}"
    best, found = state["best_epoch"], state["best_valid_result"]
    valid = next((record.get("valid") for record in records if record["epoch"] == best), None)
    score = state["best_valid_score"]
    # Infinite: a validation of a stage that has too few updates to choose an epoch by.
    if found and valid and (valid != found or not (math.isinf(score) or score in valid.values())):
        return f"its best validation is not that of the record of epoch {best}"
    return None


def not_finite(model: torch.nn.Module) -> str | None:
    """Return the name of the first parameter of a model that is not finite throughout; None without one."""
    for name, weights in model.named_parameters():
        if not bool(torch.isfinite(weights).all()):
            return name
    return None
