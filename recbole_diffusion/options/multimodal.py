"""Hyper-parameters of every model of multimodal items: modalities, where they come from, their graphs."""

from dataclasses import dataclass

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option


@dataclass(frozen=True)
class FeatureOptions:
    """Where the features come from; a data set's YAML usually gives ``modalities`` and ``item_features``."""

    modalities: list = option("names of the item modalities, each with files in the data set's folder")
    item_features: dict = option(
        "modalities made from columns of the .item file: {name: {by, columns, size}}"
    )
    extra_features: str = option("feature rows that belong to no item", choices=("error", "ignore"))
    constant_features: str = option("feature rows of one repeated value", choices=("error", "allow"))

    def __post_init__(self) -> None:
        names = self.modalities
        if (
            not names
            or not all(isinstance(name, str) and name and "/" not in name for name in names)
            or len(set(names)) < len(names)
        ):
            raise UsageError(
                f"option 'modalities' is {names!r}; it takes different names of modalities, such as [image, "
                "text]"
            )


@dataclass(frozen=True)
class MultimodalOptions(FeatureOptions):
    """Features with a graph of similar items for each modality; ``modality_weights`` are the data set's."""

    modality_weights: list = option("weight of each modality's item graph, summing to 1; []: equal")
    knn_k: int = option("neighbours of an item in each modality's graph, including the item itself", low=1)
    knn_source: str = option(
        "neighbours from the file <dataset>.<modality>_knn*.npz, from the features, or from the file if it "
        "exists (auto)",
        choices=("auto", "file", "features"),
    )
    graph_cache: str | None = option(
        "folder that keeps computed neighbours, by a fingerprint of the features; auto: .graph_cache in "
        "runs_path; null: each run computes them"
    )

    def weights(self) -> list[float]:
        """Return the weight of each modality's graph."""
        return list(map(float, self.modality_weights)) or [1 / len(self.modalities)] * len(self.modalities)

    def __post_init__(self) -> None:
        super().__post_init__()
        names, given = self.modalities, self.modality_weights
        if given and (
            len(given) != len(names)
            or not all(type(one) in (int, float) and one >= 0 for one in given)
            or abs(sum(given) - 1) > 1e-6
        ):
            raise UsageError(
                f"option 'modality_weights' is {given!r}; it takes one number from 0 for each of "
                f"{', '.join(names)}, summing to 1, or [] for equal weights"
            )
