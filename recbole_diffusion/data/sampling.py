"""RecBole's samplers of negatives, with the same draws, on sorted arrays instead of a set for each user.

RecBole makes the sets of all users three times over when a run starts, row by row in Python, whether anything
draws or not. Here the pairs of a phase are sorted when its first negative is drawn.

Longer than most files: RecBole's two samplers, and the table of pairs that both look into.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from recbole_diffusion.compat import RepeatableSampler, Sampler
from recbole_diffusion.data.user_items import pair_keys
from recbole_diffusion.errors import UsageError, agreeing, counted
from recbole_diffusion.options.model_needs import reads_whole_rows

PHASES = ["train", "valid", "test"]
BITS_PER_PAIR = 32  # at most, of the table of used pairs
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio (Knuth's multiplicative hashing)


def create_samplers(config: Any, dataset: Any, parts: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Return the samplers of train, valid and test as RecBole's ``create_samplers`` does, None without one.

    Args:
        config: reads ``repeatable`` and the ``..._neg_sample_args``.
        dataset: the whole data set.
        parts: its three parts.

    Raises:
        ValueError: a user has all items, so that there are no negatives, and the run may draw some.
    """
    made: list[Any] = []
    base: Any = None
    for phase in PHASES:
        asked = config[f"{phase}_neg_sample_args"]
        sampler = None
        if asked["distribution"] != "none":
            if base is not None:  # of the training part: its alpha counts, as in RecBole
                base.set_distribution(asked["distribution"])
                sampler = base
            else:
                rows: Any = dataset if config["repeatable"] else list(parts)
                kind = RepeatableNegatives if config["repeatable"] else Negatives
                if kind is Negatives and _draws_nothing(config):
                    kind = SeenItems
                alpha = asked["alpha"] if phase == "train" else 1.0
                sampler = kind(PHASES, rows, asked["distribution"], alpha)
            base = sampler if phase == "train" else base
        made.append(None if sampler is None else sampler.set_phase(phase))
    return made[0], made[1], made[2]


def _draws_nothing(config: Any) -> bool:
    """Return whether a run draws no negatives: EASE, MultiVAE and the like, in a full ranking."""
    alone = config.model_class.computed_when_made or reads_whole_rows(config["model"])
    return alone and set(config["eval_args"]["mode"].values()) == {"full"}


def require_negatives(dataset: Any, interactions: Any, by_popularity: bool, remedy: str) -> None:
    """Refuse a user of the training part for whom a model's sampler could draw no negative.

    Args:
        dataset: the training part.
        interactions: its pairs, scipy CSR [n_users, n_items].
        by_popularity: whether items without interactions are never drawn.
        remedy: what else to do, the end of the message.

    Raises:
        UsageError: there is one.
    """
    candidates = len(np.unique(interactions.indices)) if by_popularity else interactions.shape[1] - 1
    full = np.flatnonzero(np.diff(interactions.indptr) >= candidates)
    if len(full):
        token = str(dataset.field2id_token[dataset.uid_field][int(full[0])])
        why = " that have interactions, so that popularity leaves" if by_popularity else ", which leaves"
        raise UsageError(
            f"user {token!r} has all {counted(candidates, 'item')}{why} no negative to draw; leave such "
            f"users out with user_inter_num_interval{remedy}"
        )


class UsedItems:
    """The items that users have in some data sets, for drawing others.

    Args:
        datasets: parts of one data set; their rows are read when an item is first asked for.
    """

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = list(datasets)
        self.n_users, self.n_items = datasets[0].user_num, datasets[0].item_num
        self._keys: np.ndarray | None = None

    @property
    def keys(self) -> np.ndarray:
        """The pairs as ``user * n_items + item``, int64, ascending."""
        if self._keys is None:
            self._keys = pair_keys(self.datasets)
        return self._keys

    @functools.cached_property
    def _table(self) -> "PairTable":
        return PairTable(self.keys, self.n_users * self.n_items)

    def have(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return whether each user has the item beside it, bool [pairs].

        Raises:
            IndexError: there is no such user.
        """
        if len(users) and (users.min() < 0 or users.max() >= self.n_users):
            raise IndexError("a user id is out of range")
        wanted = users * self.n_items + items
        found = self._table.may_have(wanted)
        if not self._table.exact:
            open_places = np.flatnonzero(found)
            left = wanted[open_places]
            place = np.searchsorted(self.keys, left).clip(max=max(len(self.keys) - 1, 0))
            found[open_places] = self.keys[place] == left
        return found

    def __getitem__(self, user: Any) -> Any:
        """Return the items of a user as a set, as RecBole's loaders take them; of several, an array."""
        if user is None:  # RecBole's loader asks so before its first user, and drops the answer
            return set()
        if np.ndim(user):
            sets = np.empty(len(user), dtype=object)
            sets[:] = [self[one] for one in user]
            return sets
        first, end = np.searchsorted(self.keys, np.array([user, user + 1]) * self.n_items)
        return set((self.keys[first:end] - user * self.n_items).tolist())

    def __len__(self) -> int:
        """Return the number of users."""
        return self.n_users


class PairTable:
    """A bit for each pair: looking at it is cheaper than a search in all pairs, since it stays in the cache.

    Where users x items are too many for a bit each, pairs share one by a hash, and a bit that is set says
    nothing yet.

    Attributes:
        exact: whether each pair has a bit of its own.

    Args:
        keys: of the pairs, int64, distinct, from 0.
        n_keys: number of possible keys.
    """

    def __init__(self, keys: np.ndarray, n_keys: int) -> None:
        most = max(BITS_PER_PAIR * len(keys), 2**16)
        self.exact = n_keys <= most
        bits = n_keys if self.exact else 2 ** (most.bit_length() - 1)
        self.shift = np.uint64(64 - (bits.bit_length() - 1))
        self.table = np.zeros(bits // 8 + 1, np.uint8)
        places = np.sort(self._places(keys))
        byte = places >> 3
        starts = np.flatnonzero(np.r_[True, byte[1:] != byte[:-1]][: len(byte)])
        if len(starts):
            self.table[byte[starts]] = np.bitwise_or.reduceat(self._bit(places), starts)

    def may_have(self, keys: np.ndarray) -> np.ndarray:
        """Return False for keys that are certainly not among the pairs: int64 -> bool, [keys]."""
        places = self._places(keys)
        return (self.table[places >> 3] & self._bit(places)) != 0

    def _places(self, keys: np.ndarray) -> np.ndarray:
        if self.exact:
            return keys
        return ((keys.astype(np.uint64) * SPREAD) >> self.shift).astype(np.int64)

    @staticmethod
    def _bit(places: np.ndarray) -> np.ndarray:
        return np.left_shift(np.uint8(1), (places & 7).astype(np.uint8))


class FastDraws:
    """Mixin for RecBole's samplers: drawing by popularity from arrays."""

    prob: dict[int, float]
    alias: dict[int, int]
    distribution: str
    item_num: int
    _table: tuple[np.ndarray, np.ndarray, np.ndarray]

    @property
    def drawn_from(self) -> int:
        """Return the number of items that can be drawn for a user who has none."""
        return len(self._table[0]) if self.distribution == "popularity" else self.item_num - 1

    def items_not_drawn(self, users: np.ndarray) -> np.ndarray:
        """Return how many items each user is never given, [users]; repeatable runs leave out one."""
        return np.ones(len(users), np.int64)

    def _build_alias_table(self) -> None:
        super()._build_alias_table()  # type: ignore[misc]
        items = np.array(list(self.prob), dtype=np.int64)
        self._table = items, np.array(list(self.prob.values())), np.array(list(self.alias.values()))

    def _pop_sampling(self, sample_num: int) -> np.ndarray:
        items, kept, aliases = self._table
        place = np.random.randint(0, len(items), sample_num)  # noqa: NPY002, RecBole's generator
        chance = np.random.random(sample_num)  # noqa: NPY002
        return np.where(kept[place] > chance, items[place], aliases[place])


class Negatives(FastDraws, Sampler):
    """RecBole's sampler of items that a user does not have in the phases so far."""

    used_ids: Any
    refuses_full = True  # a user with all items

    def _get_candidates_list(self) -> list[int]:
        items = [part.inter_feat[self.iid_field] for part in self.datasets]
        return torch.cat(items).tolist()

    def get_used_ids(self) -> dict[str, UsedItems]:
        """Return the items of users by phase, each those of the phases up to it.

        Raises:
            ValueError: a user has all items.
        """
        used = {phase: UsedItems(self.datasets[:number]) for number, phase in enumerate(self.phases, start=1)}
        rows = sum(
            np.bincount(part.inter_feat[self.uid_field].numpy(), minlength=self.user_num)
            for part in self.datasets
        )
        everything, all_items = used[self.phases[-1]], self.item_num - 1  # but the padding
        full = [user for user in np.flatnonzero(rows >= all_items) if len(everything[user]) == all_items]
        if self.refuses_full and full:
            part = self.datasets[0]
            names = part.id2token(self.uid_field, np.array(full[:3])).tolist()
            given = part.config["benchmark_filename"] is not None  # rows that no filter reads
            remedy = (
                "remove their rows from the files of the parts"
                if given
                else f'leave them out with user_inter_num_interval, such as "[1,{all_items})"'
            )
            raise ValueError(
                f"{counted(len(full), 'user')} {agreeing(len(full), 'have')} interacted with all items "
                f"({all_items}), such as {', '.join(map(repr, names))}, so that none is left to draw as a "
                f"negative; {remedy}"
            )
        return used

    def sample_by_key_ids(self, key_ids: Any, num: int) -> torch.Tensor:
        """Return ``num`` items for each user, long [num * users], by the draws of RecBole's sampler."""
        users = np.tile(np.asarray(key_ids), num)
        return _drawn(self, len(users), lambda rows, items: self.used_ids.have(users[rows], items))

    def items_not_drawn(self, users: np.ndarray) -> np.ndarray:
        """Return how many items each user has, [users]."""
        return np.bincount(self.used_ids.keys // self.item_num, minlength=self.user_num)[users]


def users_with_few(sampler: FastDraws, part: Any, number: int) -> tuple[int, int]:
    """Return how many users of a held-out part have ``number`` items or fewer to draw, and how many it has.

    Args:
        sampler: of the part, from :func:`create_samplers`.
        part: its data set.
        number: negatives for each held-out item.
    """
    users = np.unique(part.inter_feat[part.uid_field].numpy())
    left = sampler.drawn_from - sampler.items_not_drawn(users)  # [users]
    return int((left <= number).sum()), len(users)


class SeenItems(Negatives):
    """What users have by phase, of a run that draws no negatives: a user may have all items."""

    refuses_full = False


class RepeatableNegatives(FastDraws, RepeatableSampler):
    """RecBole's sampler of items other than the one of the row."""

    def _get_candidates_list(self) -> list[int]:
        return self.dataset.inter_feat[self.iid_field].tolist()

    def sample_by_user_ids(self, user_ids: Any, item_ids: Any, num: int) -> torch.Tensor:  # noqa: ARG002
        """Return ``num`` items for each row, long [num * rows], by the draws of RecBole's sampler."""
        own = np.tile(np.asarray(item_ids), num)
        return _drawn(self, len(own), lambda rows, items: items == own[rows])


def _drawn(sampler: Any, number: int, refused: Any) -> torch.Tensor:
    """Return drawn items, long [number]; those that are refused are drawn again until none is."""
    items, rows = np.zeros(number, dtype=np.int64), np.arange(number)
    while len(rows):
        items[rows] = sampler.sampling(len(rows))
        rows = rows[refused(rows, items[rows])]
    return torch.from_numpy(items)
