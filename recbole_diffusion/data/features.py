"""One modality of the items: a memory-mapped feature matrix, aligned to item ids by token, and checked.

Longer than most files: reading, aligning and checking a matrix, and the place of each fault.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recbole_diffusion.data.told_features import tell_of_features
from recbole_diffusion.errors import UsageError

FLOATS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}  # the types that we read, by safetensors' names
BLOCK = 4096  # rows checked at once
SHORTEST = 1e-12  # length below which torch takes a vector for none


@dataclass(frozen=True)
class Modality:
    """The features of the items in one modality.

    Attributes:
        name: its name.
        origin: where it comes from, for messages and logs.
        values: [rows, width], in the order of the file; a memory map unless it was made in memory.
        rows: int64 [n_items - 1], row of item 1, 2, ...: item 0 is padding and has none.
    """

    name: str
    origin: str
    values: np.ndarray
    rows: np.ndarray

    def __reduce__(self) -> tuple:
        """Pickle the path of a memory map, not its numbers: the trials of a sweep map the file again."""
        if isinstance(self.values, np.memmap):
            return _mapped, (self.name, self.origin, self.values.filename, self.rows)
        return Modality, (self.name, self.origin, self.values, self.rows)

    @property
    def width(self) -> int:
        """Return the number of features."""
        return self.values.shape[1]

    def take(self, items: Tensor) -> Tensor:
        """Return the features of items, float32 [n, width] on the CPU; ids from 1, on the CPU."""
        return self.take_stored(items).float()

    def take_stored(self, items: Tensor) -> Tensor:
        """Return what :meth:`take` does, features stored in 16 bits as they are."""
        rows = self.values[self.rows[items.numpy() - 1]]
        return torch.from_numpy(rows.astype(np.float16 if rows.dtype == np.float16 else np.float32))


def _mapped(name: str, origin: str, path: str | Path, rows: np.ndarray) -> Modality:
    return Modality(name, origin, open_matrix(Path(path)), rows)


def open_matrix(path: Path) -> np.ndarray:
    """Return a memory map of a .npy or .safetensors file.

    Raises:
        UsageError: it cannot be read, or is not a matrix of floating-point numbers.
    """
    try:
        matrix = _open_safetensors(path) if path.suffix == ".safetensors" else _open_npy(path)
    except (
        *(OSError, ValueError, KeyError, TypeError, AttributeError),
        *(OverflowError, RecursionError, MemoryError, SyntaxError, EOFError),
    ) as error:
        raise UsageError(
            f"{path} cannot be read as a matrix of features: {error}; write it with numpy.save"
        ) from error
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or 0 in matrix.shape:
        raise UsageError(
            f"{path} holds {matrix.dtype} of shape {list(matrix.shape)}; it takes floating-point numbers "
            "[items, features]"
        )
    return matrix


def _open_npy(path: Path) -> np.ndarray:
    """Map a .npy file, whose numbers must be as many as its header says."""
    matrix = np.lib.format.open_memmap(path, mode="r")
    surplus = path.stat().st_size - matrix.offset - matrix.nbytes
    if surplus:
        raise ValueError(f"{surplus:,} bytes follow the {list(matrix.shape)} {matrix.dtype} of its header")
    return matrix


def _open_safetensors(path: Path) -> np.ndarray:
    """Map the only tensor of a safetensors file: 8 bytes of length, a JSON header, then the numbers."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > 2**24:
            raise ValueError("its header is too long")
        header = json.loads(file.read(length))
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if len(tensors) != 1:
        raise ValueError(f"it holds {len(tensors)} tensors, not one")
    (entry,) = tensors.values()
    if entry["dtype"] not in FLOATS:
        raise ValueError(f"it holds {entry['dtype']}, not one of {', '.join(FLOATS)}")
    (first, end), shape = entry["data_offsets"], entry["shape"]
    if not all(type(one) is int and one >= 0 for one in (first, end, *shape)):
        raise ValueError(f"its header has shape {shape} and data_offsets {[first, end]}")
    needed, there = (
        np.dtype(FLOATS[entry["dtype"]]).itemsize * math.prod(shape),
        path.stat().st_size - 8 - length,
    )
    if first or end != needed or there != needed:
        raise ValueError(
            f"its header has {entry['dtype']} of shape {shape}, {needed:,} bytes, with data_offsets "
            f"{[first, end]}, and {there:,} bytes follow"
        )
    return np.memmap(path, FLOATS[entry["dtype"]], "r", 8 + length, tuple(shape))


def tokens_beside(path: Path, stems: Sequence[str] = ()) -> list[str] | None:
    """Return the item tokens of a matrix's rows, one per line in its ``.tokens`` file, or None.

    Args:
        path: file of the matrix.
        stems: beginnings that the names of the modality's files may have.

    Raises:
        UsageError: the file is no text, or there is only one that another name of the modality would have.
    """
    file = path.with_suffix(".tokens")
    if not file.is_file():
        # Not those of another matrix, which has them for itself.
        names = [path.name, *(stem for stem in stems if not any(map(Path.is_file, _matrices(path, stem))))]
        others = [other for name in names if (other := path.with_name(f"{name}.tokens")).is_file()]
        if others:
            raise UsageError(
                f"{path} has no {file.name} beside it, but there is {others[0].name}; if it has the token of "
                f"each row, call it {file.name}, and if not, take it away"
            )
        return None
    try:
        return file.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text: {error}; write one item token per line") from error


def _matrices(path: Path, stem: str) -> list[Path]:
    """Return the paths that matrices of a name would have, except the path itself."""
    found = [path.with_name(f"{stem}{ending}") for ending in (".npy", ".safetensors")]
    return [one for one in found if one != path]


def aligned_rows(
    path: Path, n_rows: int, row_tokens: list[str] | None, items: np.ndarray, extra: str
) -> np.ndarray:
    """Return the row of each item, int64.

    Args:
        path: file of the matrix, for messages.
        n_rows: its number of rows.
        row_tokens: the item token of each row; None: row r belongs to the item whose token is the number r.
        items: the tokens of the items, in order of their ids, without padding.
        extra: what to do about rows that belong to no item, ``error`` or ``ignore``.

    Raises:
        UsageError: an item has no row, two rows have one token, or a row has no item.
    """
    if row_tokens is None:
        rows = _numbers(path, items)
        beyond = rows >= n_rows
        if beyond.any():
            raise UsageError(
                f"{path} has {n_rows} rows, none for {_few(items[beyond])}; row r belongs to the item with "
                "token r"
            )
        tokens = None
    else:
        tokens = row_tokens[:-1] if row_tokens and row_tokens[-1] == "" else row_tokens
        if len(tokens) != n_rows:
            raise UsageError(
                f"{path} has {n_rows} rows, but {path.with_suffix('.tokens').name} {len(tokens)} tokens; "
                "write one per row"
            )
        place = {token: row for row, token in enumerate(tokens)}
        if len(place) < n_rows:
            twice = [token for row, token in enumerate(tokens) if place[token] != row]
            raise UsageError(
                f"{path.with_suffix('.tokens')} has {_few(twice)} more than once; each row needs its own "
                "token"
            )
        missing = [token for token in items if token not in place]
        if missing:
            raise UsageError(
                f"{path} has no row for {_few(missing)}; {path.with_suffix('.tokens').name} must name them"
            )
        rows = np.array([place[token] for token in items], dtype=np.int64)
    if extra == "error" and n_rows > len(items):
        free = np.setdiff1d(np.arange(n_rows), rows)
        named = free if tokens is None else [f"{row} ({tokens[row]})" for row in free[:5]]
        raise UsageError(
            f"{path} has {n_rows} rows for {len(items)} items: no item of the interactions belongs to "
            f"{_few(named, 'row', len(free))}; use the file of these interactions, or set extra_features to "
            "ignore if items were filtered out"
        )
    return rows


def _numbers(path: Path, items: np.ndarray) -> np.ndarray:
    """Return item tokens as row numbers; for tokens that are too long, some number beyond every matrix."""
    wrong = [
        token for token in items if not (token.isascii() and token.isdigit() and str(int(token)) == token)
    ]
    if wrong:
        raise UsageError(
            f"{path} has no {path.with_suffix('.tokens').name} beside it, with the item token of each row, "
            f"one per line; without it tokens must be row numbers, unlike {_few(wrong)}"
        )
    return np.array([int(token[:18]) for token in items], dtype=np.int64)


def check_values(modality: Modality, items: np.ndarray, constant: str) -> None:
    """Check the used rows of a modality.

    Args:
        modality: the modality.
        items: the tokens of the items, in order of their ids, without padding.
        constant: what to do about rows of one repeated value, ``error`` or ``allow``.

    Raises:
        UsageError: a row has NaN or an infinite number, no length in float32, or is constant; the
            message names the first rows and their items.
    """
    largest, marks = np.zeros(len(items)), np.zeros((len(items), 3), np.float32)
    shares = np.zeros(modality.width)
    wrong: dict[str, list[int]] = {
        "NaN or infinite numbers": [],
        "numbers too large or too small for cosines in float32": [],
        "one value throughout": [],
    }
    for start in range(0, len(items), BLOCK):
        # A number beyond float32 becomes infinite, which is reported below.
        with np.errstate(over="ignore", invalid="ignore"):
            rows = modality.values[modality.rows[start : start + BLOCK]].astype(np.float32)
            length = np.sqrt(np.square(rows).sum(axis=1))
            shares += np.square(rows / np.maximum(length, SHORTEST)[:, None]).sum(axis=0)
        largest[start : start + BLOCK] = np.abs(rows).max(axis=1)
        marks[start : start + BLOCK] = np.stack([length, rows[:, 0], rows[:, -1]], axis=1)
        finite = np.isfinite(rows).all(axis=1)
        # Below 1e-12 torch divides by 1e-12 instead: the cosine of a vector with itself is then below 1.
        extreme = finite & (~np.isfinite(length) | ((length < SHORTEST) & rows.any(axis=1)))
        flat = finite & (rows == rows[:, :1]).all(axis=1) & (modality.width > 1)
        for kind, found in zip(wrong, (~finite, extreme, flat), strict=True):
            wrong[kind] += (start + np.flatnonzero(found)).tolist()
    if constant == "allow":
        wrong.pop("one value throughout")
    for kind, places in wrong.items():
        if places:
            named = [f"{modality.rows[place]} (item {items[place]})" for place in places[:5]]
            remedy = (
                "fill in these items' features, for example with the mean row, or leave out the items"
                f"{', or set constant_features to allow' if kind.startswith('one') else ''}"
            )
            remedy = "scale the features" if kind.startswith("numbers") else remedy
            where = _few(named, "row", len(places))
            raise UsageError(f"{modality.origin} has {kind} in {where}; {remedy}")
    tell_of_features(modality, items, largest, marks, shares / len(items))


def _few(names: list | np.ndarray, what: str = "item", count: int | None = None) -> str:
    """Return the first five names, and how many there are in all."""
    count = len(names) if count is None else count
    more = f", ... ({count} in all)" if count > 5 else ""
    return f"{what}{'s' if count > 1 else ''} {', '.join(map(str, names[:5]))}{more}"
