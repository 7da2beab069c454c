"""Ratings that the given scale fits badly: far from its ends, all the same, zeros that may be none."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from recbole_diffusion.data.ratings import has_ratings, of_domains, rating_column
from recbole_diffusion.errors import UsageError, counted

FEW = 20  # ratings, of which it says little that none is an end of the scale
SOME = 200  # ratings, of which it says little that the lowest or highest star is missing
ENDS = 0.05  # share of the scale by which ratings may miss an end, as numbers with many digits do
OUTSIDE = 0.25  # share of a part's ratings beyond those of train, which is larger than every part
LEVELS = 4  # different ratings from which on a 0 among them is not one of two or three answers


def check_reaches_middle(dataset: Any, low: float, high: float) -> None:
    """Check that some rating is in the upper half of the scale, from where on an item is relevant.

    Raises:
        UsageError: none is: every metric of rated items would be without a value.
    """
    ratings, middle = rating_column(dataset), (low + high) / 2
    if len(ratings) and ratings.max() < middle:
        raise UsageError(
            f"rating_scale is [{low:g}, {high:g}], but the ratings of data set {dataset.dataset_name!r} go "
            f"from {ratings.min():g} to {ratings.max():g}: none reaches {middle:g}, from where on an item is "
            f"relevant; correct rating_scale{of_domains(dataset)}"
        )


def tell_one_rating(dataset: Any) -> None:
    """Warn of ratings that are all the same: no order of rated items is wrong, no error hard to avoid."""
    ratings = rating_column(dataset)
    if len(ratings) > 1 and (ratings == ratings[0]).all():
        dataset.logger.warning(
            "all %s of data set %r are %g: nothing tells rated items apart, so that metrics of ratings and "
            "of rated items say nothing about a model, and a model of ratings learns one number; if they "
            "are marks of what happened (clicks, purchases), take a model of implicit feedback",
            *(counted(len(ratings), "rating"), dataset.dataset_name, ratings[0]),
        )


def tell_unreached(dataset: Any, low: float, high: float) -> None:
    """Warn of a scale with an end that no rating has: half of the scale is where relevance begins.

    Ratings that ``val_interval`` has chosen need not have both ends.
    """
    name, ratings = dataset.config["RATING_FIELD"], rating_column(dataset)
    if len(ratings) < FEW or name in (dataset.config["val_interval"] or ()):
        return
    levels = np.unique(ratings)
    first, last = levels[0], levels[-1]
    missed = max(first - low, high - last)
    if first == last or missed < ENDS * (high - low):
        return
    if len(ratings) < SOME and missed <= np.diff(levels).min():
        return
    dataset.logger.warning(
        "rating_scale is [%g, %g], but the ratings of data set %r go from %g to %g: an item is relevant from "
        "%g on, and by their own ends would be from %g; give the scale on which people could rate%s",
        *(low, high, dataset.dataset_name, first, last, (low + high) / 2, (first + last) / 2),
        of_domains(dataset),
    )


def tell_zeros(dataset: Any, low: float) -> None:
    """Warn of a 0 that more rows have than any other rating, as of reviews that have no stars."""
    levels, counts = np.unique(rating_column(dataset), return_counts=True)
    if low != 0 or len(levels) < LEVELS or levels[0] != 0 or counts[0] < counts[1:].max():
        return
    dataset.logger.warning(
        "%d of the %s of data set %r are 0, more than any other, and count as the lowest; if 0 stands for a "
        "row without a rating, leave such rows out with val_interval: {%s: '(0,inf)'}, and give rating_scale "
        "its lowest rating",
        *(counts[0], counted(int(counts.sum()), "rating"), dataset.dataset_name),
        dataset.config["RATING_FIELD"],
    )


def tell_other_scales(config: Any, parts: Mapping[str, Any]) -> None:
    """Warn of parts, or of a source domain, whose ratings are on another scale than those of train.

    Args:
        config: of the run.
        parts: train first, then others by name.
    """
    if config.stored or config.rating.rating_scale is None:
        return
    found = {name: rating_column(part) for name, part in parts.items() if has_ratings(part) and len(part)}
    train = next(iter(found.values()), np.array([]))
    for name, ratings in list(found.items())[1:]:
        low, high = train.min(), train.max()
        outside = (ratings < low) | (ratings > high)
        if len(train) >= FEW and outside.mean() >= OUTSIDE:
            logging.getLogger().warning(
                "%d of the %s of %s are outside of %g to %g, those of %s: if one is on another scale, write "
                "both on one (%s goes from %g to %g)",
                *(outside.sum(), counted(len(ratings), "rating"), name, low, high, next(iter(found))),
                *(name, ratings.min(), ratings.max()),
            )


def check_relevant(config: Any, phase: str, name: str, part: Any) -> None:
    """Tell of a held-out part without a relevant item: its rankings of rated items have no value.

    Args:
        config: of the run.
        phase: ``valid`` or ``test``.
        name: name of the part.
        part: its data set.

    Raises:
        UsageError: the epoch would be chosen by one of them.
    """
    if config.stored or config.rating.rating_scale is None or not has_ratings(part) or not len(part):
        return
    ratings, middle = rating_column(part), config.rating.median
    if ratings.max() >= middle:
        return
    text = (
        f"no item of {name} is relevant: its ratings go from {ratings.min():g} to {ratings.max():g}, and "
        f"items are relevant from {middle:g} on, the middle of rating_scale, so that metrics of rated items "
        "have no value there"
    )
    chooses = config["valid_metric"].lower()
    ranked = [one for one in config.rating.names(False) if not one.startswith("rated_released_")]
    if phase == "valid" and chooses in ranked:
        raise UsageError(
            f"{text}, but {chooses} is to choose the epoch; correct rating_scale or the parts, or give "
            "another --valid_metric"
        )
    part.logger.warning("%s and are left out; correct rating_scale or the parts", text)
