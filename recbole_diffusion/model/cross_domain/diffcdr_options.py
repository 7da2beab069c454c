"""Hyper-parameters of DiffCDR; their defaults are in ``properties/model/DiffCDR.yaml``."""

from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.cross_domain import CrossDomainOptions
from recbole_diffusion.options.declare import option

# What the denoiser alone reads.
OF_DENOISER = (
    *("hidden_size", "time_size", "activation", "prediction", "join", "beta_0", "beta_1", "guidance"),
    *("condition_dropout", "rating_count_half_weight", "denoiser_loss", "denoiser_updates", "evaluations"),
    *("start", "condition", "unconditional_users", "samples"),
)


@dataclass(frozen=True)
class DiffCDROptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    # The denoiser.
    hidden_size: int = option("hidden width of the denoiser", low=1)
    time_size: int = option("width of the sinusoidal features of time, an even number", low=4)
    activation: str = option(
        "activation between the denoiser's layers; none is the released code",
        choices=("silu", "relu", "tanh", "none"),
    )
    prediction: str = option("what the denoiser's layers predict", choices=("velocity", "noise"))
    join: str = option(
        "where noisy vector, time and condition are added: at hidden width, or at the vector's own",
        choices=("hidden", "input"),
    )
    # The diffusion: the scale of the vectors, and the noise schedule.
    standardise: bool = option(
        "diffuse vectors of mean 0 and deviation 1 in each coordinate; False: as they are"
    )
    beta_0: float = option("noise rate of the schedule at time 0", low=0, open_low=True)
    beta_1: float = option("noise rate of the schedule at time 1", low=0, open_low=True)
    # Training of the denoiser.
    condition_dropout: float = option("ratio of training users without condition", low=0, high=1)
    rating_count_half_weight: float = option(
        "number of target ratings at which a user weighs half in the denoiser's loss; 0: all users weigh the "
        "same",
        low=0,
    )
    batch_rows: str = option(
        "what a batch is made of: shared users with all of their ratings, or single ratings of shared users, "
        "so that users count by their number of ratings (the released code's)",
        choices=("users", "ratings"),
    )
    denoiser_loss: str = option(
        "error of the denoiser: the mean square, the Euclidean norm (the paper's L_DIM), or smooth L1, a "
        "mean over coordinates (the released code's)",
        choices=("squared", "norm", "smooth_l1"),
    )
    denoiser_updates: int = option(
        "updates of the denoiser on each batch, before one of the alignment module", low=1
    )
    ema_decay: float = option(
        "decay of the exponential moving averages (EMA) of the weights that the solver and predictions use; "
        "0: no EMA",
        low=0,
        high=1,
        open_high=True,
    )
    # Transfer by the solver (Eq. 3, 4).
    guidance: float = option("s of Eq. 3: 0 is unconditional, 1 conditional", low=0)
    evaluations: int = option("evaluations of the noise by the solver", low=1)
    start: str = option(
        "where the solver starts: at the source vector, at the mean of noise, which is 0, or at noise",
        choices=("source", "mean", "noise"),
    )
    condition: str = option(
        "the denoiser's condition: the source vector, the profile of how the user rates in the source "
        "domain, or both; attention over the rated source items (history), or the profile beside it",
        choices=("vector", "profile", "both", "history", "profile_history"),
    )
    unconditional_users: str = option(
        "whom the unconditional branch (Eq. 3) learns from: shared users whose condition is dropped, or "
        "beside them as many users of a batch drawn from all with target ratings",
        choices=("shared", "all"),
    )
    # Level factors (diffcdr_levels.py).
    levels: bool = option(
        "also diffuse what a user adds to the log odds of each rating level; needs readout ordinal"
    )
    level_reg_weight: float = option(
        "L2 penalty of the items' log odds; counts as so many ratings that are as all others", low=0
    )
    level_share: float = option(
        "share of the level factors in the level probabilities; the rest is the read-out of the predicted "
        "rating",
        low=0,
        high=1,
    )
    samples: int = option(
        "draws of a user's vector from noise over which the level factors' probabilities are averaged; 0: "
        "the one vector that scores",
        low=0,
    )
    # Ablations.
    diffusion: bool = option("False: without the denoiser, source vectors are aligned (ablation AT)")
    alignment: bool = option("False: without the alignment module's matrix; learned item offsets stay")
    # Alignment and task loss (Eq. 6, 7).
    align_norm: int = option(
        "n of Eq. 6: absolute or squared distance of aligned and target vectors, summed over coordinates",
        choices=(1, 2),
    )
    align_loss: str = option(
        "distance of aligned and target vectors: that of Eq. 6, or smooth L1, a mean over coordinates (the "
        "released code's)",
        choices=("norm", "smooth_l1"),
    )
    align_start: str = option(
        "start of the alignment module's matrix: the identity, or PyTorch's random start of a linear layer "
        "(the released code's)",
        choices=("identity", "random"),
    )
    one_optimizer: bool = option(
        "one optimizer for the denoiser and the alignment module, whose momentum moves each in the other's "
        "update too (the released code under PyTorch below 2.0); False: one each"
    )
    align_learning_rate: float = option("step size of the alignment module", low=0, open_low=True)
    align_weight: float = option("weight of Eq. 6 beside the task loss", low=0)
    task_weight: float = option("lambda of Eq. 7, weight of the task loss; 0: ablation DA", low=0)
    task_absolute: float = option(
        "ratio of absolute errors in the task loss; 0: squared errors alone (Eq. 2)", low=0, high=1
    )
    item_offset_reg_weight: float | None = option(
        "also learn an offset for each item by the task loss; its L2 penalty counts as so many ratings of "
        "offset 0; null: no offsets",
        low=0,
    )

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        found: dict[str, str] = {}
        if not self.diffusion:
            found |= dict.fromkeys(OF_DENOISER, "diffusion is False")
        if not self.alignment:
            found["align_start"] = "alignment is False"
        if self.align_loss == "smooth_l1":
            found["align_norm"] = "align_loss is smooth_l1"
        if not self.levels:
            found |= dict.fromkeys(("level_reg_weight", "level_share", "samples"), "levels is False")
        if self.task_weight == 0:
            found |= dict.fromkeys(("task_absolute", "item_offset_reg_weight"), "task_weight is 0")
        return found

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels and (self.readout != "ordinal" or self.task_weight == 0):
            raise UsageError(
                f"levels is True, readout {self.readout} and task_weight {self.task_weight:g}; level factors "
                "are read out as probabilities and aligned by the task loss: give --readout=ordinal and a "
                "task_weight above 0"
            )
        if self.time_size % 2:
            raise UsageError(f"option 'time_size' is {self.time_size}; it takes an even number from 4")
        if self.beta_1 < self.beta_0:
            raise UsageError(
                f"beta_0 is {self.beta_0:g} and beta_1 {self.beta_1:g}; the noise rate cannot fall with time"
            )
        if not self.align_weight and not self.task_weight:
            raise UsageError(
                "align_weight and task_weight are both 0; the alignment module would learn nothing"
            )
        if self.align_loss == "smooth_l1" and self.align_norm != 1:
            raise UsageError(
                f"align_norm is {self.align_norm}, which align_loss smooth_l1 does not read; leave "
                "align_norm out, or give --align_loss=norm"
            )
        learns_offsets = self.task_weight > 0 and self.item_offset_reg_weight is not None
        if not (self.alignment or self.diffusion or learns_offsets):
            raise UsageError(
                "without diffusion, alignment and item_offset_reg_weight DiffCDR would learn nothing; switch "
                "one of them on"
            )
