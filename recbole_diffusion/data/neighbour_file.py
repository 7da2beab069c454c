"""Neighbours that a user gives in ``<dataset>.<modality>_knn*.npz``: read, and held to the features."""

import logging
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recbole_diffusion.data import knn
from recbole_diffusion.data.features import Modality
from recbole_diffusion.errors import UsageError

SAMPLE = 64  # items whose neighbours are held to the features
NEAR, FOREIGN = 0.9, 0.05  # shares of nearest items below which a file is told of, and refused


def check_against_features(path: Path, modality: Modality, neighbours: Tensor, asked: bool) -> None:
    """Tell if neighbours of a file are not the nearest items by the features; refuse those of other items.

    A file may come from other features, such as the original ones of a reduced matrix: about half of its
    neighbours are then among the nearest (0.44 and 0.64 on Amazon Baby). In a file of other items, or of
    items in another order, hardly any is.

    Args:
        path: the file, for messages.
        modality: the modality, whose features are compared.
        neighbours: from :func:`neighbours_of_file`.
        asked: whether ``knn_source`` is ``file``: then nothing is refused.

    Raises:
        UsageError: hardly any neighbour is near, and the file was not asked for.
    """
    count, k = neighbours.shape
    if k == 1:
        return
    share = knn.share_of_nearest(lambda rows: modality.take(rows + 1), neighbours, SAMPLE)
    if share >= NEAR:
        return
    told = (
        f"{path}: {100 * share:.0f} % of its neighbours are among the {k - 1} nearest items by "
        f"{modality.origin} ({min(SAMPLE, count)} items looked at)"
    )
    if share < FOREIGN and 2 * (k - 1) / (count - 1) < FOREIGN and not asked:  # few are near by chance
        raise UsageError(
            f"{told}: it seems to belong to other items, or to another order of them; remove it, set "
            "knn_source to features to compute them, or to file to use it all the same"
        )
    logging.getLogger().warning(
        "%s: it was made from other features, and is used; knn_source features computes them from these", told
    )


def neighbour_arrays(path: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return ``neighbours`` and ``cosine`` of a .npz file, None for an array that it does not have.

    Raises:
        UsageError: it is not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return file.get("neighbours"), file.get("cosine")
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{path} cannot be read as neighbours: {error}; write it with numpy.savez, or set knn_source to "
            "features"
        ) from error


def neighbours_of_file(path: Path, modality: Modality, k: int) -> tuple[Tensor, Tensor]:
    """Return the neighbours in a file, by position of the items (item id - 1), the item itself first.

    The file has ``neighbours``, [rows, K], rows and entries aligned like the modality's features, with or
    without the item itself in its own row, and ``cosine`` of the same shape; without it, cosines are those of
    the features. A neighbour that is not an item of the interactions is left out.

    Returns:
        neighbours long [items, k], and their cosines [items, k].

    Raises:
        UsageError: there are no neighbours, the rows do not fit the features, or an item has too few.
    """
    table, given = neighbour_arrays(path)
    n_rows = len(modality.values)
    if table is None:
        raise UsageError(f"{path} has no array 'neighbours'; write one, or set knn_source to features")
    if len(table) != n_rows or table.dtype.kind not in "iu" or table.min() < 0 or table.max() >= n_rows:
        raise UsageError(
            f"{path} has neighbours of shape {list(table.shape)}, from {table.min()} to {table.max()}; it "
            f"takes row numbers of {modality.origin}, which has {n_rows} rows"
        )
    place = np.full(n_rows, -1, dtype=np.int64)
    place[modality.rows] = np.arange(len(modality.rows))
    found = torch.from_numpy(place[table[modality.rows].astype(np.int64)])  # [items, K]
    own = torch.arange(len(found))[:, None]
    usable = (found >= 0) & (found != own)
    short = usable.sum(1) < k - 1
    if bool(short.any()):
        first = ", ".join(str(modality.rows[row]) for row in short.nonzero().squeeze(1)[:5].tolist())
        raise UsageError(
            f"{path} has fewer than {k - 1} neighbours for row {first}; set knn_k lower, or knn_source to "
            "features"
        )
    order = (~usable).long().argsort(dim=1, stable=True)[:, : k - 1]
    neighbours = torch.cat([own, found.gather(1, order)], dim=1)
    if given is None or given.shape != table.shape:
        return neighbours, knn.cosines_of(lambda rows: modality.take(rows + 1), neighbours)
    if not np.isfinite(given).all():
        raise UsageError(
            f"{path} has cosines that are NaN or infinite; correct them, or remove 'cosine' from the file"
        )
    cosine = torch.from_numpy(given[modality.rows].astype(np.float32)).gather(1, order)
    return neighbours, torch.cat([torch.ones(len(cosine), 1), cosine], dim=1)
