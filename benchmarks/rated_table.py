"""The table of a plan whose metric is the ranking of rated items, with what needs no gradient: item means, MF by ALS, chance.

    python -m benchmarks.rated_table baselines --data_path=DATA --runs=RUNS [--dataset=ml-100k]
    python -m benchmarks.rated_table table PLAN --runs=RUNS --output=benchmarks/results/dgrm_accuracy.md

``baselines`` cuts the data as the plan's protocol does, for each seed, chooses shrinkage, rank and penalty on
validation by the plan's metric, and writes ``baselines-<dataset>.json``. ``table`` reads that and the run
folders that ``benchmarks.accuracy run`` has made. For the rest of the actions (``run``, ``collect``) see
``benchmarks/accuracy.py``.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.accuracy import best_point, folder_of, made_by, points, result_of
from benchmarks.rated_baselines import MAIN, baselines, of_distribution
from recbole_diffusion.evaluation.rated import READINGS
from recbole_diffusion.storage.yaml_io import load_yaml

PLAN = "benchmarks/plans/dgrm.yaml"


def cell(values: list[float]) -> str:
    """Return mean and deviation."""
    return f"{statistics.mean(values):.3f}" + (
        f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    )


def results_of(
    plan: dict[str, Any], runs: Path, row: dict[str, Any], dataset: str, protocol: str
) -> tuple[str, list[dict]]:
    """Return the chosen point of a row's grid in words, and its results in the shape of :func:`baselines`."""
    seeds = row.get("seeds", plan["seeds"])
    chosen = best_point(runs, dataset, protocol, row, seeds[0])
    results = (
        []
        if chosen is None
        else [result_of(folder_of(runs, dataset, protocol, row, chosen, seed)) for seed in seeds]
    )
    found = []
    for result in filter(None, results):
        report = result["rated"]["test"]
        readings = {
            name: [values["recall@5"], values["ndcg@5"]] for name, values in report["readings"].items()
        }
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


def distribution_table(
    plan: dict[str, Any], dataset: str, rows: list[tuple[str, str, list[dict]]]
) -> list[str]:
    """Return how the predicted ratings of the test items are distributed, for the rows that the plan names."""
    chosen = [
        (key, found)
        for key, _, found in rows
        if key in plan.get("distributions", ()) and found and "predicted" in found[0]
    ]
    if not chosen:
        return []
    lines = [
        f"Predicted ratings of the test items of {dataset} against the actual ones, put to the nearest "
        "rating:",
        "",
    ]
    lines += ["| row | KL(predicted, actual) | KL(actual, predicted) | modes covered |"]
    lines[-1] += " users alike by KS, 5 % | 1 % | share of 1 | 2 | 3 | 4 | 5 |"
    lines += ["|---|" + "---:|" * 10]
    lines += [
        f"| {key} | {value:.3f} |" + " |" * 9
        for key, value in plan.get("paper_kl", {}).get(dataset, {}).items()
    ]
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
        rows = [
            (row, *results_of(plan, runs, row, dataset, protocol))
            for row in plan["rows"]
            if dataset in row["datasets"]
        ]
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
            cells += [
                ", ".join(str(one["epoch"]) for one in found if one.get("epoch", -1) >= 0),
                column(found, "seconds"),
            ]
            lines.append(f"| {key} | " + " | ".join([*cells, str(len(found)), point]) + " |")
        lines += ["", f"Recall@5 / NDCG@5 on {dataset} under each reading of the paper's two lists:", ""]
        lines += ["| row | " + " | ".join(READINGS) + " |", "|---|" + "---:|" * len(READINGS)]
        for key, _, found in rows:
            cells = []
            for reading in READINGS:
                values = [one["readings"][reading] for one in found if reading in one["readings"]]
                cells.append(
                    " / ".join(f"{statistics.mean(v[k] for v in values):.3f}" for k in (0, 1))
                    if values
                    else "-"
                )
            lines.append(f"| {key} | " + " | ".join(cells) + " |")
        lines += ["", *distribution_table(plan, dataset, rows)]
    lines += [
        "## Settings",
        "",
        "Options of each row over the model's YAML; of a grid, every value searched on validation, seed 0.",
        "",
    ]
    for row in plan["rows"]:
        settings = {
            **row.get("options", {}),
            **{key: f"one of {values}" for key, values in (row.get("grid") or {}).items()},
        }
        text = ", ".join(f"`{key}={value}`" for key, value in settings.items()) or "defaults"
        lines.append(
            f"- **{row['name']}** ({row['model']}): {text}"
            + (f"; weights of {row['weights_of']}" if "weights_of" in row else "")
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
        (arguments.runs / f"baselines-{arguments.dataset}.json").write_text(
            json.dumps(found, indent=1) + "\n"
        )
        return
    text = table(plan, arguments.runs, Path(arguments.plan).stem)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
