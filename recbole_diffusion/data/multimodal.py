"""The data set of multimodal models: interactions, and item features with their graphs by modality."""

import logging
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_diffusion.data import knn
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.features import Modality, aligned_rows, check_values, open_matrix, tokens_beside
from recbole_diffusion.data.item_columns import made_modality
from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.options.multimodal import MultimodalOptions

ENDINGS = (".npy", ".safetensors")


class MultimodalDataset(InteractionDataset):
    """Interactions with item features of any number of modalities.

    A modality ``image`` of the data set ``baby`` is read from the first of ``baby.image.npy``,
    ``baby.image_feat.npy`` and ``image_feat.npy`` (MMRec's layout), or from the only ``baby.image_*.npy``, a
    name for substitutes of the original features; the same with ``.safetensors``. ``item_features`` makes
    modalities from the .item file. Rows belong to the item tokens in the file of the same name that ends in
    ``.tokens``; without it, the token is the number of the row.

    Attributes:
        modalities: the modalities by name, in the order of the option; rows are aligned, values stay on disk.
    """

    reads_options = frozenset({"modalities", "item_features", "extra_features", "constant_features"})

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        options: MultimodalOptions = config.options
        folder = Path(config["data_path"])
        items = self.item_tokens()
        self.modalities = {name: self._modality(name, options, folder, items) for name in options.modalities}
        for modality in self.modalities.values():
            shape = f"{len(items)} items x {modality.width}"
            logging.getLogger().info("modality %s: %s from %s", modality.name, shape, modality.origin)

    def item_tokens(self) -> np.ndarray:
        """Return the tokens of items 1, 2, ..., without that of the padding id 0."""
        return np.array(self.field2id_token[self.iid_field][1:], dtype=object)

    def _modality(self, name: str, options: MultimodalOptions, folder: Path, items: np.ndarray) -> Modality:
        if name in options.item_features:
            path = folder / f"{self.dataset_name}.item"
            modality = made_modality(name, options.item_features[name], path, self.config, items)
            check_values(modality, items, "allow")  # an item without words keeps a row of zeros
            return modality
        path = find_features(folder, self.dataset_name, name)
        values = open_matrix(path)
        rows = aligned_rows(path, len(values), tokens_beside(path), items, options.extra_features)
        modality = Modality(name, str(path), values, rows)
        check_values(modality, items, options.constant_features)
        return modality

    def neighbours(self, name: str) -> tuple[Tensor, Tensor]:
        """Return the nearest items of each item in one modality, the item itself first, and their cosines.

        Returns:
            Item ids, long [n_items - 1, knn_k], and cosines of the same shape; row r belongs to item r + 1.

        Raises:
            UsageError: ``knn_k`` is too large, or a file of neighbours does not fit.
        """
        options: MultimodalOptions = self.config.options
        modality, k = self.modalities[name], options.knn_k
        count = len(modality.rows)
        if k >= count:
            raise UsageError(
                f"knn_k is {k}, but data set {self.dataset_name!r} has {count} items; it takes 1 to "
                f"{count - 1}"
            )
        file = None if options.knn_source == "features" else self._neighbour_file(name, k)
        if file is not None:
            found, cosine = neighbours_of_file(file, modality, k)
            return found + 1, cosine
        if options.knn_source == "file":
            raise UsageError(
                f"knn_source is 'file', but there is no {self.dataset_name}.{name}_knn*.npz with at least "
                f"{k} neighbours in {self.config['data_path']}; set it to auto or features"
            )

        def compute() -> tuple[Tensor, Tensor]:
            return knn.nearest(lambda rows: modality.take(rows + 1), count, k)

        key = self._key(modality, k) if options.graph_cache else ""
        found, cosine = knn.cached(options.graph_cache, key, compute)
        return found + 1, cosine

    def _neighbour_file(self, name: str, k: int) -> Path | None:
        """Return the smallest file with enough neighbours, or None."""
        folder = Path(self.config["data_path"])
        # Without the folder, a trial on another machine would silently use other neighbours than the driver.
        if not folder.is_dir():
            raise UsageError(
                f"there is no folder {folder} to look for a file of neighbours; share data_path with every "
                "machine, or set knn_source to features"
            )
        for path in sorted(
            folder.glob(f"{self.dataset_name}.{name}_knn*.npz"), key=lambda path: (len(path.name), path.name)
        ):
            table = neighbour_arrays(path)[0]
            if table is not None and table.ndim == 2 and table.shape[1] >= k:
                return path
        return None

    def _key(self, modality: Modality, k: int) -> str:
        """Return a text that depends on all that the neighbours do: the features in order of the ids."""
        blocks = np.array_split(modality.rows, -(-len(modality.rows) // 4096))
        contents = (modality.values[rows].tobytes() for rows in blocks)
        return knn.fingerprint(knn.VERSION, k, str(modality.values.dtype), modality.width, *contents)


def find_features(folder: Path, dataset: str, name: str) -> Path:
    """Return the file of a modality's features.

    Raises:
        UsageError: there is none, or several that could be a substitute.
    """
    stems = (f"{dataset}.{name}", f"{dataset}.{name}_feat", f"{name}_feat")
    for path in (folder / f"{stem}{ending}" for stem in stems for ending in ENDINGS):
        if path.is_file():
            return path
    derived = sorted(path for ending in ENDINGS for path in folder.glob(f"{dataset}.{name}_*{ending}"))
    if len(derived) == 1:
        logging.getLogger().warning(
            "modality %s is taken from %s, a substitute for the original features", name, derived[0]
        )
        return derived[0]
    if derived:
        names = ", ".join(path.name.removeprefix(f"{dataset}.").removesuffix(path.suffix) for path in derived)
        raise UsageError(
            f"modality {name!r} could be any of {names} in {folder}; name one of them in modalities"
        )
    there = sorted(path.name for ending in ENDINGS for path in folder.glob(f"*{ending}"))
    known = [file.removeprefix(f"{dataset}.").rpartition(".")[0].removesuffix("_feat") for file in there]
    raise UsageError(
        f"modality {name!r} is named, but {folder} has no features for it{did_you_mean(name, known)}: "
        f"neither {', '.join(f'{stem}.npy' for stem in stems)} nor .safetensors; files of features there: "
        f"{', '.join(there) or 'none'}. Put the file there, correct modalities, or make it from the .item "
        "file with item_features"
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
