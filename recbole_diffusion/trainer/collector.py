"""RecBole's collector of evaluation data, able to hold what is no tensor."""

from typing import Any

from recbole.evaluator import Collector


class RunCollector(Collector):
    """RecBole's ``Collector`` for all of its metrics.

    RecBole 1.2.1 calls ``.cpu()`` on everything collected, also on the counts of users and items, so that ItemCoverage,
    AveragePopularity, GiniIndex and TailPercentage die with AttributeError.
    """

    def get_data_struct(self) -> Any:
        """Return what the metrics need, and forget what belongs to this evaluation alone."""
        collected = self.data_struct._data_dict
        counts = {name: value for name, value in collected.items() if not hasattr(value, "cpu")}
        for name in counts:
            del collected[name]
        struct = super().get_data_struct()
        collected.update(counts)
        struct._data_dict.update(counts)
        return struct
