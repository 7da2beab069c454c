"""RecBole's collector of evaluation data, able to hold what is no tensor."""

from typing import Any

from recbole.evaluator import Collector


class RunCollector(Collector):
    """RecBole's ``Collector`` for all of its metrics.

    RecBole 1.2.1 calls ``.cpu()`` on everything collected, also on the counts of users and items, so that
    ItemCoverage, AveragePopularity, GiniIndex and TailPercentage die with AttributeError.

    While ``lists`` is set, it is given each batch of a full ranking, for reports by user and by group;
    ``rated`` likewise, for the ranking of rated items.
    """

    lists: Any = None
    rated: Any = None

    def eval_batch_collect(
        self, scores_tensor: Any, interaction: Any, positive_u: Any, positive_i: Any
    ) -> None:
        """Collect one batch."""
        super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)
        for listener in (self.lists, self.rated):
            if listener is not None:
                listener.add(scores_tensor, interaction[self.config["USER_ID_FIELD"]], positive_u, positive_i)

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
