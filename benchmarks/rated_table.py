"""The table of a plan whose metric is the ranking of rated items, with what needs no gradient: item means, MF by ALS, chance.

    python -m benchmarks.rated_table baselines --data_path=DATA --runs=RUNS [--dataset=ml-100k]
    python -m benchmarks.rated_table table PLAN --runs=RUNS --output=benchmarks/results/dgrm_accuracy.md

``baselines`` cuts the data as the plan's protocol does, for each seed, chooses shrinkage, rank and penalty on validation by the
plan's metric, and writes ``baselines-<dataset>.json``. ``table`` reads that and the run folders that ``benchmarks.accuracy run``
has made. For the rest of the actions (``run``, ``collect``) see ``benchmarks/accuracy.py``.
"""

import argparse
import itertools
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.accuracy import best_point, folder_of, made_by, points, result_of
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.data.ratings import rating_rows
from recbole_diffusion.evaluation.distribution import compare
from recbole_diffusion.evaluation.rated import READINGS, rated_ranking, rating_errors
from recbole_diffusion.yaml_io import load_yaml

PLAN = "benchmarks/plans/dgrm.yaml"
MAIN = "top, predicted from the median"


def parts_of(dataset: str, seed: int, options: dict[str, Any]) -> tuple[sp.csr_matrix, dict[str, tuple]]:
    """Return the training ratings, and (users, items, ratings) of valid and test, cut as a run with this seed cuts them."""
    from recbole.utils import init_seed

    sys.argv = sys.argv[:1]  # RecBole reads it in places
    config = Config("Pop", dataset, overrides={**options, "seed": seed, "use_gpu": False})
    init_seed(seed, True)
    train, valid, tests = prepare_data(config, create_dataset(config))
    held_out = {}
    for name, part in (("valid", valid._dataset), ("test", tests["test"]._dataset)):
        held_out[name] = tuple(part.inter_feat[column].numpy() for column in ("user_id", "item_id", "rating"))
    return rating_rows(train._dataset, 1, 5), held_out


def item_means(rows: sp.csr_matrix, shrinkage: float) -> np.ndarray:
    """Return each item's mean rating, shrunken to the mean of all by ``shrinkage`` ratings of it, [n_items]."""
    counts = np.bincount(rows.indices, minlength=rows.shape[1])
    sums = np.bincount(rows.indices, rows.data, minlength=rows.shape[1])
    return (sums + shrinkage * rows.data.mean()) / (counts + shrinkage)


def user_offsets(rows: sp.csr_matrix, of_items: np.ndarray, shrinkage: float = 5.0) -> np.ndarray:
    """Return how far each user's ratings are above the items' means, shrunken to 0, [n_users]."""
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    rest = np.bincount(owner, rows.data - of_items[rows.indices], minlength=rows.shape[0])
    return rest / (np.diff(rows.indptr) + shrinkage)


def factors(rows: sp.csr_matrix, base: np.ndarray, rank: int, penalty: float, sweeps: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Return user and item factors of the ratings minus ``base`` [stored ratings], by alternating least squares."""
    rest = rows.copy()
    rest.data = rows.data - base
    draw = np.random.default_rng(0)
    left, right = (draw.normal(0, 0.1, (size, rank)) for size in rows.shape)
    for _ in range(sweeps):
        for matrix, mine, other in ((rest, left, right), (rest.T.tocsr(), right, left)):
            for k in range(len(mine)):
                own = slice(matrix.indptr[k], matrix.indptr[k + 1])
                seen = other[matrix.indices[own]]
                mine[k] = np.linalg.solve(seen.T @ seen + penalty * np.eye(rank), seen.T @ matrix.data[own])
    return left, right


def judged(part: tuple, scores: np.ndarray, k: int) -> dict[str, list[float]]:
    """Return Recall@k and NDCG@k by reading."""
    users, items, ratings = part
    found = {}
    for name, reading in READINGS.items():
        _, recall, ndcg = rated_ranking(users, items, ratings, scores, median=3, k=k, reading=reading)
        found[name] = [float(recall.mean()), float(ndcg.mean())]
    return found


def both(readings: dict[str, list[float]]) -> float:
    """Return the mean of the NDCG that is filtered and that is not, ``rated_both_ndcg``."""
    return (readings[MAIN][1] + readings["top"][1]) / 2


def best_of(candidates: dict[str, Any], parts: dict[str, tuple]) -> dict[str, Any]:
    """Return the test numbers of the candidate with the best rated_both_ndcg@2 on validation; each maps a part to scores."""
    valid = {name: both(judged(parts["valid"], scores(parts["valid"]), 2)) for name, scores in candidates.items()}
    name = max(valid, key=valid.get)
    scores = candidates[name](parts["test"])
    users, _, ratings = parts["test"]
    mae, rmse = rating_errors(ratings, scores, 1, 5)
    distribution = of_distribution(compare(users, ratings, scores, 1, 5))
    return {"point": name, "readings": judged(parts["test"], scores, 5), "mae": mae, "rmse": rmse, **distribution}


def of_distribution(report: dict[str, Any]) -> dict[str, Any]:
    """Return what the tables show of how predicted and actual ratings are distributed; nothing for scores that are no ratings."""
    if not report:
        return {}
    found = {name: report[name] for name in ("kl", "kl_reverse", "actual", "predicted")}
    agree = report["ks_rounded"]["agree"]
    return {**found, "agree": agree["0.05"], "agree_01": agree["0.01"], "covered": report["modes_covered"]}


def candidates_of(rows: sp.csr_matrix, seed: int) -> dict[str, dict[str, Any]]:
    """Return, for each baseline, its candidates by name: functions from (users, items, ratings) to scores."""
    means = {shrinkage: item_means(rows, shrinkage) for shrinkage in (1, 5, 10, 25, 50)}
    offsets = {shrinkage: user_offsets(rows, of_items) for shrinkage, of_items in means.items()}
    draw, of_items, of_users = np.random.default_rng(seed), means[10], offsets[10]
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    rest = of_items[rows.indices] + of_users[owner]

    def factorised(rank: int, penalty: float) -> Any:
        left, right = factors(rows, rest, rank, penalty)
        return lambda part: of_items[part[1]] + of_users[part[0]] + (left[part[0]] * right[part[1]]).sum(1)

    def with_offset(shrinkage: int) -> Any:
        return lambda part: means[shrinkage][part[1]] + offsets[shrinkage][part[0]]

    return {
        "random on the scale": {"": lambda part: draw.uniform(1, 5, len(part[0]))},
        "item mean, shrunken": {f"shrinkage {s}": lambda part, s=s: means[s][part[1]] for s in means},
        "item mean and user offset": {f"shrinkage {s}": with_offset(s) for s in means},
        "MF (ALS)": {
            f"rank {rank}, penalty {penalty:g}": factorised(rank, penalty)
            for rank, penalty in itertools.product((10, 20), (10.0, 20.0))
        },
    }


def baselines(dataset: str, seeds: list[int], options: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return each baseline's numbers, one entry a seed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in seeds:
        rows, parts = parts_of(dataset, seed, options)
        for name, candidates in candidates_of(rows, seed).items():
            found.setdefault(name, []).append(best_of(candidates, parts))
    return found


def cell(values: list[float]) -> str:
    """Return mean and deviation."""
    return f"{statistics.mean(values):.3f}" + (f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else "")


def results_of(plan: dict[str, Any], runs: Path, row: dict[str, Any], dataset: str, protocol: str) -> tuple[str, list[dict]]:
    """Return the chosen point of a row's grid in words, and its results in the shape of :func:`baselines`."""
    seeds = row.get("seeds", plan["seeds"])
    chosen = best_point(runs, dataset, protocol, row, seeds[0])
    results = [] if chosen is None else [result_of(folder_of(runs, dataset, protocol, row, chosen, seed)) for seed in seeds]
    found = []
    for result in filter(None, results):
        report = result["rated"]["test"]
        readings = {name: [values["recall@5"], values["ndcg@5"]] for name, values in report["readings"].items()}
        test = result["test"]
        found.append(
            {
                "readings": readings,
                "rmse": test.get("rated_rmse"),
                "mae": test.get("rated_mae"),
                **of_distribution(report.get("distribution", {})),
                "full": test["ndcg@10"],
                "epoch": result["best_epoch"],
                "seconds": statistics.mean(result["epoch_seconds"]) if result["epoch_seconds"] else None,
            }
        )
    options = points(row)[chosen or 0]
    return ", ".join(f"{name} {options[name]}" for name in row.get("grid") or {}), found


def column(found: list[dict], name: str) -> str:
    """Return mean and deviation of one number, a dash where it is not there."""
    values = [one[name] for one in found if one.get(name) is not None]
    return cell(values) if values else "-"


def shares(found: list[dict], name: str) -> list[str]:
    """Return the mean share of each rating."""
    return [f"{statistics.mean(one):.2f}" for one in zip(*(one[name] for one in found), strict=True)]


def distribution_table(plan: dict[str, Any], dataset: str, rows: list[tuple[str, str, list[dict]]]) -> list[str]:
    """Return how the predicted ratings of the test items are distributed, for the rows that the plan names."""
    chosen = [
        (key, found) for key, _, found in rows if key in plan.get("distributions", ()) and found and "predicted" in found[0]
    ]
    if not chosen:
        return []
    lines = [f"Predicted ratings of the test items of {dataset} against the actual ones, put to the nearest rating:", ""]
    lines += ["| row | KL(predicted, actual) | KL(actual, predicted) | modes covered |"]
    lines[-1] += " users alike by KS, 5 % | 1 % | share of 1 | 2 | 3 | 4 | 5 |"
    lines += ["|---|" + "---:|" * 10]
    lines += [f"| {key} | {value:.3f} |" + " |" * 9 for key, value in plan.get("paper_kl", {}).get(dataset, {}).items()]
    lines.append("| actual ratings | | | | | | " + " | ".join(shares(chosen[0][1], "actual")) + " |")
    for key, found in chosen:
        cells = [column(found, name) for name in ("kl", "kl_reverse", "covered")]
        cells += [f"{statistics.mean(one[name] for one in found):.0f}" for name in ("agree", "agree_01")]
        cells += shares(found, "predicted")
        lines.append(f"| {key} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def table(plan: dict[str, Any], runs: Path, name: str) -> str:
    """Return the Markdown page of a plan."""
    (protocol,) = plan["protocols"]
    lines = [
        plan["title"],
        "",
        plan["text"].strip(),
        "",
        made_by(plan, runs, name).replace("`table`", "`benchmarks.rated_table`"),
        "",
    ]
    for dataset in dict.fromkeys(dataset for row in plan["rows"] for dataset in row["datasets"]):
        file = runs / f"baselines-{dataset}.json"
        simple = json.loads(file.read_text()) if file.is_file() else {}
        rows = [(row, *results_of(plan, runs, row, dataset, protocol)) for row in plan["rows"] if dataset in row["datasets"]]
        rows = [(row["name"], point, found) for row, point, found in rows if found]
        rows = [(key, found[0]["point"], found) for key, found in simple.items()] + rows
        lines += [
            f"## {dataset}",
            "",
            "| row | Recall@5 | NDCG@5 | not filtered: Recall@5 | NDCG@5 | RMSE | KL | modes covered |",
        ]
        lines[-1] += " KS, 5 %: users alike | full-catalogue ndcg@10 | epochs | s an epoch | seeds | point |"
        lines += ["|---|" + "---:|" * 9 + "---|---:|---:|---|"]
        for key, (recall, ndcg) in plan.get("paper", {}).get(dataset, {}).items():
            lines.append(f"| {key} | {recall:.3f} | {ndcg:.3f} |" + " |" * 11)
        for key, point, found in rows:
            readings = [one["readings"].get(MAIN, one["readings"]["top"]) for one in found]
            plain = [one["readings"]["top"] for one in found]
            cells = [cell([values[k] for values in which]) for which in (readings, plain) for k in (0, 1)]
            cells += [column(found, what) for what in ("rmse", "kl", "covered", "agree", "full")]
            cells += [", ".join(str(one["epoch"]) for one in found if "epoch" in one), column(found, "seconds")]
            lines.append(f"| {key} | " + " | ".join([*cells, str(len(found)), point]) + " |")
        lines += ["", f"Recall@5 / NDCG@5 on {dataset} under each reading of the paper's two lists:", ""]
        lines += ["| row | " + " | ".join(READINGS) + " |", "|---|" + "---:|" * len(READINGS)]
        for key, _, found in rows:
            cells = []
            for reading in READINGS:
                values = [one["readings"][reading] for one in found if reading in one["readings"]]
                cells.append(" / ".join(f"{statistics.mean(v[k] for v in values):.3f}" for k in (0, 1)) if values else "-")
            lines.append(f"| {key} | " + " | ".join(cells) + " |")
        lines += ["", *distribution_table(plan, dataset, rows)]
    lines += [
        "## Settings",
        "",
        "Options of each row over the model's YAML; of a grid, every value searched on validation, seed 0.",
        "",
    ]
    for row in plan["rows"]:
        settings = {**row.get("options", {}), **{key: f"one of {values}" for key, values in (row.get("grid") or {}).items()}}
        text = ", ".join(f"`{key}={value}`" for key, value in settings.items()) or "defaults"
        lines.append(
            f"- **{row['name']}** ({row['model']}): {text}" + (f"; weights of {row['weights_of']}" if "weights_of" in row else "")
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("baselines", "table"))
    parser.add_argument("plan", nargs="?", default=PLAN)
    parser.add_argument("--data_path", default="dataset/")
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    plan = load_yaml(arguments.plan)
    if arguments.action == "baselines":
        options = {**next(iter(plan["protocols"].values())), "data_path": arguments.data_path}
        found = baselines(arguments.dataset, plan["seeds"], options)
        arguments.runs.mkdir(parents=True, exist_ok=True)
        (arguments.runs / f"baselines-{arguments.dataset}.json").write_text(json.dumps(found, indent=1) + "\n")
        return
    text = table(plan, arguments.runs, Path(arguments.plan).stem)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
