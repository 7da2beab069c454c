"""The data set of multimodal models: interactions, and item features with their graphs by modality."""

import glob
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from recbole_diffusion.data import knn
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.features import Modality, aligned_rows, check_values, open_matrix, tokens_beside
from recbole_diffusion.data.item_columns import made_modality
from recbole_diffusion.data.neighbour_file import check_against_features, neighbour_arrays, neighbours_of_file
from recbole_diffusion.data.table_file import file_or_table
from recbole_diffusion.data.told_features import tell_equal_modalities
from recbole_diffusion.errors import UsageError, agreeing, counted, did_you_mean
from recbole_diffusion.options.multimodal import FeatureOptions, MultimodalOptions

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
        neighbour_prints: fingerprints of the neighbours that were asked for, by modality; parts share them.
    """

    reads_options = frozenset({"modalities", "item_features", "extra_features", "constant_features"})

    def __init__(self, config: Any) -> None:
        self.neighbour_prints: dict[str, str] = {}
        super().__init__(config)
        options: FeatureOptions = config.options
        # Whole, since a trial that takes the data set may have another working directory.
        self.default_cache = str(Path(config.general.runs_path, ".graph_cache").expanduser().resolve())
        folder = Path(config["data_path"])
        items = self.item_tokens()
        self.modalities = {name: self._modality(name, options, folder, items) for name in options.modalities}
        for modality in self.modalities.values():
            shape = f"{len(items)} items x {modality.width}"
            logging.getLogger().info("modality %s: %s from %s", modality.name, shape, modality.origin)
        tell_equal_modalities(self.modalities.values())

    def item_tokens(self) -> np.ndarray:
        """Return the tokens of items 1, 2, ..., without that of the padding id 0."""
        return np.array(self.field2id_token[self.iid_field][1:], dtype=object)

    def _modality(self, name: str, options: FeatureOptions, folder: Path, items: np.ndarray) -> Modality:
        if name in options.item_features:
            path = file_or_table(folder / f"{self.dataset_name}.item")
            modality = made_modality(name, options.item_features[name], path, self.config, items)
            check_values(modality, items, "allow")  # an item without words keeps a row of zeros
            return modality
        path = find_features(folder, self.dataset_name, name)
        values = open_matrix(path)
        rows = aligned_rows(
            path,
            len(values),
            tokens_beside(path, stems_of(self.dataset_name, name)),
            items,
            options.extra_features,
        )
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
                f"knn_k is {k}, but data set {self.dataset_name!r} has {counted(count, 'item')}; it takes 1 "
                f"to {count - 1}"
            )
        file = None if options.knn_source == "features" else self._neighbour_file(name, k)
        if file is not None:
            found, cosine = neighbours_of_file(file, modality, k)
            check_against_features(file, modality, found, options.knn_source == "file")
            self.neighbour_prints[name] = knn.fingerprint(found.numpy().tobytes(), cosine.numpy().tobytes())
            logging.getLogger().info("neighbours of modality %s from %s", name, file)
            return found + 1, cosine
        if options.knn_source == "file":
            raise UsageError(
                f"knn_source is 'file', but there is no {self.dataset_name}.{name}_knn*.npz with at least "
                f"{k} neighbours in {self.config['data_path']}; set it to auto or features"
            )

        def compute() -> tuple[Tensor, Tensor]:
            return knn.nearest(lambda rows: modality.take(rows + 1), count, k)

        cache = self.default_cache if options.graph_cache == "auto" else options.graph_cache
        found, cosine = knn.cached(cache, self._key(modality, k) if cache else "", (count, k), compute)
        self.neighbour_prints[name] = knn.fingerprint("computed", knn.VERSION, k)  # the features have theirs
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
        beginning = glob.escape(f"{self.dataset_name}.{name}_knn")
        for path in sorted(folder.glob(f"{beginning}*.npz"), key=lambda path: (len(path.name), path.name)):
            table = neighbour_arrays(path)[0]
            if table is not None and table.ndim == 2 and table.shape[1] >= k:
                return path
        return None

    def _key(self, modality: Modality, k: int) -> str:
        """Return a text that depends on all that the neighbours do: the features in order of the ids."""
        blocks = np.array_split(modality.rows, -(-len(modality.rows) // 4096))
        contents = (modality.values[rows].tobytes() for rows in blocks)
        return knn.fingerprint(knn.VERSION, k, str(modality.values.dtype), modality.width, *contents)


def stems_of(dataset: str, name: str) -> tuple[str, ...]:
    """Return the names, without ending, that the features of a modality are looked for under."""
    return f"{dataset}.{name}", f"{dataset}.{name}_feat", f"{name}_feat"


def _refuse_other_endings(folder: Path, stems: Sequence[str]) -> None:
    """Refuse a file that has the name of a modality's features, but an ending that is not read.

    Raises:
        UsageError: there is one.
    """
    others = [path for stem in stems for path in sorted(folder.glob(f"{glob.escape(stem)}.*"))]
    for path in others:
        if path.suffix not in (*ENDINGS, ".tokens") and path.stem in stems and path.is_file():
            matrix = f"numpy.load({path.name!r})[NAME]" if path.suffix == ".npz" else "MATRIX"
            raise UsageError(
                f"{path} has the name of a modality's features, but they are read from .npy and .safetensors "
                f"files alone; write one matrix [items, features] with "
                f"numpy.save({path.stem + '.npy'!r}, {matrix})"
            )


def find_features(folder: Path, dataset: str, name: str) -> Path:
    """Return the file of a modality's features.

    Raises:
        UsageError: there is none, or several that could be a substitute.
    """
    stems = stems_of(dataset, name)
    whole = [path for stem in stems for ending in ENDINGS if (path := folder / f"{stem}{ending}").is_file()]
    if whole:
        if whole[1:]:
            logging.getLogger().warning(
                "modality %s is taken from %s; %s beside it, of the same modality, %s not read",
                *(name, whole[0], ", ".join(path.name for path in whole[1:])),
                agreeing(len(whole) - 1, "are"),
            )
        return whole[0]
    beginning = glob.escape(f"{dataset}.{name}_")
    derived = sorted(path for ending in ENDINGS for path in folder.glob(f"{beginning}*{ending}"))
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
    _refuse_other_endings(folder, stems)
    there = sorted(path.name for ending in ENDINGS for path in folder.glob(f"*{ending}"))
    known = [file.removeprefix(f"{dataset}.").rpartition(".")[0].removesuffix("_feat") for file in there]
    raise UsageError(
        f"modality {name!r} is named, but {folder} has no features for it{did_you_mean(name, known)}: "
        f"neither {', '.join(f'{stem}.npy' for stem in stems)} nor .safetensors; files of features there: "
        f"{', '.join(there) or 'none'}. Put the file there, correct modalities, or make it from the .item "
        "file with item_features"
    )
