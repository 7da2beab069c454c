"""Time one evaluation of the validation part: ours, RecBole's own, ``recommend --all``, and an earlier build.

    python -m benchmarks.evaluation_speed --data_path=DATA [--before=FOLDER] [--output=FILE]

Processor seconds of one thread. The model has its first weights, of which a search by vectors can leave
nothing out. RecBole evaluates the same model on the same parts by its own trainer, loader and collector, in
the same process and in turn, with its default ``eval_batch_size`` of 4,096 cells and with ours; it has no
rankings of rated items, which ours has where the data has ratings. ``--before`` names a checkout of an
earlier version, which evaluates in processes of its own, in turn with ours.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CASES = (("BPR", "gowalla"), ("BPR", "ml-1m"), ("EASE", "ml-1m"), ("NeuMF", "ml-100k"))
REPEATS = {"gowalla": 1, "ml-1m": 3, "ml-100k": 3}
K = 20
RECBOLE_CELLS = 4096


def prepared(name: str, dataset: str, data_path: str, folder: str) -> tuple[Any, Any, Any]:
    """Return the trainer of an untrained model, its training loader and its validation loader."""
    from recbole_diffusion.config import Config
    from recbole_diffusion.data.preparation import create_dataset, prepare_data

    try:  # where 0.1.0 has them
        from recbole_diffusion.run_folder import RunFolder
        from recbole_diffusion.trainer.choice import trainer_for
    except ImportError:
        from recbole_diffusion.storage.run_folder import RunFolder
        from recbole_diffusion.trainer.factory import trainer_for

    config = Config(name, dataset, overrides={"data_path": data_path, "use_gpu": False, "topk": [10, K]})
    train, valid, _ = prepare_data(config, create_dataset(config))
    model = config.model_class(config, train._dataset)
    run_folder = RunFolder.create(name, dataset, str(Path(folder, "run")), None)
    config["checkpoint_dir"] = str(run_folder.path)
    trainer = trainer_for(config, model, run_folder)
    trainer.eval_collector.data_collect(train)
    return trainer, train, valid


def seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds of a piece of work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def in_turn(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each of some pieces of work, which take turns; the first turn warms up."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            used = seconds(work)
            if turn:
                taken[name].append(used)
    return {name: statistics.median(times) for name, times in taken.items()}


def of_recbole(trainer: Any, train: Any, valid: Any, cells: int) -> Callable[[], object]:
    """Return RecBole's own evaluation of the same model, its loader made beforehand."""
    from recbole_diffusion.compat import FullSortEvalDataLoader, Trainer

    config = trainer.config.changed(eval_batch_size=cells)
    theirs = Trainer(config, trainer.model)
    theirs.eval_collector.data_collect(train)
    loader = FullSortEvalDataLoader(config, valid._dataset, valid._sampler)
    model = trainer.model
    plain = getattr(type(model), "adapts", type(model)).full_sort_predict

    def evaluate() -> None:
        model.full_sort_predict = plain.__get__(model)
        try:
            theirs.evaluate(loader, load_best_model=False)
        finally:
            del model.full_sort_predict

    return evaluate


def recommended(trainer: Any, train: Any, valid: Any) -> Callable[[], object]:
    """Return the ranking of ``recommend --all`` for the same model, without reading or writing files."""
    import numpy as np

    from recbole_diffusion.serving import ranking, scoring

    config, part = trainer.config, train._dataset
    parts = {"train": part, "valid": valid._dataset}

    def rank() -> None:
        trainer.model.eval()
        seen = ranking.seen_items(parts, "all")
        find = scoring.finder_for_users(trainer.model, config.general.seed)
        size = ranking.block_size(part.item_num)
        for _ in ranking.rank_users(find, np.arange(1, part.user_num), K, seen, config["device"], size):
            pass

    return rank


def compared(name: str, dataset: str, data_path: str) -> dict[str, float]:
    """Return the seconds of each side that runs in this process."""
    with tempfile.TemporaryDirectory() as folder:
        trainer, *loaders = prepared(name, dataset, data_path, folder)
        ours = trainer.config.general.eval_batch_size
        works = {
            "ours": lambda: trainer.evaluate(loaders[1], load_best_model=False),
            "recommend": recommended(trainer, *loaders),
            "RecBole, our cells": of_recbole(trainer, *loaders, ours),
        }
        if dataset != "gowalla":  # where its default is one user at a time
            works["RecBole"] = of_recbole(trainer, *loaders, RECBOLE_CELLS)
        return in_turn(works, REPEATS[dataset])


def measure_alone(name: str, dataset: str, data_path: str) -> None:
    """Print the median seconds of an evaluation of the version that Python imports."""
    with tempfile.TemporaryDirectory() as folder:
        trainer, _, valid = prepared(name, dataset, data_path, folder)
        found = in_turn({"": lambda: trainer.evaluate(valid, load_best_model=False)}, REPEATS[dataset])
    print(json.dumps(found[""]))


def alone(name: str, dataset: str, data_path: str, build: Path) -> float:
    """Return the median seconds of an evaluation by the version in a folder, in a process of its own."""
    words = [sys.executable, __file__, "--alone", name, dataset, f"--data_path={data_path}"]
    environment = {**os.environ, "PYTHONPATH": str(build.resolve())}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, cwd=build)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(json.loads(done.stdout.splitlines()[-1]))


def page(options: argparse.Namespace) -> list[str]:
    """Measure, and return the lines of the page."""
    from benchmarks._page import machine, stack, table_head

    command = "python -m benchmarks.evaluation_speed --data_path=DATA"
    command += " --before=FOLDER" if options.before else ""
    here, cases = Path(__file__).resolve().parent.parent, [CASES[one] for one in options.cases]
    lines = [
        "# One evaluation of the validation part",
        "",
        f"`{command}`; {machine('shared with other work')};",
        f"{stack()}.",
        "Processor seconds of one thread, medians of three on ml-1m; the sides take turns in one process.",
        "The models have their first weights: lengths of vectors, by which a search can stop early, are all",
        "alike. On the MovieLens sets ours also ranks the rated items of each user, which RecBole does not.",
        "",
        *table_head(
            *("model", "data", "ours", "RecBole, 4,096 cells", "ratio", "RecBole, our cells", "ratio"),
            *("`recommend --all`", "ours over it"),
            words=2,
        ),
    ]
    for name, dataset in cases:
        found = compared(name, dataset, options.data_path)
        ours = found["ours"]
        row = [f"{ours:.2f} s"]
        for side in ("RecBole", "RecBole, our cells"):
            row += [f"{found[side]:.2f} s", f"{found[side] / ours:.1f}"] if side in found else ["", ""]
        row += [f"{found['recommend']:.2f} s", f"{ours / found['recommend']:.2f}"]
        lines.append(f"| {name} | {dataset} | {' | '.join(row)} |")
    if options.before:
        lines += ["", f"Against {options.before_name}, each version in processes of its own, in turn:", ""]
        lines += table_head("model", "data", "ours", "before", "ratio", words=2)
        for name, dataset in cases:  # one after the other, so that both meet the same load
            pairs = [
                [alone(name, dataset, options.data_path, build) for build in (here, options.before)]
                for _ in range(options.turns)
            ]
            ours, before = (statistics.median(times) for times in zip(*pairs, strict=True))
            lines.append(f"| {name} | {dataset} | {ours:.2f} s | {before:.2f} s | {before / ours:.1f} |")
    return lines


def main() -> None:
    """Read the command line, measure, print the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if "--alone" not in sys.argv:  # there an earlier version is imported, whose benchmarks are others
        from benchmarks._page import refuse_underscores

        refuse_underscores(parser)
    parser.add_argument("--output", type=Path, help="file to write the page to as well")
    parser.add_argument(
        "--data_path", required=True, help="folder that holds gowalla/ and ml-1m/; ml-100k comes with RecBole"
    )
    parser.add_argument("--before", type=Path, help="checkout of an earlier version")
    parser.add_argument("--before_name", default="an earlier version", help="what to call it on the page")
    parser.add_argument("--turns", type=int, default=1, help="processes of each version")
    parser.add_argument("--cases", type=int, nargs="+", default=range(len(CASES)), help="which of the cases")
    parser.add_argument("--alone", nargs=2, metavar=("MODEL", "DATASET"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.argv = sys.argv[:1]  # RecBole's Config reads the command line too
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)
    if options.alone:
        measure_alone(*options.alone, options.data_path)
        return
    from benchmarks._page import show_page

    show_page(page(options), options.output)


if __name__ == "__main__":
    main()
