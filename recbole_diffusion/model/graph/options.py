"""Hyper-parameters of the graph models that have no file of their own, as CNSDiff has one.

Longer than most files: the options of a dozen small models, a class each.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option
from recbole_diffusion.options.diffusion import NoiseBoundsOptions
from recbole_diffusion.options.general import SolvedOptions

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class LightGCNOptions:
    """LightGCN as an encoder, and the penalty on its free vectors."""

    embedding_size: int = option("width d of user and item vectors", low=2)
    n_layers: int = option("propagation layers of LightGCN", low=1)
    init_std: float | None = option(
        "standard deviation of the vectors' normal initialisation; null: Glorot's uniform rule",
        low=0,
        open_low=True,
    )
    reg_weight: float = option("weight of the L2 penalty on the free vectors of a batch", low=0)


@dataclass(frozen=True)
class HostOptions(LightGCNOptions):
    """The encoder of a pairwise model, see ``model/graph/host.py``."""

    backbone: str = option("encoder of users and items", choices=("lightgcn", "mf"))

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        return {"n_layers": "backbone is mf"} if self.backbone == "mf" else {}


@dataclass(frozen=True)
class DMNSOptions(HostOptions):
    """Read once by the model's constructor, checked before data loads."""

    steps: int = option("diffusion steps T", low=2)
    beta_min: float = option("beta of the first step", low=0, high=1, open_low=True, open_high=True)
    beta_max: float = option("beta of the last step", low=0, high=1, open_low=True, open_high=True)
    level_divisors: list = option("negatives are the chain after the steps T / divisor, rounded down")
    level_weights: list = option("weight of each of these negatives; a uniform one has 1")
    start: str = option(
        "what the chain starts from: noise, or an item of the user noised to step T, which at these betas "
        "keeps much of it",
        choices=("noise", "scaled"),
    )
    denoiser_loss: str = option("error of the estimated noise: squared, or absolute", choices=("l2", "l1"))

    def levels(self) -> list[int]:
        """Return the steps after which the chain is kept."""
        return [self.steps // divisor for divisor in self.level_divisors]

    def __post_init__(self) -> None:
        if self.beta_min > self.beta_max:
            raise UsageError(
                f"beta_min is {self.beta_min:g} and beta_max {self.beta_max:g}; it must not be larger"
            )
        whole = all(type(one) is int and 1 < one <= self.steps for one in self.level_divisors)
        if not whole or not self.level_divisors:
            raise UsageError(
                f"level_divisors is {self.level_divisors}; it takes whole numbers from 2 to steps, which is "
                f"{self.steps}"
            )
        numbers = all(type(one) in (int, float) and one > 0 for one in self.level_weights)
        if not numbers or len(self.level_weights) != len(self.level_divisors):
            raise UsageError(
                f"level_weights is {self.level_weights}; it takes a number above 0 for each of the "
                f"{len(self.level_divisors)} level_divisors"
            )


@dataclass(frozen=True)
class ContrastOptions(HostOptions):
    """What AdvInfoNCE and InvCF share."""

    temperature: float = option("tau, which cosines are divided by", low=0, open_low=True)
    positives_by: str = option(
        "rows of a batch: a random user and a random item of the user, or the training rows in turn",
        choices=("user", "interaction"),
    )


@dataclass(frozen=True)
class AdvInfoNCEOptions(ContrastOptions):
    """Read once by the model's constructor, checked before data loads."""

    n_negatives: int = option("N, uniform negatives of a row", low=2)
    negative_factor: float = option("kappa, factor of the negatives", low=0, open_low=True)
    adversary_size: int = option("width of the adversary's tables", low=1)
    adversary_learning_rate: float = option("step size of the adversary", low=0, open_low=True)
    adversary_epochs: int = option("epochs of the adversary in all", low=0)
    adversary_interval: int = option(
        "epochs of the encoder from one epoch of the adversary to the next; it has one before each epoch n "
        "with n + 3 a multiple",
        low=1,
    )
    adversary_start: int = option("first epoch of the encoder before which it may train", low=0)


@dataclass(frozen=True)
class InvCFOptions(ContrastOptions):
    """Read once by the model's constructor, checked before data loads."""

    n_negatives: int | None = option(
        "N, uniform negatives of a row; null: the positives of the other rows", low=1
    )
    popularity_weight: float = option("lambda_1, weight of the contrast of popularity alone", low=0)
    joined_weight: float = option("lambda_3, weight of the contrast of both joined", low=0)
    independence_weight: float = option("lambda_2, weight of the distance correlation of both", low=0)
    cosine_scores: bool = option("rank by cosines, as the training compares; false: inner products")

    def __post_init__(self) -> None:
        if not (self.popularity_weight or self.joined_weight or self.independence_weight):
            raise UsageError(
                "popularity_weight, joined_weight and independence_weight are all 0: the popularity vectors "
                "are not trained; give one of them above 0"
            )


@dataclass(frozen=True)
class LinkPropOptions(SolvedOptions):
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

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        return {} if self.rounds > 1 else {"link_share": "rounds is 1"}


@dataclass(frozen=True)
class BSPMOptions(SolvedOptions):
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
class ChebyCFOptions(SolvedOptions):
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


@dataclass(frozen=True)
class DRGNNOptions(LightGCNOptions):
    """Read once by the model's constructor, checked before data loads."""

    temperature: float = option("tau, divides the scores in the loss", low=0, open_low=True)
    alpha: float = option(
        "temperature of the neighbours' weights; the smaller, the more distant ones count",
        low=0,
        open_low=True,
    )
    normalise_by: str = option(
        "whose neighbours a weight is relative to: the user's in both directions, as published, or those of "
        "the node that receives",
        choices=("user", "receiver"),
    )
    edge_weight: float = option("c, share of an added edge among its user's", low=0, high=1, open_high=True)
    edge_share: float = option(
        "rho, share of the items among which each user is joined to the nearest", low=0, high=1, open_low=True
    )
    edge_start: int = option("first epoch with added edges", low=0)
    edge_every: int = option("epochs from which on the edges are chosen anew", low=1)

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        of_edges = ("edge_share", "edge_start", "edge_every")
        return dict.fromkeys(of_edges, "edge_weight is 0") if self.edge_weight == 0 else {}


@dataclass(frozen=True)
class CausalDiffRecOptions(NoiseBoundsOptions):
    """Read once by the model's constructor, checked before data loads."""

    embedding_size: int = option("width d of the vectors of users and items", low=2)
    hidden_size: int = option("hidden width of the graph encoder, the inference and the denoiser", low=1)
    feature_size: int = option("width of the features of users and items", low=1)
    features: str = option(
        "random features that stay, or that are trained from there", choices=("fixed", "trained")
    )
    n_layers: int = option("propagation layers of LightGCN over the denoised vectors", low=1)
    reg_weight: float = option("weight of the penalty on the denoised vectors of a batch", low=0)
    environments: int = option("K, edited graphs of an epoch", low=2)
    edits: int = option("S, cells that each user and each item draws to be flipped", low=1)
    candidates: int = option("other nodes, drawn uniformly, among which a node draws its edits", low=1)
    time_size: int = option("width of the embedding of a step", low=2)
    dropout_prob: float = option("dropout of the noised vectors", low=0, high=1, open_high=True)
    risk_weight: float = option("weight of diffusion and reconstruction in an environment's risk", low=0)
    inference_weight: float = option("weight of the inference of an environment in its risk", low=0)
    variance_weight: float = option("weight of the variance of the risks beside their mean", low=0)

    def __post_init__(self) -> None:
        self.check_schedule()


@dataclass(frozen=True)
class GiffCFOptions:
    """Read once by the model's constructor, checked before data loads."""

    batch_by = "user"  # a training row is a user

    steps: int = option("diffusion steps T", low=1)
    alpha: float = option("strength of the smoothing at step T; above 1 it overshoots", low=0, open_low=True)
    embedding_size: int = option("width d of the items' embedding", low=1)
    dropout_prob: float = option("dropout of the history in training", low=0, high=1, open_high=True)
    ideal_rank: int = option("singular vectors of the ideal low-pass filter, at most all", low=1)
    ideal_weight: float = option("w, weight of the ideal low-pass filter; 0: none", low=0)
    noise_decay: float = option("gamma, share of the residual that a step of the chain keeps", low=0)

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        return {} if self.ideal_weight else {"ideal_rank": "ideal_weight is 0"}


@dataclass(frozen=True)
class DenoisedVectorsOptions(NoiseBoundsOptions):
    """Two stages: an encoder, and two denoisers of its vectors; of DDRM and HDRM."""

    embedding_size: int = option("width d of user and item vectors", low=2)
    n_layers: int = option("propagation layers of the encoder", low=0)
    encoder_epochs: int = option("epochs of the encoder at most", low=1)
    encoder_stopping_step: int = option("early-stopping patience of the encoder, in validations", low=0)
    encoder_learning_rate: float = option("step size of the encoder", low=0, open_low=True)
    sampling_steps: int | None = option(
        "steps S of the chain that scores; null: 1.25 T, as the authors' scripts; 1: one call", low=1
    )
    denoiser_sizes: list = option(
        "widths of the denoisers' hidden layers from the last to the first; [200, 600]: 600 - 200 - 600"
    )
    activation: str = option("activation of the denoisers", choices=("tanh", "relu", "sigmoid"))
    dropout_prob: float = option("dropout of the noisy vector in training", low=0, high=1, open_high=True)
    reconstruction_weight: float = option("lambda, share of the reconstruction in the loss", low=0, high=1)
    stage_cache: str | None = option(
        "folder that keeps trained encoders for other runs of the same data and options"
    )

    def __post_init__(self) -> None:
        self.check_schedule()
        if not self.denoiser_sizes or not all(type(one) is int and one > 0 for one in self.denoiser_sizes):
            raise UsageError(
                f"option 'denoiser_sizes' is {self.denoiser_sizes!r}; it takes widths, such as [200, 600]"
            )

    def chain_steps(self) -> int:
        """Return S, the steps of the chain that scores."""
        return int(1.25 * self.steps) if self.sampling_steps is None else self.sampling_steps

    def encoder_key(self, interactions: "csr_matrix", general: Any) -> str:
        """Return a name for all that the encoder's weights depend on but the validation that chooses them."""
        digest = hashlib.sha256(interactions.indptr.tobytes() + interactions.indices.tobytes())
        own = ("embedding_size", "n_layers", "init_std", "reg_weight", "margin", "momentum", "adjacency")
        names = [name for name in self.__dataclass_fields__ if name in own or name.startswith("encoder_")]
        used = {name: getattr(self, name) for name in names}
        digest.update(repr((type(self).__name__, used, general.train_batch_size, general.seed)).encode())
        return f"encoder-{digest.hexdigest()[:24]}"


@dataclass(frozen=True)
class DDRMOptions(DenoisedVectorsOptions):
    """Read once by the model's constructor, checked before data loads."""

    init_std: float | None = option(
        "standard deviation of LightGCN's normal initialisation; null: Glorot's uniform rule",
        low=0,
        open_low=True,
    )
    reg_weight: float = option("weight of the L2 penalty on LightGCN's free vectors of a batch", low=0)
    reweight_power: float = option("gamma, power of a pair's estimated score in its weight; 0: none", low=0)


@dataclass(frozen=True)
class SGCLOptions:
    """Read once by the model's constructor, checked before data loads."""

    embedding_size: int = option("width d of user and item vectors", low=1)
    n_layers: int = option("propagation layers of LightGCN", low=1)
    dropout_prob: float = option(
        "dropout of each propagated layer in the ranking part", low=0, high=1, open_high=True
    )
    reg_weight: float = option("weight of the penalty, the norms of a batch's pooled vectors", low=0)
    candidate_items: int = option("uniform negatives of a row, of which the hardest mixed one is kept", low=1)
    edge_dropout_prob: float = option(
        "rho, share of the edges that a view leaves out", low=0, high=1, open_high=True
    )
    contrast_weight: float = option("beta, weight of the contrast", low=0, open_low=True)
    temperature: float = option("tau, divides the cosines", low=0, open_low=True)
    q: float = option(
        "power of the contrast: near 0 InfoNCE, 1 fully symmetric", low=0, high=1, open_low=True
    )
    contrast_lambda: float = option("lambda, weight of the negatives in the contrast", low=0, open_low=True)


ADJACENCY = ("mean", "symmetric")


@dataclass(frozen=True)
class HGCFOptions:
    """Read once by the model's constructor, checked before data loads."""

    embedding_size: int = option(
        "d, coordinates of a point on the hyperboloid, one more than free ones", low=2
    )
    n_layers: int = option("propagations over the graph; 0: none", low=0)
    margin: float = option("m, added to the difference of squared distances", low=0)
    momentum: float = option("momentum of the Riemannian gradient descent", low=0, high=1, open_high=True)
    adjacency: str = option(
        "mean: each vector is the mean of itself and its neighbours; symmetric: LightGCN's, without itself",
        choices=ADJACENCY,
    )


@dataclass(frozen=True)
class HDRMOptions(DenoisedVectorsOptions):
    """Read once by the model's constructor, checked before data loads."""

    margin: float = option("m, added to the difference of squared distances in both stages", low=0)
    momentum: float = option(
        "momentum of the encoder's Riemannian gradient descent", low=0, high=1, open_high=True
    )
    encoder_weight_decay: float = option("L2 penalty of the encoder's optimizer", low=0)
    adjacency: str = option(
        "mean: each vector is the mean of itself and its neighbours; symmetric: LightGCN's, without itself",
        choices=ADJACENCY,
    )
    mixing: float = option("share of the denoised in a vector", low=0, high=1, open_low=True)
    directional_noise: bool = option(
        "noise that points away from the origin, of the batch's mean and deviation"
    )
