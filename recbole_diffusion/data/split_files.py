"""A RecBole data set split under distribution shift: its rows as arrays, the exposed set, files of its parts.

Everything here works on the pandas frame of the interactions, before RecBole turns it into tensors: those
hold times in float32, which cannot tell today's time stamps apart that are less than a minute or two apart.
"""

import copy
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion.compat import FeatureSource, FeatureType
from recbole_diffusion.data.atomic_file import MARKS
from recbole_diffusion.data.split import ShiftSplit, rows_to_keep, split_rows, summarize
from recbole_diffusion.errors import UsageError, agreeing, counted
from recbole_diffusion.options.split import SplitOptions

EXACT = 2.0**53  # below it, every whole number is a float


def split_dataset(dataset: Any, options: SplitOptions) -> tuple[ShiftSplit, dict[str, Any]]:
    """Split the interactions of a data set before its ``build``; return the parts and their summary.

    Raises:
        UsageError: the interactions cannot be split, or have no time.
    """
    frame, name = dataset.inter_feat, dataset.dataset_name
    users, items = (frame[field].to_numpy(np.int64) for field in (dataset.uid_field, dataset.iid_field))
    exposed = np.arange(len(frame)) >= len(frame) - dataset.exposed_rows
    generator = np.random.default_rng(options.shift_seed)
    given = {
        "share": options.shift_ratio,
        "rest": options.shift_rest,
        "time": dataset.times,
        "exposed": exposed,
        "valid_part": options.valid_part,
    }
    try:
        split = split_rows(options.shift, users, items, generator, **given)
    except UsageError as error:
        raise UsageError(f"data set {name!r}: {error}") from error
    for reason, rows in dataset.exposed_dropped.items():
        split.dropped[reason] += rows
    share = {} if options.shift == "exposure" else {"share": options.shift_ratio}
    said = {"kind": options.shift, "seed": options.shift_seed, **share, "rest": options.shift_rest}
    said |= {"valid_part": options.valid_part} if options.valid_part != "iid" else {}
    return split, summarize(split, users, items, **said)


def join_exposed(dataset: Any, path: Path) -> tuple[int, dict[str, int]]:
    """Append the fully exposed interactions to the filtered ones of ``dataset``, both still with tokens.

    The exposed ones are filtered by ``val_interval`` (which rows are positive), not by the numbers of
    interactions. From here on they go through the same steps as all others, so that ids, labels and filled
    values agree.

    Returns:
        The number of rows appended at the end, and the number dropped from both, by reason, see
        :func:`rows_to_keep`.

    Raises:
        UsageError: there is no such file, it lacks a column, or no row of it is left.
    """
    own = dataset.inter_feat
    more = _exposed_frame(dataset, path)[list(own.columns)]
    both = pd.concat([own, more], ignore_index=True)
    exposed = np.arange(len(both)) >= len(own)
    users, items = (pd.factorize(both[field])[0] for field in (dataset.uid_field, dataset.iid_field))
    keep, dropped = rows_to_keep(users, items, exposed=exposed)
    left = int((keep & exposed).sum())
    if left == 0:
        raise UsageError(
            f"no interaction of {path} (shift_test, {counted(len(more), 'row')}) has a user and an item with "
            f"other interactions in data set {dataset.dataset_name!r}; check that both files use the same "
            "tokens, and the filters"
        )
    if dropped["exposed_unseen"]:
        dataset.logger.warning(
            "%d of %s of %s %s left out, whose user or item has no other interaction in data set %s",
            *(dropped["exposed_unseen"], counted(len(more), "interaction"), path),
            *(agreeing(dropped["exposed_unseen"], "are"), dataset.dataset_name),
        )
    dataset.inter_feat = both[keep].reset_index(drop=True)
    dataset.row_numbers = np.r_[dataset.row_numbers, np.full(len(more), -1)][keep]
    return left, dropped


def _exposed_frame(dataset: Any, path: Path) -> pd.DataFrame:
    """Return the rows of the exposed set, read and filtered by a copy, so that the tables of fields stay."""
    if not path.is_file():
        raise UsageError(
            f"shift_test names {path}, which is not a file; give the atomic .inter file of the fully exposed "
            "interactions"
        )
    reader = copy.copy(dataset)
    for table in ("field2type", "field2source", "field2seqlen", "field2bucketnum"):
        setattr(reader, table, dict(getattr(dataset, table)))
    reader.read_files, reader.row_numbers = [], None
    reader.inter_feat = reader._load_feat(str(path), FeatureSource.INTERACTION)
    missing = [name for name in dataset.inter_feat.columns if name not in reader.inter_feat]
    if missing:
        raise UsageError(
            f"{path} (shift_test) has no column {', '.join(missing)}, which data set "
            f"{dataset.dataset_name!r} has"
        )
    for field, longest in reader.field2seqlen.items():
        if field in dataset.field2seqlen:
            dataset.field2seqlen[field] = max(dataset.field2seqlen[field], longest)
    intervals = dataset.config["val_interval"] or {}
    reader.user_feat = reader.item_feat = None
    own = {field: value for field, value in intervals.items() if field in reader.inter_feat}
    reader.config = dataset.config.changed(val_interval=own)
    reader._filter_nan_user_or_item()
    reader.inter_feat = reader.inter_feat.reset_index(drop=True)
    reader._filter_by_field_value()
    return reader.inter_feat


def write_parts(dataset: Any, rows: Sequence[np.ndarray], files: Sequence[Path]) -> None:
    """Write parts of the interactions as atomic files with the original tokens and configured separators.

    A column that RecBole made (the label of ``threshold``) is written as it is; whole numbers are written
    without a decimal point. A number that was missing stays an empty field, whatever a run fills it with.
    """
    config, frame = dataset.config, dataset.inter_feat
    texts = pd.DataFrame(
        {
            f"{name}:{dataset.field2type[name].value}": _as_written(dataset, name, config["seq_separator"])
            for name in frame.columns
        }
    )
    separator = config["field_separator"]
    plain = len(separator) == 1
    style: dict[str, Any] = {"sep": separator} if plain else {"sep": MARKS[0], "quoting": csv.QUOTE_NONE}
    returns = plain and any(map(_has_return, texts.items()))
    for part, file in zip(rows, files, strict=True):
        if returns:  # csv.writer quotes its own line end alone, so that all texts get quotes
            head = separator.join(texts.columns) + "\n"
            quoted = {"header": False, "quoting": csv.QUOTE_NONNUMERIC}
            text = head + texts.iloc[part].to_csv(index=False, lineterminator="\n", **style, **quoted)
        else:
            text = texts.iloc[part].to_csv(index=False, lineterminator="\n", **style)
        text = text if plain else text.replace(MARKS[0], separator)
        file.write_text(text, encoding=config["encoding"] or "utf-8", newline="")


def _has_return(column: tuple[Any, pd.Series]) -> bool:
    """Return whether a text of a column, given with its name, holds a carriage return."""
    values = column[1]
    return values.dtype == object and bool(values.str.contains("\r", regex=False).any())


def _as_written(dataset: Any, name: str, separator: str) -> Any:
    """Return the values of one column for a file; a missing token, id 0 in RecBole, is an empty field."""
    values, kind = dataset.inter_feat[name].to_numpy(), dataset.field2type[name]
    if kind == FeatureType.FLOAT:
        missing = dataset.gaps.get(name, np.zeros(len(values), bool))
        known = np.where(missing, 0, values)
        whole = (
            np.isfinite(known).all() and (np.abs(known) < EXACT).all() and (known == np.floor(known)).all()
        )
        return pd.Series(known, dtype="Int64" if whole else "float64").mask(missing)
    if kind == FeatureType.FLOAT_SEQ:
        return [separator.join(str(float(one)) for one in row) for row in values]
    tokens = dataset.field2id_token[name].astype(object)
    tokens[0] = ""
    if kind == FeatureType.TOKEN:
        return tokens[values.astype(np.int64)]
    return [separator.join(tokens[row]) for row in values]
