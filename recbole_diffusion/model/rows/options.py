"""Hyper-parameters of models of user rows; those of TVDiff and DGRM alone have files of their own.

Longer than most files: a small class for each of many models.
"""

from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option
from recbole_diffusion.options.diffusion import NoiseScheduleOptions
from recbole_diffusion.options.general import OF_STEPS, SolvedOptions


@dataclass(frozen=True)
class GameOptions:
    """The updates of a generator and a critic, of every ``AdversarialRecommender``."""

    generator_steps: int = option("updates of the generator on each batch", low=1)
    critic_steps: int = option("updates of the critic on each batch; 0: it stays as it was drawn", low=0)
    critic_learning_rate: float = option("step size of the critic's optimizer", low=0, open_low=True)
    divergence_limit: float = option(
        "absolute loss of the critic beyond which training stops as diverged", low=0, open_low=True
    )


@dataclass(frozen=True)
class AdversarialOptions(GameOptions):
    """The same on dense rows of users, with their networks."""

    batch_by: str = option(
        "training rows: each user once an epoch, or once for each rating",
        choices=("user", "interaction"),
    )
    hidden_size: int = option("hidden width of the generator", low=1)
    critic_size: int = option("hidden width of the critic", low=1)


@dataclass(frozen=True)
class CFGANOptions(AdversarialOptions):
    """Read once by the model's constructor, checked before data loads; the critic is the discriminator."""

    masked_negatives: int = option(
        "unrated items of each user that the discriminator sees as zeros (zero masking)", low=0
    )
    zero_negatives: int = option(
        "unrated items of each user whose generated ratings are pulled to zero (zero reconstruction)", low=0
    )
    zero_weight: float = option("alpha, weight of the zero reconstruction", low=0)


@dataclass(frozen=True)
class PopularityTermOptions:
    """Of what is added to predicted ratings for an item's popularity, ``popularity_term.py``."""

    popularity_weight: float = option(
        "times log(1 + training ratings of the item), centred, is added to predicted ratings; training does "
        "not know it",
        low=0,
    )


@dataclass(frozen=True)
class MFOptions(PopularityTermOptions):
    """Read once by the model's constructor, checked before data loads."""

    embedding_size: int = option("number of factors d", low=1)
    bias: bool = option("mean and biases of users and items beside the factors")
    solver: str = option(
        "als: alternating least squares, one sweep an epoch; sgd: steps of the optimizer on batches",
        choices=("als", "sgd"),
    )
    reg_weight: float = option("lambda, the L2 penalty", low=0)
    penalty: str = option(
        "weighted: lambda times the number of ratings of the user or item; plain: lambda once for each",
        choices=("weighted", "plain"),
    )
    init_std: float = option("deviation of the factors that training begins with", low=0, open_low=True)

    def __post_init__(self) -> None:
        if self.popularity_weight and not self.bias:
            raise UsageError(
                f"popularity_weight is {self.popularity_weight} and bias False; the term is a bias of items: "
                "use bias True, or popularity_weight 0"
            )

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        return {} if self.solver == "sgd" else dict.fromkeys(OF_STEPS, "solver is als")


@dataclass(frozen=True)
class RatedFitOptions:
    """Of biases and the ridge regression of items on residuals, ``ridge_fit.RatedFit``."""

    user_shrinkage: float = option("ratings of 0 that a user's bias is shrunken by", low=0)
    item_shrinkage: float = option("the same of an item's bias", low=0)
    reg_weight: float = option(
        "lambda, the L2 penalty of the regression of items on residuals", low=0, open_low=True
    )
    stretch: bool = option("scale the regression by least squares on ratings that it was not given")


@dataclass(frozen=True)
class ItemRidgeOptions(PopularityTermOptions, RatedFitOptions, SolvedOptions):
    """Read once by the model's constructor, checked before data loads."""


@dataclass(frozen=True)
class CODIGEMOptions:
    """Read once by the model's constructor, checked before data loads."""

    batch_by = "user"  # a training row is a user

    steps: int = option("diffusion steps T; they change no score, only the bound of train_chain", low=2)
    beta: float = option("variance of each step", low=0, high=1, open_low=True, open_high=True)
    hidden_size: int = option("width of the hidden layers", low=1)
    n_layers: int = option("hidden layers of a network", low=1)
    train_chain: bool = option("train the reverse steps too, which no score reads, for the paper's bound")
    sampling_noise: bool = option("noise the row before scoring, as in training and in the authors' code")

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        return {} if self.train_chain else {"steps": "train_chain is False"}


@dataclass(frozen=True)
class PRGANOptions(GameOptions):
    """Read once by the model's constructor, checked before data loads."""

    embedding_size: int = option("width of the vectors of generator and memory", low=1)
    set_size: int = option("k, items that a user is shown with", low=3)  # of 2, one row is one number a norm
    positives: int = option("p, positive items among them; fewer, where the user has fewer", low=1)
    targets: str = option(
        "binary: 1 at items rated above the middle of the scale; rating: rating / high at all rated items",
        choices=("binary", "rating"),
    )
    dropout_prob: float = option("dropout of the critic's hidden layer", low=0, high=1, open_high=True)
    warmup_epochs: int = option("first epochs, in which the critic alone is trained", low=0)
    memory_copy: str = option(
        "better: the memory takes the generator's vectors before an epoch if these fit the positives better; "
        "never",
        choices=("better", "never"),
    )
    lipschitz: str = option("how the critic is kept Lipschitz", choices=("clip", "gradient_penalty"))
    clip_value: float = option(
        "c, largest absolute weight of the critic with lipschitz: clip", low=0, open_low=True
    )
    penalty_weight: float = option("weight of the gradient penalty", low=0)

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        other = "penalty_weight" if self.lipschitz == "clip" else "clip_value"
        return {other: f"lipschitz is {self.lipschitz}"}

    def __post_init__(self) -> None:
        if self.positives >= self.set_size:
            raise UsageError(
                f"positives is {self.positives} and set_size {self.set_size}; a set needs a negative item, "
                "take fewer positives"
            )


@dataclass(frozen=True)
class ICDAEOptions:
    """Read once by the model's constructor, checked before data loads."""

    batch_by: str = option(
        "training rows: each user once an epoch, or once for each rating", choices=("user", "interaction")
    )
    embedding_size: int = option("width of the hidden layer", low=1)
    activity_power: float = option(
        "rho: the sum over a user's n items is divided by n^rho; 0: CDAE", low=0, high=1
    )
    dropout_prob: float = option("corruption of the input in training", low=0, high=1, open_high=True)
    user_vectors: bool = option("a vector of each user in the hidden layer; new users have none")


@dataclass(frozen=True)
class RatedNeuMFOptions:
    """Read once by the model's constructor, checked before data loads."""

    mf_embedding_size: int = option("width of the vectors that are multiplied", low=1)
    mlp_embedding_size: int = option("width of the vectors that the perceptron reads", low=1)
    mlp_hidden_size: list = option("widths of the perceptron's layers")
    dropout_prob: float = option("dropout before each layer of the perceptron", low=0, high=1, open_high=True)

    def __post_init__(self) -> None:
        check_widths("mlp_hidden_size", self.mlp_hidden_size)


@dataclass(frozen=True)
class RatedDiffRecOptions(NoiseScheduleOptions):
    """Read once by the model's constructor, checked before data loads."""

    batch_by: str = option(
        "training rows: each user once an epoch, or once for each rating", choices=("user", "interaction")
    )
    reconstruct: str = option(
        "cells of the squared error: the rated ones, or all, unrated ones as 0", choices=("rated", "all")
    )
    dims_dnn: list = option("widths of the denoiser's layers; the way back mirrors them")
    embedding_size: int = option("width of the step embedding", low=2)
    dropout_prob: float = option("dropout of the noised rows", low=0, high=1, open_high=True)
    reweight: bool = option(
        "weigh a step's error by the signal-to-noise ratio that it loses, steps drawn by loss"
    )

    def __post_init__(self) -> None:
        self.check_schedule()
        check_widths("dims_dnn", self.dims_dnn)


def check_widths(name: str, widths: list) -> None:
    """Check an option of the widths of layers.

    Raises:
        UsageError: it is empty, or one is no whole number from 1.
    """
    if not widths or not all(type(one) is int and one > 0 for one in widths):
        raise UsageError(
            f"option {name!r} is {widths!r}; it takes a list of whole numbers from 1, such as [64]"
        )


# Linear models (linear.py).


@dataclass(frozen=True)
class EDLAEOptions(SolvedOptions):
    """Read once by the model's constructor, checked before data loads."""

    dropout_prob: float = option(
        "p, share of the input that is dropped; 0: EASE", low=0, high=1, open_high=True
    )
    reg_weight: float = option("lambda, the L2 penalty", low=0, open_low=True)
    popularity_discount: float = option(
        "power of an item's count in train that its score is divided by; 0: scores as they are",
        low=0,
        high=4,
        earlier={"high": None},
    )


@dataclass(frozen=True)
class PureSVDOptions(SolvedOptions):
    """Read once by the model's constructor, checked before data loads."""

    embedding_size: int = option("number of singular vectors; all, where there are fewer", low=1)


@dataclass(frozen=True)
class P3alphaOptions(SolvedOptions):
    """Read once by the model's constructor, checked before data loads."""

    alpha: float = option("power of the probabilities of a step", low=0)
    k: int = option("strongest weights that are kept of each item", low=1)
    normalize: bool = option("divide the kept weights of each item by their sum")


@dataclass(frozen=True)
class RP3betaOptions(P3alphaOptions):
    """Read once by the model's constructor, checked before data loads."""

    beta: float = option("power of the popularity of the item that is reached", low=0)


@dataclass(frozen=True)
class UserKNNOptions(SolvedOptions):
    """Read once by the model's constructor, checked before data loads."""

    k: int = option("neighbours of a user, of which a trained user itself is one", low=1)
    shrink: float = option("added to the product of the lengths: few common items count less", low=0)


@dataclass(frozen=True)
class CDROptions:
    """Read once by the model's constructor, checked before data loads."""

    batch_by: str = option("training rows: each user once an epoch", choices=("user",))
    environments: int = option("T, parts of equal counts that a history is cut into, in order of time", low=1)
    more_environments: int = option("more parts that the same history is cut into when scoring", low=0)
    hidden_size: int = option("width of the encoder's hidden layer", low=1)
    factor_size: int = option("A, unobserved factors of an environment", low=1)
    latent_dimension: int = option("K, factors of preference", low=1)
    categories: int = option("C, categories that factors and items are divided among", low=1)
    dropout_prob: float = option("dropout of the items of an environment", low=0, high=1, open_high=True)
    noise_std: float = option("factor of the noise of both draws while training; 0: their means", low=0)
    temperature: float = option("tau of gates and scores", low=0, open_low=True)
    gate_noise: float = option("sigma, noise of the gates while training", low=0)
    gate_std: float = option("deviation of the gates' start around 0.5", low=0)
    kl_weight: float = option("lambda_1, weight of the divergence of the factors from N(0, 1)", low=0)
    gate_weight: float = option("lambda_2, weight of the expected number of open gates", low=0)
    variance_weight: float = option("lambda_3, weight of the decoder gradient's variance over parts", low=0)
    variance_users: int | None = option("users of a batch that estimate that variance; null: all", low=1)

    @property
    def reads_order(self) -> tuple[str, str] | None:
        """Why the order of rows in time is read, and what to do without times; None if it is not."""
        parts = self.environments + self.more_environments
        if parts == 1:
            return None
        remedy = "set environments to 1 and more_environments to 0"
        return f"CDR cuts each history into {parts} environments by time", remedy

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        if self.environments == 1:
            return dict.fromkeys(("variance_weight", "variance_users"), "environments is 1")
        return {"variance_users": "variance_weight is 0"} if self.variance_weight == 0 else {}


# Sparse item-item regressions (sparse_linear.py) and implicit factorisation (ials.py).


@dataclass(frozen=True)
class SLIMOptions(SolvedOptions):
    """Read once by the model's constructor, checked before data loads."""

    l1_weight: float = option("lambda, the L1 penalty: the larger, the sparser", low=0, open_low=True)
    l2_weight: float = option("beta, the L2 penalty; the objective has half of it", low=0)


@dataclass(frozen=True)
class SparseEASEOptions(SolvedOptions):
    """Read once by the model's constructor, checked before data loads."""

    k: int = option("most similar items that an item is regressed on; all: EASE itself", low=1)
    dropout_prob: float = option(
        "p of EDLAE, share of the input that is dropped; 0: EASE", low=0, high=1, open_high=True
    )
    reg_weight: float = option("lambda, the L2 penalty", low=0, open_low=True)


@dataclass(frozen=True)
class IALSOptions(SolvedOptions):
    """Read once by the model's constructor, checked before data loads."""

    embedding_size: int = option("number of factors d", low=1)
    alpha: float = option("confidence of an interaction beyond the 1 that each other cell has", low=0)
    reg_weight: float = option("lambda, the L2 penalty of each vector", low=0, open_low=True)
    init_high: float = option("items begin uniform between 0 and this number", low=0, open_low=True)
