"""RecBole's training batches, of the same rows and negatives, without a list of row numbers for each."""

import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.compat import (
    Interaction,
    ModelType,
    TrainDataLoader,
    construct_transform,
    get_dataloader,
)

BATCHES = 64  # whose rows are put together at once: one by one, each row is a miss of the cache


class TensorTrainLoader(TrainDataLoader):
    """RecBole's ``TrainDataLoader`` that takes the rows of a batch by a tensor of their numbers.

    RecBole goes through torch's ``DataLoader``, which hands over every row number as a Python number, and
    through lists of them to the rows: three quarters of the time of an epoch of BPR. The random numbers
    are the same ones in the same order, from the same generators, so that a run has RecBole's batches, and
    goes on exactly from a checkpoint that was made with RecBole's loader.

    Args:
        config: reads ``train_batch_size``, ``train_neg_sample_args``, ``seed`` and ``transform``.
        dataset: the training part.
        sampler: of negatives, from ``data.sampling``.
        shuffle: whether to shuffle before each epoch.
    """

    def __init__(self, config: Any, dataset: Any, sampler: Any, shuffle: bool = False) -> None:
        # Not RecBole's constructor, which makes a list of all row numbers.
        self.config, self.shuffle = config, shuffle
        self._dataset, self._sampler = dataset, sampler
        self.sample_size, self.model = len(dataset), None
        self._set_neg_sample_args(
            config, dataset, config["MODEL_INPUT_TYPE"], config["train_neg_sample_args"]
        )
        self._init_batch_size_and_step()
        self.generator = torch.Generator().manual_seed(config["seed"])
        self.transform = construct_transform(config)
        self.is_sequential = config["MODEL_TYPE"] == ModelType.SEQUENTIAL

    def __len__(self) -> int:
        return -(-self.sample_size // self.step)

    def __iter__(self) -> Iterator[Interaction]:
        # torch's loader draws a seed for its workers, and at the end a second order that it drops.
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        rows = self._dataset.inter_feat.interaction
        for numbers in self._order().split(self.step * BATCHES):
            columns = {name: column.index_select(0, numbers) for name, column in rows.items()}
            for start in range(0, len(numbers), self.step):
                batch = {name: column[start : start + self.step] for name, column in columns.items()}
                yield self.completed(Interaction(batch))
        self._order()

    def _order(self) -> Tensor:
        """Return the numbers of all rows in the order of an epoch, long [rows]."""
        if not self.shuffle:
            return torch.arange(self.sample_size)
        return torch.randperm(self.sample_size, generator=self.generator)

    def completed(self, batch: Interaction) -> Interaction:
        """Return rows of the training part with RecBole's other columns: features, negatives, labels."""
        return self._neg_sampling(self.transform(self._dataset, self._dataset.join(batch)))


class UnsampledTrainLoader(TensorTrainLoader):
    """The same rows without negatives, for a model that chooses them itself (``negative_sampler``)."""

    def _set_neg_sample_args(self, config: Any, dataset: Any, dl_format: Any, neg_sample_args: Any) -> None:  # noqa: ARG002
        super()._set_neg_sample_args(
            config, dataset, dl_format, {"distribution": "none", "sample_num": "none"}
        )


def train_loader_class(config: Any) -> type:
    """Return RecBole's choice of the training loader, or ours in the place of its ``TrainDataLoader``.

    Batches that worker processes prepare are RecBole's: each process has its own random numbers.
    """
    if config.negatives is not None and config.negatives.negative_sampler is not None:
        return UnsampledTrainLoader
    chosen = get_dataloader(config, "train")
    if chosen is not TrainDataLoader:
        return chosen
    if config["worker"]:
        logging.getLogger().info(
            "worker %s: RecBole's own loader makes the batches, several times slower than with worker 0",
            config["worker"],
        )
        return chosen
    return TensorTrainLoader
