"""Processor seconds and memory of an epoch of each trained system of the papers' tables.

    python -m benchmarks.system_costs --data_path=DATA [--rows=FILE] [--only=MODEL,...] [--output=FILE]

``DATA`` holds lastfm/, food/, ml-100k_dgrm/ and tiktok/, a data set of each table. A row is a process of
one thread, which trains two epochs with the defaults of the model and judges the second; the shorter of the
two counts. Of a model with a first stage, the encoder of DDRM and HDRM, it is an epoch of the last; the
encoders are rows of their own. ``--rows`` keeps finished rows, so that a stopped page goes on.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks._page import machine, page_parser, show_page, stack, table_head

HERE = Path(__file__).resolve().parent.parent
EPOCHS = 2
SPLIT = ["train_fit", "valid", "test"]


@dataclass(frozen=True)
class Table:
    """The systems of a paper's table, their names between blanks, on one of its data sets."""

    title: str
    dataset: str
    models: str
    options: dict[str, Any] = field(default_factory=dict)


# A name after "/" is a sampler of LightGCN, or the backbone of a model that has one.
TABLES = (
    Table(
        "TV-Diff's Table 1",
        "lastfm",
        "BPR LightGCN MultiVAE CDAE DiffRec LightGCN/mixgcf LightGCN/ahns SGCL CODIGEM GiffCF DDRM HGCF HDRM "
        "TVDiff",
        {"benchmark_filename": SPLIT},
    ),
    Table(
        "CNSDiff's Table 1",
        "food",
        "LightGCN LightGCN/dns DMNS DRGNN AdvInfoNCE InvCF CDR CausalDiffRec CNSDiff",
    ),
    Table(
        "DGRM's Table 3",
        "ml-100k_dgrm",
        "MF ICDAE CFGAN PRGAN RatedNeuMF RatedDiffRec DGRM",
        {"benchmark_filename": SPLIT, "rating_scale": [1, 5]},
    ),
    Table(
        "CCDRec's Table 2",
        "tiktok",
        "BPR LightGCN VBPR MMGCN BM3 SLMRec LATTICE FREEDOM MCDRec MCDRec/BM3 CCDRec CCDRec/BM3",
    ),
)

OF_MODEL = {
    "DDRM": {"encoder_epochs": 1},
    "HDRM": {"encoder_epochs": 1},
    "CDR": {"environments": 1, "more_environments": 0},  # Food has no times
}


# In the process of a row.


def cost(table: Table, name: str, data_path: str) -> dict[str, Any]:
    """Return the processor seconds of an epoch and of the rest of a run, and its peak memory."""
    from recbole_diffusion.quick_start import run
    from recbole_diffusion.storage.memory import peak_memory_mib
    from recbole_diffusion.trainer.base import RunMixin

    train_epoch, clock = RunMixin._train_epoch, []

    def timed(*arguments: Any, **more: Any) -> Any:
        begun = time.process_time()
        found = train_epoch(*arguments, **more)
        clock.append(time.process_time() - begun)
        return found

    model, _, other = name.partition("/")
    options = {**table.options, "data_path": data_path, "use_gpu": False, "report_groups": 0}
    options |= {"epochs": EPOCHS, "eval_step": EPOCHS, "state": "ERROR"}
    options |= OF_MODEL.get(model, {})
    if other:
        options["negative_sampler" if model == "LightGCN" else "backbone"] = other
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(RunMixin, "_train_epoch", timed):
        begun = time.process_time()
        result = run(model, table.dataset, overrides={**options, "run_dir": f"{folder}/run"})
        rest = time.process_time() - begun - sum(clock)
    found = {"epoch": min(clock[-EPOCHS:]), "rest": rest, "peak_mib": peak_memory_mib()}
    found |= {"batches": result["batches_per_epoch"], "batch": result["train_batch_size"]}
    return found | {"parameters": result["parameters"]}


# The page.


def rows_of(data_path: str, only: set[str], kept: Path | None) -> Iterator[dict[str, Any]]:
    """Yield the rows, those of ``kept`` without computing them again."""
    stored = kept.read_text(encoding="utf-8").splitlines() if kept and kept.is_file() else []
    done = {(row["dataset"], row["model"]): row for row in map(json.loads, stored)}
    for number, table in enumerate(TABLES):
        for name in table.models.split():
            row = done.get((table.dataset, name))
            if row is None and only and not {name, table.dataset} & only:
                continue
            if row is None:
                found = in_a_process(number, name, data_path)
                row = {"dataset": table.dataset, "model": name, **found}
                if kept:
                    with kept.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
            yield row


def in_a_process(number: int, name: str, data_path: str) -> dict[str, Any]:
    """Return what :func:`cost` finds in a process of one thread."""
    words = ["--row", str(number), name, data_path]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.system_costs", *words],
        cwd=HERE,
        env={**os.environ, **threads},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout.splitlines()[-1])


def page(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the page."""
    lines = [
        "# What an epoch of each trained system costs",
        "",
        "- Command: `python -m benchmarks.system_costs --data_path=DATA`",
        f"- Machine: {machine('two rows at a time')}; {stack()}",
        "- Defaults of each model, one thread. *Epoch*: processor seconds, the shorter of two epochs.",
        "  *The rest*: loading, building, the ranking of validation and test by all users, and the",
        "  files. *Peak*: memory of the process. Epochs are not alike: that of DiffRec is a row for",
        "  each user, that of LightGCN a pair for each interaction, and systems need from ten to",
        "  hundreds of them; [the table of all systems](all.md) has the seconds of whole trainings.",
        "- What nothing trains, linear models and IALS: [systems.md](systems.md). After `/` stands the",
        "  sampler of negatives, or the backbone.",
    ]
    for table in TABLES:
        own = [row for row in rows if row["dataset"] == table.dataset]
        if own:
            columns = ("model", "parameters", "batches", "of", "epoch, s", "the rest, s", "peak, MiB")
            lines += ["", f"## {table.title}, on {table.dataset}", "", *table_head(*columns)]
        for row in own:
            cells = [row["model"], f"{row['parameters']:,}", f"{row['batches']:,}", f"{row['batch']:,}"]
            cells += [f"{row['epoch']:.2f}", f"{row['rest']:.1f}", f"{row['peak_mib']:,.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Write the page, or with ``--row`` the JSON of one process."""
    if sys.argv[1:2] == ["--row"]:
        number, name, data_path = sys.argv[2:]
        sys.argv = sys.argv[:1]  # RecBole reads it in places
        with contextlib.redirect_stdout(io.StringIO()):
            found = cost(TABLES[int(number)], name, data_path)
        print(json.dumps(found))
        return
    parser = page_parser(__doc__)
    parser.add_argument("--data_path", required=True, help="folder of the data sets")
    parser.add_argument("--rows", type=Path, help="file of finished rows, JSON lines")
    parser.add_argument("--only", default="", help="models or data sets to compute, by commas")
    given = parser.parse_args()
    data_path = str(Path(given.data_path).resolve())
    only = {one for one in given.only.split(",") if one}
    show_page(page(list(rows_of(data_path, only, given.rows))), given.output)


if __name__ == "__main__":
    main()
