"""The files of a data set before it is read: are they there, and is validation the test?"""

import glob
from pathlib import Path
from typing import Any

from recbole_diffusion.data import labelled
from recbole_diffusion.data.table_file import file_or_table, is_table
from recbole_diffusion.errors import UsageError, command_line, did_you_mean
from recbole_diffusion.storage.properties import dataset_values

# The sets that ``prepare`` makes, which stands above this module.
PREPARED = frozenset(
    [
        "amazon-beauty",
        "amazon_book",
        "amazon_books",
        "amazon_movies",
        "amazon_music",
        "amazon_video",
        "apps_android",
        "baby",
        "clothing",
        "douban-book",
        "douban_book",
        "douban_music",
        "epinions_c3",
        "epinions_c4",
        "epinions_c5",
        "food",
        "food_drgo",
        "gowalla",
        "gowalla_tvdiff",
        "kuairec",
        "kuairec_part",
        "lastfm",
        "ml-100k_dgrm",
        "ml-1m",
        "ml-1m_dgrm",
        "sports",
        "tiktok",
        "yelp2018",
        "yelp2018_drgo",
        "yelp2018_lightgcn",
    ]
)


def selects_on_test(config: Any) -> bool:
    """Return whether the epoch is chosen on the test part, as far as its files say.

    There are two of them (train, test), or those of valid and of a test part have the same lines. A shift
    makes parts of its own.
    """
    if config.split.shift != "none":
        return False
    parts, folder = config["benchmark_filename"] or [], Path(config["data_path"])
    files = [file_or_table(folder / f"{config['dataset']}.{part}.inter") for part in parts[1:]]
    return len(parts) == 2 or any(_same_lines(files[0], test) for test in files[1:])


def _same_lines(one: Path, other: Path) -> bool:
    """Return whether two files have the same lines, in whatever order."""
    if not one.is_file() or not other.is_file() or one.stat().st_size != other.stat().st_size:
        return False
    return sorted(one.read_bytes().splitlines()) == sorted(other.read_bytes().splitlines())


def require_files(config: Any) -> None:
    """Check that the interaction files exist, before RecBole tries to download them from dead addresses.

    Raises:
        UsageError: the folder or a file is missing.
    """
    name, folder, parts = config["dataset"], Path(config["data_path"]), config["benchmark_filename"]
    files = [folder / f"{name}.{part}.inter" for part in parts or ()] or [folder / f"{name}.inter"]
    missing = [file.name for file in files if not file_or_table(file).is_file()]
    if missing and labelled.labelled_file(config) is None:
        _refuse_pair(name)
        where = folder if folder.is_dir() else f"{folder} (no such folder)"
        beside = (
            [entry.name for entry in folder.parent.iterdir() if entry.is_dir()]
            if folder.parent.is_dir()
            else []
        )
        near = "" if folder.is_dir() else did_you_mean(name, [*beside, "ml-100k"])
        if len(there := _parts_there(folder, name)) > 1:
            raise UsageError(
                f"data set {name!r}: {', '.join(missing)} missing in {where}, which has the parts "
                f'{", ".join(there)}; name those to use, as --benchmark_filename="[{", ".join(there)}]"'
            )
        made = f"Make it with '{command_line('prepare', name)}', put" if name in PREPARED else "Put"
        raise UsageError(
            f"data set {name!r} is not there: {', '.join(missing)} missing in {where}{near}. {made} RecBole "
            f"atomic files there, or name the folder that holds {name}/ with --data_path; 'ml-100k' needs no "
            "files"
        )


def _refuse_pair(name: str) -> None:
    """Refuse the name of two domains where one data set is read.

    Raises:
        UsageError: it is one.
    """
    domains = [dataset_values(name).get(f"{side}_domain") or {} for side in ("source", "target")]
    names = [one["dataset"] for one in domains if one.get("dataset")]
    if len(names) == 2:
        raise UsageError(
            f"{name!r} is a pair of domains, {names[0]} and {names[1]}, which only models of cold users take "
            f"(--model=DiffCDR); name one of them, as --dataset={names[1]}"
        )


def _parts_there(folder: Path, name: str) -> list[str]:
    """Return the names of the parts that a folder has files of, train and valid first."""
    found = [path for path in folder.glob(f"{glob.escape(name)}.*.inter*") if path.is_file()]
    files = [path.name.removesuffix(path.suffix) if is_table(path) else path.name for path in found]
    parts = {
        one.removeprefix(f"{name}.").removesuffix(".inter")
        for one in files
        if one.endswith(".inter") and one != f"{name}.inter"
    }
    return sorted(parts, key=lambda part: ({"train": 0, "valid": 1}.get(part, 2), part))
