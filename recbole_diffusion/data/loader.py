"""Training batches of positives only; negatives are drawn by the model, on its device."""

from collections.abc import Iterator
from typing import Any

import torch
from recbole.data.interaction import Interaction


class PositiveLoader:
    """Shuffled batches of training interactions, or of training users.

    With ``batch_by: interaction`` a batch holds user and item ids of ``train_batch_size`` interactions; with
    ``batch_by: user`` it holds ``train_batch_size`` user ids, each user who has an interaction once an epoch.
    The padding user is never among them.

    The order comes from ``generator`` alone, whose state is part of a checkpoint.

    Args:
        config: reads ``batch_by``, ``train_batch_size``, ``seed``.
        dataset: the training part.
        sampler: unused, RecBole's loaders have it.
        shuffle: whether to shuffle before each epoch.
    """

    def __init__(self, config: Any, dataset: Any, sampler: Any = None, shuffle: bool = True) -> None:  # noqa: ARG002
        self._dataset = self.dataset = dataset
        self.shuffle = shuffle
        self.batch_size = config["train_batch_size"]
        self.generator = torch.Generator().manual_seed(config["seed"])
        users, items = dataset.inter_feat[dataset.uid_field], dataset.inter_feat[dataset.iid_field]
        if config["batch_by"] == "user":
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
