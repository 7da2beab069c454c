"""Sets whose parts are pickled sparse matrices of users and items, beside matrices of item features.

A pickle may call anything. Here it may make a sparse matrix and arrays of numbers, and nothing else.
"""

import codecs
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.pair_files import Pair, counted_pairs
from recbole_diffusion.prepare.recipe import PreparedSet, Request
from recbole_diffusion.prepare.written_parts import check_parts, write_parts

KINDS = ("coo_matrix", "csr_matrix")
FLOATS = ("float16", "float32", "float64")
BLOCK = 4096  # rows of features in memory
CORES = ("numpy.core", "numpy._core")  # before and since numpy 2


@dataclass(frozen=True)
class MatrixSet:
    """Parts as pickled matrices, users x items, and features of the items.

    Attributes:
        matrices: the file of each part, in the order train, valid, test.
        modalities: each has a file ``MODALITY_feat.npy``, one row an item.
    """

    matrices: Mapping[str, str]
    modalities: tuple[str, ...]
    options = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, see :class:`.recipe.Kind`."""
        return tuple(self.matrices)

    def make(self, asked: Request) -> PreparedSet:
        """Write the parts, the features and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: a file is no such matrix, parts are empty or have rows in common, or features are of
                other items or hold no numbers.
        """
        rows: dict[str, dict[Pair, str]] = {}
        shapes: dict[str, tuple[int, int]] = {}
        for part, name in self.matrices.items():
            rows[part], shapes[name] = pairs_of(asked.paths[name])
        first, *others = shapes.values()
        if any(shape != first for shape in others):
            raise UsageError(f"the matrices of {asked.recipe.name} differ in shape, {shapes}; get them again")
        check_parts(asked.recipe, rows)
        features = {f"{one}_feat.npy": asked.paths[f"{one}_feat.npy"] for one in self.modalities}
        for path in features.values():
            _check_features(path, items=first[1])
        counts = counted_pairs([pair for part in rows.values() for pair in part])
        return write_parts(asked, rows, (), counts, 0, features=features)


def pairs_of(path: Path) -> tuple[dict[Pair, str], tuple[int, int]]:
    """Return the pairs of a pickled matrix's cells that are not 0, by user and item, and its shape.

    Raises:
        UsageError: the file is no pickled matrix.
    """
    try:
        with path.open("rb") as stream:
            found = _Matrices(stream).load()
        if not isinstance(found, _Matrix):
            raise pickle.UnpicklingError("it holds something else")
        users, items = found.cells()
    except Exception as error:  # a damaged pickle raises whatever it likes
        raise UsageError(
            f"{path} is no pickled {' or '.join(KINDS)} of scipy ({error}); get the file again"
        ) from error
    order = np.lexsort((items, users))
    pairs = zip(users[order].tolist(), items[order].tolist(), strict=True)
    return {(str(user), str(item)): "" for user, item in pairs}, found.size


class _Matrix:
    """What a pickle says of a sparse matrix, in the place of scipy's class."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.size: tuple[int, int] = tuple(int(one) for one in state["_shape"])  # type: ignore[assignment]

    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Return users and items of the cells that are not 0, int64 [cells] each.

        Raises:
            ValueError: numbers of cells do not fit together, or lie outside the matrix.
        """
        state = self.state
        if "indptr" in state:
            rows = np.repeat(np.arange(len(state["indptr"]) - 1), np.diff(state["indptr"]))
            columns = state["indices"]
        else:
            rows, columns = state["coords"] if "coords" in state else (state["row"], state["col"])
        users, items = (np.asarray(one).astype(np.int64, casting="same_kind") for one in (rows, columns))
        filled = np.asarray(state["data"]) != 0
        if not len(users) == len(items) == len(filled):
            raise ValueError("it has not one row and column for each value")
        for codes, size in zip((users, items), self.size, strict=True):
            if len(codes) and not 0 <= codes.min() <= codes.max() < size:
                raise ValueError("it has cells outside its shape")
        return users[filled], items[filled]


class _Matrices(pickle.Unpickler):
    """Reads a pickle that holds a sparse matrix: any other class or function is refused by its name."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name of the pickle."""
        if module.split(".")[:2] == ["scipy", "sparse"] and name in KINDS:
            return _Matrix
        known = {
            ("copyreg", "_reconstructor"): _made,
            ("builtins", "object"): object,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): codecs.encode,
            **{(f"{core}.multiarray", "_reconstruct"): _array for core in CORES},
            **{(f"{core}.numeric", "_frombuffer"): _from_buffer for core in CORES},
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known[module, name]


def _made(kind: type, base: type, state: Any) -> _Matrix:  # noqa: ARG001 as copyreg calls it
    """Stand for ``copyreg._reconstructor``, for matrices alone."""
    if kind is not _Matrix:
        raise pickle.UnpicklingError(f"it asks for an object of {kind}")
    return _Matrix()


def _array(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:  # noqa: ARG001 as numpy calls it
    """Stand for numpy's ``_reconstruct``: an empty array, whose state follows."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"it asks for an array of {kind}")
    return np.ndarray((0,), np.int8)


def _from_buffer(content: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Stand for numpy's function of that name, by which arrays are pickled since protocol 5."""
    return np.frombuffer(content, dtype).reshape(shape, order="F" if order == "F" else "C")


def _check_features(path: Path, items: int) -> None:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UsageError(f"{path} is no matrix of numpy ({error}); get the file again") from error
    if found.ndim != 2 or len(found) != items or not found.shape[1]:
        raise UsageError(f"{path} has the shape {found.shape}, for {items:,} items; get the file again")
    if found.dtype not in FLOATS:
        raise UsageError(f"{path} holds {found.dtype}, not one of {', '.join(FLOATS)}; get the file again")
    for begin in range(0, items, BLOCK):
        if not np.isfinite(found[begin : begin + BLOCK]).all():
            raise UsageError(f"{path} has NaN or infinite numbers; get the file again")
