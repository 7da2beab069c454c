"""Options of the commands that load trained runs: what differs on this machine from the run's own."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from recbole_diffusion.options.declare import argument


@dataclass(frozen=True)
class MachineOptions:
    """Each is as it was for the run, unless given."""

    data_path: str | None = argument(None, "folder of the data sets, if it is not where the run had it")
    shift_test: str | None = argument(
        None, "file of the exposed interactions, if it is not where the run had it"
    )
    use_gpu: bool | None = argument(None, "use a GPU when there is one; null: as the run did")
    gpu_id: str | None = argument(None, "number of that GPU; null: as the run did")
    model: str | None = argument(
        None, "the run's model, package.module:Class, needed for one from outside that is not installed"
    )

    def for_loading(self) -> dict[str, Any]:
        """Return what is given, for ``load_run``."""
        names = [field.name for field in dataclasses.fields(MachineOptions)]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
