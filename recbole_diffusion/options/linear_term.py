"""Options of a linear item-item model beside another one, in scoring."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option

OF_LINEAR = (
    *("linear_weight", "linear_reg_weight", "linear_dropout_prob", "linear_k"),
    "linear_popularity_discount",
)
ON_VALIDATION = "valid"
# Metrics that are a mean over users of what a list says, as ``evaluation/lists.py`` computes them.
BY_USER = ("recall", "ndcg", "hit", "precision", "mrr", "map")


def check_on_validation(final: Mapping[str, Any]) -> None:
    """Check that the validation of a run can choose ``linear_weight``, where it is to.

    Args:
        final: the values of all options; those of a model without a linear term lack some.

    Raises:
        UsageError: validation does not rank all items, or its metric is not a mean over users.
    """
    if final.get("linear_term", "none") == "none" or final["linear_weight"] != ON_VALIDATION:
        return
    metric, mode = final["valid_metric"], final["eval_args"]["mode"]
    on_valid = mode.get("valid", "full") if isinstance(mode, Mapping) else mode
    if on_valid != "full":
        raise not_chosen(f"eval_args.mode is {on_valid}; it needs full")
    if metric.lower().partition("@")[0] not in BY_USER:
        raise not_chosen(f"valid_metric is {metric}; it takes {', '.join(BY_USER)}, as in Recall@20")


def not_chosen(why: str) -> UsageError:
    """Return the error of a run whose validation cannot choose ``linear_weight``."""
    return UsageError(f"linear_weight: valid is chosen on validation, but {why}, or give a number")


@dataclass(frozen=True)
class LinearTermOptions:
    """Ours: a linear model of full rank whose scores are added."""

    linear_term: str = option(
        "scores x B of a linear model added in scoring (ours, not in the paper): ease, edlae, or none",
        choices=("none", "ease", "edlae"),
    )
    linear_weight: float | str = option(
        "weight of the linear scores against the model's, both by their deviation over a user's items; "
        "valid: each validation chooses it by valid_metric before it evaluates",
        low=0,
        open_low=True,
        words=(ON_VALIDATION,),
    )
    linear_reg_weight: float = option("lambda of the linear model", low=0, open_low=True)
    linear_dropout_prob: float = option(
        "dropout p of EDLAE's penalty, p / (1 - p) times an item's users", low=0, high=1, open_high=True
    )
    linear_popularity_discount: float = option(
        "power of an item's count in train that its linear score is divided by, before the deviation; 0: as "
        "it is",
        low=0,
        high=4,
    )
    linear_k: int | None = option(
        "entries of each column of B that stay, the largest in size; null: all of them", low=1
    )

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        if self.linear_term == "none":
            return dict.fromkeys(OF_LINEAR, "linear_term is none")
        return {"linear_dropout_prob": "linear_term is ease"} if self.linear_term == "ease" else {}
