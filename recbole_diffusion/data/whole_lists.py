"""Lists that hold all candidates of a user: some metrics are then the same whatever the model."""

import logging
from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion.data.loader import FullRankingLoader
from recbole_diffusion.data.ratings import has_ratings, rating_column
from recbole_diffusion.data.sampling import FastDraws
from recbole_diffusion.errors import counted
from recbole_diffusion.options.rating import RANKING

WHATEVER_THE_ORDER = ("recall", "precision", "hit")  # read which items a list has, and not their places

MOST = 0.75  # ratio of users whose rated items a list takes in


def tell_whole_lists(config: Any, phase: str, name: str, loader: Any, sampler: Any) -> None:
    """Warn of metrics at a cut-off that takes in all candidates of most users.

    Args:
        config: of the run.
        phase: ``valid`` or ``test``.
        name: name of the part.
        loader: of the part.
        sampler: of the part, from ``create_samplers``.
    """
    candidates = _candidates(config, phase, loader, sampler)
    if candidates is None or not len(candidates):
        return
    names = [one.lower() for one in config["metrics"] if one.lower() in WHATEVER_THE_ORDER]
    cut_offs = [k for k in sorted(config["topk"]) if 2 * (candidates <= k).sum() > len(candidates)]
    if not names or not cut_offs:
        return
    whole = candidates <= cut_offs[0]
    same = [f"{metric}@{k}" for metric in names for k in cut_offs]
    chooses = config["valid_metric"].lower() if phase == "valid" else ""
    says_little = f"; as valid_metric {chooses} says little: choose epochs by another"
    logging.getLogger().warning(
        "eval_args.mode %s: a list of %d holds all candidates of %d of the %s of %s, so that %s of theirs "
        "would be the same for every model%s",
        *(config["eval_args"]["mode"][phase], cut_offs[0], whole.sum(), counted(len(whole), "user"), name),
        *(", ".join(same), says_little if chooses in same else ""),
    )


def tell_whole_rated_lists(config: Any, name: str, part: Any) -> None:
    """Warn of lists of rated items that are equally good in any order, for three quarters of the users.

    Such a list takes in all that a user has rated in a part, or all of that has one rating.

    Args:
        config: of the run.
        name: name of the part.
        part: its data set.
    """
    # An earlier run was told when it was made.
    if config.stored or config.rating.rating_scale is None or not has_ratings(part):
        return
    users = part.inter_feat[part.uid_field].numpy()
    rated = np.unique(users, return_counts=True)[1]
    cut_offs = [k for k in sorted(config.rating.lengths) if (rated <= k).mean() >= MOST]
    if not cut_offs:
        _tell_equal_ratings(config, name, part, users)
        return
    most = 1 if (rated == 1).mean() >= MOST else cut_offs[0]
    names = [f"rated_unfiltered_recall@{k}" for k in cut_offs]
    names += [f"rated_unfiltered_ndcg@{k}" for k in cut_offs if most == 1]  # there is one order of one item
    logging.getLogger().warning(
        "%d of the %s of %s have rated %s%s, so that %s of theirs would be 1 for every model",
        *((rated <= most).sum(), counted(len(rated), "user"), name, counted(most, "item")),
        *("" if most == 1 else " or fewer", ", ".join(names)),
    )


def _tell_equal_ratings(config: Any, name: str, part: Any, users: np.ndarray) -> None:
    """Warn if three quarters of the users have given all they rated in a part one rating: no order is wrong.

    Args:
        config: of the run.
        name: name of the part.
        part: its data set.
        users: of its rows, [rows].
    """
    of_user = pd.Series(rating_column(part)).groupby(users)
    lowest, highest = of_user.min().to_numpy(), of_user.max().to_numpy()
    judged = highest >= config.rating.median  # a user without a relevant item is in no mean
    equal = judged & (lowest == highest)
    if judged.any() and equal.sum() >= MOST * judged.sum():
        names = [
            f"rated_unfiltered_{metric}@{k}" for metric in RANKING for k in sorted(config.rating.lengths)
        ]
        logging.getLogger().warning(
            "%d of the %s of %s with a relevant item have given one rating to all that they rated there, so "
            "that %s of theirs would be the same for every model",
            *(equal.sum(), counted(int(judged.sum()), "user"), name, ", ".join(names)),
        )


def _candidates(config: Any, phase: str, loader: Any, sampler: Any) -> np.ndarray | None:
    """Return how many candidates each user of a part has at most, int64 [users]; None if unknown."""
    if isinstance(loader, FullRankingLoader):
        if loader.is_sequential:
            return None
        return loader._dataset.item_num - 1 - np.diff(loader.history.starts)[loader.users]
    number = config[f"{phase}_neg_sample_args"].get("sample_num")
    if not isinstance(number, int) or not isinstance(sampler, FastDraws):
        return None
    part = loader._dataset
    users, held_out = np.unique(part.inter_feat[part.uid_field].numpy(), return_counts=True)
    # Drawn again and again, an item is one candidate: no more than there are items to draw.
    left = sampler.drawn_from - sampler.items_not_drawn(users)
    return held_out + np.minimum(held_out * number, left)
