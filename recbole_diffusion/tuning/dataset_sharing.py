"""Whether trials can share one prepared data set: not if the space searches something that its class reads."""

import inspect
import re
import sys
from collections.abc import Iterable

from recbole_diffusion.data.dataset import InteractionDataset


def depends_on(dataset_class: type, names: Iterable[str]) -> list[str]:
    """Return those of the option names that occur in the source of a model's own data set class, sorted.

    RecBole's data sets and our general one read data options alone, which no space may search. A model's data
    set class may read options of the model; any mention of a name in its module, as a text or an attribute,
    counts, so that none is overlooked.
    """
    general = {cls.__module__ for cls in InteractionDataset.__mro__}
    modules = {
        cls.__module__ for cls in dataset_class.__mro__ if not cls.__module__.startswith("recbole.")
    } - general
    source = "\n".join(inspect.getsource(sys.modules[module]) for module in modules)
    single = {one.strip() for name in names for one in name.split(",")}
    return sorted(name for name in single if re.search(rf"""["'.]{re.escape(name)}\b""", source))
