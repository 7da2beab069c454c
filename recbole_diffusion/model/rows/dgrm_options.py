"""Hyper-parameters of DGRM; their defaults are in ``properties/model/DGRM.yaml``."""

from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.rows.options import AdversarialOptions, PopularityTermOptions, RatedFitOptions
from recbole_diffusion.options.declare import option
from recbole_diffusion.options.diffusion import NoiseBoundsOptions


@dataclass(frozen=True)
class DGRMOptions(NoiseBoundsOptions, AdversarialOptions, RatedFitOptions, PopularityTermOptions):
    """Read once by the model's constructor, checked before data loads."""

    # Networks.
    step_size: int = option("width of the learned step embedding v_t", low=1)
    noise_size: int = option("width of the generator's noise input z_u", low=1)
    output: str = option(
        "the generator's ratings: between 0 and the highest of the scale, or unbounded",
        choices=("sigmoid", "linear"),
    )
    base: str = option(
        "closed form that the generator adds to: biases, or biases and a ridge regression of items; it is "
        "linear then, whatever output is",
        choices=("none", "bias", "ridge"),
    )
    generator_share: float = option(
        "how much of the generator's part scores add to the closed form; training has all of it",
        low=0,
        high=1,
    )
    dropout_prob: float = option(
        "dropout of the generator's input R^t in training", low=0, high=1, open_high=True
    )
    # The diffusion (Eq. 13, 14).
    noise_scale: float = option(
        "c of Eq. 14, on ratings divided by the highest of the scale", low=0, high=1, open_low=True
    )
    noise_min: float = option("alpha_min of Eq. 14", low=0, high=1, open_low=True)
    noise_max: float = option("alpha_max of Eq. 14", low=0, high=1, open_low=True)
    noise_unit: str = option(
        "what noise of deviation 1 is added to: rows divided by the highest rating, or ratings as they are",
        choices=("row", "rating"),
    )
    fixed_step: int | None = option(
        "train at this step 1..T alone (Table 4); null: a random step for each user", low=1
    )
    # Prediction (section 3.3).
    denoising_steps: int = option("T', steps of the backward process in prediction, 0..T", low=0)
    prediction: str = option(
        "generated: G's ratings after T' backward steps on the rated items; posterior: R^(T-T') itself, on "
        "the rating scale",
        choices=("generated", "posterior"),
    )
    level_share: float = option(
        "0: predictions as they are; above: in the same order, the ratings that occur, in shares that go so "
        "far from those of predictions to those of ratings",
        low=0,
        high=1,
    )
    # The game (Eq. 21, 22).
    objective: str = option(
        "distance that the critic measures; none: the generator alone",
        choices=("wasserstein", "kl", "none"),
    )
    adversarial_weight: float = option("weight of the critic in the generator's loss", low=0, open_low=True)
    adversarial_share: float | None = option(
        "length of the critic's gradient at the generated ratings, in lengths of the reconstruction's, in "
        "each update; null: adversarial_weight as it is",
        low=0,
        open_low=True,
    )
    reconstruction_weight: float = option(
        "lambda of Eq. 22, on the squared error in ratings, summed by user", low=0
    )
    lipschitz: str = option("how the critic is kept Lipschitz", choices=("gradient_penalty", "clip"))
    penalty_weight: float = option("weight of the gradient penalty", low=0)
    clip_value: float = option(
        "largest absolute weight of the critic with lipschitz: clip", low=0, open_low=True
    )

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        clipped, of_lipschitz = self.lipschitz == "clip", ("lipschitz", "penalty_weight", "clip_value")
        found = {"penalty_weight" if clipped else "clip_value": f"lipschitz is {self.lipschitz}"}
        if self.objective != "wasserstein":
            found |= dict.fromkeys(of_lipschitz, f"objective is {self.objective}")
        if self.critic_steps == 0:
            found |= dict.fromkeys((*of_lipschitz, "critic_learning_rate"), "critic_steps is 0")
        if self.adversarial_share is not None:
            found["adversarial_weight"] = "adversarial_share sets the weight"
        if self.base != "none":
            found["output"] = f"base is {self.base}"
        of_fit = {
            "none": ("generator_share", "user_shrinkage", "item_shrinkage", "reg_weight", "stretch"),
            "bias": ("reg_weight", "stretch"),
            "ridge": (),
        }[self.base]
        found |= dict.fromkeys(of_fit, f"base is {self.base}")
        if self.prediction == "posterior":
            found.setdefault("generator_share", "prediction is posterior")
        if self.objective == "none":
            names = ("adversarial_weight", "adversarial_share", "critic_size", "critic_steps")
            more = ("critic_learning_rate", "divergence_limit")
            found |= dict.fromkeys((*names, *more), "objective is none")
        return found

    def __post_init__(self) -> None:
        self.check_schedule()
        if self.denoising_steps > self.steps:
            raise UsageError(
                f"denoising_steps (T') is {self.denoising_steps}, but there are only {self.steps} diffusion "
                "steps (T); take T' from 0 to T"
            )
        if self.fixed_step is not None and self.fixed_step > self.steps:
            raise UsageError(
                f"fixed_step is {self.fixed_step}, but there are only {self.steps} diffusion steps; take 1 "
                f"to {self.steps}"
            )
