"""Hyper-parameters of TVDiff; their defaults are in ``properties/model/TVDiff.yaml``."""

from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option
from recbole_diffusion.options.diffusion import NoiseScheduleOptions
from recbole_diffusion.options.linear_term import LinearTermOptions

OF_AR_GSP = ("gamma", "relaxation_rate", "margin_power")
OF_RANKED = ("exact_rank_cells", "candidate_items")  # of ar_gsp and sl


@dataclass(frozen=True)
class TVDiffOptions(NoiseScheduleOptions, LinearTermOptions):
    """Read once by the model's constructor, checked before data loads."""

    hidden_size: int = option(
        "width d of W_I and W_U (released code 1000; the paper's general setting says 64)", low=1
    )
    embedding_size: int = option("width of the sinusoidal time embedding before its linear layer", low=2)
    first_beta: float | None = option(
        "beta of the first step, against overfitting; null: the schedule's",
        low=0,
        high=1,
        open_low=True,
        open_high=True,
    )
    # Scoring: the reverse chain (Algorithm 2).
    inference_steps: int | None = option(
        "denoiser calls in scoring; null: all steps, 1: the last one alone", low=1
    )
    sampling_steps: int = option(
        "forward steps that noise the history before scoring; 0: the clean history", low=0
    )
    sampling_noise: bool = option("add posterior noise in the reverse chain")
    chain_tolerance: float = option(
        "largest relative error of a user's vector, on a sample, in a chain with fewer products that makes "
        "the lists of wide models; lists that it could change are made by the plain chain; 0: all are",
        low=0,
        high=0.01,
    )
    # Training (Algorithm 1).
    dropout_prob: float = option("dropout of the input row in training", low=0, high=1, open_high=True)
    # View I: energy and entropy (Eq. 9).
    temperature: float = option("temperature t of the free energy, weight of the entropy term (Eq. 9)", low=0)
    entropy_loss: str = option("entropy term", choices=("bce", "bpr", "nll", "none"))
    # View II: the denoiser (Eq. 13).
    denoiser: str = option(
        "View II on (Eq. 13) or off (DiffRec's multi-layer perceptron)",
        choices=("anisotropic", "mlp"),
    )
    topology: str = option(
        "matrix inside the item encoder of the anisotropic denoiser: symmetric, D_U^-1/2 R D_I^-1/2; left, "
        "D_U^-1 R; linkprop, D_U^-1/4 R D_I^-1/2; three_step, S R^T S of the symmetric S; none, free items",
        choices=("symmetric", "left", "linkprop", "three_step", "none"),
    )
    aggregation: str = option(
        "Agg of Eq. 13, how the step's embedding e joins z = x_t W_I: addition, z + e; product, z * e; "
        "gating, z * sigmoid(e)",
        choices=("addition", "product", "gating"),
    )
    # View III: hard negatives (Eq. 16, 17).
    negative_sampler: str = option(
        "View III on (ar_gsp, Eq. 16 and 17) or off (uniform); sl: in proportion to the positive part of the "
        "score, what Table 3 compares with",
        choices=("uniform", "ar_gsp", "sl"),
    )
    gamma: float = option(
        "ratio of the items that AR-GSP accepts as informative negatives", low=0, high=1, open_low=True
    )
    relaxation_rate: float = option(
        "lambda of the step's Gumbel temperature; inert: all accepted items have one probability, which any "
        "temperature draws alike",
        low=0,
    )
    margin_power: float = option(
        "weight of bpr's pairs with negatives of AR-GSP (ours): (1 + m)^power, m the score above the row's "
        "threshold over the batch's mean of that; 0: all alike",
        low=-8,
        high=8,
    )
    sl_power: float = option("power of the positive scores that sl draws by", low=0, open_low=True)
    exact_rank_cells: int = option(
        "ar_gsp and sl look at all items up to this number of rows x items; above it, at random items", low=0
    )
    candidate_items: int = option(
        "random items that estimate a row's rank threshold (ar_gsp), or are drawn from (sl), beyond "
        "exact_rank_cells",
        low=1,
    )
    # Batches, and which of two equal computations.
    batch_by: str = option(
        "a training row is an interaction's user, or each user once an epoch",
        choices=("interaction", "user"),
    )
    training: str = option(
        "loss by the exact identities, or plain on [batch, n_items] arrays",
        choices=("projected", "dense"),
    )
    scoring: str = option(
        "reverse chain in the hidden space, or plain over all items",
        choices=("projected", "dense"),
    )

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        found = {}
        if self.denoiser == "mlp":
            found["topology"] = "denoiser is mlp"
        if self.negative_sampler != "ar_gsp":
            found |= dict.fromkeys(OF_AR_GSP, f"negative_sampler is {self.negative_sampler}")
        if self.negative_sampler != "sl":
            found["sl_power"] = f"negative_sampler is {self.negative_sampler}"
        if self.negative_sampler == "uniform":
            found |= dict.fromkeys(OF_RANKED, "negative_sampler is uniform")
        if self.entropy_loss != "bpr" or self.batch_by == "user":
            found["margin_power"] = "only pairs of bpr by interaction are weighted"
        if self.entropy_loss in ("none", "nll"):  # neither draws negatives
            unread = ("negative_sampler", "sl_power", *OF_AR_GSP, *OF_RANKED)
            found |= dict.fromkeys(unread, f"entropy_loss is {self.entropy_loss}")
        if self.entropy_loss == "none":
            found["temperature"] = "entropy_loss is none"
        return found

    def __post_init__(self) -> None:
        self.check_schedule()
        for name in ("inference_steps", "sampling_steps"):
            value = getattr(self, name)
            if value is not None and value > self.steps:
                raise UsageError(f"option {name!r} is {value} but there are only {self.steps} steps")
        if self.chain_tolerance and self.aggregation != "addition":
            raise UsageError(
                f"chain_tolerance is {self.chain_tolerance:g}, but the chain with fewer products is that of "
                f"aggregation: addition; with {self.aggregation} leave chain_tolerance at 0"
            )
        if self.chain_tolerance and self.linear_term != "none":
            raise UsageError(
                f"chain_tolerance is {self.chain_tolerance:g}, but lists by a chain with fewer products are "
                f"of inner products, which scores with linear_term: {self.linear_term} are not; leave "
                "chain_tolerance at 0"
            )
        if self.scoring == "dense" and (self.sampling_steps or self.sampling_noise):
            raise UsageError(
                "scoring: dense is the plain deterministic chain; sampling_steps and sampling_noise need "
                "scoring: projected"
            )
