"""``split``: write a data set, split under distribution shift, as RecBole files for any run."""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from recbole_diffusion.cli.arguments import config_files_of, help_asked, parse_options
from recbole_diffusion.cli.command import Command
from recbole_diffusion.cli.help import option_lines, recbole_lines
from recbole_diffusion.errors import UsageError, agreeing, command_line, counted, did_you_mean
from recbole_diffusion.options.declare import allowed_text, argument
from recbole_diffusion.options.general import GeneralOptions
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.options.recbole_table import OF_DATA, RECBOLE_OPTIONS
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.atomic import whole
from recbole_diffusion.storage.properties import default_values
from recbole_diffusion.storage.slow_step import LOADING, told_if_slow

# Options that a run needs, besides the columns, to read the written files as they were read here.
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


@dataclass(frozen=True)
class SplitArguments:
    """What ``split`` takes besides the options that load, filter and split data."""

    dataset: str | None = argument(
        None, "data set with one .inter file, or with train and valid parts, in data_path"
    )
    output: str = argument(
        "", "folder of the new data set, which gets its name; must be empty or not exist yet"
    )
    name: str | None = argument(
        None, "name of the new data set: the folder is then OUTPUT/NAME, unless OUTPUT ends in NAME"
    )
    config_files: str = argument("", "YAML files of options, separated by spaces; later ones win")
    data_path: str | None = argument(None, "folder that holds one folder per data set")


def split(argv: Sequence[str]) -> int:
    """Split a data set and write the parts; return the exit code.

    Raises:
        UsageError: the request cannot be met; nothing is written.
        RunError: the files cannot be written.
    """
    given = command(everything=help_asked(argv) == "all").read(argv)
    if given is None:
        return 0
    options = given.options | parse_options(given.rest)
    refuse_unknown("split", options, SplitArguments, SplitOptions)
    folder = target(options.pop("output", ""), options.pop("name", None))
    files = config_files_of(options)
    if not files and not options.get("dataset"):
        raise UsageError(f"--dataset is missing; usage: {command().usage_line()}")
    with told_if_slow(LOADING):
        from recbole_diffusion.config import Config
        from recbole_diffusion.data.dataset import InteractionDataset
        from recbole_diffusion.data.preparation import refusals_of
        from recbole_diffusion.data.ratings import tell_dislikes

    # RecBole scales numbers to [0, 1] by default; the files keep the original ones.
    config = Config("Pop", options.pop("dataset", None), files, {"normalize_all": False, **options})
    with refusals_of(config), told_if_slow("loading and splitting the data set"):
        dataset = InteractionDataset(config)
        zeros, total = dataset.unread_labels
        if zeros:
            raise UsageError(
                f"{zeros} of {counted(total, 'row')} of data set {dataset.dataset_name!r} "
                f"{agreeing(zeros, 'have')} the label 0, which the parts would hold as positives; keep the "
                "others alone with val_interval and load_col"
            )
        tell_dislikes(config, dataset, "a model of implicit feedback")
        if dataset.shift is None:
            allowed = allowed_text(SplitOptions.__dataclass_fields__["shift"])
            raise UsageError(f"--shift is missing; split takes --shift={allowed}")
        if dataset.shift.valid_shift != "none":
            raise UsageError(
                f"valid_shift is {dataset.shift.valid_shift}, but a run cuts that part from train itself; "
                "leave valid_shift out, and give it to the runs on the written parts"
            )
        rows = dataset.rows_of_parts()
    assert dataset.split_summary is not None  # rows_of_parts has filled it
    with told_if_slow("writing the parts"):
        write_folder(folder, dataset, rows, command_line("split", *argv))
    sys.stdout.write(table(dataset.split_summary) + "\n")
    run = ["--model=MODEL", f"--dataset={folder.name}", f"--data_path={folder.parent}"]
    run += [f"--config_files={folder / folder.name}.yaml"]
    sys.stdout.write(f"folder {folder}\nuse    {command_line(*run)}\n")
    return 0


def command(everything: bool = False) -> Command:
    """Return the command; with ``everything``, its help also has RecBole's options."""
    defaults = default_values()
    others = [
        "",
        "and the options of a run that read and filter data: load_col, val_interval, ... (see --help=all)",
    ]
    return Command(
        "split",
        "--dataset=DATASET --shift=SHIFT --output=DIR [--name=NAME] [--key=value ...]",
        """
Splits the interactions of a data set into train, valid, test_iid and test_ood, and writes them with a summary
(split.json) and the options that a run needs (NAME.yaml).
""",
        SplitArguments,
        open=True,
        defaults=defaults,
        after="\n".join(
            [*option_lines(SplitOptions, defaults), *(recbole_lines(OF_DATA) if everything else others)]
        ),
    )


def refuse_unknown(command: str, options: Mapping[str, Any], *classes: type) -> None:
    """Refuse a model, and unknown names, for which a configuration would suggest other options of a run.

    Args:
        command: a command on data alone.
        options: what it was given.
        classes: dataclasses of its own options.

    Raises:
        UsageError: there is one.
    """
    if "model" in options:
        raise UsageError(f"{command} takes no --model; a split does not depend on one")
    own = [field.name for cls in classes for field in fields(cls)]
    known = {
        *own,
        *RECBOLE_OPTIONS,
        *(field.name for cls in (GeneralOptions, RatingOptions) for field in fields(cls)),
    }
    of_data = [name for section in OF_DATA.values() for name in section]
    for name in options:
        if name not in known:
            near = did_you_mean(name, [*own, *of_data])
            raise UsageError(f"unknown option {name!r}{near}; {command} --help=all lists the options")


def target(output: str, name: str | None) -> Path:
    """Return the folder to write, whose name is that of the new data set.

    Raises:
        UsageError: no folder is given, the name is a path, or the folder is not empty.
    """
    if not output:
        raise UsageError("--output is missing; split takes --output=DIR and, if you like, --name=NAME")
    folder = Path(output).expanduser().resolve()
    if name is not None:
        if Path(name).name != name or name in (".", ".."):
            raise UsageError(f"--name is {name!r}; it takes a name without folders, and --output the folder")
        folder = folder if folder.name == name else folder / name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} exists already and is not an empty folder; name another with --output or --name, or "
            "remove it"
        )
    return folder


def write_folder(folder: Path, dataset: Any, rows: list, command: str) -> None:
    """Write all files of a split data set, or none if the process is killed or the disk is full.

    Raises:
        RunError: the disk is full or not writable.
    """
    with whole(folder) as draft:
        draft.mkdir(parents=True)
        _fill(draft, folder.name, dataset, rows, command)


def _fill(draft: Path, name: str, dataset: Any, rows: list, command: str) -> None:
    """Write parts, features, summary and configuration of the data set ``name`` into ``draft``."""
    from recbole_diffusion.data.split import PARTS
    from recbole_diffusion.data.split_files import write_parts
    from recbole_diffusion.data.table_file import file_or_table

    config, source = dataset.config, Path(dataset.config["data_path"])
    write_parts(dataset, rows, [draft / f"{name}.{part}.inter" for part in PARTS])
    loaded: dict[str, Any] = {"inter": [str(column) for column in dataset.inter_feat.columns]}
    read = [
        *(path for path, _ in dataset.read_files),
        *([Path(config["shift_test"]).expanduser()] if config["shift_test"] else []),
    ]
    for kind in ("user", "item"):
        file = file_or_table(source / f"{dataset.dataset_name}.{kind}")
        if file.is_file():
            shutil.copyfile(file, draft / file.name.replace(dataset.dataset_name, name, 1))
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
    what = f"{dataset.dataset_name} under {record['kind']} shift, seed {record['seed']}"
    head = f"# {name}: {what}; see split.json\n"
    (draft / f"{name}.yaml").write_text(head + yaml_io.dump_yaml(settings), encoding="utf-8")


def table(summary: Mapping[str, Any]) -> str:
    """Return the summary of a split as a table: sizes, moved rows, and the shares of popularity deciles."""
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
    lines.append("share of the rows, by deciles of the items from most to least popular")
    for number in range(len(deciles["items"])):
        label = f"{number + 1}: {deciles['items'][number]:,} items"
        lines.append(f"{label:16}" + "".join(f"{deciles[part][number]:>10.4f}" for part in parts))
    dropped = [f"{rows:,} {reason.replace('_', ' ')}" for reason, rows in summary["dropped"].items() if rows]
    return "\n".join([*lines, *(["left out: " + ", ".join(dropped)] if dropped else [])])
