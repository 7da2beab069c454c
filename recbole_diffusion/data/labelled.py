"""Interactions with the part of each row in a column ``x_label``, as in MMRec: 0 train, 1 valid, 2 test.

Such a file is tab-separated, with a plain header (``userID``, ``itemID``, ``x_label`` and others) instead of
RecBole's typed one.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion.data.table_file import TableFile, file_or_table, is_table
from recbole_diffusion.errors import UsageError

LABEL = "x_label"
LABELS = (0, 1, 2)  # of train, valid, test


def is_labelled(path: Path) -> bool:
    """Return whether a file has a plain header with a column ``x_label``."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.readline(4096)
    return b":" not in header and LABEL.encode() in header.strip().split(b"\t")


def refuse_typed(path: Path, config: Any) -> None:
    """Refuse a column ``x_label`` below RecBole's typed header: it would be read over, and the rows split.

    Raises:
        UsageError: the file has one.
    """
    table = file_or_table(path)
    if is_table(table):
        if LABEL in {name.partition(":")[0] for name in TableFile(table, config).names}:
            raise UsageError(
                f"{table} has a column {LABEL}, but only a tab-separated {path.name} can hold the parts so; "
                f"write a table for each part, such as {path.stem}.train.inter{table.suffix}, and name the "
                "parts with benchmark_filename"
            )
    elif path.is_file():
        with path.open("rb") as file:
            header = file.readline(4096)
        if LABEL.encode() + b":" in header:
            raise UsageError(
                f"{path}, line 1: the column {LABEL} has a type, so that the file is split anew and its "
                f"parts are lost; write the header without types (userID, itemID, {LABEL}), tabs, to "
                "keep the parts, or rename the column"
            )


def read_labelled(path: Path, user_field: str, item_field: str) -> tuple[pd.DataFrame, list[int]]:
    """Return the rows ordered by part, and the number of rows of each part.

    Users and items are in the columns named like the fields, or ``userID`` and ``itemID``.

    Raises:
        UsageError: a row has too many fields, a column is missing, a label is not 0, 1 or 2, a value is
            missing, or a part is empty.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of fields beyond the header
            frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, index_col=False)
    except (pd.errors.ParserError, pd.errors.ParserWarning, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}; write one value per column, tab-separated, in UTF-8"
        ) from error
    _refuse_open_quotes(path, frame)
    columns = []
    for field, usual in ((user_field, "userID"), (item_field, "itemID")):
        found = [name for name in (field, usual) if name in frame.columns]
        if not found:
            raise UsageError(
                f"{path} has no column {usual} or {field}, only {', '.join(frame.columns)}; rename the right "
                "one"
            )
        columns.append(found[0])
    labels = frame[LABEL].str.strip().str.removesuffix(".0")
    known = labels.isin([str(label) for label in LABELS])
    empty = (frame[columns] == "").any(axis=1)
    for wrong, what in ((~known, f"{LABEL} is none of 0, 1, 2"), (empty, "a user or item is missing")):
        if wrong.any():
            lines = ", ".join(str(line + 2) for line in np.flatnonzero(wrong)[:5])
            raise UsageError(
                f"{path}, line {lines}{', ...' if wrong.sum() > 5 else ''}: {what}; correct or remove the "
                "rows"
            )
    numbers = labels.astype(int)
    order = np.argsort(numbers.to_numpy(), kind="stable")
    sizes = [int((numbers == label).sum()) for label in LABELS]
    if 0 in sizes:
        raise UsageError(
            f"{path} has no row of part {('train', 'valid', 'test')[sizes.index(0)]} ({LABEL} "
            f"{sizes.index(0)})"
        )
    rows = frame.loc[order, columns].reset_index(drop=True)
    return rows.set_axis([user_field, item_field], axis=1), sizes


def _refuse_open_quotes(path: Path, frame: pd.DataFrame) -> None:
    """Refuse fields with a line end inside: a quote that is not closed takes the next rows into its field.

    Raises:
        UsageError: there is one.
    """
    if b'"' not in path.read_bytes():
        return
    broken = frame.apply(lambda column: column.str.contains("[\r\n]", na=False)).any(axis=1).to_numpy()
    if broken.any():
        row = int(np.flatnonzero(broken)[0])
        raise UsageError(
            f"{path}, row {row + 1} below the header: a field has a line end inside, so that other rows are "
            'part of it; close each quote before the end of its field, and write a quote inside one as ""'
        )


def labelled_file(config: Any) -> Path | None:
    """Return the labelled file of a data set in MMRec's layout; None for one in RecBole's own files."""
    name, folder = config["dataset"], Path(config["data_path"])
    parts = config["benchmark_filename"]
    if parts and all(file_or_table(folder / f"{name}.{part}.inter").is_file() for part in parts):
        return None
    path = folder / f"{name}.inter"
    return path if is_labelled(path) else None
