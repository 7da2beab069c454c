"""What other libraries call by the names of our metrics, on the same four lists.

    python -m benchmarks.metric_peers

prints a row for this package and for each of RecTools, RePlay, Cornac, implicit and LensKit that is
installed. ``docs/metrics.md`` has its output.
"""

import importlib.util
import math
import sys
from collections.abc import Callable, Mapping
from importlib import metadata

import numpy as np
import torch

from benchmarks._page import page_parser, show_page, table_head

K, N_ITEMS = 5, 20
LISTS = {1: [1, 2, 3, 4, 5], 2: [2, 1, 4, 3, 6], 3: [5, 6, 7, 8, 9], 4: [9, 8, 7, 2, 1]}
# The third user has more held-out items than a list has places, the fourth no hit.
HELD_OUT = {1: [1, 3], 2: [1, 7, 8], 3: [5, 6, 9, 10, 11, 12, 13], 4: [15]}
NAMES = ("recall", "precision", "hit", "mrr", "map", "ndcg")
Row = Mapping[str, float]


def ours() -> Row:
    """Return the values of a run."""
    from recbole_diffusion.compat import EvaluatorType
    from recbole_diffusion.evaluation.metrics import RunEvaluator
    from recbole_diffusion.trainer.recbole_patches import RunCollector

    names = ["Recall", "Precision", "Hit", "MRR", "MAP", "NDCG"]
    config = {"topk": [K], "metrics": names, "metric_decimal_place": 8, "device": torch.device("cpu")}
    config |= {"eval_args": {"mode": "full"}, "eval_type": EvaluatorType.RANKING, "USER_ID_FIELD": "user"}
    scores = torch.full((len(LISTS), N_ITEMS + 1), -1.0)
    for row, items in enumerate(LISTS.values()):
        scores[row, items] = torch.arange(K, 0, -1).float()
    pairs = [(row, item) for row, items in enumerate(HELD_OUT.values()) for item in items]
    collector = RunCollector(config)
    collector.eval_batch_collect(scores, {"user": torch.tensor([*LISTS])}, *torch.tensor(pairs).T)
    found = RunEvaluator(config).evaluate(collector.get_data_struct())
    return {name.partition("@")[0]: value for name, value in found.items()}


def rectools() -> Row:
    """Return RecTools' values; with the ideal of a user's own held-out items under ``ndcg (achievable)``."""
    import pandas as pd
    from rectools.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall, calc_metrics

    metrics = {
        "recall": Recall(K),
        "precision": Precision(K),
        "hit": HitRate(K),
        "mrr": MRR(K),
        "map": MAP(K),
    }
    metrics |= {"ndcg": NDCG(K), "ndcg (achievable)": NDCG(K, divide_by_achievable=True)}
    lists = [(user, item, place) for user, items in LISTS.items() for place, item in enumerate(items, 1)]
    pairs = [(user, item) for user, items in HELD_OUT.items() for item in items]
    return calc_metrics(
        metrics,
        reco=pd.DataFrame(lists, columns=["user_id", "item_id", "rank"]),
        interactions=pd.DataFrame(pairs, columns=["user_id", "item_id"]),
    )


def replay() -> Row:
    """Return RePlay's values, from dictionaries of lists."""
    from replay.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall

    lists = {
        user: [(item, float(K - place)) for place, item in enumerate(items)] for user, items in LISTS.items()
    }
    classes = {"recall": Recall, "precision": Precision, "hit": HitRate, "mrr": MRR, "map": MAP, "ndcg": NDCG}
    return {name: next(iter(cls(K)(lists, HELD_OUT).values())) for name, cls in classes.items()}


def cornac() -> Row:
    """Return Cornac's values, averaged over users."""
    from cornac.metrics import MAP, MRR, NDCG, HitRatio, Precision, Recall

    def mean(metric: object) -> float:
        values = []
        for user, items in LISTS.items():
            # Cornac ranks the whole catalogue: the items of the list first, the others by number.
            rank = np.array([*items, *(item for item in range(1, N_ITEMS + 1) if item not in items)])
            score = np.zeros(N_ITEMS + 1)
            score[rank] = -np.arange(N_ITEMS)
            values.append(
                metric.compute(  # type: ignore[attr-defined]
                    gt_pos=np.array(HELD_OUT[user]),
                    pd_rank=rank,
                    pd_scores=score[1:],
                    item_indices=np.arange(1, 21),
                )
            )
        return float(np.mean(values))

    of_k = {"recall": Recall(K), "precision": Precision(K), "hit": HitRatio(K), "ndcg": NDCG(K)}
    return {
        name: mean(metric) for name, metric in (of_k | {"mrr (no cut)": MRR(), "map (no cut)": MAP()}).items()
    }


def implicit() -> Row:
    """Return implicit's values, of a model that gives the lists."""
    import scipy.sparse as sp
    from implicit.evaluation import ranking_metrics_at_k

    class Given:
        def recommend(self, users: np.ndarray, _: object, N: int) -> tuple[np.ndarray, np.ndarray]:
            items = np.array([LISTS[user + 1][:N] for user in users], np.int32)
            return items, -np.arange(N, dtype=np.float32) * np.ones((len(users), 1), np.float32)

    pairs = np.array([(user - 1, item) for user, items in HELD_OUT.items() for item in items])
    test = sp.csr_matrix((np.ones(len(pairs), np.float32), pairs.T), (len(LISTS), N_ITEMS + 1))
    nothing = sp.csr_matrix(test.shape, dtype=np.float32)
    return ranking_metrics_at_k(Given(), nothing, test, K=K, show_progress=False)


def lenskit() -> Row:
    """Return LensKit's values, averaged over users."""
    from lenskit.data import ItemList
    from lenskit.metrics import NDCG, Hit, LogRankWeight, Precision, Recall, RecipRank

    metrics = {"recall": Recall(K), "precision": Precision(K), "hit": Hit(K), "mrr": RecipRank(K)}
    metrics |= {"ndcg": NDCG(K), "ndcg (offset 1)": NDCG(K, weight=LogRankWeight(offset=1))}
    return {
        name: math.fsum(
            metric.measure_list(
                ItemList(item_ids=LISTS[user], ordered=True), ItemList(item_ids=HELD_OUT[user])
            )
            for user in LISTS
        )
        / len(LISTS)
        for name, metric in metrics.items()
    }


# By module: the name of its package, and the function.
LIBRARIES: dict[str, tuple[str, Callable[[], Row]]] = {
    "recbole": ("recbole", ours),
    "rectools": ("rectools", rectools),
    "replay": ("replay-rec", replay),
    "cornac": ("cornac", cornac),
    "implicit": ("implicit", implicit),
    "lenskit": ("lenskit", lenskit),
}


def report() -> list[str]:
    """Return the page: a row for each library that is installed."""
    lines = table_head("", *NAMES, "other readings")
    for module, (package, values) in LIBRARIES.items():
        if importlib.util.find_spec(module) is None:
            continue
        found = dict(values())
        cells = [f"{found.pop(name):.4f}" if name in found else "-" for name in NAMES]
        others = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
        name = "here, RecBole" if module == "recbole" else package
        lines.append(f"| {' | '.join([f'{name} {metadata.version(package)}', *cells, others])} |")
    return lines


def main() -> None:
    """Print the page."""
    options = page_parser(__doc__).parse_args()
    sys.argv = sys.argv[:1]  # RecBole's code reads the command line too
    show_page(report(), options.output)


if __name__ == "__main__":
    main()
