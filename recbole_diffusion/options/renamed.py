"""Options renamed since earlier versions, and values that meant something else: messages, translation."""

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

# Values that have another meaning now, by model and option, with the value that says what they said.
REVALUED = {"TVDiff": {"topology": {"linkprop": "three_step"}}}
# By model: options that came with the new meaning, or with another default than what was done before, at the
# value that says what was done. A stored configuration without them is of before; so is a sweep's record of
# an earlier version of the values.
CAME_WITH: dict[str, dict[str, Any]] = {
    "TVDiff": {"aggregation": "addition"},
    "CCDRec": {"gradient_path": "cut", "diffusion_error": "mean"},
    "CNSDiff": {"causal_encoder_weight": None},
}
VALUES_VERSION = 2


def translated(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored configuration under today's names, in the same order."""
    return {RENAMED.get(name, name): value for name, value in values.items()}


def stored_options(model: str, options: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Return stored options under today's names, with today's values.

    Args:
        model: the model's name.
        options: some of its options.
        version: of their values, as in :data:`VALUES_VERSION`.
    """
    new = REVALUED.get(model, {}) if version < VALUES_VERSION else {}
    return {
        name: new[name].get(value, value) if name in new and isinstance(value, str) else value
        for name, value in translated(options).items()
    }


def stored_space(model: str, space: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Return a stored search space under today's names, with today's values; arguments as above."""

    def of(names: list[str], value: Any) -> Any:
        if isinstance(value, Mapping):  # the keys of a parameter, among them choice and when
            return {
                key: stored_space(model, one, version) if key == "when" else of(names, one)
                for key, one in value.items()
            }
        if isinstance(value, list) and len(names) > 1 and not any(isinstance(one, list) for one in value):
            return list(stored_options(model, dict(zip(names, value, strict=True)), version).values())
        if isinstance(value, list):
            return [of(names, one) for one in value]
        return stored_options(model, {names[0]: value}, version)[names[0]]

    found = {}
    for label, value in space.items():
        names = [RENAMED.get(name.strip(), name.strip()) for name in label.split(",")]  # chosen together
        found[", ".join(names)] = of(names, value)
    return found


def stored_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's whole stored configuration under today's names, with today's values."""
    config = translated(values)
    came = CAME_WITH.get(str(config.get("model")), {})
    if came.keys() <= config.keys():
        return config
    return {**stored_options(config["model"], config, version=1), **came}


def renamed_text(name: str, known: Iterable[str]) -> str | None:
    """Return the message for an earlier name of a known option, None for any other name."""
    new = RENAMED.get(name)
    return f"option {name!r} is called {new!r} now; write that name" if new in set(known) else None
