"""What a run's result tells of rows of its held-out parts that its model has learned all the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from recbole_diffusion.errors import agreeing, counted

# The parts whose pairs are in the weights, or have chosen the epoch.
LEARNED = ("train", "the warm start", "valid", "valid_iid")


def seen_rows(config: Mapping[str, Any], result: Mapping[str, Any], parts: Sequence[str]) -> str:
    """Return what was learned of some parts, in words; empty if nothing was.

    Rankings that recommend what a user had before, and labelled rows, are no rankings of unseen items.

    Args:
        config: content of ``config.yaml``.
        result: content of ``result.json``.
        parts: names of the parts.
    """
    found = []
    mode = (config.get("eval_args") or {}).get("mode")
    modes = set(mode.values()) if isinstance(mode, Mapping) else {mode}
    # Without allow_overlap such parts are refused, but where seen items are ranked by design.
    if config.get("allow_overlap") and not config.get("repeatable") and modes != {"labeled"}:
        for names, count in ((result.get("overlap") or {}).get("pairs") or {}).items():
            first, _, later = names.partition(" & ")
            if later in parts and first in LEARNED:
                found.append(f"{counted(count, 'pair')} of {later} {agreeing(count, 'are')} in {first} too")
    seen = (result.get("origin") or {}).get("seen_rows") or {}
    rows = [f"{counted(seen[part], 'row')} of {part}" for part in parts if seen.get(part)]
    found += [f"the weights that it began with were trained on {' and '.join(rows)}"] if rows else []
    return ", and ".join(found)
