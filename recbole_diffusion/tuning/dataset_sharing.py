"""Whether trials can share one prepared data set: not if the space searches an option its class reads."""

from collections.abc import Iterable


def read_by_data_set(dataset_class: type, names: Iterable[str]) -> list[str]:
    """Return the option names that a data set class reads, sorted.

    A data set class declares them as ``reads_options``. RecBole's own data sets read only data options, which
    no space may search.

    Args:
        dataset_class: the class of the data set.
        names: names of options, or of several joined by commas.
    """
    single = {one.strip() for name in names for one in name.split(",")}
    return sorted(single & set(getattr(dataset_class, "reads_options", ())))
