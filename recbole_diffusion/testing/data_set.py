"""What a fixture that writes a data set returns."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recbole_diffusion.storage.yaml_io import dump_value


@dataclass
class DataSet:
    """A data set written to a temporary folder.

    Attributes:
        name: its name.
        data_path: the folder that holds the folder of the data set.
        overrides: what a ``Config`` or ``run`` needs to use it, and nothing about a model.
        withheld: the items of the test part by user, as tokens.
        known: the items of the train part by user, as tokens.
    """

    name: str
    data_path: Path
    overrides: dict[str, Any]
    withheld: dict[str, set[str]] = field(default_factory=dict)
    known: dict[str, set[str]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Return the folder of the atomic files."""
        return self.data_path / self.name

    def words(self, **options: Any) -> list[str]:
        """Return the overrides, and ``options`` over them, as words of a command line."""
        return [f"--{name}={dump_value(value)}" for name, value in {**self.overrides, **options}.items()]
