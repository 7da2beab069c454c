"""Options of the commands that load trained runs: what differs on this machine."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from recbole_diffusion.options.declare import argument


@dataclass(frozen=True)
class MachineOptions:
    """Options whose default is the value of the run."""

    data_path: str | None = argument(None, "folder of the data sets; null: as in the run")
    shift_test: str | None = argument(None, "file of the exposed interactions; null: as in the run")
    use_gpu: bool | None = argument(None, "use a GPU if there is one; null: as in the run")
    gpu_id: str | None = argument(None, "number of that GPU; null: as in the run")
    model: str | None = argument(
        None, "the run's model, package.module:Class, needed for one from outside that is not installed"
    )

    def for_loading(self) -> dict[str, Any]:
        """Return the given options, for ``load_run``."""
        names = [field.name for field in dataclasses.fields(MachineOptions)]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
