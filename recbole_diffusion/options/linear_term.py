"""Options of a linear item-item model beside another one, in scoring."""

from dataclasses import dataclass

from recbole_diffusion.options.declare import option

OF_LINEAR = ("linear_weight", "linear_reg_weight", "linear_dropout_prob", "linear_k")
ON_VALIDATION = "valid"


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

    linear_k: int | None = option(
        "entries of each column of B that stay, the largest in size; null: all of them", low=1
    )

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        if self.linear_term == "none":
            return dict.fromkeys(OF_LINEAR, "linear_term is none")
        return {"linear_dropout_prob": "linear_term is ease"} if self.linear_term == "ease" else {}
