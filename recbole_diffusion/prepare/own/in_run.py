"""The copy of somebody's table in the folder of the run that learns from it.

A run folder is whole: resume, ``recommend`` and ``load_run`` read the copy, whatever becomes of the table. It
is a Parquet file, ``RUN/data/NAME/NAME.inter.parquet``, beside a record of what was read.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.own.data import OwnData
from recbole_diffusion.prepare.own.roles import ITEM, RATING, TIME, USER
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.atomic import whole
from recbole_diffusion.storage.run_folder import DATA_RECORD

FIELDS = {"USER_ID_FIELD": USER, "ITEM_ID_FIELD": ITEM, "RATING_FIELD": RATING, "TIME_FIELD": TIME}
OTHERS = ("data_path", "benchmark_filename")  # options that name other data


def options_of(
    found: OwnData, given: Mapping[str, Any], config_files: Iterable[str | Path]
) -> dict[str, Any]:
    """Return the options by which a run reads its copy, those that are given over them.

    Args:
        found: the table; all of its columns are loaded unless ``load_col`` names some.
        given: the run's overrides.
        config_files: the run's YAML files.

    Raises:
        UsageError: an override names other data.
    """
    for name in OTHERS:
        if given.get(name) is not None:
            raise UsageError(f"{name} is {given[name]!r}, but data is given too; leave one of them out")
    named = any("load_col" in yaml_io.load_yaml(file) for file in config_files)
    columns = {} if named else {"load_col": {"inter": found.columns}}
    return {"benchmark_filename": None, **columns, **given}


def put(found: OwnData, config: Any, folder: Path) -> None:
    """Write the copy into a folder, whole or not at all, and let the configuration name it.

    Raises:
        UsageError: the configuration gives the columns of users, items, ratings or times other names.
        RunError: the disk is full or not writable.
    """
    for option, name in FIELDS.items():
        if config[option] != name:
            raise UsageError(
                f"{option} is {config[option]!r}, but the columns of data become "
                f"{', '.join(FIELDS.values())}; leave {option} out"
            )
    name = config["dataset"]
    with whole(folder) as draft:
        (draft / name).mkdir(parents=True)
        found.write(draft / name / f"{name}.inter.parquet")
        record = json.dumps({**found.record, "facts": found.facts, "notes": found.notes}, indent=2)
        (draft / name / DATA_RECORD).write_text(record + "\n", encoding="utf-8")
    config.resolved["data_path"] = str(folder)
    config.final_config_dict["data_path"] = str(folder / name)
    config.notes += found.notes
