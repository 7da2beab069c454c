"""Accuracy, processor seconds and memory of models without gradient steps: filters, linear models, IALS.

    python -m benchmarks.systems --data_path=DATA [--rows=FILE] [--only=MODEL,...] [--output=FILE]

``DATA`` holds lastfm/, amazon-beauty/ and gowalla/. Each row is a process of one thread. Settings are chosen
by recall@20 of at most 3,000 users of the validation part; then one run makes the model and ranks validation
and test, all users. Rows with TV-Diff's figures beside them have a second run, on the training part with the
validation part in it, as TV-Diff's authors train. ``--rows`` keeps finished rows, so that a stopped page goes
on.
"""

import itertools
import tempfile
import time
from typing import Any

import numpy as np

from benchmarks._page import machine, stack, table_head
from benchmarks._row_processes import main_of_rows

DATA = ("lastfm", "amazon-beauty", "gowalla")
USERS = 3000
SWEEPS = 10  # of IALS, while a setting is chosen
SIXTH = 1 / 6
BSPM = [
    {"solver": "euler", "sharpening_time": 1.0, "sharpening_steps": 2, "ideal_weight": 0.1},
    {"solver": "euler", "sharpening_time": 0.0, "ideal_weight": 0.3},
    {"solver": "euler", "sharpening_time": 1.2, "ideal_weight": 0.3, "combination": True},
    {"solver": "rk4", "sharpening_time": 2.5, "ideal_weight": 0.2},
    {"solver": "rk4", "sharpening_time": 2.2, "sharpening_steps": 2, "ideal_weight": 0.3, "merge": "late"},
]


def _grid(**values: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(values, one, strict=True)) for one in itertools.product(*values.values())]


GRIDS: dict[str, list[dict[str, Any]]] = {
    "LinkProp": _grid(
        beta=[2 * SIXTH, 0.5, 4 * SIXTH], gamma=[2 * SIXTH, 0.5, 4 * SIXTH], delta=[SIXTH, 2 * SIXTH, 0.5]
    ),
    "BSPM": [{"ideal_rank": 256, **one} for one in BSPM],
    "ChebyCF": _grid(
        ideal_rank=[256], flatness=[1.5, 10.0], degree_power=[0.0, 0.2, 0.4], ideal_weight=[0.0, 0.2]
    ),
    "P3alpha": _grid(alpha=[0.4, 0.7, 1.0], k=[100, 800], normalize=[False, True]),
    "RP3beta": _grid(alpha=[0.4, 0.7, 1.0], beta=[0.1, 0.3, 0.6], k=[800], normalize=[False, True]),
    "PureSVD": _grid(embedding_size=[25, 50, 100, 200]),
    "UserKNN": _grid(k=[50, 100, 200, 400], shrink=[0.0, 1.0]),
    "EDLAE": _grid(dropout_prob=[0.33, 0.5], reg_weight=[10.0, 100.0, 400.0]),
    "SparseEASE": _grid(k=[100, 400], dropout_prob=[0.33, 0.5], reg_weight=[10.0, 100.0]),
    "SLIM": _grid(l1_weight=[0.3, 1.0, 3.0], l2_weight=[3.0, 30.0]),
    "IALS": _grid(embedding_size=[64, 128], alpha=[1.0, 3.0, 10.0], reg_weight=[3.0, 10.0, 30.0]),
}
# One setting each on Gowalla, without a search. EDLAE's matrix would take 6.7 GB there, 13 while it is made.
GOWALLA: dict[str, dict[str, Any]] = {
    "LinkProp": {"beta": 4 * SIXTH, "gamma": 4 * SIXTH, "delta": 2 * SIXTH},
    "RP3beta": {"alpha": 0.7, "beta": 0.3, "k": 400},
    "UserKNN": {"k": 200},
    "PureSVD": {"embedding_size": 200},
    "BSPM": {**BSPM[3], "ideal_rank": 448},
    "ChebyCF": {"ideal_rank": 512},
    "SparseEASE": {"k": 200, "dropout_prob": 0.33, "reg_weight": 10.0},
    "SLIM": {"l1_weight": 1.0, "l2_weight": 10.0},
    "IALS": {"embedding_size": 128, "alpha": 3.0, "reg_weight": 10.0},
}
# TV-Diff's Table 1: recall@10, ndcg@10, recall@20, ndcg@20, chosen on the test part.
PAPER = {
    ("lastfm", "LinkProp"): (0.1182, 0.1446, 0.2763, 0.2647),
    ("lastfm", "BSPM"): (0.1962, 0.2349, 0.2852, 0.2708),
    ("lastfm", "ChebyCF"): (0.1868, 0.2261, 0.2981, 0.2853),
    ("amazon-beauty", "LinkProp"): (0.0884, 0.0648, 0.1202, 0.0747),
    ("amazon-beauty", "BSPM"): (0.0814, 0.0602, 0.1405, 0.0797),
    ("amazon-beauty", "ChebyCF"): (0.0839, 0.0595, 0.1358, 0.0795),
}
METRICS = ("recall@10", "ndcg@10", "recall@20", "ndcg@20")


# In the process of a row.


def row_of(name: str, dataset: str, data_path: str) -> dict[str, Any]:
    """Choose a setting on validation, run it, and return what the row of the page has."""
    from recbole_diffusion.storage.memory import peak_memory_mib

    settings = [GOWALLA[name]] if dataset == "gowalla" else GRIDS[name]
    options = {"data_path": data_path, "use_gpu": False, "state": "ERROR", "report_groups": 0}
    begun = time.process_time()
    chosen = settings[0] if len(settings) == 1 else best_of(name, dataset, settings, options)
    searched = time.process_time() - begun
    row = {"dataset": dataset, "model": name, "setting": chosen, "tried": len(settings), "search_s": searched}
    row |= measured(name, dataset, {**options, **chosen})
    row["peak_mib"] = peak_memory_mib()
    if (dataset, name) in PAPER:
        whole = {**options, **chosen, "benchmark_filename": ["train", "test"]}
        row["refit"] = measured(name, dataset, whole)["test"]
    return row


def best_of(name: str, dataset: str, settings: list[dict], options: dict[str, Any]) -> dict[str, Any]:
    """Return the setting with the best recall@20 on validation users."""
    import torch

    from recbole_diffusion.config import Config
    from recbole_diffusion.testing import Built

    built = Built(name, dataset, {**options, **settings[0]})
    history, held_out = (part._dataset.inter_matrix(form="csr") for part in (built.train, built.valid))
    users = np.flatnonzero(held_out.getnnz(axis=1))
    users = users[:: -(-len(users) // USERS)]
    model, scores = built.model, []
    for setting in settings:
        config = Config(name, dataset, overrides={**options, **setting})
        if name in ("BSPM", "ChebyCF"):
            model.options = config.options  # which is read while scoring; the singular vectors stay
        elif setting is not settings[0]:
            model = config.model_class(config, built.train._dataset)
        for _ in range(SWEEPS if name == "IALS" else 0):
            model.sweep()
        found = 0.0
        for some in np.array_split(users, -(-len(users) // 256)):
            ranked = model.eval().full_sort_predict({model.USER_ID: torch.from_numpy(some)})
            ranked[history[some].nonzero()] = -torch.inf
            ranked[:, 0] = -torch.inf
            lists = ranked.topk(20).indices.numpy()
            hits = held_out[np.repeat(some, 20), lists.ravel()].reshape(len(some), 20).astype(bool).sum(1)
            found += float((np.asarray(hits).ravel() / held_out[some].getnnz(axis=1)).sum())
        scores.append(found / len(users))
    return settings[int(np.argmax(scores))]


def measured(name: str, dataset: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the test metrics of a run, and the processor seconds of the model and of the whole run."""
    from recbole_diffusion import registry
    from recbole_diffusion.quick_start import run

    cls, clock = registry.model_class(name), []

    def timed(method: Any) -> Any:
        def wrapped(*arguments: Any) -> Any:
            start = time.process_time()
            found = method(*arguments)
            clock.append(time.process_time() - start)
            return found

        return wrapped

    names = [one for one in ("__init__", "sweep") if hasattr(cls, one)]
    kept = {one: getattr(cls, one) for one in names}
    for one, method in kept.items():
        setattr(cls, one, timed(method))
    try:
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            result = run(name, dataset, overrides={**overrides, "run_dir": f"{folder}/run"})
            whole = time.process_time() - start
    finally:
        for one, method in kept.items():
            setattr(cls, one, method)
    return {"test": [result["test"][one] for one in METRICS], "make_s": sum(clock), "run_s": whole}


# The page.


def page(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the page."""
    lines = [
        "# Models without gradient steps: graph filters, linear models and IALS",
        "",
        "- Command: `python -m benchmarks.systems --data_path=DATA`",
        f"- Machine: {machine('shared with other work')}; {stack()}",
        f"- Honest protocol: trained on `train_fit`, chosen on at most {USERS:,} users of `valid` by",
        "  recall@20, judged once on `test` by all users. *With valid*: the chosen setting on `train`, which",
        "  is `train_fit` and `valid`. *Paper*: TV-Diff's Table 1, each K chosen on the test part. Gowalla:",
        "  LightGCN's split, one setting without a search.",
        "- Processor seconds of one thread: the model made (IALS: its sweeps); the whole run, with loading,",
        "  the ranking of validation and test, and the files. Peak memory: of the process, the search",
        f"  included. IALS is chosen after {SWEEPS} sweeps; its run stops by validation.",
    ]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        columns = ("model", "setting", "tried", *METRICS, "with valid: r@20", "n@20", "paper: r@20", "n@20")
        lines += ["", f"## {dataset}", "", *table_head(*columns, "made, s", "run, s", "peak, MiB", words=2)]
        for row in rows:
            if row["dataset"] != dataset:
                continue
            setting = ", ".join(f"{key} {_short(value)}" for key, value in row["setting"].items())
            refit, paper = row.get("refit"), PAPER.get((dataset, row["model"]))
            numbers = [f"{one:.4f}" for one in row["test"]]
            numbers += [f"{one:.4f}" for one in refit[2:]] if refit else ["", ""]
            numbers += [f"{one:.4f}" for one in paper[2:]] if paper else ["", ""]
            cost = [f"{row['make_s']:.1f}", f"{row['run_s']:.1f}", f"{row['peak_mib']:,.0f}"]
            lines.append(f"| {' | '.join([row['model'], setting, str(row['tried']), *numbers, *cost])} |")
    return lines


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Write the page, or with ``--row`` the JSON of one row."""
    wanted = [(one, name) for one in DATA for name in (GOWALLA if one == "gowalla" else GRIDS)]
    main_of_rows("benchmarks.systems", __doc__, wanted, row_of, page)


if __name__ == "__main__":
    main()
