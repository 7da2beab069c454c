"""Nearest neighbours of items by cosine, in blocks, and their graphs; nothing of [items, items] is held."""

import hashlib
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.storage.atomic import write_whole

VERSION = 2  # of cached neighbours; to be raised when the computation changes
ROWS, COLUMNS = 4096, 2048  # items compared at once: 32 MB of similarities


@torch.no_grad()
def nearest(
    take: Callable[[Tensor], Tensor], count: int, k: int, rows: int = ROWS, columns: int = COLUMNS
) -> tuple[Tensor, Tensor]:
    """Return the k nearest rows of each row by cosine, the row itself first, then by descending cosine.

    Of rows of one cosine the first ones count, whatever the blocks. It is computed where the features are.

    Args:
        take: returns rows of the feature matrix, [n, width], by their numbers, long [n] on the CPU.
        count: number of rows.
        k: number of neighbours, including the row itself.
        rows: rows whose neighbours are searched at once.
        columns: rows they are compared with at once.

    Returns:
        neighbours long [count, k], and their cosines [count, k].

    Raises:
        UsageError: ``k`` is not below ``count``.
    """
    if k >= count:
        raise UsageError(
            f"knn_k is {k}, but the data set has only {counted(count, 'item')} with features; it takes 1 to "
            f"{count - 1}"
        )
    everything = torch.arange(count)
    found, cosines = [], []
    for mine in everything.split(rows):
        left = F.normalize(take(mine), dim=1)  # [rows, width]
        best = left.new_full((len(mine), k), -torch.inf)
        ids = torch.zeros(len(mine), k, dtype=torch.long, device=left.device)
        for others in everything.split(columns):
            similarity = left @ F.normalize(take(others), dim=1).T  # [rows, columns]
            own = mine[(mine >= others[0]) & (mine <= others[-1])].to(left.device)
            # The row itself comes first, whatever the rounding.
            similarity[own - mine[0], own - others[0]] = torch.inf
            best, ids = _merged(best, ids, similarity, int(others[0]))
        best[:, 0] = 1.0
        found.append(ids)
        cosines.append(best)
    return torch.cat(found), torch.cat(cosines)


def _merged(best: Tensor, ids: Tensor, similarity: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Return the largest of what was kept and of a block, descending, and their numbers; [rows, k] each.

    Equal ones stand in the order of their numbers.

    Args:
        best: kept so far, descending, [rows, k].
        ids: their numbers, long [rows, k], smaller than those of the block.
        similarity: the block, [rows, columns].
        first: number of its first column.
    """
    k = best.shape[1]
    values, place = similarity.topk(min(k + 1, similarity.shape[1]), dim=1)
    place, order = place[:, :k].sort(dim=1)
    found = _sorted(best, ids, values[:, :k].gather(1, order), place + first)
    if values.shape[1] > k:
        # Where the next one is equal to the k-th, and enters, topk leaves open which of them it has taken.
        tied = ((values[:, k] == values[:, k - 1]) & (values[:, k] > best[:, -1])).nonzero().squeeze(1)
        if len(tied):
            packed = _packed(best[tied, -1:], similarity[tied], first)
            for table, rows in zip(found, _sorted(best[tied], ids[tied], *packed), strict=True):
                table[tied] = rows
    return found


def _sorted(best: Tensor, ids: Tensor, values: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest of two tables and their numbers, [rows, k]; of equal ones the first to the left."""
    merged, order = torch.cat([best, values], 1).sort(dim=1, descending=True, stable=True)
    k = best.shape[1]
    return merged[:, :k].contiguous(), torch.cat([ids, numbers], 1).gather(1, order[:, :k])


def _packed(least: Tensor, similarity: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Return what is above ``least`` [rows, 1] in a block, packed to the left, and its numbers, by number."""
    above = similarity > least
    counts = above.sum(1)
    row, column = above.nonzero(as_tuple=True)  # by row, then by column
    place = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    values = similarity.new_full((len(similarity), int(counts.max())), -torch.inf)
    numbers = torch.zeros(values.shape, dtype=torch.long, device=row.device)
    values[row, place], numbers[row, place] = similarity[row, column], column + first
    return values, numbers


@torch.no_grad()
def cosines_of(take: Callable[[Tensor], Tensor], neighbours: Tensor, rows: int = ROWS) -> Tensor:
    """Return the cosine of each row with its neighbours, [count, k], in blocks; see :func:`nearest`."""
    found = []
    for mine in torch.arange(len(neighbours)).split(rows):
        others = F.normalize(take(neighbours[mine].reshape(-1)), dim=1).view(
            len(mine), neighbours.shape[1], -1
        )
        found.append(torch.einsum("nd,nkd->nk", F.normalize(take(mine), dim=1), others))
    return torch.cat(found)


@torch.no_grad()
def share_of_nearest(take: Callable[[Tensor], Tensor], neighbours: Tensor, sample: int) -> float:
    """Return the share of given neighbours that are as near as the k - 1 nearest others, on some rows.

    Args:
        take: as in :func:`nearest`.
        neighbours: long [count, k], the row itself first.
        sample: number of rows that are looked at, evenly spread.
    """
    count, k = neighbours.shape
    rows = torch.linspace(0, count - 1, min(sample, count)).long()
    left = F.normalize(take(rows), dim=1)
    best = left.new_full((len(rows), 1), -torch.inf)
    for others in torch.arange(count).split(COLUMNS):
        similarity = left @ F.normalize(take(others), dim=1).T  # [sample, columns]
        similarity[rows[:, None] == others] = -torch.inf
        best = torch.cat([best, similarity], 1).topk(min(k - 1, len(others) + best.shape[1]), dim=1).values
    given = F.normalize(take(neighbours[rows, 1:].reshape(-1)), dim=1).view(len(rows), k - 1, -1)
    cosines = torch.einsum("nd,nkd->nk", left, given)
    return (cosines >= best[:, -1:] - 1e-3).float().mean().item()  # ties, and rounding


def mean_graph(neighbours: Tensor, n_items: int) -> sp.csr_matrix:
    """Return the normalised graph of unweighted neighbours: row i holds 1 / k at each of its k neighbours.

    This is D^-1/2 A D^-1/2 of FREEDOM with D the row sums of A, k for every item.

    Args:
        neighbours: long [items, k], ids; row r belongs to item r + 1, since item 0 is padding.
        n_items: number of item ids, the padding id 0 included.
    """
    count, k = neighbours.shape
    offsets = np.concatenate([[0, 0], np.arange(1, count + 1) * k])
    columns = neighbours.sort(dim=1).values.numpy().ravel()
    return sp.csr_matrix((np.full(count * k, 1 / k, np.float32), columns, offsets), shape=(n_items, n_items))


def fused(graphs: list[sp.csr_matrix], weights: list[float]) -> sp.csr_matrix:
    """Return the weighted sum of the modalities' graphs."""
    total = sum(weight * graph for weight, graph in zip(weights, graphs, strict=True))
    return total.tocsr().astype(np.float32)


def fingerprint(*parts: bytes | str | int) -> str:
    """Return a short text that differs if any of the parts does."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def cached(
    folder: str | None, key: str, shape: tuple[int, int], compute: Callable[[], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Return the result of ``compute``, cached in ``<folder>/knn-<key>.npz`` if a folder is given.

    The file has a fingerprint of key and content: one that is damaged, that was renamed, or whose content is
    of other features is computed again. A folder that cannot be written only gives a warning.

    Args:
        folder: the folder; None for no cache.
        key: depends on everything that the result depends on.
        shape: rows and neighbours of the result.
        compute: computes it.
    """
    if folder is None:
        return compute()
    path = Path(folder).expanduser() / f"knn-{key}.npz"
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as file:
                table, cosine = file["neighbours"], file["cosine"]
                fits = table.shape == cosine.shape == shape and str(file["check"]) == _check(
                    key, table, cosine
                )
            if fits:
                return torch.from_numpy(table).long(), torch.from_numpy(cosine)
            why = "was made from other features"
        except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile):
            why = "is damaged"
        logging.getLogger().warning("%s %s; its neighbours are computed again", path, why)
    neighbours, cosine = compute()
    table, given = neighbours.numpy().astype(np.int32), cosine.numpy()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check = np.array(_check(key, table, given))
        write_whole(path, lambda file: np.savez(file, neighbours=table, cosine=given, check=check))
    except (OSError, RunError) as error:
        logging.getLogger().warning(
            "neighbours are not cached, since graph_cache %s cannot be written: %s", folder, error
        )
    return neighbours, cosine


def _check(key: str, table: np.ndarray, cosine: np.ndarray) -> str:
    return fingerprint(key, str(table.dtype), table.tobytes(), str(cosine.dtype), cosine.tobytes())
