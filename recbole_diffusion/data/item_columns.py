"""Modalities made from columns of the .item file: text by TF-IDF and SVD, categories as indicators."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.compat import FeatureType
from recbole_diffusion.data.features import Modality
from recbole_diffusion.data.reader import opened
from recbole_diffusion.errors import UsageError, agreeing, counted

WAYS = ("tfidf", "indicators")


def made_modality(name: str, recipe: Any, path: Path, config: Any, items: np.ndarray) -> Modality:
    """Return a modality made by a recipe of ``item_features``.

    Args:
        name: its name.
        recipe: ``{by: tfidf or indicators, columns: [...], size: N}``; ``size`` is the width of the SVD, 64
            by default.
        path: the .item file.
        config: reads the separators, the encoding and the item field.
        items: the tokens of the items, in order of their ids, without padding.

    Raises:
        UsageError: the recipe, the file or a column is missing or cannot be used, or an item has no row.
    """
    if (
        not isinstance(recipe, dict)
        or set(recipe) - {"by", "columns", "size"}
        or recipe.get("by") not in WAYS
        or not isinstance(recipe.get("columns"), list)
        or not recipe["columns"]
        or type(recipe.get("size", 64)) is not int
        or recipe.get("size", 64) < 1
    ):
        raise UsageError(
            f"item_features.{name} is {recipe!r}; it takes "
            f"{{by: {' or '.join(WAYS)}, columns: [...], size: N}}, size for tfidf"
        )
    columns = recipe["columns"]
    words = _words(path, config, columns, items)
    if recipe["by"] == "tfidf":
        texts = [" ".join(word for cell in cells for word in cell) for cells in words]
        values = text_features(texts, recipe.get("size", 64))
    else:
        values = indicator_features(words)
    if without := int((~values.any(axis=1)).sum()):
        logging.getLogger().warning(
            "modality %s: %s %s no words in %s of %s, and rows of zeros, as near to one item as to another",
            *(name, counted(without, "item"), agreeing(without, "have"), ", ".join(columns), path.name),
        )
    origin = f"{path.name} ({recipe['by']} of {', '.join(columns)})"
    return Modality(name, origin, values, np.arange(len(items)))


def text_features(texts: list[str], size: int, seed: int = 0) -> np.ndarray:
    """Return TF-IDF of the words, reduced by a truncated SVD, at unit length: float32 [texts, at most size].

    A text without known words keeps a row of zeros.

    Raises:
        UsageError: the texts have no words.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    try:
        weights = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True).fit_transform(texts)
    except ValueError as error:
        raise UsageError(f"the item texts have no words to make features from: {error}") from error
    size = min(size, min(weights.shape) - 1)
    if size < 1:
        return weights.toarray().astype(np.float32)
    return normalize(TruncatedSVD(size, random_state=seed).fit_transform(weights)).astype(np.float32)


def indicator_features(words: list[list[list[str]]]) -> np.ndarray:
    """Return 1 if an item has a category, float32 [items, categories], in alphabetical order.

    Args:
        words: the categories of each item in each column; one word in two columns is two categories.
    """
    names = sorted({(word, column) for cells in words for column, cell in enumerate(cells) for word in cell})
    place = {name: number for number, name in enumerate(names)}
    values = np.zeros((len(words), len(names)), np.float32)
    for row, cells in enumerate(words):
        values[row, [place[word, column] for column, cell in enumerate(cells) for word in cell]] = 1
    return values


def item_cells(file: Any, item_field: str, columns: Sequence[str]) -> dict[str, list[str]]:
    """Return the cells of some columns by item token; of several rows of an item the first counts.

    Raises:
        UsageError: a row has another number of fields than the header.
    """
    names = list(file.header())
    places, of_item = [names.index(column) for column in columns], names.index(item_field)
    found: dict[str, list[str]] = {}
    others = set()
    for line, cells in file.records():
        if len(cells) != len(names):
            raise file.fault(
                line, f"{len(cells)} fields", f"{len(names)} as in the header", "write one value per column"
            )
        own = [cells[place] for place in places]
        if found.setdefault(cells[of_item], own) != own:
            others.add(cells[of_item])
    if others:
        logging.getLogger().warning(
            "%s has different rows for %s, such as %s; the first of each counts",
            *(file.path, counted(len(others), "item"), min(others)),
        )
    return found


def _words(path: Path, config: Any, columns: list[str], items: np.ndarray) -> list[list[list[str]]]:
    """Return the words of each item in each column: a token or a number is one, a sequence has several."""
    if not path.is_file():
        raise UsageError(f"item_features names columns {', '.join(columns)}, but there is no {path}")
    file = opened(path, config)
    kinds = file.header()
    item_field = config["ITEM_ID_FIELD"]
    for column in [item_field, *columns]:
        if column not in kinds:
            raise UsageError(f"{path} has no column {column!r}; item_features can name {', '.join(kinds)}")
    by_token = item_cells(file, item_field, columns)
    missing = [token for token in items if token not in by_token]
    if missing:
        raise UsageError(
            f"{path} has no row for {counted(len(missing), 'item')}: {', '.join(missing[:5])}; add what is "
            "missing"
        )
    several = [kinds[column] in (FeatureType.TOKEN_SEQ, FeatureType.FLOAT_SEQ) for column in columns]

    def words_of(cell: str, many: bool) -> list[str]:
        return [
            word for one in (cell.split(config["seq_separator"]) if many else [cell]) if (word := one.strip())
        ]

    return [list(map(words_of, by_token[token], several)) for token in items]
