"""The weight of two parts of a model's scores, chosen by a validation before it evaluates."""

from typing import Any

import torch

from recbole_diffusion.evaluation.lists import TopKLists
from recbole_diffusion.options.linear_term import not_chosen

# By steps of about the root of two.
WEIGHTS = (0.044, 0.0625, 0.09, 0.125, 0.18, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)


def check_choice(valid_data: Any) -> None:
    """Check that there is a validation part; its metric is checked with the options.

    Args:
        valid_data: loader of the validation part, or None.

    Raises:
        UsageError: there is none.
    """
    if valid_data is None:
        raise not_chosen("there is no validation part; change the split")


def at_an_end(weight: float) -> str:
    """Return what to say of a weight beyond which none was tried; empty for the others."""
    side = {WEIGHTS[0]: "smallest", WEIGHTS[-1]: "largest"}.get(weight)
    return f", the {side} tried: a number beyond it may do better" if side else ""


@torch.no_grad()
def best_weight(model: Any, loader: Any, metric: str) -> tuple[float, float]:
    """Return the weight with the best metric, of equal ones the smallest, and the metric.

    The parts are computed once; each weight costs the ranking of their sum.

    Args:
        model: has ``weighed_parts``.
        loader: of the validation part, with all items ranked.
        metric: the name of a metric by user, as ``Recall@20``.
    """
    model.eval()
    name, _, k = metric.lower().partition("@")
    lists = {weight: TopKLists(int(k)) for weight in WEIGHTS}
    for interaction, history, rows, items in loader:
        batch = interaction.to(model.device)
        own, added = model.weighed_parts(batch)  # [batch, n_items] each
        own[:, 0] = -torch.inf
        if history is not None:
            own[history] = -torch.inf
        for weight, found in lists.items():
            found.add(torch.add(own, added, alpha=weight), batch[model.USER_ID], rows, items)
    values = {weight: float(found.metric(name, int(k)).mean()) for weight, found in lists.items()}
    best = max(WEIGHTS, key=values.__getitem__)
    return best, values[best]
