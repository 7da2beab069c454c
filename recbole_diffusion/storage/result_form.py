"""The form of ``result.json`` and of the lines of ``metrics.jsonl``: what is damaged in one, by its place."""

from collections.abc import Mapping
from typing import Any

from recbole_diffusion.storage.form import (
    AMOUNT,
    COUNT,
    LARGEST,
    NUMBER,
    TEXT,
    WHOLE,
    each,
    fields,
    kind,
    listed,
    or_none,
    shown,
)

DEEPEST = 12  # levels of a content that a run has written; today's have five
METRICS = each(NUMBER)
SECONDS = ("load", "build", "train", "valid", "test")
PART = fields(("rows", "fingerprint"), rows=COUNT, fingerprint=TEXT, columns=each(TEXT))
GROUP = each(or_none(NUMBER))
RATED = fields(
    readings=each(METRICS),
    counts=each(listed(NUMBER)),
    calibration=each(listed(NUMBER)),
    users=COUNT,
    relevant_from=NUMBER,
    distribution=kind(dict),
)
RESULT = fields(
    model=TEXT,
    dataset=TEXT,
    selection=TEXT,
    preset=or_none(TEXT),
    preset_replaced=kind(dict),
    seed=COUNT,
    candidates_seed=COUNT,
    items=COUNT,
    time_order=TEXT,
    parameters=COUNT,
    best_epoch=WHOLE,
    best_valid_score=or_none(NUMBER),
    valid=METRICS,
    valid_iid=METRICS,
    valid_choices=each(METRICS),
    test=or_none(METRICS),
    groups=each(each(listed(GROUP))),
    rated=each(RATED),
    split=or_none(kind(dict)),
    diagnostics=kind(dict),
    parts=or_none(each(PART)),
    first_rows=PART,
    seconds=fields(("train",), **dict.fromkeys(SECONDS, AMOUNT)),
    epoch_seconds=listed(AMOUNT),
    peak_rss_mb=AMOUNT,
    versions=each(TEXT),
    command=or_none(TEXT),
)
EPOCH = fields(
    epoch=COUNT,
    stage=TEXT,
    train_seconds=AMOUNT,
    valid_seconds=AMOUNT,
    loss=METRICS,
    valid=METRICS,
    valid_iid=METRICS,
    diagnostics=kind(dict),
    linear_weight=AMOUNT,
    ratings=each(listed(NUMBER)),
)


def damage_of_result(content: Any) -> str | None:
    """Return what is wrong with the content of ``result.json``, with its place; None if nothing is.

    What a run of an earlier version did not write may be missing.
    """
    if not isinstance(content, dict):
        return "it is not an object"
    tests = {name: value for name, value in content.items() if name.startswith("test_")}
    return _strange(content) or RESULT(content, "") or each(METRICS)(tests, "test parts")


def damage_of_epoch(content: Any) -> str | None:
    """Return what is wrong with a line of ``metrics.jsonl``; None if nothing is."""
    if not isinstance(content, dict):
        return "it is not an object"
    return _strange(content) or EPOCH(content, "")


def ordered_by_rounded_times(config: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
    """Return whether a run of an earlier version ordered each user's items by times of 32 bits.

    Those of today are 128 seconds apart, see ``_DiffusedRows`` in ``model/recbole_models.py``.

    Args:
        config: content of its ``config.yaml``.
        result: content of its ``result.json``.
    """
    of_recbole = config.get("model") in ("DiffRec", "LDiffRec") and config.get("time-aware")
    return bool(of_recbole) and "time_order" not in result


def _strange(content: Any) -> str | None:
    """Return where a content has what no run writes: whole numbers of many digits, or too many levels."""
    level: list[tuple[str, Any]] = [("", content)]
    for _ in range(DEEPEST):
        deeper: list[tuple[str, Any]] = []
        for place, value in level:
            if isinstance(value, int) and abs(value) >= LARGEST:
                return f"{place} is {shown(value)}"
            if isinstance(value, Mapping):
                deeper += [(f"{place}.{name}".lstrip("."), one) for name, one in value.items()]
            elif isinstance(value, list):
                deeper += [(place, one) for one in value]
        level = deeper
    return f"{level[0][0]} is nested more than {DEEPEST} deep" if level else None
