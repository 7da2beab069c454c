"""Options renamed since earlier versions: the message for an old name, the translation of stored ones."""

from collections.abc import Iterable, Mapping
from typing import Any

RENAMED = {
    "shift_share": "shift_ratio",
    # Cross-domain models.
    "cold_share": "cold_user_ratio",
    "valid_user_share": "valid_user_ratio",
    "warm_share": "warm_start_share",
    "warm_pull": "warm_start_l2",
    "factor_std": "mf_std",
    "factor_reg_weight": "mf_reg_weight",
    "factor_bias_reg_weight": "mf_bias_reg_weight",
    "factor_epochs": "mf_epochs",
    "factor_learning_rate": "mf_learning_rate",
    "factor_batch_size": "mf_batch_size",
    "factor_stopping_step": "mf_stopping_step",
    "factor_valid_share": "mf_valid_ratio",
    "least_updates": "min_updates",
    "patience_updates": "patience_in_updates",
    "shift_reg_weight": "item_offset_reg_weight",
    "average": "ema_decay",
    "half_weight": "rating_count_half_weight",
    # Multimodal models.
    "original_share": "original_ratio",
    "diffused_share": "diffused_ratio",
    "candidate_share": "candidate_ratio",
    "top_share": "top_ratio",
    "false_share": "false_ratio",
}


def translated(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored configuration under today's names, in the same order."""
    return {RENAMED.get(name, name): value for name, value in values.items()}


def renamed_text(name: str, known: Iterable[str]) -> str | None:
    """Return the message for an earlier name of a known option, None for any other name."""
    new = RENAMED.get(name)
    return f"option {name!r} is called {new!r} now; write that name" if new in set(known) else None
