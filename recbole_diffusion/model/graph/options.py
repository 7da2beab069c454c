"""Hyper-parameters of the graph models that have no file of their own, as CNSDiff has one."""

from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class HostOptions:
    """The encoder of a pairwise model, see ``model/graph/host.py``."""

    backbone: str = option("encoder of users and items", choices=("lightgcn", "mf"))
    embedding_size: int = option("width d of user and item vectors", low=2)
    n_layers: int = option("propagation layers of LightGCN", low=1)
    init_std: float | None = option(
        "standard deviation of the vectors' normal initialisation; null: Glorot's uniform rule",
        low=0,
        open_low=True,
    )
    reg_weight: float = option("weight of the L2 penalty on the free vectors of a batch", low=0)

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        return {"n_layers": "backbone is mf"} if self.backbone == "mf" else {}


@dataclass(frozen=True)
class LinkPropOptions:
    """Read once by the model's constructor, checked before data loads."""

    alpha: float = option("power of the user's degree; it changes no list, only the links of rounds", low=0)
    beta: float = option("power of the degree of the user's item", low=0)
    gamma: float = option("power of the degree of the other user", low=0)
    delta: float = option("power of the degree of the scored item", low=0)
    rounds: int = option("1: LinkProp; more: LinkProp-Multi, whose degrees count the best new links", low=1)
    link_share: float = option("new links of a round, as a share of the training rows", low=0)

    def __post_init__(self) -> None:
        if self.rounds > 1 and self.link_share == 0:
            raise UsageError(
                f"rounds is {self.rounds}, but link_share is 0: no link would be added; give link_share "
                "above 0, or rounds 1"
            )


@dataclass(frozen=True)
class BSPMOptions:
    """Read once by the model's constructor, checked before data loads."""

    ideal_rank: int = option("singular vectors of the ideal low-pass filter, at most all", low=0)
    ideal_weight: float = option("beta, weight of the ideal low-pass filter; 0: none", low=0)
    solver: str = option("solver of the sharpening", choices=("euler", "rk4"))
    sharpening_time: float = option("end of the sharpening T; 0: none, GF-CF", low=0)
    sharpening_steps: int = option("steps of the sharpening, each of T / steps", low=1)
    merge: str = option(
        "early: the ideal part is sharpened too; late: it is added at the end", choices=("early", "late")
    )
    combination: bool = option("score by the mean of the blurred and all sharpened states")

    def __post_init__(self) -> None:
        step, longest = self.sharpening_time / self.sharpening_steps, {"euler": 2.0, "rk4": 2.785}
        if step > longest[self.solver]:
            raise UsageError(
                f"sharpening_time / sharpening_steps is {step:g}; beyond {longest[self.solver]:g} the solver "
                f"{self.solver} amplifies the lowest frequencies; give more sharpening_steps"
            )


@dataclass(frozen=True)
class ChebyCFOptions:
    """Read once by the model's constructor, checked before data loads."""

    order: int = option("K, degree of the Chebyshev polynomial", low=1)
    flatness: float = option("phi, the power that makes the plateau flat; 1: a line", low=0, open_low=True)
    ideal_rank: int = option("eta, singular vectors of the ideal low-pass filter, at most all", low=0)
    ideal_weight: float = option("weight of the ideal low-pass filter; 0: none", low=0)
    degree_power: float = option("power of the items' degrees in the normalisation", low=0)
    nodes: str = option(
        "where the plateau is interpolated: as the released code does, or at one set of nodes",
        choices=("released", "consistent"),
    )
