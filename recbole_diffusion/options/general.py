"""Options that every run has: RecBole's most used ones, with types and ranges, and those of our run folder."""

from dataclasses import dataclass

from recbole_diffusion.options.declare import option

LEARNERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam")


@dataclass(frozen=True)
class GeneralOptions:
    """Checked before data loads; ``--help`` prints them. Defaults are those of ``properties/overall.yaml``."""

    data_path: str = option("dataset/", "folder that holds one folder per data set")
    runs_path: str = option("runs/", "folder that new run folders are made in")
    run_dir: str | None = option(None, "folder of this run; by default one is made in runs_path")
    seed: int = option(2020, "seed of every random stream of the run", low=0, high=2**32 - 1)
    split_seed: int | None = option(
        None,
        "seed of a random split; null: that of the run, so that another seed is another split",
        low=0,
        high=2**32 - 1,
    )
    use_gpu: bool = option(True, "use a GPU when there is one")
    state: str = option(
        "INFO", "what the log tells", choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    )
    worker: int = option(0, "processes that prepare the batches of RecBole's loaders", low=0)
    epochs: int = option(300, "training epochs at most; 0 evaluates only", low=0)
    train_batch_size: int = option(2048, "rows of a training batch", low=1)
    learner: str = option("adam", "optimizer", choices=LEARNERS)
    learning_rate: float = option(1e-3, "step size of the optimizer", low=0, open_low=True)
    weight_decay: float = option(0.0, "L2 penalty of the optimizer", low=0)
    eval_step: int = option(1, "epochs between two validations", low=1)
    stopping_step: int = option(
        10, "validations without a new best score that are forgiven before training stops", low=0
    )
    metrics: list | str = option(
        ["Recall", "NDCG", "MRR", "Hit", "Precision"], "metrics of RecBole's evaluator"
    )
    topk: list | int = option([10, 20], "cut-offs of the ranking metrics")
    valid_metric: str = option("Recall@20", "metric that chooses the epoch, on the validation part")
    metric_decimal_place: int = option(6, "digits that metrics are rounded to", low=1)
    eval_batch_size: int = option(
        2**24, "cells (users x items) of one evaluation batch: 16 bytes of memory each", low=1
    )
    report_groups: int = option(
        4, "groups of items by popularity and of users by activity in the result; 0: none", low=0
    )
    mirror_gradient: bool = option(
        False,
        "take mirror steps towards flat minima (MG, WWW 2024), with any model that learns one loss by "
        "gradient steps",
    )
    mirror_interval: int = option(3, "batches from one mirror step to the next", low=1)
    mirror_descent: float = option(
        1.0, "alpha_1, weight of the loss in the first half of a mirror step", low=0, open_low=True
    )
    mirror_ascent: float = option(
        0.2, "alpha_2, weight of the loss that the second half climbs", low=0, open_low=True
    )
    checkpoint_interval: int = option(
        1, "epochs between two checkpoints for resume; the best is always saved", low=1
    )
    load_checkpoint: str | None = option(
        None, "start from the weights of this checkpoint (with epochs 0: evaluate them)"
    )
    trust_checkpoint: bool = option(
        False, "read load_checkpoint even if loading it can run code, as RecBole's own files can"
    )
    show_progress: bool | None = option(None, "progress bars; null: only on a terminal")
