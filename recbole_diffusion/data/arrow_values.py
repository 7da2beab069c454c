"""Columns of Arrow as a data set holds them: texts held once, numbers and times as float64."""

from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.compat import FeatureType


def type_of(pa: Any, kind: Any) -> FeatureType:
    """Return what a column of an Arrow type is without a declared type."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _is_list(pa, kind):
        inner = type_of(pa, kind.value_type)
        return FeatureType.FLOAT_SEQ if inner == FeatureType.FLOAT else FeatureType.TOKEN_SEQ
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return (
        FeatureType.FLOAT if numbers or _is_time(pa, kind) or pa.types.is_boolean(kind) else FeatureType.TOKEN
    )


def _is_time(pa: Any, kind: Any) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def values_of(pa: Any, column: Any, kind: FeatureType, is_id: bool) -> Any:
    """Return a column's values as a data set holds them before ids are numbered."""
    if kind in (FeatureType.TOKEN_SEQ, FeatureType.FLOAT_SEQ):
        return _sequences_of(pa, column, kind)
    if kind == FeatureType.FLOAT:
        if _is_time(pa, column.type):
            return _seconds(pa, column)
        return column.cast(pa.float64(), safe=False).to_numpy()  # above 2^53 rounded, as an atomic file
    if is_id and (pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise TypeError("1 and 1.0 would be two ids")
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan, dtype=object)
    if pa.types.is_integer(column.type):  # each number becomes a text once, in the dictionary
        column = column.dictionary_encode()
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.large_string()).dictionary_encode()
    # Each text once, a row holds a reference: eight bytes a row, whatever the length of the ids.
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no rows
        whole = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), pa.array([], pa.large_string()))
    texts = np.append(whole.dictionary.cast(pa.large_string()).to_numpy(zero_copy_only=False), np.nan)
    texts[texts == ""] = np.nan  # an empty field is a missing value, as in an atomic file
    return texts[whole.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)]


def _seconds(pa: Any, column: Any) -> np.ndarray:
    """Return dates or times as seconds since 1970, float64, NaN where none is given."""
    if pa.types.is_date(column.type):
        column = column.cast(pa.date32()).cast(pa.timestamp("s"))
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
    return column.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy() / per_second


def _sequences_of(pa: Any, column: Any, kind: FeatureType) -> Any:
    """Return lists as lists of texts or of numbers, without their gaps; texts as they are, to be split.

    Raises:
        TypeError: a list holds lists, dates or other things than texts and numbers.
    """
    if not _is_list(pa, column.type):
        return column.cast(pa.large_string()).to_pandas()
    inner = column.type.value_type
    if _is_list(pa, inner) or pa.types.is_struct(inner) or _is_time(pa, inner):
        raise TypeError("a list holds texts or numbers")
    wanted = pa.float64() if kind == FeatureType.FLOAT_SEQ else pa.large_string()
    lists = column.cast(pa.large_list(wanted)).to_pylist()
    found = np.empty(len(lists), dtype=object)
    for row, one in enumerate(lists):
        found[row] = None if one is None else [value for value in one if value is not None]
    return found


def _is_list(pa: Any, kind: Any) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def lowest_may_be_negative(path: Path, name: str) -> bool:
    """Return whether a column of a Parquet file may have negative numbers, by what its footer says of it."""
    import pyarrow.parquet as pq

    about = pq.ParquetFile(path).metadata
    heads = [about.schema.column(place).path.partition(":")[0] for place in range(about.num_columns)]
    groups = range(about.num_row_groups) if name in heads else ()
    found = [about.row_group(group).column(heads.index(name)).statistics for group in groups]
    lowest = [one.min if one is not None and one.has_min_max else None for one in found]
    return any(not isinstance(value, int | float) or value < 0 for value in lowest)
