"""Whether trials can share one prepared data set: not if the space searches something that its class reads."""

import inspect
import re
import sys
from collections.abc import Iterable


def depends_on(dataset_class: type, names: Iterable[str]) -> list[str]:
    """Return those of the option names that occur in the source of a data set class of ours, sorted.

    RecBole's own data sets read RecBole's data options, which no space may search. A model's data set class may read options of
    the model; any mention of a name in its module, as a text or an attribute, counts, so that none is overlooked.
    """
    modules = {cls.__module__ for cls in dataset_class.__mro__ if not cls.__module__.startswith(("recbole.", "builtins"))}
    source = "\n".join(inspect.getsource(sys.modules[module]) for module in modules)
    single = {one.strip() for name in names for one in name.split(",")}
    return sorted(name for name in single if re.search(rf"""["'.]{re.escape(name)}\b""", source))
