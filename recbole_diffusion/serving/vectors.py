"""A run's user and item vectors as files for other systems: safetensors, and the ids of their rows."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion import registry
from recbole_diffusion.errors import UsageError, agreeing, counted
from recbole_diffusion.serving.id_map import IdMap
from recbole_diffusion.serving.index import FILE, build_index, recall_of
from recbole_diffusion.serving.ranking import check_k
from recbole_diffusion.serving.served_run import ServedRun
from recbole_diffusion.storage.atomic import whole
from recbole_diffusion.storage.slow_step import told_if_slow
from recbole_diffusion.storage.versions import __version__

RECORD = "export.json"
MOST_COMPARED = 20  # items of a list by which an index is compared, unless another length is given
USER_BLOCK = 1024  # users whose vectors are computed together


def vectors_of(run: ServedRun) -> tuple[np.ndarray, np.ndarray]:
    """Return user vectors [users, d] and item vectors [items, d] of a run, float32, without the padding's.

    Raises:
        UsageError: the model's scores are not inner products.
        RunError: they depend on data that has changed since the training.
    """
    if not run.model.has_item_vectors:
        raise _no_vectors(run, run.model.hybrid_products() is not None)
    run.changed.check_users(run.model, run.config.general.seed)
    with torch.no_grad():
        found = run.model.inner_products()
    users = [vectors.float().cpu().numpy() for vectors in _by_blocks(run, found.users)]
    return np.concatenate(users), np.ascontiguousarray(found.items.detach().float().cpu().numpy()[1:])


def hybrid_of(run: ServedRun) -> tuple[tuple[np.ndarray, sp.csr_matrix], tuple[np.ndarray, sp.csr_matrix]]:
    """Return the vectors of users and of items, each in a dense part and a sparse one, without the padding's.

    Returns:
        For users [users, d] and CSR [users, items], for items [items, d] and CSR [items, items], float32.

    Raises:
        UsageError: the model's scores are not inner products of such vectors.
        RunError: they depend on data that has changed since the training.
    """
    found = run.model.hybrid_products()
    if found is None:
        raise _no_vectors(run, False)
    run.changed.check_users(run.model, run.config.general.seed)
    dense, sparse = [], []
    for vectors, rows in _by_blocks(run, found.users):
        dense.append(vectors.float().cpu().numpy())
        sparse.append(rows)
    items = np.ascontiguousarray(found.items.detach().float().cpu().numpy()[1:])
    of_users = sp.vstack(sparse, format="csr")[:, 1:]
    return (np.concatenate(dense), of_users), (items, found.sparse_items[1:, 1:])


def _by_blocks(run: ServedRun, of: Callable[[Tensor], Any]) -> Iterator[Any]:
    """Yield what a function of user numbers, long [block], gives for blocks of all users."""
    for start in range(0, len(run.users), USER_BLOCK):
        stop = min(start + USER_BLOCK, len(run.users))
        with torch.no_grad():
            yield of(torch.arange(start + 1, stop + 1, device=run.config["device"]))


def _no_vectors(run: ServedRun, hybrid: bool) -> UsageError:
    name, term = run.config["model"], getattr(run.config.options, "linear_term", "none")
    if hybrid:
        return UsageError(
            f"the vectors of {name} with linear_term: {term} are sparse in part, which two arrays do not "
            "hold; the command export writes them"
        )
    if term != "none":
        # Pruned scores have another deviation, so that a number given for all weights no longer fits.
        again = "" if run.model.weighed_on_validation else " --linear_weight=valid"
        return UsageError(
            f"with linear_term: {term} the scores of {name} are sums with x B, and B has "
            f"{len(run.items):,} x {len(run.items):,} weights; export writes it with those that linear_k "
            f"keeps: --continue_from={run.folder.path} --epochs=0 --linear_k=200{again} makes such a run"
        )
    having = ", ".join(registry.names_where(lambda cls: cls.has_item_vectors))
    return UsageError(
        f"the scores of {name} as trained here are not inner products of user and item vectors, so there are "
        f"no vectors to export; these models have them: {having}. recommend writes lists for every model"
    )


def require_safetensors() -> Any:
    """Return safetensors' function that converts arrays to the bytes of a file.

    Raises:
        UsageError: the package is not installed.
    """
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise UsageError(
            "export needs safetensors; install it (pip install 'recbole-diffusion[export]')"
        ) from error
    return save


def export(
    run: ServedRun, folder: Path, index: str, k: int | None = None, without: Sequence[str] = ()
) -> dict[str, Any]:
    """Write vectors, ids, a record and optionally an index into a folder, which appears whole at the end.

    Args:
        run: a loaded run.
        folder: the folder.
        index: the index of the item vectors to write too, one of ``index.KINDS``.
        k: length of the lists by which the index is compared with exact search; None: 20, or all items.
        without: original ids of items that are left out.

    Returns:
        The record: the content of :data:`RECORD`.

    Raises:
        UsageError: the scores are not inner products, an index is asked for of vectors that are sparse in
            part, an id has a line break, or an item of ``without`` is not known, or none is left.
        RunError: the folder cannot be written.
    """
    save = require_safetensors()
    hybrid = not run.model.has_item_vectors and run.model.hybrid_products() is not None
    if hybrid and index != "none":
        raise UsageError(
            f"--index={index} holds dense vectors, and those of this run are sparse in part (linear_k is "
            f"{run.config.options.linear_k}); leave --index out"
        )
    parts: dict[str, sp.csr_matrix] = {}
    kept = _kept(run.items, without)
    with told_if_slow("computing the vectors"):
        if hybrid:
            (users, parts["users"]), (items, of_items) = hybrid_of(run)
            parts["items"] = of_items[kept - 1]
        else:
            users, items = vectors_of(run)
    items = np.ascontiguousarray(items[kept - 1])
    ids = {"users": run.users.tokens[1:], "items": run.items.tokens[kept]}
    k = min(MOST_COMPARED, len(items)) if k is None else k
    check_k(k, len(items))
    record = {
        "model": run.config["model"],
        "dataset": run.config["dataset"],
        "run": run.folder.path.name,
        "users": len(users),
        "items": len(items),
        "left_out": len(run.items) - len(items),
        "width": items.shape[1],
        "score": "inner product of a row of users.safetensors and a row of items.safetensors (tensor "
        "'vectors', float32)",
        "version": __version__,
    }
    if parts:
        record["score"] += (
            ", plus that of the same rows of users_sparse.npz and items_sparse.npz (scipy CSR, float32, a "
            "column for each line of coordinates.txt)"
        )
        record["entries"] = {name: int(matrix.nnz) for name, matrix in parts.items()}
    with whole(folder) as draft:
        draft.mkdir(parents=True)
        for name, vectors in (("users", users), ("items", items)):
            (draft / f"{name}.txt").write_text(_lines_of(name, ids[name]), encoding="utf-8")
            # Not by save_file: it raises no OSError on a full disk, and makes the file private to its owner.
            data = save({"vectors": vectors}, {"ids": f"{name}.txt, a line for each row"})
            (draft / f"{name}.safetensors").write_bytes(data)
        for name, matrix in parts.items():
            memory = io.BytesIO()
            sp.save_npz(memory, matrix)
            (draft / f"{name}_sparse.npz").write_bytes(memory.getvalue())
        if parts:
            (draft / "coordinates.txt").write_text(_lines_of("items", run.items.tokens[1:]), encoding="utf-8")
        if index != "none":
            with told_if_slow(f"building the index of {counted(len(items), 'item')}"):
                record["index"] = build_index(items, draft / FILE, index, users)
            with told_if_slow("comparing the index with exact search"):
                record["index"] |= recall_of(draft / FILE, users, items, k)
        (draft / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def _kept(ids: IdMap, without: Sequence[str]) -> np.ndarray:
    """Return the internal numbers of the items that are not left out, ascending."""
    numbers = ids.numbers_of(without)
    unknown = [token for token, number in zip(without, numbers, strict=True) if not number]
    if unknown:
        raise UsageError(
            f"{counted(len(unknown), 'item')} to be left out {agreeing(len(unknown), 'are')} not in the "
            f"run's data set, first {unknown[0]!r}; it takes original ids, such as {ids.tokens[1]!r}"
        )
    kept = np.setdiff1d(np.arange(1, len(ids) + 1), numbers)
    if not len(kept):
        raise UsageError("all items are to be left out; keep one or more")
    return kept


def _lines_of(name: str, tokens: np.ndarray) -> str:
    odd = [token for token in tokens if len(token.splitlines()) > 1 or token != token.strip("\r\n")]
    if odd:
        raise UsageError(
            f"{counted(len(odd), 'id')} of {name} {agreeing(len(odd), 'have')} line breaks, first "
            f"{odd[0]!r}; a file with one id per line cannot hold them"
        )
    return "".join(f"{token}\n" for token in tokens)
