"""Histories that NextItNet does not see: padding stands behind the items, and it reads the last place."""

import logging
from typing import Any

from recbole_diffusion.errors import counted

logger = logging.getLogger(__name__)


def tell_unseen_histories(config: Any, name: str, part: Any) -> None:
    """Warn if NextItNet's convolutions do not reach back to the items of some histories.

    Args:
        config: the run's configuration.
        name: of the part, for the warning.
        part: held-out rows with their histories.
    """
    if config["model"] != "NextItNet":
        return
    length = config["MAX_ITEM_LIST_LENGTH"]
    # Two convolutions a block and dilation, the second of twice the dilation.
    reach = 3 * (config["kernel_size"] - 1) * sum(config["dilations"]) * config["block_num"]
    items = part.inter_feat[config["ITEM_LIST_LENGTH_FIELD"]]
    if unseen := int((items < length - reach).sum()):
        remedy = (
            f"set MAX_ITEM_LIST_LENGTH to {reach} or less, or enlarge kernel_size, block_num or dilations"
        )
        logger.warning(
            "NextItNet predicts from the last of MAX_ITEM_LIST_LENGTH %d places and reaches %d places back: "
            "the histories of %s of %s of data set %r end before that, so that all of them get one list; %s",
            *(length, reach, counted(unseen, "row"), name, config["dataset"]),
            remedy if reach else "enlarge kernel_size, which is 1",
        )
