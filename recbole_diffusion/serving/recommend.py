"""The lists of a loaded run, for known and for new users.

Longer than most files: both kinds of users share what their lists are made of.
"""

import functools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from recbole_diffusion.errors import agreeing, counted
from recbole_diffusion.evaluation.near_vectors import TOGETHER, for_lists
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.user_blocks import USER_BLOCK
from recbole_diffusion.serving import ranking
from recbole_diffusion.serving.changed_data import SAMPLE
from recbole_diffusion.serving.grown import GrownHistories, grown_histories, with_grown
from recbole_diffusion.serving.histories import NewUsers, frame_of, new_users, rating_numbers
from recbole_diffusion.serving.left_out import refuse_outside_ratings
from recbole_diffusion.serving.ranking import RecommendationBlock
from recbole_diffusion.serving.scoring import (
    FindForHistories,
    FindForUsers,
    finder_for_histories,
    finder_for_users,
    makes_near_lists,
    scores_of_users,
)
from recbole_diffusion.serving.served_run import ServedRun
from recbole_diffusion.serving.untrained_items import ListedUntrained
from recbole_diffusion.serving.users import asked_users, first_of, note_on_source, note_on_untrained
from recbole_diffusion.serving.writers import columns_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownRanking:
    """All that the lists of known users are made of, so that other processes can make some of them.

    Attributes:
        model: the model, in evaluation mode.
        seed: of the noise in its scores.
        seen: pairs to leave out, from :func:`ranking.seen_items`.
        grown: histories of users with rows that are newer than the training, or None.
        device: the model's device.
        size: users per block. Noise and near vectors are of a block, so that it belongs to the result.
    """

    model: Any
    seed: int
    seen: Any
    grown: GrownHistories | None
    device: Any
    size: int

    def finder(self) -> FindForUsers:
        """Return the function that finds the best items of users."""
        find = finder_for_users(self.model, self.seed)
        return find if self.grown is None else with_grown(self.model, self.seed, find, self.grown)

    def lists(self, find: FindForUsers, users: np.ndarray, k: int) -> Iterator[RecommendationBlock]:
        """Yield the lists of users, internal numbers int64 [n], by block; ``find`` is :meth:`finder`'s."""
        return ranking.rank_users(find, users, k, self.seen, self.device, self.size)


class ListMaker:
    """Makes the lists of a loaded run; what all of them need is made once, when first asked for.

    Args:
        run: the run.
        exclude: which items are left out, one of ``ranking.EXCLUDED``.

    Raises:
        UsageError: ``exclude`` is out of range, or needs data that has changed since.
    """

    def __init__(self, run: ServedRun, exclude: str) -> None:
        ranking.check_exclude(exclude)
        self.run, self.exclude = run, exclude
        self.seed, self.device = run.config.general.seed, run.config["device"]

    def known(self, users: np.ndarray, k: int) -> Iterator[RecommendationBlock]:
        """Yield the lists of known users by block; see :func:`ranking.rank_users`.

        Where the data has grown and the model takes histories, users with new rows are folded in.

        Args:
            users: internal numbers, int64 [n].
            k: length of a list.

        Raises:
            UsageError: ``k`` is out of range.
            RunError: a score is not finite, or the model needs data that has changed since.
        """
        ranking.check_k(k, len(self.run.items))
        yield from self.of_known.lists(self._find_known, users, k)

    def new(self, users: NewUsers, k: int) -> Iterator[RecommendationBlock]:
        """Yield the lists of new users by block; their history is left out unless ``exclude`` is none.

        Histories of another domain than the recommended one leave nothing out.

        Raises:
            UsageError: ``k`` is out of range, or the model only knows its training users.
            RunError: a score is not finite, or the model needs data that has changed since.
        """
        ranking.check_k(k, len(self.run.items))
        find, size = self._of_new, ranking.block_size(len(self.run.items))
        if len(users) and not self._histories_checked:
            self._check(users.block(0, min(SAMPLE, len(users)), self.device))
        leave_out = self.exclude != "none" and self.run.fold_in_items is self.run.items
        yield from ranking.rank_new(find, users, k, leave_out, self.seed, self.device, size)

    _histories_checked = False

    def _check(self, few: FoldInHistories) -> None:
        self.run.changed.check_histories(self.run.model, few, self.seed)
        self._histories_checked = True

    @torch.no_grad()
    def prepare(self) -> tuple[bool, bool]:
        """Do what the first lists would wait for, such as the vectors of all users.

        Returns:
            For known users and for new ones, whether lists do not depend on who else is ranked with them,
            beside rounding. They do if a model draws the noise of its scores for all of them together.

        Raises:
            UsageError: ``exclude`` needs data that has changed.
            RunError: the lists of known users, or of new ones, need data that has changed.
        """
        model, seeds = self.run.model, (self.seed, self.seed + 1)
        size, grown = self.of_known.size, self.of_known.grown is not None
        known = new = True
        if model.takes_histories:
            few = self._some_history()
            self._check(few)
            one, other = (model.fold_in_scores(few, seed) for seed in seeds)
            new = torch.allclose(one, other, equal_nan=True)
        if model.has_item_vectors:
            vectors = model.inner_products()
            for users in torch.arange(1, len(self.run.users) + 1, device=self.device).split(size):
                for_lists(vectors, users)
        else:
            scores = [scores_of_users(model, seed) for seed in seeds]
            first = torch.ones(1, dtype=torch.long, device=self.device)
            known = torch.allclose(scores[0](first), scores[1](first), equal_nan=True)
            # One user of each block whose states a model computes together and keeps.
            users = torch.arange(0, len(self.run.users) + 1, USER_BLOCK, device=self.device).clamp(min=1)
            for some in users.split(size):
                scores[0](some)
        return known and (new or not grown), new

    def _some_history(self) -> FoldInHistories:
        """Return a history of the first items, as ratings where the model reads them."""
        items = torch.arange(1, min(SAMPLE, len(self.run.fold_in_items)) + 1, device=self.device)
        starts, rows = torch.zeros(1, dtype=torch.long, device=self.device), torch.zeros_like(items)
        if not self.run.model.predicts_ratings:
            return FoldInHistories(items, starts, rows)
        low, high = self.run.config.rating.rating_scale
        ratings = torch.linspace(low, high, len(items), device=self.device)
        return FoldInHistories(items, starts, rows, ratings)

    @functools.cached_property
    def of_known(self) -> KnownRanking:
        """Return what the lists of known users are made of.

        Raises:
            UsageError: ``exclude`` needs data that has changed since the training.
            RunError: so does the model.
        """
        run = self.run
        run.changed.check_exclude(self.exclude)
        run.changed.check_users(run.model, self.seed)
        parts = run.today if self.exclude == "all" else run.parts
        seen, grown = (
            ranking.seen_items(parts, self.exclude, bool(run.config["repeatable"])),
            grown_histories(run),
        )
        near, size = grown is None and makes_near_lists(run.model), ranking.block_size(len(run.items))
        return KnownRanking(run.model, self.seed, seen, grown, self.device, TOGETHER if near else size)

    @functools.cached_property
    def _find_known(self) -> FindForUsers:
        return self.of_known.finder()

    @functools.cached_property
    def _of_new(self) -> FindForHistories:
        return finder_for_histories(self.run.model)


def known_lists(run: ServedRun, users: np.ndarray, k: int, exclude: str) -> Iterator[RecommendationBlock]:
    """Yield the lists of known users, internal numbers int64 [n], by block; see :meth:`ListMaker.known`."""
    return ListMaker(run, exclude).known(users, k)


def new_lists(run: ServedRun, users: NewUsers, k: int, exclude: str) -> Iterator[RecommendationBlock]:
    """Yield the lists of new users by block; see :meth:`ListMaker.new`."""
    return ListMaker(run, exclude).new(users, k)


def users_of_histories(run: ServedRun, frame: pd.DataFrame, *, may_be_none: bool = False) -> NewUsers:
    """Return the users of a table of histories, for the run's model.

    Args:
        run: the run.
        frame: the table.
        may_be_none: whether it is no error that no user has a known item.

    Raises:
        UsageError: see :func:`histories.new_users`; also if a rating that is read is no number.
    """
    scale = run.config.rating.rating_scale if run.model.predicts_ratings else None
    if "rating" in frame and (
        scale is not None or run.config["RATING_FIELD"] in (run.config["val_interval"] or ())
    ):
        frame = frame.assign(rating=rating_numbers(frame))
    refuse_outside_ratings(frame, run)
    origin = "the run's data set" if run.fold_in_items is run.items else "the run's source domain"
    return new_users(frame, run.fold_in_items, scale, origin, may_be_none=may_be_none)


def table_of_known(run: ServedRun, users: Any, k: int, exclude: str) -> pd.DataFrame:
    """Return the lists of known users as one table; see ``LoadedRun.recommend``."""
    if users is not None and (isinstance(users, str | bytes) or not np.iterable(users)):
        users = [users]
    asked = asked_users(run.users, None if users is None else list(users))
    if asked.unknown:
        one = len(asked.unknown) == 1
        logger.warning(
            "%d of the users asked for %s not in the run's data set and %s no list: %s",
            *(len(asked.unknown), "is" if one else "are", "has" if one else "have"),
            first_of(asked.unknown),
        )
    for note in (note_on_untrained(run, asked.numbers), note_on_source(run, asked.unknown)):
        if note:
            logger.warning(note)
    lists = known_lists(run, asked.numbers, k, exclude)
    return _table(run, lists, run.users.tokens[asked.numbers], asked.unknown)


def note_on_known(run: ServedRun, users: NewUsers) -> str | None:
    """Return a line about users of histories who have the name of a known one; None if there are none."""
    known = users.tokens[run.users.numbers_of(users.tokens.tolist()) > 0]
    if not len(known):
        return None
    return (
        f"{counted(len(known), 'user')} of the histories {agreeing(len(known), 'have')} the name of a known "
        f"user ({first_of(known.tolist())}): the history takes the place of what the data set has of them, "
        "which is not left out of their lists; ask for known users by their names for that"
    )


def table_of_new(run: ServedRun, histories: Any, k: int, exclude: str) -> pd.DataFrame:
    """Return the lists of new users as one table; see ``LoadedRun.recommend_new``."""
    users = users_of_histories(run, frame_of(histories))
    if note := note_on_known(run, users):
        logger.warning(note)
    without = users.without
    if isinstance(histories, Mapping):  # also those whose history is empty
        listed = set(users.tokens)
        without = [str(user) for user in histories if str(user) not in listed]
    return _table(run, new_lists(run, users, k, exclude), users.tokens, without)


def _table(
    run: ServedRun, lists: Iterator[RecommendationBlock], users: np.ndarray, unknown: list[str]
) -> pd.DataFrame:
    """Return the rows of lists as a table, and warn of items that the model does not know."""
    blocks, untrained = [], ListedUntrained(run)
    for one in lists:
        blocks.append(columns_of(one, users, run.items.tokens))
        untrained.add(one)
    if note := untrained.note():
        logger.warning(note)
    table = pd.DataFrame({name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})
    table.attrs["unknown"] = unknown
    return table
