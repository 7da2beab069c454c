"""Tables of cold users, from the runs that ``benchmarks.accuracy`` has made of a plan.

    python -m benchmarks.cold_table PLAN --runs=FOLDER --output=benchmarks/results/NAME.md

One table a data set and protocol: errors of ratings and ranking on the hidden ratings, and on their later
half before and after the warm start. A seed is a split of its own. The plan's row ``paired`` is tested
against each other row on the columns' own numbers, errors over ratings, by a bootstrap over the users of all
splits, with Holm's correction.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.accuracy import cell, chosen_results, experiments, made_by, points
from recbole_diffusion.evaluation.lists import load_user_metrics
from recbole_diffusion.evaluation.significance import holm, pooled_test
from recbole_diffusion.storage.yaml_io import load_yaml

COLUMNS = (("test", "rated_mae"), ("test", "rated_rmse"), ("test", "ndcg@20"), ("test", "hit@20"))
HALVES = (
    ("test_cold", "rated_mae"),
    ("test_warm", "rated_mae"),
    ("test_cold", "rated_rmse"),
    ("test_warm", "rated_rmse"),
)


def tests_of(
    plan: dict[str, Any], runs: Path, dataset: str, protocol: str
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the paired tests of one table by row and metric; kept beside the runs, so that they can be read without them."""
    kept, users = runs / f"{dataset}-{protocol}" / "paired-cold.json", {}
    for row, d, p in experiments(plan):
        if (d, p) == (dataset, protocol):
            files = {
                seed: folder / "user_metrics.npz"
                for seed, folder, _ in chosen_results(plan, runs, row, d, p)[1]
            }
            if files and all(file.is_file() for file in files.values()):
                users[row["name"]] = {seed: load_user_metrics(file)["test"] for seed, file in files.items()}
    best = users.pop(plan["paired"], None)
    if best and users:
        found: dict[str, dict] = {}
        for metric in ("rated_mae", "rated_mse"):
            pairs = {
                row: [(best[seed], own[seed]) for seed in own if seed in best] for row, own in users.items()
            }
            tests = {row: pooled_test(both, metric) for row, both in pairs.items() if both}
            adjusted = holm({row: p for row, (_, p) in tests.items()})
            for row, (difference, _) in tests.items():
                found.setdefault(row, {})[metric] = {"difference": difference, "p_holm": adjusted[row]}
        kept.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return json.loads(kept.read_text()) if kept.is_file() else {}


def verdict(test: dict[str, float] | None) -> str:
    """Return the difference to the paired row and its p-value after Holm's correction."""
    return f"{test['difference']:+.4f} ({test['p_holm']:.1g})" if test else ""


def table_of(plan: dict[str, Any], runs: Path, dataset: str, protocol: str) -> list[str]:
    """Return the lines of one table."""
    tests, lines = tests_of(plan, runs, dataset, protocol), []
    for row, d, p in experiments(plan):
        chosen, found = chosen_results(plan, runs, row, d, p) if (d, p) == (dataset, protocol) else (0, [])
        if not found:
            continue
        results, test = [result for _, _, result in found], tests.get(row["name"], {})
        cells = [cell([result[part][name] for result in results]) for part, name in (*COLUMNS, *HALVES)]
        cells += [verdict(test.get(metric)) for metric in ("rated_mae", "rated_mse")]
        options = points(row)[chosen]
        cells += [", ".join(f"{name} {options[name]}" for name in row.get("grid") or {}), str(len(results))]
        cells += [f"{statistics.mean(result['seconds']['train'] for result in results):.0f}"]
        lines.append(f"| {row['name']} | " + " | ".join(cells) + " |")
    if not lines:
        return []
    head = "| row | MAE | RMSE | ndcg@20 | hit@20 | later half, cold: MAE | warm: MAE | cold: RMSE | warm: RMSE |"
    head += f" {plan['paired']} minus row, MAE (p) | squared error (p) | point | seeds | train s |"
    return [f"## {dataset}, {protocol}", "", head, "|---|" + "---:|" * 10 + "---|---:|---:|", *lines, ""]


def page(plan: dict[str, Any], runs: Path, name: str) -> str:
    """Return the Markdown page of a plan."""
    how = made_by(plan, runs, name).replace("`table`", "`benchmarks.cold_table`")
    lines = [plan["title"], "", plan["text"].strip(), "", how, ""]
    for dataset in dict.fromkeys(dataset for _, dataset, _ in experiments(plan)):
        for protocol in plan["protocols"]:
            lines += table_of(plan, runs, dataset, protocol)
    lines += [
        "## Settings",
        "",
        "Options of each row over the model's YAML; of a grid, every value searched on validation.",
        "",
    ]
    for row in plan["rows"]:
        settings = {
            **row.get("options", {}),
            **{key: f"one of {values}" for key, values in (row.get("grid") or {}).items()},
        }
        text = ", ".join(f"`{key}={value}`" for key, value in settings.items()) or "defaults"
        lines.append(f"- **{row['name']}** ({row['model']}): {text}")
    protocols = (
        f"{name} " + ", ".join(f"`{k}={v}`" for k, v in one.items())
        for name, one in plan["protocols"].items()
    )
    return "\n".join([*lines, "", "Protocols: " + "; ".join(protocols)]) + "\n"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plan")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    text = page(load_yaml(arguments.plan), arguments.runs, Path(arguments.plan).stem)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
