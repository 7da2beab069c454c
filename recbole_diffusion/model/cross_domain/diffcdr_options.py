"""Hyper-parameters of DiffCDR; their defaults stand in ``properties/model/DiffCDR.yaml``."""

from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.cross_domain import CrossDomainOptions
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class DiffCDROptions(CrossDomainOptions):
    """Read once by the model's constructor, checked before data loads."""

    hidden_size: int = option("hidden width of the denoiser", low=1)
    time_size: int = option("width of the sinusoidal features of time, an even number", low=4)
    activation: str = option(
        "between the denoiser's layers; none is the released code",
        choices=("silu", "relu", "tanh", "none"),
    )
    prediction: str = option("what the denoiser's layers give", choices=("velocity", "noise"))
    join: str = option(
        "where noisy vector, time and condition are added: at hidden width, or at the vector's own",
        choices=("hidden", "input"),
    )
    standardise: bool = option(
        "diffuse vectors of mean 0 and deviation 1 in each coordinate; False: as they are"
    )
    beta_0: float = option("noise rate of the schedule at time 0", low=0, open_low=True)
    beta_1: float = option("noise rate of the schedule at time 1", low=0, open_low=True)
    condition_dropout: float = option("share of training rows without condition", low=0, high=1)
    rating_count_half_weight: float = option(
        "target ratings with which a user weighs half in the loss of the denoiser; 0: all users weigh the "
        "same",
        low=0,
    )
    denoiser_updates: int = option("updates of the denoiser for each one of the alignment module", low=1)
    ema_decay: float = option(
        "decay of the moving averages that the solver and predictions use; 0: the weights themselves",
        low=0,
        high=1,
        open_high=True,
    )
    guidance: float = option("s of Eq. 3: 0 is unconditional, 1 conditional", low=0)
    evaluations: int = option("evaluations of the noise by the solver", low=1)
    start: str = option(
        "where the solver starts: the source vector, the mean of noise, which is 0, or noise",
        choices=("source", "mean", "noise"),
    )
    condition: str = option(
        "what the denoiser is told: the source vector, how the user rates in the source domain, or both",
        choices=("vector", "profile", "both"),
    )
    diffusion: bool = option("False leaves the denoiser out, so that source vectors are aligned: ablation AT")
    alignment: bool = option(
        "False leaves the matrix of the alignment module out; a shift of item offsets stays"
    )
    align_norm: int = option(
        "n of Eq. 6: absolute or squared distance of aligned and target vectors, summed over coordinates",
        choices=(1, 2),
    )
    align_learning_rate: float = option("step size of the alignment module", low=0, open_low=True)
    align_weight: float = option("weight of Eq. 6 beside the task loss", low=0)
    task_weight: float = option("lambda of Eq. 7, weight of the task loss; 0: ablation DA", low=0)
    task_absolute: float = option(
        "share of absolute errors in the task loss; 0: squared errors alone (Eq. 2)", low=0, high=1
    )
    item_offset_reg_weight: float | None = option(
        "learn a shift of each item's offset with the task loss, held by so many ratings of shift 0; null: "
        "none",
        low=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
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
        learns_shift = self.task_weight > 0 and self.item_offset_reg_weight is not None
        if not (self.alignment or self.diffusion or learns_shift):
            raise UsageError(
                "without diffusion, alignment and shift of item offsets DiffCDR would learn nothing; give "
                "True to one of them"
            )
