"""Vectors that files give for ids (``preload_weight``): checked before RecBole makes tables of them."""

from collections.abc import Mapping
from typing import Any

from recbole_diffusion.errors import UsageError

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
