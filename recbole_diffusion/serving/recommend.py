"""The lists of a loaded run, for known and for new users."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion.evaluation.near_vectors import TOGETHER
from recbole_diffusion.serving import ranking
from recbole_diffusion.serving.changed_data import SAMPLE
from recbole_diffusion.serving.grown import grown_histories, with_grown
from recbole_diffusion.serving.histories import NewUsers, frame_of, new_users
from recbole_diffusion.serving.ranking import RecommendationBlock
from recbole_diffusion.serving.scoring import finder_for_histories, finder_for_users, makes_near_lists
from recbole_diffusion.serving.served_run import ServedRun
from recbole_diffusion.serving.users import asked_users, first_of
from recbole_diffusion.serving.writers import columns_of

logger = logging.getLogger(__name__)


def known_lists(run: ServedRun, users: np.ndarray, k: int, exclude: str) -> Iterator[RecommendationBlock]:
    """Yield the lists of known users by block; see :func:`ranking.rank_users`.

    Where the data has grown and the model takes histories, users with new rows are folded in.

    Args:
        run: a loaded run.
        users: internal numbers, int64 [n].
        k: length of a list.
        exclude: which items are left out, one of ``ranking.EXCLUDED``.

    Raises:
        UsageError: ``k`` or ``exclude`` is out of range, or needs data that has changed since.
        RunError: a score is not finite, or the model needs data that has changed since.
    """
    ranking.check_k(k, len(run.items))
    run.changed.check_exclude(exclude)
    run.changed.check_users(run.model, run.config.general.seed)
    seen = ranking.seen_items(
        run.today if exclude == "all" else run.parts, exclude, bool(run.config["repeatable"])
    )
    find = finder_for_users(run.model, run.config.general.seed)
    grown = grown_histories(run)
    near = grown is None and makes_near_lists(run.model)
    size = TOGETHER if near else ranking.block_size(len(run.items))
    find = find if grown is None else with_grown(run, find, grown)
    yield from ranking.rank_users(find, users, k, seen, run.config["device"], size)


def new_lists(run: ServedRun, users: NewUsers, k: int, exclude: str) -> Iterator[RecommendationBlock]:
    """Yield the lists of new users by block; their history is left out unless ``exclude`` is none.

    Histories of another domain than the recommended one leave nothing out.

    Raises:
        UsageError: ``k`` or ``exclude`` is out of range, or the model only knows its training users.
        RunError: a score is not finite, or the model needs data that has changed since.
    """
    ranking.check_k(k, len(run.items))
    ranking.check_exclude(exclude)
    size = ranking.block_size(len(run.items))
    find = finder_for_histories(run.model)
    if len(users):
        few = users.block(0, min(SAMPLE, len(users)), run.config["device"])
        run.changed.check_histories(run.model, few, run.config.general.seed)
    leave_out = exclude != "none" and run.fold_in_items is run.items
    yield from ranking.rank_new(
        find, users, k, leave_out, run.config.general.seed, run.config["device"], size
    )


def users_of_histories(run: ServedRun, frame: pd.DataFrame) -> NewUsers:
    """Return the users of a table of histories, for the run's model.

    Raises:
        UsageError: see :func:`histories.new_users`.
    """
    scale = run.config.rating.rating_scale if run.model.predicts_ratings else None
    origin = "the run's data set" if run.fold_in_items is run.items else "the run's source domain"
    return new_users(frame, run.fold_in_items, scale, origin)


def table_of_known(run: ServedRun, users: Any, k: int, exclude: str) -> pd.DataFrame:
    """Return the lists of known users as one table; see ``LoadedRun.recommend``."""
    if users is not None and (isinstance(users, str | bytes) or not np.iterable(users)):
        users = [users]
    asked = asked_users(run.users, None if users is None else [str(user) for user in users])
    if asked.unknown:
        one = len(asked.unknown) == 1
        logger.warning(
            "%d of the users asked for %s not in the run's data set and %s no list: %s",
            *(len(asked.unknown), "is" if one else "are", "has" if one else "have"),
            first_of(asked.unknown),
        )
    lists = known_lists(run, asked.numbers, k, exclude)
    return _table(lists, run.users.tokens[asked.numbers], run.items.tokens, asked.unknown)


def table_of_new(run: ServedRun, histories: Any, k: int, exclude: str) -> pd.DataFrame:
    """Return the lists of new users as one table; see ``LoadedRun.recommend_new``."""
    users = users_of_histories(run, frame_of(histories))
    return _table(new_lists(run, users, k, exclude), users.tokens, run.items.tokens, users.without)


def _table(
    lists: Iterator[RecommendationBlock], users: np.ndarray, items: np.ndarray, unknown: list[str]
) -> pd.DataFrame:
    blocks = [columns_of(one, users, items) for one in lists]
    table = pd.DataFrame({name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})
    table.attrs["unknown"] = unknown
    return table
