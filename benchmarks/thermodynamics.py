"""Energy and entropy of trained models' scores in three readings (TV-Diff, Figure 3, Observations 1 to 3).

python -m benchmarks.thermodynamics --runs RUN_DIR ... [--data_path=DATA] [--output=FILE]
"""

import math
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

import torch

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.evaluation.thermodynamics import by_reading, original_by_user
from recbole_diffusion.report.paper.thermodynamics import OfUsers, measured
from recbole_diffusion.report.paper.tvdiff import METRICS, published
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.serving.loaded_run import load_run

HEADS = {
    "equations": ("## Eq. 5, 7 and 8 to the letter", ""),
    "released": (
        "## As the script behind the authors' figures has them",
        "Cells that reach 1 / |N(u)| over all items, p^2 |N(u)| for the others; scores clipped at 1e-6; "
        "bits. Published are the totals of the authors' Figure 3.",
    ),
    "stored": (
        "## The same script on the scores that the released code stores",
        "These have -1e9 at each training item, in single precision. Divided by their sum they are "
        "1 / |N(u)| there up to rounding, and nothing elsewhere,\nso that their reconstruction does not "
        "enter the energy. BPR and LightGCN are stored as embeddings, without that. The published energy of "
        "TV-Diff counts\nthe cells of DiffRec in the rows whose sum passes 1.",
    ),
}
OF_THIS_MACHINE = ("--data_path=", "--run_dir=", "--runs_path=", "--use_gpu=", "--show_progress=")
ZEROS = "scores that are all 0"
# Observation, quantity, and the model whose difference to the interactions is the larger one by it.
CLAIMS = (
    ("1: a diffusion model keeps more energy", "U", "DiffRec", "BPR"),
    ("1: a diffusion model keeps more energy", "U", "DiffRec", "LightGCN"),
    ("2: it does not reach a lower entropy", "S", "DiffRec", "BPR"),
    ("2: it does not reach a lower entropy", "S", "DiffRec", "LightGCN"),
    ("3: a graph lowers the entropy", "S", "BPR", "LightGCN"),
    ("section 4.3: so does TV-Diff", "S", "DiffRec", "TVDiff"),
)
Differences = Mapping[str, tuple[float, float]]  # model -> U' - U and S' - S, totals over users


def differences_table(
    reading: str, found: Mapping[str, OfUsers], totals: Differences, paper: Differences
) -> list[str]:
    """Return the table of one reading: totals over users, and the paper's where they are comparable."""
    one = next(iter(found.values()))
    unit = "nats" if reading == "equations" else "bits"
    beside = ("published, delta energy", "published, delta entropy") if paper else ()
    columns = "model", "energy a user", f"entropy a user ({unit})", "delta energy, all", "delta entropy, all"
    lines = table_head(*columns, *beside)
    energy, entropy = one.original_energy.mean(), one.original_entropy.mean()
    lines.append(f"| interactions | {energy:,.2f} | {entropy:.3f} | 0 | 0 |" + " |" * len(beside))
    for name, of in found.items():
        cells = [
            f"{of.energy.mean():,.2f}",
            f"{of.entropy.mean():.3f}",
            *(f"{total:+,.0f}" for total in totals[name]),
        ]
        if paper:
            cells += [f"{value:+,.0f}" for value in paper[name]] if name in paper else ["", ""]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def claims_table(columns: Mapping[str, Differences]) -> list[str]:
    """Return each observation: whether it holds in each column, and the paper's ratio of the differences."""
    lines = table_head("observation", "by it", *columns, words=2 + len(columns))
    for text, what, larger, smaller in CLAIMS:
        cells = [_judged(differences, "US".index(what), larger, smaller) for differences in columns.values()]
        lines.append(f"| {text} | d{what}({larger}) > d{what}({smaller}) | {' | '.join(cells)} |")
    return lines


def _judged(differences: Differences, place: int, larger: str, smaller: str) -> str:
    if not {larger, smaller} <= differences.keys():
        return ""
    of, against = differences[larger][place], differences[smaller][place]
    ratio = f", ratio {of / against:.3f}" if against else ""
    return ("holds" if of > against else "does not hold") + ratio


def of_zeros(run: Any) -> OfUsers:
    """Return what the stored reading makes of a model without any score, on a run's training interactions."""
    positives = InteractionCSR.from_scipy(binary_interactions(run.parts["train"]))
    users = torch.nonzero(positives.offsets.diff() > 0).squeeze(1)
    found = by_reading(lambda ids: torch.zeros(len(ids), positives.n_items), positives, users, ("stored",))
    columns = (*found["stored"], *original_by_user(positives, users, "stored"))
    return OfUsers(*(one.numpy() for one in columns), len(users))


def run_lines(loaded: Mapping[str, Any]) -> list[str]:
    """Return what each run came to, and the commands without this machine's paths."""
    lines, commands = [], ["```bash"]
    for name, run in loaded.items():
        result = run.folder.read_result()
        scores = ", ".join(
            f"{metric} {result['test'][metric]:.4f}" for metric in METRICS if metric in result["test"]
        )
        lines.append(f"- {name}: {scores} on the test part, best epoch {result['best_epoch']}")
        words = [word for word in shlex.split(result["command"]) if not word.startswith(OF_THIS_MACHINE)]
        command = wrap(shlex.join(words), 140, break_long_words=False, break_on_hyphens=False)
        commands.append(" \\\n    ".join(command))
    return [*lines, "", *commands, "```"]


def named(runs: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield each loaded run with its name: the model's, with what sets it apart where it is there twice."""
    models = [run.config["model"] for run in runs]
    for run, model in zip(runs, models, strict=True):
        if models.count(model) == 1:
            yield model, run
        else:
            yield f"{model}, {run.folder.path.name}", run


def main() -> None:
    """Read the command line, measure, print the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--data_path", help="folder that holds one folder per data set, if it is elsewhere now"
    )
    arguments = parser.parse_args()
    where = {"data_path": arguments.data_path} if arguments.data_path else {}
    loaded = dict(named([load_run(folder, **where) for folder in arguments.runs]))
    dataset = next(iter(loaded.values())).config["dataset"]
    paper: Differences = {name: (row[0], row[1]) for name, row in published()[3].get(dataset, {}).items()}
    lines, columns, n_users = [], {}, 0
    of_runs = {name: measured(run, most_cells=math.inf) for name, run in loaded.items()}
    for reading, texts in HEADS.items():
        found = {name: of[reading] for name, of in of_runs.items()}
        if reading == "stored":
            found[ZEROS] = of_zeros(next(iter(loaded.values())))
        n_users = next(iter(found.values())).n_all
        totals = {name: (of.away()[0] * n_users, of.away()[1] * n_users) for name, of in found.items()}
        columns[reading] = totals
        beside = {} if reading == "equations" else paper
        head, text = texts
        lines += [head, "", *([text, ""] if text else [])]
        lines += [*differences_table(reading, found, totals, beside), ""]
    if paper:
        columns["published"] = paper
    show_page(
        [
            f"# Energy and entropy of scores on {dataset}",
            "",
            "`python -m benchmarks.thermodynamics --runs RUN_DIR ...`; three readings of TV-Diff's energy "
            "and entropy (`recbole_diffusion/evaluation/thermodynamics.py`),",
            f"of the scores of {n_users:,} users for all items, against their training interactions.",
            f"{machine()}; {stack()}.",
            "",
            *lines,
            "## Observations",
            "",
            *claims_table(columns),
            "",
            "## Runs",
            "",
            *run_lines(loaded),
        ],
        arguments.output,
    )


if __name__ == "__main__":
    main()
