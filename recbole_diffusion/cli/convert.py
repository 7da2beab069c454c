"""``convert FILE --user=COLUMN --item=COLUMN --output=DIR``: a data set from a table of somebody's own."""

import glob
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_diffusion.cli.command import Command
from recbole_diffusion.errors import UsageError, command_line, refuse_address
from recbole_diffusion.options.declare import argument
from recbole_diffusion.prepare.own.roles import TableOptions
from recbole_diffusion.storage.atomic import whole_set
from recbole_diffusion.storage.slow_step import told_if_slow
from recbole_diffusion.storage.versions import __version__

if TYPE_CHECKING:
    from recbole_diffusion.prepare.own.data import OwnData

RECORD = "convert.json"  # how a set was made
ENDINGS = {"atomic": ".inter", "parquet": ".inter.parquet"}
ADVICE = "Free some space, or name another folder with --output"


@dataclass(frozen=True)
class ConvertOptions(TableOptions):
    """What ``convert`` takes besides the file."""

    output: str = argument("", "folder of the new data set, which gets its name")
    format: str = argument(
        "atomic", "written as RecBole's atomic file or as Parquet", choices=("atomic", "parquet")
    )
    force: bool = argument(False, "replace a data set that convert has made")

    def __post_init__(self) -> None:
        if not self.output:
            raise UsageError(f"--output is missing; usage: {COMMAND.usage_line()}")


COMMAND = Command(
    "convert",
    "FILE --output=DIR [--user=COLUMN --item=COLUMN] [--rating=COLUMN --time=COLUMN] [--key=value ...]",
    """
Makes a data set of a CSV, TSV, JSON lines or Parquet file (compressed or not): ids as they are, times as
seconds since 1970, typed headers. The ratings and reviews of MovieLens, Amazon (2014, 2018, 2023), Yelp,
KuaiRec and MIND are recognised without --user and --item. Repeated pairs, rows without an id and the
like are reported, and kept in convert.json.
""",
    ConvertOptions,
    takes="FILE",
)


def convert(argv: Sequence[str]) -> int:
    """Make one data set; return the exit code.

    Raises:
        UsageError: no such file or column, values that cannot be read, or an output that exists.
        RunError: the disk is full or not writable; nothing is written.
    """
    given = COMMAND.read(argv)
    if given is None:
        return 0
    if len(given.arguments) != 1:
        what = " and ".join(given.arguments) or "none"
        raise UsageError(f"convert takes one file, {what} given; usage: {COMMAND.usage_line()}")
    options = given.read(ConvertOptions)
    file, folder = given.arguments[0], _target(options.output, options.force)
    with told_if_slow(f"reading {file}"):
        from recbole_diffusion.prepare.own.data import own_data

        names = [field.name for field in fields(TableOptions)]
        found = own_data(file, **{name: getattr(options, name) for name in names})
    with told_if_slow("writing the data set"):
        path = _write(found, folder, options.format, file, command_line("convert", *argv))
    lines = [*found.facts, *(f"note     {note}" for note in found.notes), f"file     {path}"]
    place = ["--dataset=" + folder.name]
    place += [] if folder.parent == Path("dataset").resolve() else [f"--data_path={folder.parent}"]
    again = ["--rm_dup_inter=last"] if found.record["repeated_rows"] else []
    lines += [f"use      {command_line('inspect', *place)}"]
    lines += [f"         {command_line('--model=BPR', *place, *again)}"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _target(output: str, force: bool) -> Path:
    """Return the folder to write; what it holds is replaced only with ``force``, and only if convert made it.

    Raises:
        UsageError: it is a file, or holds interactions already.
    """
    refuse_address("output", output)
    folder = Path(output).expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder with --output, such as dataset/sales")
    there = sorted(one.name for one in folder.glob("*.inter*")) if folder.is_dir() else []
    others = [name for name in there if name not in {folder.name + ending for ending in ENDINGS.values()}]
    if others:
        raise UsageError(
            f"{folder} holds {', '.join(others)}, another form of a data set of this name; move them away, "
            "or name another folder with --output"
        )
    if folder.is_dir() and any(one.is_dir() for one in folder.iterdir()):
        raise UsageError(
            f"{folder} holds other folders; name a folder of the data set alone, such as dataset/sales"
        )
    if there and not (folder / RECORD).is_file():
        raise UsageError(
            f"{folder} holds {', '.join(there)}, not made by convert, which is never replaced; move it away, "
            "or name another folder with --output"
        )
    if there and not force:
        raise UsageError(
            f"{folder} holds {', '.join(there)} already; replace it with --force, or name another folder "
            "with --output"
        )
    return folder


def _write(found: "OwnData", folder: Path, kind: str, file: str, command: str) -> Path:
    """Write data set and record together; other files of the folder stay. Return the data's file."""
    source = Path(file).expanduser()
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    record: dict[str, Any] = {
        "dataset": folder.name,
        "command": command,
        "source": {"file": source.name, "bytes": source.stat().st_size, "sha256": digest},
        **found.record,
        "facts": found.facts,
        "notes": found.notes,
        "versions": {"recbole_diffusion": __version__},
    }
    name = folder.name + ENDINGS[kind]
    # A bracket of a folder's name is one of its letters, and no pattern.
    obsolete = [RECORD, *(glob.escape(folder.name) + ending for ending in ENDINGS.values())]
    with whole_set(folder, ADVICE, obsolete) as draft:
        found.write(draft / name)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        (draft / RECORD).write_text(text, encoding="utf-8")
    return folder / name
