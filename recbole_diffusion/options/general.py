"""Options of every run: RecBole's most used ones, with types and ranges, and those of our run folder."""

from dataclasses import dataclass

from recbole_diffusion.errors import refuse_address
from recbole_diffusion.options.declare import option

# RecBole takes sparse_adam too, which needs sparse gradients: no model of RecBole or ours has them.
LEARNERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop")


@dataclass(frozen=True)
class GeneralOptions:
    """Checked before data loads; ``--help`` prints them. Defaults stand in ``properties/overall.yaml``."""

    preset: str | None = option(
        "a named set of the model's options: paper, released or best; null: the defaults"
    )
    data_path: str = option("folder that holds one folder per data set")
    runs_path: str = option("folder that new run folders are made in")
    run_dir: str | None = option("folder of this run; by default one is made in runs_path")
    seed: int = option("seed of every random stream of the run", low=0, high=2**32 - 1)
    split_seed: int | None = option(
        "seed of a random split; null: that of the run, so that another seed is another split",
        low=0,
        high=2**32 - 1,
    )
    allow_overlap: bool = option(
        "go on although pairs of train are in valid or test too, whose metrics are then not those of unseen "
        "items"
    )
    use_gpu: bool = option("use a GPU when there is one")
    state: str = option(
        "least important messages that are logged", choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    )
    worker: int = option("processes that prepare the batches of RecBole's loaders", low=0)
    epochs: int = option("training epochs at most; 0 evaluates only", low=0)
    train_batch_size: int | str = option(
        "rows of a training batch; auto: the model's default, doubled until an epoch has at most 512 batches "
        "(32 of users), with learning_rate times the square root",
        low=1,
        words=("auto",),
    )
    learner: str = option("optimizer", choices=LEARNERS, earlier={"choices": (*LEARNERS, "sparse_adam")})
    learning_rate: float = option(
        "step size of the optimizer; of the default batch if train_batch_size is auto",
        low=0,
        high=1e6,
        open_low=True,
    )
    weight_decay: float = option("L2 penalty of the optimizer", low=0)
    eval_step: int = option("epochs between two validations", low=1)
    stopping_step: int = option("early-stopping patience, in validations without a new best score", low=0)
    metrics: list | str = option("metrics of RecBole's evaluator")
    topk: list | int = option("cut-offs of the ranking metrics")
    valid_metric: str = option("metric that chooses the epoch, on the validation part")
    metric_decimal_place: int = option("digits that metrics are rounded to", low=1, high=15)
    eval_batch_size: int = option(
        "cells (users x items) that a full ranking scores at once, 8 bytes of memory each; or rows of a "
        "batch when sampled or labelled rows are scored, by default 65536",
        low=1,
    )
    report_groups: int = option(
        "groups of items by popularity and of users by activity in the result; 0: none", low=0
    )
    mirror_gradient: bool = option(
        "take mirror steps towards flat minima (MG, WWW 2024), with any model that learns one loss by "
        "gradient steps",
    )
    mirror_interval: int = option("batches from one mirror step to the next", low=1)
    mirror_descent: float = option(
        "alpha_1, weight of the loss in the first half of a mirror step", low=0, open_low=True
    )
    mirror_ascent: float = option(
        "alpha_2, weight of the loss that the second half climbs", low=0, open_low=True
    )
    checkpoint_interval: int = option(
        "epochs between two checkpoints for resume; the best is always saved", low=1
    )
    keep_rows: bool = option(
        "keep ids and rows in the run folder (data.npz), so that the run can be used and trained on when the "
        "data has grown or is in another order"
    )
    load_checkpoint: str | None = option(
        "start from the weights of this checkpoint (with epochs 0: evaluate them)"
    )
    trust_checkpoint: bool = option(
        "read load_checkpoint even if loading it can run code, as RecBole's own files can"
    )
    show_progress: bool | None = option("progress bars; null: only on a terminal")

    def __post_init__(self) -> None:
        for name in ("runs_path", "run_dir"):
            refuse_address(name, getattr(self, name))

    def unread(self) -> dict[str, str]:
        """Return the options without effect beside the others' values."""
        names = () if self.mirror_gradient else ("mirror_interval", "mirror_descent", "mirror_ascent")
        return dict.fromkeys(names, "mirror_gradient is False")


OF_EPOCHS = ("eval_step", "stopping_step")  # that validations on the way alone read
# Options that gradient steps alone read.
OF_STEPS = (
    *("learning_rate", "learner", "weight_decay", "clip_grad_norm", "train_batch_size", "shuffle"),
    "enable_amp",
)


class SolvedOptions:
    """Of a model that is computed without gradient steps."""

    def unread(self) -> dict[str, str]:
        """Return the options of gradient steps, which have no effect, with the reason."""
        return dict.fromkeys(OF_STEPS, "no gradient steps are taken")
