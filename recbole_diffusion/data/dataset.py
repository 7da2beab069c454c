"""The data set that our runs use: RecBole's, read fast, with clear errors, and with train-and-test-only files understood."""

import copy
from pathlib import Path
from typing import Any

from recbole.data.dataset import Dataset

from recbole_diffusion.data.reader import FastReading
from recbole_diffusion.errors import UsageError

PARTS = ("train", "valid", "test")


class InteractionDataset(FastReading, Dataset):
    """RecBole's ``Dataset`` over the same atomic files.

    ``benchmark_filename`` takes three parts (train, valid, test) or two (train, test). With two, the test part also chooses the epoch, as many
    papers do: such a run is marked ``selection: test`` in its result and is only for comparison with those papers.
    """

    def __init__(self, config: Any) -> None:
        require_files(config)
        super().__init__(config)
        if self.inter_num == 0:
            raise UsageError(f"data set {config['dataset']!r} has no interaction left after loading and filtering")

    def build(self) -> list[Dataset]:
        """Split into train, valid and test.

        Raises:
            UsageError: a part is empty.
        """
        parts = super().build()
        if len(parts) == 2 and self.benchmark_filename_list is not None:
            parts.insert(1, copy.copy(parts[1]))
            parts[1].inter_feat = copy.deepcopy(parts[2].inter_feat)
        for name, part in zip(PARTS, parts, strict=True):
            if len(part) == 0:
                raise UsageError(f"the {name} part of data set {self.dataset_name!r} is empty; check eval_args or benchmark_filename")
        return parts


def selects_on_test(config: Any) -> bool:
    """Return whether the epoch is chosen on the test part: two benchmark files, train and test."""
    parts = config["benchmark_filename"]
    return bool(parts) and len(parts) == 2


def require_files(config: Any) -> None:
    """Check that the interaction files are there, before RecBole would start a download from addresses that are dead.

    Raises:
        UsageError: the folder or a file is missing, or ``benchmark_filename`` does not name two or three parts.
    """
    name, folder, parts = config["dataset"], Path(config["data_path"]), config["benchmark_filename"]
    if parts and len(parts) not in (2, 3):
        raise UsageError(f"benchmark_filename is {parts!r}; it takes two parts (train, test) or three (train, valid, test)")
    files = [folder / f"{name}.{part}.inter" for part in parts or ()] or [folder / f"{name}.inter"]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        where = folder if folder.is_dir() else f"{folder} (no such folder)"
        raise UsageError(
            f"data set {name!r} is not there: {', '.join(missing)} missing in {where}. Put RecBole atomic files there, or name the folder "
            f"that holds {name}/ with --data_path; 'ml-100k' needs no files"
        )
