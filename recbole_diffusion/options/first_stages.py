"""First stages of RecBole's models: they count their epochs by an option of their own and validate none."""

from collections.abc import Mapping
from typing import Any

PRETRAINING = {"S3Rec": "pretrain", "RaCT": "actor_pretrain"}  # the value of train_stage, by model


def is_pretraining(values: Mapping[str, Any]) -> bool:
    """Return whether a run with these options has ``pretrain_epochs`` epochs, of which none is validated."""
    stage = values.get("train_stage")
    return stage is not None and PRETRAINING.get(values["model"]) == stage


def settle_epochs(final: dict[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Give ``epochs`` the value of ``pretrain_epochs`` in a first stage; return a line for the log.

    Args:
        final: the values of all layers; changed in place.
        given: the values that the user gave.
    """
    if not is_pretraining(final):
        return []
    epochs = final["epochs"] = final["pretrain_epochs"]
    other = ", and not epochs" if given.get("epochs", epochs) != epochs else ""
    return [
        f"train_stage is {final['train_stage']!r}: pretrain_epochs, {epochs}, counts the epochs{other}; none "
        "is validated, and all metrics are those of the pretrained weights after the last one"
    ]
