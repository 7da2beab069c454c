"""RecBole's own options: type and meaning of each key of its YAML files that no dataclass here declares.

Their defaults are RecBole's, in ``overall.yaml`` and ``dataset/sample.yaml`` of its package. The types say
how a command line is read; ``--help=all`` prints the rest.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class RecBoleOption(NamedTuple):
    """One option of RecBole.

    Attributes:
        kind: its type; what is ``str`` or ``str | None`` is read as text, all else as YAML.
        meaning: a sentence for ``--help=all``; an option that we do not take says so.
        inner: the meaning of each name inside its value.
    """

    kind: Any
    meaning: str
    inner: Mapping[str, str] = {}


Table = dict[str, RecBoleOption]
_O = RecBoleOption

MACHINE: Table = {
    "gpu_id": _O(
        str | int | list | None, "number of the GPU among those that this process sees; empty: the CPU"
    ),
    "reproducibility": _O(bool, "let cuDNN use deterministic algorithms only"),
    "enable_amp": _O(bool, "train in mixed precision (autocast)"),
    "enable_scaler": _O(
        bool, "scale the loss of mixed precision on a GPU, so that small gradients do not vanish"
    ),
    "loss_decimal_place": _O(int, "digits of the training loss in the log"),
    "log_wandb": _O(bool, "also log to Weights & Biases, whose package wandb is then needed"),
    "wandb_project": _O(str, "project of Weights & Biases to log to"),
}
TRAINING: Table = {
    "shuffle": _O(bool, "draw the order of the training rows anew in each epoch"),
    "train_neg_sample_args": _O(
        dict | str | None,
        "negatives of models that learn from pairs or labels; null for a model that needs none",
        {
            "distribution": "uniform over the items, or by their popularity; none: no negatives",
            "sample_num": "negatives of each positive row",
            "alpha": "power of the popularity in distribution popularity",
            "dynamic": "take the candidate with the highest score of the model as negative (DNS)",
            "candidate_num": "candidates that dynamic chooses from",
        },
    ),
    "clip_grad_norm": _O(
        dict | None,
        "bound on the norm of the gradient, such as {max_norm: 5}; null: none",
        {"max_norm": "largest norm", "norm_type": "order of the norm, 2 by default"},
    ),
    "require_pow": _O(
        bool, "let LightGCN and SimpleX take the squared norm of embeddings as their L2 penalty"
    ),
    "transform": _O(
        str | None,
        "augmentation of item sequences: mask_itemseq, inverse_itemseq, crop_itemseq, reorder_itemseq or "
        "user_defined",
    ),
}
EVALUATION: Table = {
    "eval_args": _O(
        dict,
        "how interactions are split into train, valid and test, and what a ranking ranks",
        {
            "split": "{RS: [0.8, 0.1, 0.1]}: by ratio; {TS: [0.8, 0.1, 0.1]}: the last tenth of all rows in "
            "time for test, the rest by ratio within each user; {LS: valid_and_test}: a user's last row for "
            "test, the one before for valid",
            "group_by": "user: the ratio of RS holds within each user; none: among all rows",
            "order": "RO: rows in random order before the split; TO: by TIME_FIELD",
            "mode": "full: all items; uniN or popN: the held-out item against N sampled ones; labeled: rows "
            "as they are, for AUC, MAE, RMSE, LogLoss; or {valid: ..., test: ...}",
        },
    ),
    "repeatable": _O(bool, "rank a user's earlier items too, as sequential models need"),
    "valid_metric_bigger": _O(bool, "a larger valid_metric is better"),
}
FILES: Table = {
    "benchmark_filename": _O(
        list | None,
        "parts that are split already: [train, valid, test] reads NAME.train.inter and so on, and "
        "eval_args.split has no effect",
    ),
    "field_separator": _O(str, "character between the columns of a file"),
    "seq_separator": _O(str, "character between the values of one sequence"),
    "encoding": _O(str | None, "encoding of the files; null: utf-8"),
    "load_col": _O(
        dict | None,
        "columns to read, by file: {inter: [user_id, item_id]}; a file that is not named is not read; null: "
        "all columns of all files",
    ),
    "unload_col": _O(dict | None, "columns not to read, by file, where load_col is null"),
    "unused_col": _O(dict | None, "columns that are read, for filters, but not kept, by file"),
    "additional_feat_suffix": _O(
        list | str | None, "further files to read: ent reads NAME.ent, named in load_col"
    ),
}
COLUMNS: Table = {
    "USER_ID_FIELD": _O(str, "column of users"),
    "ITEM_ID_FIELD": _O(str, "column of items"),
    "RATING_FIELD": _O(str, "column of ratings"),
    "TIME_FIELD": _O(str, "column of times"),
    "LABEL_FIELD": _O(str, "column of 0/1 labels, read or made by threshold"),
    "NEG_PREFIX": _O(str, "prefix of the column of negative items in a training batch"),
    "numerical_features": _O(list, "float columns that context-aware models embed as numbers"),
}
ROWS: Table = {
    "rm_dup_inter": _O(
        str | None,
        "which row to keep of a pair of user and item that is there twice: the first or last in time, or in "
        "the file where it has no TIME_FIELD",
    ),
    "val_interval": _O(
        dict | None,
        "rows to keep, by column: an interval of numbers ({rating: '[3,inf)'}) or a list of tokens",
    ),
    "filter_inter_by_user_or_item": _O(
        bool, "drop interactions whose user or item is not in the .user or .item file"
    ),
    "user_inter_num_interval": _O(
        str | None,
        "users to keep, by their number of interactions: [5,inf) with the same of items is a 5-core",
    ),
    "item_inter_num_interval": _O(str | None, "items to keep, by their number of interactions"),
}
VALUES: Table = {
    "threshold": _O(
        dict | None,
        "makes LABEL_FIELD: {rating: 4} is 1 from a rating of 4 and 0 below; the column itself is dropped",
    ),
    "normalize_all": _O(bool | None, "scale all float columns to [0, 1]; not together with normalize_field"),
    "normalize_field": _O(list | None, "float columns to scale to [0, 1]; others stay"),
    "discretization": _O(
        dict | None,
        "turn columns of numerical_features into intervals, by column",
        {"method": "ED: equal distances; LD: by the logarithm", "bucket": "number of intervals of ED"},
    ),
    "seq_len": _O(dict | None, "longest sequence of a column, {words: 50}; longer ones are cut"),
    "alias_of_user_id": _O(list | None, "further columns that hold users, with the same numbering"),
    "alias_of_item_id": _O(list | None, "further columns that hold items, with the same numbering"),
    "alias_of_entity_id": _O(list | None, "further columns that hold entities, with the same numbering"),
    "alias_of_relation_id": _O(list | None, "further columns that hold relations, with the same numbering"),
    "preload_weight": _O(dict | None, "column of given vectors for a column of ids: {ent_id: ent_emb}"),
}
SEQUENCES: Table = {
    "MAX_ITEM_LIST_LENGTH": _O(int, "longest history that a sequential model reads"),
    "LIST_SUFFIX": _O(str, "suffix of the columns of histories"),
    "ITEM_LIST_LENGTH_FIELD": _O(str, "column of the length of a history"),
    "POSITION_FIELD": _O(str, "column of the positions in a history"),
}
KNOWLEDGE: Table = {
    "HEAD_ENTITY_ID_FIELD": _O(str, "column of the head of a triple"),
    "TAIL_ENTITY_ID_FIELD": _O(str, "column of the tail of a triple"),
    "RELATION_ID_FIELD": _O(str, "column of the relation of a triple"),
    "ENTITY_ID_FIELD": _O(str, "column of entities in the .link file"),
    "kg_reverse_r": _O(bool, "add the reverse of each relation"),
    "entity_kg_num_interval": _O(str | None, "entities to keep, by their number of triples"),
    "relation_kg_num_interval": _O(str | None, "relations to keep, by their number of triples"),
}
_STALE = "not taken here: RecBole's stored data is a pickle that goes stale, and loading is fast"
NOT_TAKEN: Table = {
    "checkpoint_dir": _O(str, "not taken here: a run writes one folder; name it with run_dir"),
    "save_dataset": _O(bool, _STALE),
    "dataset_save_path": _O(str | None, _STALE),
    "save_dataloaders": _O(bool, _STALE),
    "dataloaders_save_path": _O(str | None, _STALE),
    "device": _O(str | None, "not taken here: it follows from use_gpu and gpu_id"),
    "eval_type": _O(str | None, "not taken here: it follows from the metrics"),
    "MODEL_TYPE": _O(str | None, "not taken here: it follows from the model"),
    "MODEL_INPUT_TYPE": _O(str | None, "not taken here: it follows from the model"),
}
# Those of a split, which only reads, filters and writes rows.
OF_DATA: dict[str, Table] = {
    "files": FILES,
    "names of columns": COLUMNS,
    "rows to keep": ROWS,
    "values": VALUES,
}
SECTIONS: dict[str, Table] = {
    "machine and log": MACHINE,
    "training": TRAINING,
    "evaluation": EVALUATION,
    **OF_DATA,
    "sequential models": SEQUENCES,
    "knowledge graphs": KNOWLEDGE,
    "not taken": NOT_TAKEN,
}
RECBOLE_OPTIONS: Table = {name: known for section in SECTIONS.values() for name, known in section.items()}
