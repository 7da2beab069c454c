"""Hyper-parameters of CNSDiff; their defaults are in ``properties/model/CNSDiff.yaml``."""

import math
from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.graph.options import HostOptions
from recbole_diffusion.options.declare import option
from recbole_diffusion.options.diffusion import NoiseScheduleOptions
from recbole_diffusion.options.linear_term import LinearTermOptions
from recbole_diffusion.options.negatives import PoolOptions

# Without effect where nothing is aligned.
OF_ALIGNMENT = (
    *("alignment_form", "alignment_temperature", "alignment_noise"),
    *("alignment_size", "alignment_negatives"),
)
# The samplers that read an option, with those options.
OF_SAMPLERS = {
    ("cnsdiff",): (
        *("steps", "start", "stride", "noise_schedule", "noise_scale", "noise_min", "noise_max"),
        *("denoiser_size", "time_size", "causal", "causal_weight", "environments", "free_information"),
        *("environment_by", "random_negatives"),
        *("sampling_weight", "sampling_size", "mixing", "mix_initial", "mix_final", "curriculum_epochs"),
        *("alignment_weight", *OF_ALIGNMENT),
    ),
    ("dns", "mixgcf", "ahns"): ("candidate_items",),
    ("dns",): ("hardest",),
    ("popularity",): ("popularity_power",),
    ("ahns",): ("ahns_alpha", "ahns_beta", "ahns_p"),
}


@dataclass(frozen=True)
class CNSDiffOptions(NoiseScheduleOptions, HostOptions, PoolOptions, LinearTermOptions):
    """Read once by the model's constructor, checked before data loads."""

    # Negatives, and the diffusion that generates them (Eq. 3 to 14).
    negative_sampler: str = option(
        "where negatives come from: the diffusion, or one of the paper's comparison",
        choices=("cnsdiff", "uniform", "popularity", "dns", "mixgcf", "ahns"),
    )
    steps: int = option("diffusion steps T", low=2)
    start: int = option(
        "step t_0 of the hardest generated negative (Eq. 14); 0 is the end of the reverse chain", low=0
    )
    stride: int = option("steps s between generated negatives (Eq. 14)", low=1)
    denoiser_size: int = option("hidden width of the denoiser and of the environment posterior", low=1)
    time_size: int = option("width of the sinusoidal time embedding", low=2)
    mean_type: str = option(
        "what the denoiser predicts: the noise (Eq. 6), or the item's vector z_0 as in the released code",
        choices=("eps", "x0"),
    )
    reweight: bool = option(
        "weigh the steps of the sampling loss by the drop of the signal-to-noise ratio, as the released code "
        "does; false: all alike (Eq. 6)"
    )
    # Causal regularisation (Eq. 17, 18), and the weight of the sampling loss (Eq. 22).
    causal: str = option(
        "causal regularisation: the bound of Eq. 17, the KL divergence between neighbouring steps (A.3), or "
        "none",
        choices=("environment", "kl", "none"),
    )
    environments: int = option("number K of environments (Eq. 17)", low=1)
    environment_by: str = option(
        "what an environment is: latent, with a posterior that is learned (Eq. 17), or the item's popularity "
        "in train, K groups of about equal interactions, so that any item's negative may be made as one of a "
        "popular item",
        choices=("latent", "popularity"),
    )
    free_information: float = option(
        "ratio of log K that KL(q(e | z_t) || p_0) may reach at no cost; 0: Eq. 17 as printed, whose "
        "posterior is uniform",
        low=0,
        high=1,
    )
    causal_weight: float = option(
        "lambda_1, weight of the causal regularisation in the sampling loss (Eq. 18)", low=0
    )
    causal_encoder_weight: float | None = option(
        "weight of the causal regularisation, a mean over steps and dimensions, in what trains the encoder; "
        "null: lambda_1 lambda_2, so little that nothing moves",
        low=0,
    )
    sampling_weight: float = option(
        "lambda_2, weight of the sampling loss in what trains the encoder (Eq. 22)", low=0
    )
    sampling_size: int | None = option("distinct items of a batch in the sampling loss; null: all", low=2)
    # Mixing with random negatives (Eq. 20).
    mixing: str = option(
        "mix generated and random negative by a Beta-distributed share, by its mean, or not at all (Eq. 20)",
        choices=("beta", "mean", "none"),
    )
    mix_initial: list = option("[a, b] of Beta(a, b), the generated negative's share, in the first epoch")
    mix_final: list = option("[a, b] of Beta(a, b) from epoch curriculum_epochs on")
    curriculum_epochs: int = option("epochs in which [a, b] goes from mix_initial to mix_final", low=1)
    random_negatives: str = option(
        "law of the random negative of Eq. 20: uniform, or by an item's count to popularity_power, so that "
        "what is popular is not preferred for that",
        choices=("uniform", "popularity"),
    )
    # Contrastive alignment (Eq. 21).
    alignment_weight: float = option("lambda_3, weight of the contrastive alignment (Eq. 22); 0: none", low=0)
    alignment_form: str = option(
        "Eq. 21 on cosines, on inner products as printed, or the released code's: inner products, and the "
        "positive is not in the denominator",
        choices=("cosine", "inner_product", "released"),
    )
    alignment_temperature: float = option("temperature tau of Eq. 21", low=0, open_low=True)
    alignment_noise: float = option(
        "length of the noise that makes the positive counterpart of an item (Eq. 21)", low=0
    )
    alignment_size: int = option("items and negatives of a batch that are contrasted", low=2)
    alignment_negatives: str = option(
        "what items are contrasted with beside random items: the mixed negatives (Eq. 21), or the generated "
        "ones before mixing, as in the released code",
        choices=("mixed", "generated"),
    )
    popularity_discount: float = option(
        "power of an item's count in train that its score is divided by; 0: scores as they are",
        low=0,
        high=4,
        earlier={"high": None},
    )
    # Diagnostics.
    false_negative_part: str = option(
        "held-out part to count false hard negatives against, such as valid; a diagnostic"
    )
    false_negative_cosine: float = option(
        "cosine from which a negative counts as a held-out item of its user", low=0, high=1
    )

    def snapshots(self) -> list[int]:
        """Return the steps of Eq. 14, t_0 + k s up to T."""
        return list(range(self.start, self.steps + 1, self.stride))

    def causal_reach(self) -> float:
        """Return the share of the causal term's gradient that reaches the item vectors, over lambda_1."""
        if self.causal_encoder_weight is None:
            return self.sampling_weight
        return self.causal_encoder_weight / self.causal_weight if self.causal_weight else 0.0

    def beta_parameters(self, epoch: int) -> tuple[float, float]:
        """Return [a, b] of an epoch: linear from ``mix_initial`` to ``mix_final``, then constant."""
        progress = min(1.0, epoch / max(1, self.curriculum_epochs - 1))
        a, b = (
            first + (last - first) * progress
            for first, last in zip(self.mix_initial, self.mix_final, strict=True)
        )
        return a, b

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        found = LinearTermOptions.unread(self)
        sampler = f"negative_sampler is {self.negative_sampler}"
        if self.alignment_weight == 0:
            found |= dict.fromkeys(OF_ALIGNMENT, "alignment_weight is 0")
        if self.mixing == "none":
            found |= dict.fromkeys(("mix_initial", "mix_final", "curriculum_epochs"), "mixing is none")
        if self.causal != "environment":
            of_environments = ("environments", "environment_by", "free_information")
            found |= dict.fromkeys(of_environments, f"causal is {self.causal}")
        elif self.environment_by == "popularity":
            found["free_information"] = "environment_by is popularity"
        if self.causal == "none":
            found["causal_weight"] = "causal is none"
        if not self.false_negative_part:
            found["false_negative_cosine"] = "false_negative_part is empty"
        for reading, names in OF_SAMPLERS.items():
            if self.negative_sampler not in reading:
                found |= dict.fromkeys(names, sampler)
        if self.draws_by_count:
            found.pop("popularity_power", None)
        return found

    @property
    def draws_by_count(self) -> bool:
        """Whether items are drawn by their counts, as negatives or to be mixed into generated ones."""
        mixed = self.negative_sampler == "cnsdiff" and self.random_negatives == "popularity"
        return mixed or self.negative_sampler == "popularity"

    def __post_init__(self) -> None:
        if self.start + self.stride > self.steps:
            raise UsageError(
                f"start is {self.start} and stride {self.stride}, but there are only {self.steps} steps; "
                "start + stride must not be beyond steps, so that there are two levels of hardness at least"
            )
        self.check_schedule()
        for name in ("mix_initial", "mix_final"):
            value = getattr(self, name)
            numbers = len(value) == 2 and all(
                type(one) in (int, float) and 0 <= one < math.inf for one in value
            )
            if not numbers or sum(value) == 0:
                raise UsageError(
                    f"option {name!r} is {value!r}; it takes two numbers from 0, not both 0, such as [2, 8]"
                )
        if self.negative_sampler == "dns" and self.hardest > self.candidate_items:
            raise UsageError(
                f"hardest is {self.hardest} but candidate_items only {self.candidate_items}; dns takes M of N"
            )
