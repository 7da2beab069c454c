"""Training batches of positives, whose negatives the model draws on its device, and evaluation batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from recbole_diffusion.compat import FullSortEvalDataLoader, Interaction, ModelType
from recbole_diffusion.data.batches import by_user
from recbole_diffusion.data.user_items import Cells, UserItems, pair_keys, used_parts, without


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
        if by_user(config):
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


@dataclass(frozen=True)
class UserBlock:
    """A block of the users of a full ranking.

    Attributes:
        users: internal ids, long [block].
        history: what is left out of their lists.
        held_out: their distinct held-out items.
    """

    users: torch.Tensor
    history: Cells
    held_out: Cells

    def to(self, device: Any) -> Self:
        """Return the block on a device."""
        history, held_out = (
            (rows.to(device), items.to(device)) for rows, items in (self.history, self.held_out)
        )
        return type(self)(self.users.to(device), history, held_out)


class FullRankingLoader(FullSortEvalDataLoader):
    """Blocks of users of a full ranking, with their histories and held-out items.

    RecBole's loader makes tensors for each user in Python; here both are CSR arrays. A block has as many
    users as ``eval_batch_size`` cells allow, or as many sequences: RecBole's loader of a sequential model
    reads the option as sequences, so that a score table would be larger by a factor of the number of items.

    Attributes:
        users: users with held-out items, int64 [n], ascending.
        held_out: their distinct held-out items.
        history: what is left out of their lists: the items of earlier parts that are not held out.
    """

    def __init__(self, config: Any, dataset: Any, sampler: Any, shuffle: bool = False) -> None:
        if config["MODEL_TYPE"] == ModelType.SEQUENTIAL:
            super().__init__(config, dataset, sampler, shuffle=shuffle)
            return
        self.is_sequential = False
        self.uid_field, self.iid_field = dataset.uid_field, dataset.iid_field
        sizes = dataset.user_num, dataset.item_num
        held_out = pair_keys([dataset])
        earlier = pair_keys([part for part in used_parts(sampler) if part is not dataset])
        self.held_out = UserItems(held_out, *sizes)
        self.history = UserItems(without(earlier, held_out), *sizes)
        self.users = np.flatnonzero(np.diff(self.held_out.starts))
        self.sample_size = len(self.users)
        self.user_df = dataset.join(Interaction({self.uid_field: torch.from_numpy(self.users)}))
        # Not RecBole's constructor of a full ranking, which makes the lists of tensors.
        super(FullSortEvalDataLoader, self).__init__(config, dataset, sampler, shuffle=False)

    def _init_batch_size_and_step(self) -> None:
        super()._init_batch_size_and_step()
        if self.is_sequential:
            self.step = max(self.config.general.eval_batch_size // self._dataset.item_num, 1)
            self.set_batch_size(self.step)

    def collate_fn(self, index: Any) -> tuple:
        """Return the users of a block, the cells of their histories, and their held-out items."""
        if self.is_sequential:
            return super().collate_fn(index)
        block = self.block(np.asarray(index))
        return self.user_df[torch.as_tensor(index)], block.history, *block.held_out

    def block(self, index: np.ndarray) -> UserBlock:
        """Return the users at some places of ``users``, int64 [block]."""
        users = self.users[index]
        return UserBlock(torch.from_numpy(users), self.history.cells(users), self.held_out.cells(users))

    @property
    def uid2history_item(self) -> "HistoriesByUser":
        """Return what is left out of a user's list, as RecBole's ``case_study`` asks for it."""
        return HistoriesByUser(self.history)


class HistoriesByUser:
    """Item ids by user, int64 each: of one user, or of several as a list."""

    def __init__(self, items: UserItems) -> None:
        self._items = items

    def __getitem__(self, users: Any) -> Any:
        if np.ndim(users):
            return [self[user] for user in users]
        return torch.from_numpy(self._items.of(int(users)).astype(np.int64))
