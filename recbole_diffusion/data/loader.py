"""Training batches of positives, whose negatives the model draws on its device, and evaluation batches."""

from collections.abc import Iterator
from typing import Any

import torch

from recbole_diffusion.compat import FullSortEvalDataLoader, Interaction


class PositiveLoader:
    """Shuffled batches of training interactions, or of training users.

    With ``batch_by: interaction`` a batch has user and item ids of ``train_batch_size`` interactions; with
    ``batch_by: user`` it has ``train_batch_size`` user ids, each user with an interaction once per epoch,
    never the padding user.

    The order depends only on ``generator``, whose state is saved in checkpoints.

    Args:
        config: of a model of ours; ``batch_by`` is an option of it.
        dataset: the training part.
        sampler: unused, RecBole's loaders have it.
        shuffle: whether to shuffle before each epoch.
    """

    def __init__(self, config: Any, dataset: Any, sampler: Any = None, shuffle: bool = True) -> None:  # noqa: ARG002
        self._dataset = self.dataset = dataset
        self.shuffle = shuffle
        self.batch_size = config.general.train_batch_size
        self.generator = torch.Generator().manual_seed(config.general.seed)
        users, items = dataset.inter_feat[dataset.uid_field], dataset.inter_feat[dataset.iid_field]
        if getattr(config.options, "batch_by", "interaction") == "user":
            self.columns = {dataset.uid_field: torch.unique(users)}
        else:
            self.columns = {dataset.uid_field: users, dataset.iid_field: items}
        self.rows = len(self.columns[dataset.uid_field])

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Iterator[Interaction]:
        order = (
            torch.randperm(self.rows, generator=self.generator) if self.shuffle else torch.arange(self.rows)
        )
        for index in order.split(self.batch_size):
            yield Interaction({name: column[index] for name, column in self.columns.items()})


class FullRankingLoader(FullSortEvalDataLoader):
    """RecBole's loader of a full ranking, with ``eval_batch_size`` in cells for sequential models too.

    RecBole reads the option as users x items for a general model, but as sequences for a sequential one: the
    score table of a batch would be larger by a factor of the number of items.
    """

    def _init_batch_size_and_step(self) -> None:
        super()._init_batch_size_and_step()
        if self.is_sequential:
            self.step = max(self.config.general.eval_batch_size // self._dataset.item_num, 1)
            self.set_batch_size(self.step)
