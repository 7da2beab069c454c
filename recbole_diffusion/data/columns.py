"""The columns of interactions: their types, rows without user or item, and labels that nothing reads.

Longer than most files: one check of the columns after the other, in the order of a data set.
"""

import re
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion import registry
from recbole_diffusion.compat import FeatureSource, FeatureType, InputType, ModelType, SequentialDataset
from recbole_diffusion.data.named_features import check_numerical, check_shared_names
from recbole_diffusion.data.rounded_ids import rounded_ids
from recbole_diffusion.data.table_file import is_table
from recbole_diffusion.errors import UsageError, agreeing, counted

NOBODY = {
    "0",
    "-1",
    "",
    "-",
    "?",
    "na",
    "n/a",
    "nan",
    "null",
    "nil",
    "none",
    "unknown",
    "undefined",
    "missing",
}
NOBODY |= {"anonymous", "anon", "guest", "default", "00000000-0000-0000-0000-000000000000"}
# What a file calls the label otherwise than LABEL_FIELD, without underscores.
LABELS = {"label", "labels", "click", "clicks", "clicked", "isclick", "isclicked", "target", "istarget", "y"}
LABELS |= {"like", "liked", "islike", "isliked", "buy", "bought", "purchase", "purchased", "ispurchase"}
LABELS |= {"converted", "conversion", "positive", "ispositive", "relevant", "feedback", "response"}
_OF_POWER = re.compile(r"\d(?:\.\d+)?[eE]\+\d{1,2}")
PADDING = "[PAD]"  # RecBole's token of id 0
IDS = {"USER_ID_FIELD": FeatureType.TOKEN, "ITEM_ID_FIELD": FeatureType.TOKEN}
OF_VALUES = {"mae", "rmse"}  # metrics with which ratings may stand in the label's place
TYPES = {**IDS, "RATING_FIELD": FeatureType.FLOAT, "LABEL_FIELD": FeatureType.FLOAT}


def check_types(dataset: Any, path: Path, frame: pd.DataFrame, source: Any) -> None:
    """Check that ids are tokens, and ratings and labels numbers: the codes of tokens would pass for numbers.

    Raises:
        UsageError: one is of another type.
    """
    for option, kind in (TYPES if source == FeatureSource.INTERACTION else IDS).items():
        field = dataset.config[option]
        if field in frame and dataset.field2type[field] != kind:
            place = path if is_table(path) else f"{path}, line 1"
            raise UsageError(
                f"{place}: the column {field!r} is {dataset.field2type[field].value}, but {option} "
                f"takes {kind.value}; write {field}:{kind.value}, or name another column with {option}"
            )


def check_names(dataset: Any) -> None:
    """Check the options that name loaded columns, and that no column has the name of one that is made.

    Raises:
        UsageError: an alias of users or items is no loaded column of tokens, one of ``numerical_features``
            none of numbers, two files have a column of one name, or the length of a sequence or a history
            has the name of a column, which it would replace.
    """
    config, kinds = dataset.config, dataset.field2type
    check_shared_names(dataset)
    check_numerical(dataset)
    for option in ("alias_of_user_id", "alias_of_item_id"):
        for field in config[option] or ():
            kind = "not loaded" if field not in kinds else kinds[field].value
            if not kind.startswith("token"):
                raise UsageError(
                    f"{option} names the column {field!r}, which is {kind}; it takes loaded columns of tokens"
                )
    if isinstance(dataset, SequentialDataset) and dataset.benchmark_filename_list is None:
        _check_made_names(config, dataset)
    if unknown := [name for name in config["seq_len"] or () if name not in kinds]:
        dataset.logger.warning("no effect of seq_len for %s: no such column is loaded", ", ".join(unknown))
    named = [name for name in config["seq_len"] or () if name in kinds]
    if single := [name for name in named if not kinds[name].value.endswith("seq")]:
        dataset.logger.warning(
            "no effect of seq_len for %s: it cuts columns of sequences (token_seq, float_seq), and histories "
            "that are made here have MAX_ITEM_LIST_LENGTH",
            ", ".join(single),
        )


def _check_made_names(config: Any, dataset: Any) -> None:
    """Refuse names of the columns that a sequential model makes which other columns have.

    Raises:
        UsageError: the length of a sequence or a history would replace a column, or the one the other.
    """
    length, suffix = config["ITEM_LIST_LENGTH_FIELD"], config["LIST_SUFFIX"]
    columns = list(dataset.inter_feat)
    if not suffix:
        raise UsageError(
            f"LIST_SUFFIX is {suffix!r}, but a history needs another name than its column; give it an "
            "ending, such as _list"
        )
    histories = {name + suffix: name for name in columns if name != dataset.uid_field}
    if not length or length in histories:
        why = f"the name of the history of {histories[length]!r}" if length else "no name"
        raise UsageError(f"ITEM_LIST_LENGTH_FIELD is {length!r}, {why}; give it one of its own")
    if length in columns:
        raise UsageError(
            f"ITEM_LIST_LENGTH_FIELD is {length!r}, a column of the interactions, which the length of each "
            "sequence would replace; give it another name, or leave the column out with load_col"
        )
    if taken := [name for name in histories if name in columns]:
        raise UsageError(
            f"the column {taken[0]!r} of the interactions has the name of the history that "
            f"{config['model']} makes of {histories[taken[0]]!r}, which would replace it; leave the column "
            "out with load_col, or give histories another ending with LIST_SUFFIX"
        )


def check_value_filters(dataset: Any) -> None:
    """Check that ``val_interval`` has an interval for a column of numbers and a list for one of tokens.

    Raises:
        UsageError: it has the other, or no such column is loaded.
    """
    for field, allowed in (dataset.config["val_interval"] or {}).items():
        if field not in dataset.field2type:
            raise UsageError(
                f"val_interval names the column {field!r}, which is not loaded; add it to load_col, such as "
                f"{{inter: [{dataset.uid_field}, {dataset.iid_field}, {field}]}}"
            )
        if dataset.field2type[field].value.endswith("seq"):
            raise UsageError(
                f"val_interval names the column {field!r}, which is {dataset.field2type[field].value}; it "
                "takes columns of one number or token a row (float, token)"
            )
        numbers = dataset.field2type[field] == FeatureType.FLOAT
        if numbers == isinstance(allowed, list):
            takes = (
                "an interval in quotes, such as '[3,inf)'" if numbers else "a list of tokens, such as [a, b]"
            )
            raise UsageError(
                f"val_interval.{field} is {allowed!r}, but the column {field!r} is "
                f"{dataset.field2type[field].value}; it takes {takes}"
            )
        if not numbers:
            _tell_absent(dataset, field, list(map(str, allowed)))


def _tell_absent(dataset: Any, field: str, tokens: list[str]) -> None:
    """Warn of tokens of ``val_interval`` that no row has: a slip there keeps too few rows in silence."""
    there = {str(one) for feat in dataset.field2feats(field) for one in feat[field].unique()}
    if absent := [one for one in tokens if one not in there]:
        dataset.logger.warning(
            "val_interval.%s has %s that no row of data set %r has: %s",
            *(field, counted(len(absent), "token"), dataset.dataset_name, ", ".join(absent[:5])),
        )


def tell_without_features(dataset: Any) -> None:
    """Warn of interactions that stay although their user or item has no row in a loaded file."""
    frame, without = dataset.inter_feat, np.zeros(len(dataset.inter_feat), bool)
    for feat, field in ((dataset.user_feat, dataset.uid_field), (dataset.item_feat, dataset.iid_field)):
        if feat is not None:
            without |= ~frame[field].isin(feat[field]).to_numpy()
    if count := int(without.sum()):
        dataset.logger.warning(
            "%d of the %s of data set %r %s a user or an item without a row in the .user or .item file that "
            "load_col names, or none that val_interval leaves: filter_inter_by_user_or_item is false, so "
            "they stay, with the mean for each number of that row",
            *(count, counted(len(frame), "interaction"), dataset.dataset_name, agreeing(count, "have")),
        )


def drop_rows_without_ids(dataset: Any) -> None:
    """Leave out interactions without user or item, and tell their lines.

    RecBole drops rows without an item by places that are no longer right once rows without a user are gone: a
    good row goes, and a row without item stays.
    """
    missing = rows_without_ids(dataset)
    if len(missing):
        dataset.logger.warning(
            "%s: %s without user or item %s left out",
            *(dataset.places_of(missing), counted(len(missing), "row"), agreeing(len(missing), "are")),
        )
        dataset.inter_feat = dataset.inter_feat.drop(index=dataset.inter_feat.index[missing])


def refuse_rows_without_ids(dataset: Any) -> None:
    """Refuse parts that are taken as they are with rows without user or item, which would be one user more.

    Raises:
        UsageError: there are some.
    """
    missing = rows_without_ids(dataset)
    if len(missing):
        raise UsageError(
            f"{dataset.places_of(missing)}: {counted(len(missing), 'row')} of the parts "
            f"{agreeing(len(missing), 'have')} no user or no item; correct or remove such rows"
        )


def check_ids(dataset: Any) -> None:
    """Refuse users and items whose name is empty to the eye or RecBole's own; tell of names that look alike.

    The interactions have their ids already.

    Raises:
        UsageError: there is such a name.
    """
    for field in (dataset.uid_field, dataset.iid_field):
        tokens = list(map(str, np.asarray(dataset.field2id_token.get(field, ())).tolist()))
        bare = [token.strip() for token in tokens]
        wrong = [number for number, token in enumerate(bare) if not token or (number and token == PADDING)]
        if wrong:
            rows = np.flatnonzero(dataset.inter_feat[field].isin(wrong))
            where = dataset.places_of(rows) if len(rows) else f"data set {dataset.dataset_name!r}"
            what = "RecBole's id of no user and no item" if bare[wrong[0]] else "an id of blanks alone"
            raise UsageError(
                f"{where}: {tokens[wrong[0]]!r} in the column {field!r} is {what}; write an id, or remove "
                "the row"
            )
        _tell_twins(dataset, field, tokens)
        _tell_rounded(dataset, field, tokens)
        _tell_placeholder(dataset, field, tokens)
    if not dataset.config.stored:
        _tell_number_forms(dataset)


def plain_id(token: str) -> str:
    """Return an id without what tools add or change.

    These are blanks and quotes at its ends, letters without width, the ``.0`` of a number, its form as
    ``1.2e+03``, leading zeros, capitals, and the way in which a letter with an accent is composed.
    """
    bare = token if token.isascii() else "".join(one for one in token if unicodedata.category(one) != "Cf")
    bare = bare.strip().strip("'\"`").strip().removesuffix(".0")
    if bare.isdecimal():
        return bare.lstrip("0") or "0"
    if _OF_POWER.fullmatch(bare) and float(bare) == (whole := int(Decimal(bare))):
        return str(whole)
    return bare.lower() if bare.isascii() else unicodedata.normalize("NFKC", bare).casefold()


def _tell_number_forms(dataset: Any) -> None:
    """Warn of features whose tokens are one number in two forms, ``3`` and ``3.0``, as of gaps in pandas."""
    for field, names in dataset.field2id_token.items():
        if field in (dataset.uid_field, dataset.iid_field):
            continue
        tokens = set(map(str, names))
        twins = sorted(
            one for one in tokens if one.endswith(".0") and one[:-2].isdecimal() and one[:-2] in tokens
        )
        if twins:
            dataset.logger.warning(
                "data set %r: %s of the column %r %s there without .0 too, such as %r and %r; they count as "
                "different, so correct the files if they are not",
                *(dataset.dataset_name, counted(len(twins), "token"), field, agreeing(len(twins), "are")),
                *(twins[0], twins[0][:-2]),
            )


def _tell_placeholder(dataset: Any, field: str, tokens: list[str]) -> None:
    """Warn of a name that means nobody and has far more rows than any other: those of many, as if of one."""
    rows = np.bincount(dataset.inter_feat[field].to_numpy(np.int64), minlength=len(tokens))
    if len(rows) < 3 or dataset.config.stored:
        return
    first = int(rows.argmax())
    second = np.partition(rows, -2)[-2]
    token = tokens[first].strip().lower()
    if token in NOBODY and rows[first] >= 3 * second and 20 * rows[first] >= rows.sum():
        dataset.logger.warning(
            "data set %r: %d of the %s are of the %s %r, and no other has more than %d: if it stands for "
            "those that are not known, they count as one; leave these rows out of the files",
            *(dataset.dataset_name, rows[first], counted(int(rows.sum()), "row"), field, tokens[first]),
            second,
        )


def _tell_rounded(dataset: Any, field: str, tokens: list[str]) -> None:
    """Warn of :func:`rounded_ids`."""
    if found := rounded_ids(tokens):
        dataset.logger.warning(
            "data set %r: %s of %s %s the form that a spreadsheet gives to long numbers, such as %r: several "
            "may have become one; export the column as text",
            *(dataset.dataset_name, counted(len(found), "id"), field, agreeing(len(found), "have"), found[0]),
        )


def _tell_twins(dataset: Any, field: str, tokens: list[str]) -> None:
    """Warn of ids that differ from another one only in what :func:`plain_id` leaves out."""
    first: dict[str, str] = {}
    twins = [(token, one) for token in tokens if (one := first.setdefault(plain_id(token), token)) != token]
    if twins:
        pair = sorted(twins[0], key=lambda one: one == plain_id(one))
        dataset.logger.warning(
            "data set %r: %s of %s %s from another one only in blanks, quotes, the form of a number, leading "
            "zeros, capitals or the form of a letter, such as %r and %r; they count as different, so correct "
            "the files if they are not",
            *(
                dataset.dataset_name,
                counted(len(twins), "id"),
                field,
                agreeing(len(twins), "differ"),
                *pair,
            ),
        )


def rows_without_ids(dataset: Any) -> np.ndarray:
    """Return the places of the interactions without user or item."""
    frame = dataset.inter_feat
    return np.flatnonzero(frame[dataset.uid_field].isna() | frame[dataset.iid_field].isna())


def refuse_gaps(dataset: Any, field: str, why: str) -> None:
    """Refuse a column with gaps, which RecBole fills with the mean of the others.

    Raises:
        UsageError: a row has no value.
    """
    missing = np.flatnonzero(dataset.inter_feat[field].isna())
    if len(missing):
        raise UsageError(
            f"{dataset.places_of(missing)}: no value in the column {field!r} "
            f"({counted(len(missing), 'row')}), but {why}; write the values, or remove these rows"
        )


def refuse_infinite(dataset: Any, field: str) -> None:
    """Refuse numbers that float32 holds as infinite, from which losses and errors become NaN or infinite.

    Raises:
        UsageError: there is one.
    """
    values = dataset.inter_feat[field].to_numpy(np.float64)
    wrong = np.flatnonzero(np.abs(values) > np.finfo(np.float32).max)
    if len(wrong):
        raise UsageError(
            f"{dataset.places_of(wrong)}: {values[wrong[0]]:g} in the column {field!r} "
            f"({counted(len(wrong), 'such row')}) is no number to compute with; correct it, take the column "
            f"out of load_col if nothing reads it, or leave these rows out with val_interval: {{{field}: "
            "'(-1e38,1e38)'}"
        )


def refuse_no_numbers(dataset: Any) -> None:
    """Refuse columns of ``numerical_features`` that would make every loss NaN, whatever the learning rate.

    Raises:
        UsageError: a number of a user or item is none or infinite, or no row of a column has one.
    """
    for name in dataset.config["numerical_features"] or ():
        for feat in dataset.field2feats(name):
            largest = _largest(feat[name])
            where = f"numerical_features names the column {name!r} of data set {dataset.dataset_name!r}, "
            if np.isnan(largest).all():
                raise UsageError(f"{where}in which no row has a number; leave it out")
            wrong = np.flatnonzero(largest > np.finfo(np.float32).max)
            # No model reads those of a further file, and interactions are checked with the ratings.
            if len(wrong) and any(feat is one for one in (dataset.user_feat, dataset.item_feat)):
                field = dataset.uid_field if dataset.uid_field in feat else dataset.iid_field
                token = dataset.id2token(field, int(feat[field].iloc[wrong[0]]))
                raise UsageError(
                    f"{where}which has no number to compute with for {field} {token} "
                    f"({counted(len(wrong), 'such row')}); correct it, or leave the field empty"
                )


def tell_filled_features(dataset: Any) -> None:
    """Warn of numbers of users and items that no file gives, which get the mean of the others."""
    for name in dataset.config["numerical_features"] or ():
        for feat, field in ((dataset.user_feat, dataset.uid_field), (dataset.item_feat, dataset.iid_field)):
            if feat is None or name not in feat or dataset.field2type[name] != FeatureType.FLOAT:
                continue
            own = feat[feat[field] != 0]  # not the padding
            missing = int(own[name].isna().sum())
            if missing:
                dataset.logger.warning(
                    "data set %r: %d of the %s of %s %s no value in the column %r and %s the mean of the "
                    "others",
                    *(dataset.dataset_name, missing, counted(len(own), "row"), field),
                    *(agreeing(missing, "have"), name, agreeing(missing, "get")),
                )


def _largest(cells: pd.Series) -> np.ndarray:
    """Return the largest size of each cell's numbers, [rows]: NaN if it is empty, infinite if one is none."""
    if cells.dtype.kind == "f":
        return cells.abs().to_numpy()
    lengths = np.array([0 if isinstance(cell, float) else len(cell) for cell in cells], dtype=np.int64)
    largest, filled = np.full(len(cells), np.nan), np.flatnonzero(lengths)
    if len(filled):
        numbers = np.abs(np.concatenate(cells.iloc[filled].to_list()).astype(np.float64))
        starts = np.cumsum(lengths[filled]) - lengths[filled]
        largest[filled] = np.maximum.reduceat(np.nan_to_num(numbers, nan=np.inf, posinf=np.inf), starts)
    return largest


def labels_are_read(config: Any) -> bool:
    """Return whether a run reads the labels of its interactions, in training or evaluation.

    RecBole's loaders write their own labels wherever they draw negatives: then each row is a positive.
    """
    return "labeled" in config["eval_args"]["mode"].values() or _trains_on_labels(config)


def _trains_on_labels(config: Any) -> bool:
    """Return whether training reads labels: models of rows do, where no negatives are drawn for them.

    A model without epochs (EASE, ItemKNN) takes every row for a positive, and so does a sequential one whose
    loss compares with all items, which declares no kind of input.
    """
    model = config.model_class
    if model.type == ModelType.TRADITIONAL or registry.part(model, "loader_class") is not None:
        return False
    if model.type == ModelType.SEQUENTIAL and not hasattr(model, "input_type"):
        return False
    drawn = (config["train_neg_sample_args"] or {}).get("distribution") not in (None, "none", "None")
    return not drawn and config["MODEL_INPUT_TYPE"] == InputType.POINTWISE


def _refuse_overwritten(config: Any, dataset: Any, label: str, metrics: set[str]) -> None:
    """Refuse metrics of labels where sampled candidates give each held-out row the label 1.

    Raises:
        UsageError: a row has another one.
    """
    drawn = [mode for mode in config["eval_args"]["mode"].values() if mode.startswith(("uni", "pop"))]
    others = int((dataset.inter_feat[label] != 1).sum())
    if metrics and others and drawn:
        raise UsageError(
            f"eval_args.mode {drawn[0]} gives each held-out row the label 1 and each drawn one 0, but "
            f"{others} of {counted(len(dataset.inter_feat), 'row')} of data set {config['dataset']!r} have "
            f"another in {label!r}: {', '.join(sorted(metrics))} would be of labels that nobody gave; set "
            "eval_args.mode labeled"
        )


def _refuse_other_labels(dataset: Any, label: str) -> None:
    """Refuse labels other than 0 and 1: a loss of labels takes any number, and AUC counts only ones.

    Raises:
        UsageError: there is one.
    """
    wrong = np.flatnonzero(~dataset.inter_feat[label].isin([0, 1]))
    if len(wrong):
        values = ", ".join(f"{value:g}" for value in np.unique(dataset.inter_feat[label].iloc[wrong])[:5])
        raise UsageError(
            f"data set {dataset.dataset_name!r}: {counted(len(wrong), 'row', 'have')} a {label} other "
            f"than 0 and 1 ({values}); give numbers another column and make labels of them with threshold, "
            "such as {rating: 4}"
        )


def looks_like_label(name: str) -> bool:
    """Return whether a column has a name that labels often have."""
    return name.lower().replace("_", "") in LABELS


def _tell_named_otherwise(config: Any, dataset: Any) -> None:
    """Warn of columns of zeros and ones with the name of a label which nothing reads as one."""
    for name, (zeros, ones, total) in dataset.named_as_labels.items():
        filtered = name in (config["val_interval"] or ())
        if zeros and ones and zeros + ones == total and not filtered and config["threshold"] is None:
            dataset.logger.warning(
                "the column %r of data set %r is 0 in %d of %s, and nothing reads it as a label: %s takes "
                "all rows as positives, in training and in test; if it is one, give --LABEL_FIELD=%s",
                *(name, config["dataset"], zeros, counted(int(total), "row"), config["model"], name),
            )


def _check_both(config: Any, dataset: Any, read: bool) -> None:
    """Refuse labels of one kind alone where they are read: nothing tells what is liked from what is not.

    Args:
        config: the run's configuration.
        dataset: with the column of labels.
        read: whether the run reads the labels.

    Raises:
        UsageError: all rows have the label 1, or all have 0.
    """
    labels, threshold = dataset.inter_feat[config["LABEL_FIELD"]], config["threshold"]
    first = labels.iloc[0]
    if first not in (0, 1) or (labels != first).any():  # other values are those of a metric of numbers
        return
    made = f"threshold {threshold}" if threshold else f"the column {config['LABEL_FIELD']!r}"
    text = f"{made} gives all {counted(len(labels), 'row')} of data set {config['dataset']!r} the label "
    text += f"{first:g}"
    if read:
        remedy = (
            "give a number between the lowest and the highest value of the column"
            if threshold
            else "give the file labels of both kinds, or draw negatives with train_neg_sample_args and leave "
            "eval_args.mode labeled out"
        )
        raise UsageError(f"{text}, but {config['model']} learns from or is judged by both labels; {remedy}")
    if threshold and first == 1:
        dataset.logger.warning("%s, so that it has no effect", text)


def check_labels(config: Any, dataset: Any) -> None:
    """Refuse labels 0 that nothing reads: their rows would be positives like all others.

    Raises:
        UsageError: there are some, in a loaded column, one made by ``threshold``, or one that is not loaded.
    """
    label, threshold, frame = config["LABEL_FIELD"], config["threshold"], dataset.inter_feat
    read, (zeros, total) = labels_are_read(config), dataset.unread_labels
    if label in frame:
        metrics = [config["metrics"]] if isinstance(config["metrics"], str) else config["metrics"]
        named = {metric.lower() for metric in metrics}
        if not named <= OF_VALUES:
            _refuse_other_labels(dataset, label)
        if read:
            _refuse_overwritten(config, dataset, label, named & {*OF_VALUES, "auc", "logloss"})
        zeros, total = int((frame[label] == 0).sum()), len(frame)
        _check_both(config, dataset, read)
    elif not config.stored and "LABEL_FIELD" not in config.given:  # else another was named on purpose
        _tell_named_otherwise(config, dataset)
    if label not in frame and read:  # the missing column is an error elsewhere
        return
    if not zeros:
        return
    column, lowest = (label, 1) if threshold is None else next(iter(threshold.items()))
    loading = f"inter: [{dataset.uid_field}, {dataset.iid_field}, {column}]"
    remedy = (
        f"keep the positive rows alone with --val_interval=\"{{{column}: '[{lowest},inf)'}}\" and "
        f'--load_col="{{{loading}}}"'
    )
    if dataset.benchmark_filename_list is not None:  # to which no filter is applied
        remedy = "leave the rows with 0 out of the files of the parts"
        if threshold is not None:
            remedy = f"leave the rows whose {column} is below {lowest} out of the files of the parts"
    made = f"threshold {threshold}" if threshold else f"the column {label!r}"
    text = (
        f"{made} gives {zeros} of {counted(total, 'row')} of data set {config['dataset']!r} the label 0, but"
    )
    if not read:
        other = ", without threshold" if threshold else ", or name another column with LABEL_FIELD"
        raise UsageError(
            f"{text} {config['model']} reads no labels here: it would take them as positives, in training "
            f"and in test; {remedy}{other}"
        )
    if not _trains_on_labels(config):
        dataset.logger.warning(
            "%s %s reads labels in evaluation alone and trains on these rows as positives; %s",
            *(text, config["model"], remedy),
        )
    elif "labeled" not in config["eval_args"]["mode"].values():
        dataset.logger.warning(
            "%s a ranking counts held-out ones as hits too; evaluate with eval_args.mode labeled, or %s",
            *(text, remedy),
        )
