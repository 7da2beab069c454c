"""``run_recbole_diff.py split``: write a data set, split under distribution shift, as RecBole files that any run can take."""

import hashlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import RunError, UsageError, nothing_asked
from recbole_diffusion.options.declare import allowed_text
from recbole_diffusion.storage import yaml_io

# What a reader of the written files must know, beside the columns, to read them as they were read here.
FORMAT = (
    "USER_ID_FIELD",
    "ITEM_ID_FIELD",
    "RATING_FIELD",
    "TIME_FIELD",
    "LABEL_FIELD",
    "field_separator",
    "seq_separator",
    "encoding",
)
HELP = """usage: python run_recbole_diff.py split --dataset=DATASET --shift=SHIFT --output=DIR [--name=NAME] [--key=value ...]

Splits the interactions of a data set into train, valid, test_iid and test_ood, and writes them with a summary (split.json) and
the options that a run needs (NAME.yaml).

  --dataset=DATASET
        data set with one .inter file in the folder of --data_path
  --output=DIR
        folder of the new data set; its name is the data set's. It must be empty or not there
  --name=NAME
        name of the new data set: the folder is then DIR/NAME, unless DIR ends in NAME
"""


def split(words: list[str]) -> int:
    """Split a data set and write the parts; return the exit code.

    Raises:
        UsageError: the request cannot be met; nothing is written. RunError: the files cannot be written.
    """
    from recbole_diffusion.cli.arguments import parse_options

    options = parse_options(words)
    if not options:
        raise nothing_asked(HELP)
    if "help" in options:
        sys.stdout.write(help_text())
        return 0
    folder = target(options.pop("output", None), options.pop("name", None))
    if "model" in options:
        raise UsageError("split takes no --model; a split does not depend on one")
    files = str(options.pop("config_files", "") or "").split()
    from recbole_diffusion.config import Config
    from recbole_diffusion.data.dataset import InteractionDataset
    from recbole_diffusion.data.preparation import refusals_of
    from recbole_diffusion.options.split import SplitOptions

    # RecBole scales numbers to [0, 1] by default; the files keep the original ones.
    config = Config("Pop", options.pop("dataset", None), files, {"normalize_all": False, **options})
    with refusals_of(config):
        dataset = InteractionDataset(config)
        if dataset.shift is None:
            allowed = allowed_text(SplitOptions.__dataclass_fields__["shift"])
            raise UsageError(f"--shift is missing; split takes --shift={allowed}")
        rows = dataset.rows_of_parts()
    write_folder(folder, dataset, rows, shlex.join(["python", "run_recbole_diff.py", "split", *words]))
    sys.stdout.write(table(dataset.split_summary) + "\n")
    run = ["--model=MODEL", f"--dataset={folder.name}", f"--data_path={folder.parent}"]
    run += [f"--config_files={folder / folder.name}.yaml"]
    sys.stdout.write(f"folder {folder}\nuse    {shlex.join(['python', 'run_recbole_diff.py', *run])}\n")
    return 0


def help_text() -> str:
    """Return the text of ``split --help``."""
    from recbole_diffusion.cli.help import option_lines
    from recbole_diffusion.options.split import SplitOptions
    from recbole_diffusion.storage.properties import default_values

    return (
        HELP
        + "\n".join(option_lines(SplitOptions, default_values()))
        + "\n\nand the options of every run that load and filter data: data_path, load_col, val_interval, "
        "...\n"
    )


def target(output: Any, name: Any) -> Path:
    """Return the folder to write, whose name is that of the new data set.

    Raises:
        UsageError: no folder or a name that is a path is given, or the folder has files in it.
    """
    for option, value in (("output", output), ("name", name)):
        if (value is None and option == "output") or value in (True, ""):
            raise UsageError(
                f"--{option} is given without a value or missing; split takes --output=DIR and, if you like, "
                "--name=NAME"
            )
    folder = Path(str(output)).expanduser().resolve()
    if name is not None:
        if Path(str(name)).name != str(name) or str(name) in (".", ".."):
            raise UsageError(
                f"--name is {str(name)!r}; it takes a name without folders, and --output the folder"
            )
        folder = folder if folder.name == str(name) else folder / str(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is there already and not an empty folder; name another with --output or --name, or "
            "remove it"
        )
    return folder


def write_folder(folder: Path, dataset: Any, rows: list, command: str) -> None:
    """Write all files into a folder beside ``folder`` and rename it: a kill or a full disk leaves no half data set.

    Raises:
        RunError: the disk is full or not writable.
    """
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        draft.mkdir(parents=True)
        _fill(draft, folder.name, dataset, rows, command)
        if folder.is_dir():
            folder.rmdir()  # it is empty, see target
        draft.rename(folder)
    except OSError as error:
        raise RunError(
            f"cannot write {folder}: {error}; nothing was kept. Free some space or name another folder"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill(draft: Path, name: str, dataset: Any, rows: list, command: str) -> None:
    """Write parts, features, summary and configuration of the data set ``name`` into ``draft``."""
    from recbole_diffusion.data.split import PARTS
    from recbole_diffusion.data.split_files import write_parts

    config, source = dataset.config, Path(dataset.config["data_path"])
    write_parts(dataset, rows, [draft / f"{name}.{part}.inter" for part in PARTS])
    loaded: dict[str, Any] = {"inter": [str(column) for column in dataset.inter_feat.columns]}
    read = [
        source / f"{dataset.dataset_name}.inter",
        *([Path(config["shift_test"]).expanduser()] if config["shift_test"] else []),
    ]
    for kind in ("user", "item"):
        file = source / f"{dataset.dataset_name}.{kind}"
        if file.is_file():
            shutil.copyfile(file, draft / f"{name}.{kind}")
            read.append(file)
            columns = "*" if config["load_col"] is None else config["load_col"].get(kind)
            loaded |= {kind: columns} if columns else {}
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in read}
    record = {
        **dataset.split_summary,
        "source": {"dataset": dataset.dataset_name, "sha256": hashes},
        "command": command,
    }
    (draft / "split.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    settings = {"benchmark_filename": list(PARTS), "load_col": loaded}
    settings |= {key: config[key] for key in FORMAT if config[key] is not None}
    head = f"# {name}: {dataset.dataset_name} under {record['kind']} shift, seed {record['seed']}; see split.json\n"
    (draft / f"{name}.yaml").write_text(head + yaml_io.dump_yaml(settings), encoding="utf-8")


def table(summary: Mapping[str, Any]) -> str:
    """Return the summary of a split as a table: sizes, moved rows, and the shares of the popularity deciles."""
    deciles = summary["popularity_deciles"]
    parts = list(summary["parts"])
    lines = [
        f"{summary['kind']} shift, seed {summary['seed']}",
        f"{'':16}" + "".join(f"{part:>10}" for part in parts),
    ]
    sizes = summary["parts"]
    lines += [
        f"{what:16}" + "".join(f"{sizes[part][what]:>10,}" for part in parts)
        for what in ("rows", "users", "items")
    ]
    moved = summary["moved_into_train"]
    lines.append(f"{'moved to train':16}" + "".join(f"{moved.get(part, ''):>10}" for part in parts))
    lines.append("share of the rows, by tenths of the items from most to least popular")
    for number in range(len(deciles["items"])):
        label = f"{number + 1}: {deciles['items'][number]:,} items"
        lines.append(f"{label:16}" + "".join(f"{deciles[part][number]:>10.4f}" for part in parts))
    dropped = [f"{rows:,} {reason.replace('_', ' ')}" for reason, rows in summary["dropped"].items() if rows]
    return "\n".join([*lines, *(["left out: " + ", ".join(dropped)] if dropped else [])])
