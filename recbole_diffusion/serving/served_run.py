"""The part of a trained run that serving reads; ``loaded_run.LoadedRun`` has it."""

from collections.abc import Mapping
from typing import Any, Protocol

from recbole_diffusion.serving.changed_data import ChangedData
from recbole_diffusion.serving.id_map import IdMap
from recbole_diffusion.storage.run_folder import RunFolder


class ServedRun(Protocol):
    """A trained model with its data and ids.

    Attributes:
        folder: the run's files.
        config: its configuration.
        parts: train, valid and the test parts by name, each a RecBole data set.
        model: the model, in evaluation mode.
        changed: what is new in its data since it was trained.
        today: the parts of today's data by name.
        users: original and internal ids of users.
        items: original and internal ids of items.
        fold_in_items: ids of the items that histories are made of; ``items`` itself unless these are of
            another domain.
    """

    @property
    def folder(self) -> RunFolder: ...  # noqa: D102
    @property
    def config(self) -> Any: ...  # noqa: D102
    @property
    def parts(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def model(self) -> Any: ...  # noqa: D102
    @property
    def changed(self) -> ChangedData: ...  # noqa: D102
    @property
    def today(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def users(self) -> IdMap: ...  # noqa: D102
    @property
    def items(self) -> IdMap: ...  # noqa: D102
    @property
    def fold_in_items(self) -> IdMap: ...  # noqa: D102
