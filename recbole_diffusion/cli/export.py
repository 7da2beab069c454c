"""``export``: the vectors of a run as files for other systems, and an index of its items."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recbole_diffusion.cli.command import Command
from recbole_diffusion.cli.machine import MachineOptions
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.options.declare import argument
from recbole_diffusion.storage.slow_step import LOADING, told_if_slow


@dataclass(frozen=True)
class ExportOptions(MachineOptions):
    """What ``export`` takes."""

    run: str = argument("", "folder of a run that has ended")
    output: str = argument("", "folder to write")
    index: str = argument(
        "none",
        "also write an index of the items, compared with exact search: faiss (HNSW, approximate) or flat "
        "(exact, by faiss too)",
        choices=("none", "faiss", "flat"),
    )
    without: str | None = argument(None, "file of items to leave out, one original id per line")
    k: int | None = argument(
        None, "length of the lists for that comparison; null: 20, or all items if they are fewer", low=1
    )
    overwrite: bool = argument(False, "replace an earlier export")
    unfinished: bool = argument(False, "accept a run that has not ended, with its best weights so far")

    def __post_init__(self) -> None:
        for name in ("run", "output"):
            if not getattr(self, name):
                raise UsageError(f"--{name} is missing; usage: {COMMAND.usage_line()}")
        if self.k is not None and self.index == "none":
            raise UsageError(
                f"k is {self.k}, the length of lists by which an index is compared, but index is none; give "
                "--index, or leave k out"
            )


COMMAND = Command(
    "export",
    "--run=RUN_DIR --output=DIR [--index=faiss] [--without=FILE] [--k=K]",
    """
Writes user and item vectors whose inner products are the run's scores: users.safetensors and
items.safetensors (tensor 'vectors', float32), the original id of each row in users.txt and items.txt, and
export.json. With linear_term and linear_k also their sparse parts: users_sparse.npz and items_sparse.npz
(scipy CSR), and coordinates.txt.
""",
    ExportOptions,
)


def export(argv: Sequence[str]) -> int:
    """Write the vectors; return the exit code.

    Raises:
        UsageError: the request cannot be met; nothing is written.
        RunError: damaged weights, or the folder cannot be written.
    """
    given = COMMAND.read(argv)
    if given is None:
        return 0
    options = given.read(ExportOptions)
    with told_if_slow(LOADING):
        from recbole_diffusion.serving.index import LEAST_RECALL, require_faiss
        from recbole_diffusion.serving.loaded_run import load_run
        from recbole_diffusion.serving.untrained_items import note_on_items
        from recbole_diffusion.serving.users import note_on_untrained, read_tokens
        from recbole_diffusion.serving.vectors import RECORD, require_safetensors
        from recbole_diffusion.serving.vectors import export as write
        from recbole_diffusion.storage.atomic import output_folder

    folder = output_folder(options.output, options.overwrite, RECORD).resolve()
    require_safetensors()
    if options.index != "none":
        require_faiss()
    without = read_tokens(Path(options.without).expanduser(), "item") if options.without else []
    with told_if_slow("loading the run"):
        run = load_run(options.run, unfinished=options.unfinished, **options.for_loading())
    record = write(run, folder, options.index, options.k, without)
    lines = [
        f"{counted(record['users'], 'user')} and {counted(record['items'], 'item')}, vectors of "
        f"{counted(record['width'], 'number')}"
    ]
    if "entries" in record:
        entries = record["entries"]
        lines.append(f"sparse  {entries['users']:,} entries of users, {entries['items']:,} of items")
    if "index" in record:
        index = record["index"]
        lines.append(f"index   {index['kind']}, built in {index['build_seconds']} s")
        lines.append(
            f"recall  {index['recall']:.4f} of the exact {index['k']} best items, "
            f"{counted(index['compared_users'], 'user')}; "
            f"{index['index_ms']} ms per user, exact {index['exact_ms']} ms"
        )
        hidden, poor = index["unreachable"], index["recall"] < LEAST_RECALL
        if hidden or poor:
            what = [f"{counted(hidden, 'item')} of these lists that no search can find"] if hidden else []
            what += [f"a recall below {LEAST_RECALL}"] if poor else []
            lines.append(f"warning the index has {' and '.join(what)}; --index=flat is exact")
    lines += [counted(record["left_out"], "item", "are") + " left out"] if record["left_out"] else []
    about_items = note_on_items(run, run.items.numbers_of(without), "; --without=FILE leaves them out")
    lines += [f"warning {note}" for note in (note_on_untrained(run), about_items) if note]
    sys.stdout.write("\n".join([*lines, f"folder  {folder}"]) + "\n")
    return 0
