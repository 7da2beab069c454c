"""A table of somebody's interactions as a data set: named, checked, and written as RecBole reads it.

No row is changed in silence: rows without an id are left out and counted, repeated pairs are counted and
stay, units and zones of times are told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.data.grouping import distinct
from recbole_diffusion.errors import UsageError, counted, did_you_mean
from recbole_diffusion.options.declare import read_options
from recbole_diffusion.prepare.amazon_ids import note_if_exchanged
from recbole_diffusion.prepare.own.columns import (
    Ids,
    Place,
    are_numbers,
    ids_of,
    is_text,
    kind_of,
    numbers_of,
)
from recbole_diffusion.prepare.own.dislikes import note_of_dislikes
from recbole_diffusion.prepare.own.forms import Form, form_of
from recbole_diffusion.prepare.own.roles import ITEM, RATING, TIME, USER, Roles, TableOptions, roles_of
from recbole_diffusion.prepare.own.source import Source, open_source
from recbole_diffusion.prepare.own.texts import TextSource, write_atomic
from recbole_diffusion.prepare.own.times import Times, times_of

FEW = 3  # rows that a note names


@dataclass(frozen=True)
class OwnData:
    """A checked table of interactions.

    Attributes:
        table: an Arrow table with RecBole's names and types, ``user_id:token`` and so on.
        facts: what it is made of, a line each.
        notes: what a user should know before a model learns from it, a line each.
        record: the counts, in plain types.
    """

    table: Any
    facts: list[str]
    notes: list[str]
    record: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns without types."""
        return [name.rpartition(":")[0] for name in self.table.column_names]

    def write(self, path: Path) -> None:
        """Write a Parquet file, or by any other ending an atomic file, with quotes where ids need them."""
        import pyarrow.parquet as pq

        if path.suffix == ".parquet":
            pq.write_table(self.table, path)
        else:
            write_atomic(self.table, path)


def own_data(data: Any, **options: Any) -> OwnData:
    """Return a table as a data set.

    Args:
        data: a pandas DataFrame, a pyarrow table, or the path of a CSV, TSV, JSON lines or Parquet file.
        options: those of ``TableOptions``; ``keep`` and ``columns`` may be lists of names.

    Raises:
        UsageError: there is no such table or column, or values that cannot be read; the message names the
            first row.
    """
    known = {field.name: field.metadata["default"] for field in fields(TableOptions)}
    for name in options:
        if name not in known:
            near = did_you_mean(name, known)
            raise UsageError(f"unknown argument {name!r}{near}; a table takes {', '.join(known)}")
    lists = {name: _names(options.pop(name, "")) for name in ("keep", "columns")}
    read = read_options(TableOptions, {**known, **options})
    source = open_source(data, read.separator, read.encoding, lists["columns"])
    chosen = read.form
    if chosen == "auto" and read.user and read.item:
        chosen = "table"
    source, form = form_of(source, chosen)
    return _checked(source, roles_of(source, form, read, lists["keep"]), form, read)


def _names(given: str | Sequence[str]) -> list[str]:
    return (
        [name.strip() for name in given.split(",") if name.strip()] if isinstance(given, str) else list(given)
    )


def _checked(source: Source, roles: Roles, form: Form | None, read: TableOptions) -> OwnData:
    """Read and check the columns; return the data set."""
    table = source.read(roles.all, {roles.user, roles.item})
    size, reshaped = len(table), ""
    if not size:
        raise UsageError(f"{source.where} has columns and no rows; name a table with rows")
    if form is not None and form.reshape is not None:
        table, reshaped = form.reshape(table, source.where)
        if not len(table):
            raise UsageError(f"{source.where}: {reshaped}; nothing is left to learn from")

    def at(name: str) -> Place:
        return Place(source.where, name)

    users, items = (ids_of(table[name], at(name)) for name in (roles.user, roles.item))
    columns: dict[str, Any] = {}
    if roles.rating:
        columns[f"{RATING}:float"] = numbers_of(table[roles.rating], at(roles.rating))
    times = None
    if roles.time:
        given = read.time_format or (form.time_format if form else None)
        times = times_of(table[roles.time], at(roles.time), read.time_unit, given)
        columns[f"{TIME}:float"] = times.values
    for name in roles.keep:
        columns.update(_kept(table[name], at(name)))
    return _assembled(source, roles, form, (users, items), columns, times, reshaped, size)


def _kept(column: Any, place: Place) -> dict[str, Any]:
    """Return a column that keeps its name: dates as seconds, numbers, or texts as tokens."""
    import pyarrow as pa

    kind = kind_of(column)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return {f"{place.name}:float": times_of(column, place).values}
    if is_text(kind):
        if are_numbers(column):
            return {f"{place.name}:float": numbers_of(column, place)}
        return {f"{place.name}:token": ids_of(column, place)}
    return {f"{place.name}:float": numbers_of(column, place)}


def _assembled(
    source: Source,
    roles: Roles,
    form: Form | None,
    ids: tuple[Ids, Ids],
    columns: dict[str, Any],
    times: Times | None,
    reshaped: str,
    rows_of_file: int,
) -> OwnData:
    """Return the rows with user and item, with counts and what there is to know of them."""
    import pyarrow as pa

    users, items = ids
    there = (users.codes >= 0) & (items.codes >= 0)
    without = np.flatnonzero(~there)
    if not there.any():
        raise UsageError(f"{source.where} has no row with both a user and an item; name other columns")
    notes = [*users.notes, *items.notes, *note_if_exchanged(users.texts, items.texts)]
    notes += note_of_dislikes(columns.get(f"{RATING}:float"))
    inside = source.lines_inside(rows_of_file) if isinstance(source, TextSource) else 0
    if inside:
        notes.append(
            f"{counted(inside, 'line')} inside quoted fields, which are not rows; if no text has "
            "several lines, a quote is missing in the file"
        )
    if len(without):
        notes.insert(0, f"{counted(len(without), 'row')} without user or item left out ({_rows(without)})")
    arrays = {}
    for name, values in {f"{USER}:token": users, f"{ITEM}:token": items, **columns}.items():
        arrays[name] = _array(values, there)
        missing = arrays[name].null_count
        if missing:
            notes.append(f"{counted(missing, 'row')} without {name.rpartition(':')[0]}, an empty field there")
    table = pa.table(arrays)
    pairs = users.codes[there] * len(items.texts) + items.codes[there]
    repeats, equal = _repeats(pairs, table)
    if repeats:
        same = f" ({equal:,} equal in every column)" if equal and table.num_columns > 2 else ""
        notes.append(
            f"{counted(repeats, 'repeat')} of a pair of user and item{same}. They stay: keep one row of each "
            "pair with --rm_dup_inter=last (or first), or let models rank seen items with --repeatable=True"
        )
    if form is not None and form.note:
        notes.append(form.note)
    record = {
        "form": form.name if form else "table",
        "columns": dict(zip(arrays, roles.all, strict=True)),
        "rows_read": len(there),
        "rows": int(there.sum()),
        "users": len(distinct(users.codes[there])),
        "items": len(distinct(items.codes[there])),
        "repeated_rows": repeats,
        "time_unit": times.unit if times else None,
    }
    return OwnData(table, _facts(source, form, record, times, reshaped), notes, record)


def _array(values: Any, there: np.ndarray) -> Any:
    """Return the rows that stay: texts as a dictionary, numbers as whole ones if all of them are."""
    import pyarrow as pa

    if isinstance(values, Ids):
        codes = values.codes[there]
        return pa.DictionaryArray.from_arrays(
            pa.array(codes.clip(min=0).astype(np.int32), mask=codes < 0), values.texts
        )
    numbers = values[there]
    missing = np.isnan(numbers)
    known = np.where(missing, 0.0, numbers)
    if (known == np.floor(known)).all() and (np.abs(known) < 2**53).all():
        known = known.astype(np.int64)
    return pa.array(known, mask=missing)


def _repeats(pairs: np.ndarray, table: Any) -> tuple[int, int]:
    """Return the rows that repeat a pair, and those among them that repeat a whole row."""
    ordered = np.sort(pairs)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(again) or table.num_columns < 3:
        return len(again), len(again)
    several = distinct(again)
    place = np.searchsorted(several, pairs).clip(max=len(several) - 1)
    rows = table.filter(several[place] == pairs).to_pandas()
    return len(again), int(rows.duplicated().sum())


def _rows(rows: np.ndarray) -> str:
    shown = ", ".join(str(row + 1) for row in rows[:FEW])
    return f"row {shown}" if len(rows) == 1 else f"rows {shown}{', ...' if len(rows) > FEW else ''}"


def _facts(
    source: Source, form: Form | None, record: dict[str, Any], times: Times | None, reshaped: str
) -> list[str]:
    """Return what a data set is made of, a line each."""
    columns = ", ".join(f"{own} as {name}" for name, own in record["columns"].items())
    facts = [f"form     {form.title}"] if form else []
    facts += [f"columns  {columns}"]
    left = [
        name or "(a column without a name)" for name in source.names if name not in record["columns"].values()
    ]
    facts += [f"left out {', '.join(left)[:200]}"] if left else []
    facts += [f"rows     {reshaped}"] if reshaped else []
    facts += ["size     " + ", ".join(counted(record[f"{what}s"], what) for what in ("row", "user", "item"))]
    if times is not None:
        facts += [f"times    {times.told}{times.range_text}"]
    return facts
