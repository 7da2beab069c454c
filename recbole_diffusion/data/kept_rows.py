"""The ids and rows that a run was trained and tested on, as one file of arrays in its folder.

With them a trained model can be used, and trained on, when its data has grown or is in another order:
internal ids are those of the training, and what a model reads beside its weights is what it read then.
"""

import dataclasses
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from recbole_diffusion.compat import FeatureType, ModelType
from recbole_diffusion.data.ratings import KeptRatings
from recbole_diffusion.data.reader import ManyRows
from recbole_diffusion.errors import RunError
from recbole_diffusion.storage.atomic import ADVICE, write_whole

FORMAT = "recbole_diffusion_rows/1"
EARLIER = "earlier"  # part with the pairs that the weights were trained on before the run began
CONTENT = "content"  # name of the array that says, as JSON in UTF-8, what the others are


@dataclass(frozen=True)
class KeptRows:
    """What a run was trained and tested on.

    Attributes:
        user_field: name of the column of users.
        item_field: name of the column of items.
        tokens: the token of each internal id, text [n], by column; users and items, and other tokens that
            interactions have. Number 0 is the padding.
        parts: columns of each part by name, [rows] each: int64 ids, other numbers as in the run. ``earlier``
            is no part of the data, see EARLIER.
        ratings: of each part, the ratings that ``threshold`` turned into labels, float64 [rows]; else empty.
    """

    user_field: str
    item_field: str
    tokens: dict[str, np.ndarray]
    parts: dict[str, dict[str, np.ndarray]]
    ratings: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def in_place_of(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Return data sets with these rows, which in all else are like the given parts.

        Args:
            parts: parts of a data set whose users and items have these ids.
        """
        known = None
        if self.ratings:
            rated = [self.parts[name] for name in self.ratings]
            users, items = (
                np.concatenate([one[field] for one in rated]) for field in (self.user_field, self.item_field)
            )
            ratings = np.concatenate(list(self.ratings.values()))
            known = KeptRatings(users, items, ratings, len(self.tokens[self.item_field]))
        found = {}
        nothing = {column: values[:0] for column, values in self.parts["train"].items()}
        for name, like in parts.items():
            columns = self.parts.get(name, nothing)  # a part without rows has no loader, and was not kept
            rows = {column: torch.from_numpy(values) for column, values in columns.items()}
            found[name] = like.copy(ManyRows(rows))
            found[name].field2id_token = {**like.field2id_token, **self.tokens}
            if known is not None:
                found[name].kept_ratings = known
        return found


def can_keep(config: Any, dataset: Any) -> bool:
    """Return whether rows are kept of a run: one of a general recommender without a source domain."""
    general = config["MODEL_TYPE"] in (ModelType.GENERAL, ModelType.TRADITIONAL)
    return general and getattr(dataset, "source", None) is None


def rows_of(parts: Mapping[str, Any], earlier: Mapping[str, np.ndarray] | None = None) -> KeptRows:
    """Return the rows of the parts of a data set by name, ``train`` among them.

    Columns of sequences are left out: general recommenders read none.

    Args:
        parts: the parts.
        earlier: ids of the pairs that the run's first weights were trained on, by column; None for a run that
            began anew, or if they are not known.
    """
    train = parts["train"]
    users, items = train.uid_field, train.iid_field
    kept: dict[str, dict[str, np.ndarray]] = {}
    ratings: dict[str, np.ndarray] = {}
    for name, part in parts.items():
        columns = {column: np.asarray(part.inter_feat[column]) for column in part.inter_feat.columns}
        kept[name] = {column: values for column, values in columns.items() if values.ndim == 1}
        if (known := getattr(part, "kept_ratings", None)) is not None:
            ratings[name] = known.of(columns[users], columns[items])
    tokens = {
        column: np.asarray(train.field2id_token[column]).astype(str)
        for column in kept["train"]
        if train.field2type.get(column) == FeatureType.TOKEN and column in train.field2id_token
    }
    return KeptRows(
        users, items, tokens, kept | ({} if earlier is None else {EARLIER: dict(earlier)}), ratings
    )


def write_rows(path: Path, rows: KeptRows, advice: str = ADVICE) -> None:
    """Write rows to one compressed file of arrays, whole or not at all; nothing in it is pickled.

    Raises:
        RunError: the file cannot be written.
    """
    arrays: list[np.ndarray] = []

    def put(array: np.ndarray) -> int:
        arrays.append(array)
        return len(arrays) - 1

    tokens = {}
    for field, texts in rows.tokens.items():
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts.tolist()]
        letters = np.frombuffer(b"".join(encoded), np.uint8)
        tokens[field] = [put(letters), put(np.fromiter(map(len, encoded), np.int32, len(encoded)))]
    parts = {
        name: {column: put(_narrow(values)) for column, values in columns.items()}
        for name, columns in rows.parts.items()
    }
    ratings = {name: put(values) for name, values in rows.ratings.items()}
    content: dict[str, Any] = {"format": FORMAT, "users": rows.user_field, "items": rows.item_field}
    content |= {"tokens": tokens, "parts": parts, "ratings": ratings}
    named = {f"array{number}": array for number, array in enumerate(arrays)}
    named[CONTENT] = np.frombuffer(json.dumps(content).encode(), np.uint8)

    def save(file: BinaryIO) -> None:
        np.savez_compressed(file, **named)  # type: ignore[arg-type]

    write_whole(path, save, advice)


def _narrow(values: np.ndarray) -> np.ndarray:
    """Return whole numbers in 32 bits where these are enough."""
    small = values.dtype == np.int64 and (not len(values) or np.abs(values).max() < 2**31)
    return values.astype(np.int32) if small else values


def read_rows(path: Path) -> KeptRows:
    """Return what :func:`write_rows` has written.

    Raises:
        RunError: the file is damaged or holds something else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            content = json.loads(archive[CONTENT].tobytes())
            if content["format"] != FORMAT:
                raise ValueError(f"it has the format {content['format']!r}, not {FORMAT!r}")
            arrays = [archive[f"array{number}"] for number in range(len(archive.files) - 1)]
        tokens = {field: _texts(*(arrays[one] for one in two)) for field, two in content["tokens"].items()}
        parts = {
            name: {column: _wide(arrays[one]) for column, one in columns.items()}
            for name, columns in content["parts"].items()
        }
        ratings = {name: arrays[one] for name, one in content["ratings"].items()}
        rows = KeptRows(content["users"], content["items"], tokens, parts, ratings)
        _check(rows)
    except (
        *(OSError, ValueError, EOFError, TypeError, AttributeError, KeyError, IndexError),
        *(NotImplementedError, zipfile.BadZipFile, zlib.error),
    ) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise RunError(
            f"{path} is damaged: {why}; restore it, or remove it and use the run with the very files that it "
            "was trained on"
        ) from error
    return rows


def _texts(letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the tokens in an array of bytes, text [n]."""
    whole, ends = letters.tobytes(), np.cumsum(lengths).tolist()
    if (lengths < 0).any() or (ends and ends[-1] != len(whole)):
        raise ValueError("its ids have other lengths than their letters")
    starts = [0, *ends[:-1]]
    return np.array(
        [whole[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends, strict=True)]
    )


def _wide(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int64) if values.dtype == np.int32 else values


def _check(rows: KeptRows) -> None:
    """Raise ValueError if parts, columns and ids do not fit each other."""
    if "train" not in rows.parts:
        raise ValueError("it has no training rows")
    for name, columns in rows.parts.items():
        both = [columns[rows.user_field], columns[rows.item_field]]
        sizes = {values.shape for values in (*columns.values(), *(rows.ratings.get(name, both[0]),))}
        if len(sizes) != 1 or len(next(iter(sizes))) != 1:
            raise ValueError(f"the columns of {name} have different lengths")
        for field, tokens in rows.tokens.items():
            ids = columns.get(field, both[0][:0])
            if len(ids) and not (ids.dtype.kind == "i" and ids.min() >= 0 and ids.max() < len(tokens)):
                raise ValueError(f"{name} has numbers of {field} without an id")
