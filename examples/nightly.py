"""A log that grows every night: a model, lists for everybody, the next model from its weights, a way back.

    python examples/nightly.py nights --model=TVDiff

The folder gets a made-up log of three nights in ``data/mine/mine.inter``, a run for each night in ``runs``
and the lists in ``lists.csv``; ``runs/current`` is a link to the run in service. ``docs/nightly.md`` does the
same by commands.
"""

import argparse
import csv
import json
import random
import sys
from pathlib import Path

from recbole_diffusion import load_run, run
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.storage.atomic import write_text
from recbole_diffusion.storage.yaml_io import parse_value

NIGHTS, A_DAY = 3, 86_400
OPTIONS = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    # The newest rows of each user are held out: nothing that was trained on yesterday is in today's test.
    "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "TO", "group_by": "user", "mode": "full"},
    "topk": [10],
    "valid_metric": "Recall@10",
    "use_gpu": False,
    "state": "WARNING",
}


def write_log(folder: Path, nights: int) -> None:
    """Write the log as it is after some nights, newest rows first; each night has more users and items."""
    draw = random.Random(1)
    rows = []
    for night in range(nights):
        users, items = 60 + 4 * night, 50 + 2 * night
        for _ in range(900 if night == 0 else 150):
            user = draw.randrange(users)
            item = draw.randrange(items // 2) * 2 + user % 2  # users have the taste of their number
            rows.append((f"customer{user}", f"article{item}", night * A_DAY + draw.randrange(A_DAY)))
    newest = sorted(rows, key=lambda row: -row[2])
    first = {(user, item): time for user, item, time in newest}  # of a pair that comes again, the first time
    text = "user_id:token\titem_id:token\ttimestamp:float\n"
    text += "".join(f"{user}\t{item}\t{time}\n" for user, item, time in newest if first[user, item] == time)
    (folder / "mine").mkdir(parents=True, exist_ok=True)
    write_text(folder / "mine" / "mine.inter", text)


def serve(current: Path, data: Path, output: Path) -> int:
    """Write the best items of all users of today's log by the run in service; return the number of users."""
    trained = load_run(current, data_path=str(data))
    lists = [trained.recommend(k=10)]
    if trained.model.takes_histories and len(new := trained.new_users()):
        lists.append(trained.recommend_new(new, k=10))
    with output.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["user", "item", "rank", "score"])
        for one in lists:
            table.writerows(one.itertuples(index=False))
    return sum(one["user"].nunique() for one in lists)


def point(link: Path, folder: Path) -> None:
    """Let the link lead to a run, in one step."""
    draft = link.with_name(f".{link.name}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(folder.resolve(), target_is_directory=True)
    draft.replace(link)


def main() -> None:
    """Live three nights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="a folder to work in")
    parser.add_argument("--model", default="TVDiff")
    parser.add_argument("--epochs", default="5")
    given = parser.parse_args()
    data, runs = given.folder / "data", given.folder / "runs"
    current = runs / "current"
    options = {**OPTIONS, "data_path": str(data), "epochs": parse_value(given.epochs)}
    for night in range(NIGHTS):
        write_log(data, night + 1)
        place = {"run_dir": str(runs / f"night{night}")}
        if night == 0:
            result = run(given.model, "mine", overrides={**options, **place})
        else:
            # Before the training: yesterday's model serves, with today's rows as histories.
            users = serve(current, data, given.folder / "lists.csv")
            print(f"night {night}: {users} users by yesterday's model")
            result = run(continue_from=current, overrides=place)
        recall = result["test"]["recall@10"]
        before = json.loads((current / "result.json").read_text())["test"]["recall@10"] if night else 0.0
        if recall >= 0.8 * before:  # else yesterday's run stays in service
            point(current, runs / f"night{night}")
        users = serve(current, data, given.folder / "lists.csv")
        print(f"night {night}: recall@10 {recall:.4f}, lists of {users} users by {current.resolve().name}")


if __name__ == "__main__":
    try:
        main()
    except (UsageError, RunError) as error:  # what was given, what is allowed and what to do, in one line
        sys.exit(f"error: {error}")
