"""Negatives of masked items (BERT4Rec, S3Rec) where a history has all items, so that there are none."""

from typing import Any

import numpy as np

from recbole_diffusion.compat import recbole_transform
from recbole_diffusion.errors import UsageError, counted

MASKING = "mask_itemseq"  # the transform of BERT4Rec


class MaskedItems(recbole_transform.MaskItemSequence):
    """RecBole's masks, with its draws, for a loss that reads no negatives: 0 is one where there is none."""

    def _neg_sample(self, item_set: list[int], n_items: int) -> int:
        if len(item_set) >= n_items - 1 and len({*item_set} - {0}) == n_items - 1:
            return 0
        return super()._neg_sample(item_set, n_items)


def settle_masks(config: Any, loader: Any) -> None:
    """Settle the negatives of masked items of a sequential model: see the module.

    Args:
        config: the run's configuration.
        loader: of a part whose histories are made.

    Raises:
        UsageError: the loss compares a masked item with one that the history lacks, and a history has all.
    """
    masks = config["transform"] == MASKING
    if not masks and config["model"] != "S3Rec":
        return
    if masks and config["loss_type"] == "CE":
        loader.transform = MaskedItems(config)
        return
    part, most = loader._dataset, config["MAX_ITEM_LIST_LENGTH"]
    items = part.item_num - 1
    if most < items:
        return
    histories = part.inter_feat[part.iid_field + config["LIST_SUFFIX"]].numpy()
    table = np.sort(histories, axis=1)
    different = (table[:, :1] > 0).sum(1) + ((np.diff(table, axis=1) > 0) & (table[:, 1:] > 0)).sum(1)
    if full := int((different == items).sum()):
        remedy = ", or set loss_type to CE" if masks else ""
        raise UsageError(
            f"{config['model']} compares a masked item with one that the history does not have, but "
            f"that of {counted(full, 'row')} of data set {config['dataset']!r} has all {items} items; set "
            f"MAX_ITEM_LIST_LENGTH below {items}{remedy}"
        )
