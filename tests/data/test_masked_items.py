"""Masked items of a history with all items: no negative where none is read, refused where one is."""

import random
from types import SimpleNamespace

import pytest
import torch

from recbole_diffusion.compat import recbole_transform
from recbole_diffusion.config import Config
from recbole_diffusion.data.masked_items import MaskedItems, settle_masks
from recbole_diffusion.errors import UsageError

FULL = [[1, 2, 3, 1, 0], [3, 3, 0, 0, 0], [2, 1, 3, 0, 0]]  # two of three have all three items


def loader(histories):
    """Return what is read of a loader: the histories of its part, of three items."""
    part = SimpleNamespace(
        item_num=4, iid_field="item_id", inter_feat={"item_id_list": torch.tensor(histories)}
    )
    return SimpleNamespace(_dataset=part, transform=None)


def config(model="BERT4Rec", **options):
    usual = {"topk": [2], "valid_metric": "MRR@2", "use_gpu": False, "MAX_ITEM_LIST_LENGTH": 5}
    return Config(model, "toy", overrides={**usual, **options})


def test_negatives_that_no_loss_reads_are_drawn_as_far_as_there_are_any():
    asked = loader(FULL)
    settle_masks(config(), asked)
    assert isinstance(asked.transform, MaskedItems) and asked.transform._neg_sample([3, 1, 2, 0], 4) == 0
    plain = recbole_transform.MaskItemSequence(config())
    for masks in (plain, asked.transform):
        random.seed(7)
        masks.drawn = [masks._neg_sample([1, 3, 3, 0], 9) for _ in range(20)]
    assert asked.transform.drawn == plain.drawn  # RecBole's draws


@pytest.mark.parametrize(
    ("model", "options", "remedy"),
    [
        ("BERT4Rec", {"loss_type": "BPR"}, "below 3, or set loss_type to CE"),
        ("S3Rec", {"item_attribute": "item_id"}, "below 3$"),
    ],
)
def test_a_loss_that_compares_refuses_histories_with_all_items(model, options, remedy):
    with pytest.raises(UsageError, match=f"that of 2 rows of data set 'toy' has all 3 items; .*{remedy}"):
        settle_masks(config(model, **options), loader(FULL))
    settle_masks(config(model, **options), loader(FULL[1:2]))


def test_masks_need_a_place_in_the_history():
    with pytest.raises(UsageError, match=r"'mask_ratio' is 0.1; it takes 0.2 or more"):
        config(mask_ratio=0.1)
    assert config(mask_ratio=0.2)["mask_ratio"] == 0.2
