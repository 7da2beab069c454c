"""Processor seconds and memory of an epoch of each trained system of the papers' tables.

    python -m benchmarks.system_costs --data_path=DATA [--rows=FILE] [--only=MODEL,...] [--output=FILE]

``DATA`` holds lastfm/, food/, ml-100k_dgrm/ and tiktok/, a data set of each table. A row is a process of
one thread, which trains two epochs with the defaults of the model and judges the second; the shorter of the
two counts. Of a model with a first stage, the encoder of DDRM and HDRM, it is an epoch of the last; the
encoders are rows of their own. ``--rows`` keeps finished rows, so that a stopped page goes on.
"""

import tempfile
import time
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from benchmarks._page import machine, stack, table_head
from benchmarks._row_processes import main_of_rows

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


def cost(name: str, dataset: str, data_path: str) -> dict[str, Any]:
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

    table = next(one for one in TABLES if one.dataset == dataset)
    model, _, other = name.partition("/")
    options = {**table.options, "data_path": data_path, "use_gpu": False, "report_groups": 0}
    options |= {"epochs": EPOCHS, "eval_step": EPOCHS, "state": "ERROR"}
    options |= OF_MODEL.get(model, {})
    if other:
        options["negative_sampler" if model == "LightGCN" else "backbone"] = other
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(RunMixin, "_train_epoch", timed):
        begun = time.process_time()
        result = run(model, dataset, overrides={**options, "run_dir": f"{folder}/run"})
        rest = time.process_time() - begun - sum(clock)
    found = {"dataset": dataset, "model": name, "epoch": min(clock[-EPOCHS:]), "rest": rest}
    found |= {
        "peak_mib": peak_memory_mib(),
        "batches": result["batches_per_epoch"],
        "batch": result["train_batch_size"],
    }
    return found | {"parameters": result["parameters"]}


# The page.


def page(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the page."""
    lines = [
        "# What an epoch of each trained system costs",
        "",
        "- Command: `python -m benchmarks.system_costs --data_path=DATA`",
        f"- Machine: {machine('shared with other work')}; {stack()}",
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
    """Write the page, or with ``--row`` the JSON of one row."""
    wanted = [(table.dataset, name) for table in TABLES for name in table.models.split()]
    main_of_rows("benchmarks.system_costs", __doc__, wanted, cost, page)


if __name__ == "__main__":
    main()
