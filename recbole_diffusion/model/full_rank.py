"""A linear item-item model of full rank beside a model of rank d, in scoring: ours, in none of the papers."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.model.ease_scores import ByItems, ByUsers, edlae_penalties, linear_scores


def linear_term(interactions: Any, options: Any) -> ByItems | ByUsers | None:
    """Return EASE or EDLAE of the training interactions, as a ``LinearTermOptions`` says; None for none."""
    if options.linear_term == "none":
        return None
    dropout = options.linear_dropout_prob if options.linear_term == "edlae" else 0.0
    penalties = edlae_penalties(interactions, options.linear_reg_weight, dropout)
    return linear_scores(interactions, penalties)


def by_deviation(scores: Tensor, linear: Tensor, weight: float) -> Tensor:
    """Return s / sd(s) + w l / sd(l), with deviations over the items of each row, [batch, n_items].

    A row of equal numbers, as the linear one of an empty history, says nothing and is left at 0.
    """
    total = torch.zeros_like(scores)
    for part, of_part in ((scores, 1.0), (linear.to(scores), weight)):
        deviation = part[:, 1:].std(1, correction=0, keepdim=True)  # without the padding item, [batch, 1]
        total += torch.where(deviation > 0, part * (of_part / deviation), 0.0)
    return total
