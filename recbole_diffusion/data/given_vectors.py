"""Vectors that files give for ids (``preload_weight``): checked before RecBole makes tables of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recbole_diffusion.errors import UsageError, agreeing, counted

SHOWN = 5  # ids that a message names
# Columns whose vectors RecBole's models take by these names, and the option that has their width.
READ = {"GRU4RecKG": (("ent_id",), "embedding_size"), "KSR": (("ent_id", "rel_id"), "kg_embedding_size")}


def check_given_vectors(dataset: Any) -> None:
    """Check ``preload_weight`` of a data set whose ids are numbered.

    Raises:
        UsageError: it names a column that is not loaded, or of a kind that cannot be read; the ids of one are
            those of no users, items, entities or relations; or a column that the model reads is missing.
    """
    config, given = dataset.config, dataset.config["preload_weight"] or {}
    model, (needed, _) = config["model"], READ.get(dataset.config["model"], ((), ""))
    if not isinstance(given, Mapping):
        raise UsageError(
            f"preload_weight is {given!r}; it takes the column of vectors by the column of ids, such as "
            "{ent_id: ent_emb}"
        )
    for field, values in given.items():
        for name, kinds in ((field, ("token",)), (values, ("float", "float_seq"))):
            kind = dataset.field2type[name].value if name in dataset.field2type else "not loaded"
            if kind not in kinds:
                raise UsageError(
                    f"preload_weight is {dict(given)!r}, but the column {name!r} is {kind}; it takes a "
                    f"loaded column of the type {' or '.join(kinds)} (load_col; additional_feat_suffix "
                    "names its file)"
                )
        if dataset.field2source[field] != dataset.field2source[values]:
            raise UsageError(
                f"preload_weight is {dict(given)!r}, but {field!r} and {values!r} are columns of two files; "
                "give two columns of one"
            )
        if field not in dataset.field2id_token:
            kinds_of_ids = ", ".join(f"alias_of_{name}" for name in dataset.alias)
            raise UsageError(
                f"preload_weight names the ids {field!r}, and nothing says whose ids they are; name the "
                f"column in one of {kinds_of_ids}, such as alias_of_item_id: [{field}]"
            )
    if missing := [name for name in needed if name not in given]:
        raise UsageError(
            f"{model} reads given vectors of {' and '.join(needed)}, and preload_weight has "
            f"{' and '.join(missing)} not; write a file with the ids and their vectors, name it in "
            f"additional_feat_suffix and load_col, and give preload_weight such as {{{missing[0]}: VECTORS}}"
        )


def check_widths(dataset: Any) -> None:
    """Check that the vectors have the width that the model gives them.

    Raises:
        UsageError: they have not.
    """
    names, option = READ.get(dataset.config["model"], ((), ""))
    for name in names:
        found, width = dataset.get_preload_weight(name), dataset.config[option]
        if found.ndim != 2 or found.shape[1] != width:
            count = found.shape[1] if found.ndim == 2 else 1
            raise UsageError(
                f"the vectors of {name} (preload_weight) have {count} numbers, and {option} "
                f"is {width}; set it to {count}, or give vectors of that width"
            )


def check_rows(dataset: Any) -> None:
    """Check the vectors themselves, and tell of ids that have none.

    RecBole fills a short vector up with zeros, lets the last of several rows of an id count, and gives an id
    without a row zeros, all in silence; a NaN shows as a loss that is NaN.

    Raises:
        UsageError: a row has no id, a number that is none, or fewer numbers than others; or an id has two
            vectors.
    """
    for field, values in (dataset.config["preload_weight"] or {}).items():
        rows = dataset.field2feats(field)[0]
        ids, tokens = rows[field].to_numpy(), dataset.field2id_token[field]
        vectors = [np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in rows[values]]
        where = f"the vectors of {field} (preload_weight, column {values!r})"
        if without := int((ids == 0).sum()):
            raise UsageError(f"{where}: {counted(without, 'row')} without an id; name it, or remove the row")
        if reason := _wrong(ids, vectors, tokens):
            raise UsageError(f"{where}: {reason}")
        if missing := len(tokens) - 1 - len(np.unique(ids)):
            dataset.logger.warning(
                "%s: %d of %s %s no row, and so a vector of zeros",
                *(where, missing, counted(len(tokens) - 1, "id"), agreeing(missing, "have")),
            )


def _wrong(ids: np.ndarray, vectors: list[np.ndarray], tokens: np.ndarray) -> str:
    """Return what is wrong with the vectors of ids, and what to do; an empty string if nothing is.

    Args:
        ids: internal ids, [rows].
        vectors: [width] each.
        tokens: those of the ids, [n_ids].
    """
    lengths = np.array([len(one) for one in vectors])
    if (short := lengths != lengths.max()).any():
        return (
            f"{lengths.max()} numbers each, but {_named(ids[short], tokens, 'have')} fewer "
            f"({lengths[short].min()}); give each id as many, or remove the row of one without a vector"
        )
    table = np.stack(vectors)
    if not (finite := np.isfinite(table).all(1)).all():
        return (
            f"{_named(ids[~finite], tokens, 'have')} NaN or infinite numbers; correct them, or remove the "
            "row of an id without a vector"
        )
    order = np.argsort(ids, kind="stable")
    ids, table = ids[order], table[order]
    differs = (np.diff(ids) == 0) & (table[1:] != table[:-1]).any(1)
    if differs.any():
        return f"{_named(ids[1:][differs], tokens, 'have')} two vectors; keep one row of each id"
    return ""


def _named(ids: np.ndarray, tokens: np.ndarray, verb: str) -> str:
    """Return some of the ids by their tokens, with a verb."""
    names = [str(one) for one in tokens[np.unique(ids)]]
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return f"{shown} {agreeing(len(names), verb)}"
