"""``train_batch_size: auto``: an epoch has a bounded number of batches, so that it grows like the data.

A batch of a graph model touches the whole graph, and Adam all weights, whatever its rows are. With batches of
a fixed size an epoch then costs (rows / size) x (graph), which grows with the square of the data. A batch of
k times the rows is k batches whose gradients are accumulated over one propagation: the same gradient, for the
price of one pass over the graph.

The step size follows the noise of the gradient, whose standard deviation falls with the square root of the
rows: Adam and its like, which divide by it, take learning_rate times sqrt(k) (Malladi et al., "On the SDEs
and Scaling Rules for Adaptive Gradient Algorithms", NeurIPS 2022), plain gradient descent times k (Goyal et
al., "Accurate, Large Minibatch SGD", 2017). ``benchmarks/results/growth.md`` has times and accuracy.
"""

import logging
import math
from typing import Any

import torch

# Batches of an epoch at most; a user's row is a whole history, about as many interactions as 512 / 32.
BATCHES, BATCHES_OF_USERS = 512, 32
DEFAULT = 2048  # rows of a batch where the model's YAML names no number
LINEAR = ("sgd",)  # learners whose step follows the batch itself, not its square root


def settle_batches(config: Any, part: Any) -> None:
    """Replace ``train_batch_size: auto`` by a number, and scale ``learning_rate`` with it; tell the log.

    Args:
        config: of the run; changed in place, so that ``config.yaml`` and the optimizer have the numbers.
        part: the training part.
    """
    if config.general.train_batch_size != "auto":
        return
    size = automatic_size(config, training_rows(config, part))
    factor, rate = size // default_size(config), config.general.learning_rate
    config.settle(train_batch_size=size, learning_rate=scaled_rate(rate, factor, config.general.learner))
    if factor > 1:
        logging.getLogger().info(
            "train_batch_size auto: %s rows, %d times the default; learning_rate %g instead of %g",
            f"{size:,}",
            factor,
            config.general.learning_rate,
            rate,
        )
    else:
        small = config.model_class.enlarges_batches(config)
        why = "the data are no larger than that needs" if small else "its rows grow with the catalogue"
        logging.getLogger().info("train_batch_size auto: %s rows, the default; %s", f"{size:,}", why)


def scaled_rate(rate: float, factor: int, learner: str) -> float:
    """Return the learning rate of a batch of ``factor`` times the rows."""
    return rate * (factor if learner in LINEAR else math.sqrt(factor))


def default_size(config: Any) -> int:
    """Return the rows of a batch that ``auto`` starts from: the number in the model's YAML, else 2048."""
    named = config.internal_config_dict.get("train_batch_size")
    return named if type(named) is int else DEFAULT


def automatic_size(config: Any, rows: int) -> int:
    """Return the default size, doubled until an epoch of ``rows`` rows has few enough batches.

    There is no largest size: a batch grows like the data, as the tables of users and items do. A model whose
    rows take memory of the catalogue's size keeps the default, see ``ModelInterface.enlarges_batches``.
    """
    size = default_size(config)
    if not config.model_class.enlarges_batches(config):
        return size
    most = BATCHES_OF_USERS if by_user(config) else BATCHES
    return size * 2 ** max(0, math.ceil(math.log2(rows / (size * most)))) if rows else size


def by_user(config: Any) -> bool:
    """Return whether a training row is a user, and not an interaction."""
    return getattr(config.options, "batch_by", "interaction") == "user"


def training_rows(config: Any, part: Any) -> int:
    """Return the number of training rows: interactions, or users with one."""
    if by_user(config):
        return len(torch.unique(part.inter_feat[part.uid_field]))
    return len(part)
