"""Checkpoints that cannot run code: tensors and plain types, written whole, read with ``weights_only=True``.

RecBole pickles its ``Config`` object, which torch 2.6 and later refuse to read, and rightly so: unpickling
can run any code. Longer than most files: writing and reading side by side, which must agree.
"""

import pickle
import random
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.storage.atomic import ADVICE, write_whole
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer.checkpoint_form import damage_of_weights, not_finite

FORMAT = "recbole_diffusion/1"
_MARK = "__kind__"


def to_plain(value: Any) -> Any:
    """Return ``value`` as tensors, numbers, strings, lists and dictionaries.

    Arrays of numpy and scipy become marked tensors.

    Raises:
        TypeError: a value of another type, which a safe file cannot hold.
    """
    if isinstance(value, torch.nn.Parameter):
        return {_MARK: "parameter", "data": value.detach()}
    if isinstance(value, torch.Tensor) or value is None or type(value) in (bool, int, float, str):
        return value
    if sp.issparse(value):
        csr = value.tocsr()
        parts = {
            name: torch.from_numpy(np.ascontiguousarray(getattr(csr, name)))
            for name in ("data", "indices", "indptr")
        }
        return {_MARK: "csr", "shape": list(csr.shape), **parts}
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "biuf":
            raise TypeError(f"an array of {value.dtype} cannot be stored in a safe checkpoint")
        kind = "matrix" if isinstance(value, np.matrix) else "array"
        shared = np.require(np.asarray(value), requirements=("C", "W"))  # a copy only where torch needs one
        return {_MARK: kind, "data": torch.from_numpy(shared)}
    if isinstance(value, dict):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return (
            type(value)(map(to_plain, value)) if type(value) in (list, tuple) else list(map(to_plain, value))
        )
    raise TypeError(f"a {type(value).__name__} cannot be stored in a safe checkpoint")


def from_plain(value: Any) -> Any:
    """Undo :func:`to_plain`."""
    if isinstance(value, dict):
        kind = value.get(_MARK)
        if kind == "parameter":
            return torch.nn.Parameter(value["data"])
        if kind == "csr":
            data, indices, indptr = (value[name].cpu().numpy() for name in ("data", "indices", "indptr"))
            return sp.csr_matrix((data, indices, indptr), shape=tuple(value["shape"]))
        if kind in ("array", "matrix"):
            array = value["data"].cpu().numpy()
            return np.asmatrix(array) if kind == "matrix" else array
        return {key: from_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(from_plain, value))
    return value


def save(state: dict[str, Any], path: Path, advice: str = ADVICE) -> None:
    """Write a checkpoint whole or not at all; ``advice`` is the last part of an error message.

    Raises:
        RunError: the disk is full, or the state holds something that a safe file cannot hold.
    """
    try:
        plain = to_plain({"format": FORMAT, **state})
    except TypeError as error:
        raise RunError(f"cannot write {path}: {error}") from error
    write_whole(path, lambda file: torch.save(plain, file), advice)


def load(path: Path, device: torch.device | str = "cpu", *, trust: bool = False) -> dict[str, Any]:
    """Read a checkpoint.

    Args:
        path: a file that :func:`save` wrote, or with ``trust`` any torch file with a ``state_dict``, as
            RecBole's ``.pth`` is.
        device: where its tensors go.
        trust: read the file even if that can run code. Only for files whose origin you know.

    Raises:
        UsageError: there is no such file.
        RunError: it is damaged, not a checkpoint, or not of this package.
    """
    if not path.is_file():
        raise UsageError(f"no checkpoint at {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's warning about the pickle protocol of RecBole's files
            state = torch.load(path, map_location=device, weights_only=not trust)
        if not trust and (damage := _damage(path)):  # torch does not verify the checksums
            raise RunError(f"{path} is damaged: {damage}; {remedy(path)}")
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path):
            raise RunError(
                f"{path} is not a checkpoint of this package, and reading it could run code. If you know "
                "where it comes from, add --trust_checkpoint=True"
            ) from error
        raise RunError(f"{path} is damaged: it is no longer a checkpoint; {remedy(path)}") from error
    except RunError:
        raise
    except Exception as error:
        if not isinstance(error, ImportError | AttributeError) and (damage := _damage(path)):
            raise RunError(f"{path} is damaged: {damage}; {remedy(path)}") from error
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"cannot read {path}: {what}") from error
    if not isinstance(state, dict) or "state_dict" not in state:
        raise RunError(f"{path} holds no model weights (no 'state_dict')")
    if state.get("format") != FORMAT:
        if not trust:
            raise RunError(
                f"{path} was not written by this package; if you know where it comes from, add "
                "--trust_checkpoint=True"
            )
        return state
    try:
        state = from_plain(state)
        broken = damage_of_weights(state)
    except Exception as error:  # any: parts of an array that do not fit each other, too many levels
        broken = f"{type(error).__name__}: {error}"
    if broken:
        raise RunError(f"{path} is damaged: {broken}; {remedy(path)}")
    return state


def _damage(path: Path) -> str:
    """Return what is wrong with the file of a checkpoint, or an empty text."""
    try:
        with zipfile.ZipFile(path) as file:
            part = file.testzip()
    except OSError:
        return ""  # cannot be read at all
    except Exception:
        return "it is truncated or overwritten"
    return f"the checksum of its part {part} is wrong" if part else ""


def remedy(path: Path) -> str:
    """Return what to do about a lost checkpoint, depending on the other files of its run."""
    folder = RunFolder(path.parent)
    if not folder.config.is_file():
        return "take another copy of the file, or train again"
    first = f"remove {folder.checkpoint} and " if folder.checkpoint.is_file() else ""
    again = f"{first}train this run again from its beginning with --resume={folder.path}"
    if path.name == folder.checkpoint.name and folder.best.is_file():
        return f"start a new run from the best weights with --load_checkpoint={folder.best}, or {again}"
    return f"no other file has these weights: {again}"


def rename_weights(state: dict[str, Any], names: Mapping[str, str]) -> None:
    """Rename the weights of an older checkpoint to today's names of the model's modules, in place.

    Args:
        state: from :func:`load`.
        names: new dotted path of a module or parameter by its old path; a model's ``renamed_weights``.
    """
    for part in ("state_dict", "plain"):
        if names and part in state:
            state[part] = {_renamed(path, names): value for path, value in state[part].items()}


def _renamed(path: str, names: Mapping[str, str]) -> str:
    """Return a path with its longest old prefix replaced."""
    for old in sorted(names, key=len, reverse=True):
        if path == old or path.startswith(f"{old}."):
            return names[old] + path[len(old) :]
    return path


def put_weights(model: Any, state: dict[str, Any], origin: Path, name: str, ids: str = "") -> None:
    """Put the weights of a checkpoint into a model.

    Args:
        model: a RecBole model.
        state: from :func:`load`.
        origin: the file, for messages.
        name: the model's name.
        ids: fingerprint of the data set's ids; not compared if empty.

    Raises:
        RunError: they do not fit (another model, other options, or another data set), or are not finite.
    """
    made_by = state.get("model", name)
    if made_by != name:
        raise RunError(
            f"{origin} holds weights of {made_by}, not of {name}; give --model={made_by}, or another file"
        )
    if ids and state.get("ids", ids) != ids:
        raise RunError(
            f"{origin} does not fit: users and items had other ids when it was made; use the same data set, "
            "split into the same parts"
        )
    rename_weights(state, model.renamed_weights)
    if changed := _of_another_kind(model, state["state_dict"]):
        raise RunError(f"{origin} is damaged: {changed} has whole numbers for weights; {remedy(origin)}")
    try:
        model.load_state_dict(state["state_dict"])
        model.load_other_parameter(state.get("other_parameter"))
    except (RuntimeError, TypeError, AttributeError) as error:
        first = " ".join(str(error).split())[:300]
        raise RunError(f"{origin} does not fit this model, its options or its data set: {first}") from error
    if weights := not_finite(model):
        raise RunError(f"{origin} is damaged: {weights} has NaN or infinite numbers; {remedy(origin)}")


def _of_another_kind(model: Any, weights: Mapping[str, Any]) -> str:
    """Return the name of a tensor of whole numbers where the model has others, which torch would convert."""
    for name, own in model.state_dict().items():
        found = weights.get(name)
        if torch.is_tensor(found) and own.is_floating_point() and not found.is_floating_point():
            return name
    return ""


def beside_weights(model: Any) -> dict[str, Any]:
    """Return what RecBole stores of a model beside its weights: caches, counts and tables.

    DIN, GRU4RecF and others name an embedding layer there as well, whose weights are among the model's.
    """
    return {
        name: value
        for name, value in model.other_parameter().items()
        if not isinstance(value, torch.nn.Module)
    }


def random_state() -> dict[str, Any]:
    """Return the states of Python's, numpy's and torch's generators, as plain types."""
    # RecBole draws from numpy's global generator.
    legacy = np.random.get_state(legacy=False)  # noqa: NPY002
    keys, position = legacy["state"]["key"].astype(np.int64), legacy["state"]["pos"]
    return {
        "python": random.getstate(),
        "numpy": [legacy["bit_generator"], keys, position, legacy["has_gauss"], legacy["gauss"]],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Set the generators to what :func:`random_state` returned."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    keys = np.asarray(keys).astype(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])
