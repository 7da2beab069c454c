"""Runs grouped by method: the options of one method's runs differ only in the seed and in where they ran."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.report.splits import data_key, parts_key
from recbole_diffusion.storage.yaml_io import dump_value

# Options that may differ between two runs of one method: they change where and how a run works, not what it
# computes. A preset is a name for values that the configuration also holds. A run chosen on test differs from
# one chosen on validation in ``benchmark_filename``, so it is another method.
OF_A_RUN = frozenset(
    {
        "seed",
        "preset",
        "split_seed",
        "run_dir",
        "runs_path",
        "data_path",
        "gpu_id",
        "use_gpu",
        "worker",
        "state",
        "show_progress",
    }
    | {
        "checkpoint_interval",
        "keep_rows",
        "trust_checkpoint",
        "report_groups",
        "log_wandb",
        "wandb_project",
        "shift_test",
    }
    | {"eval_batch_size", "metrics", "topk", "rated_topk", "false_negative_part"}
)
BEGINNING = "load_checkpoint"  # weights that a run began with
NAMES = ("options", "folders")
LONGEST = 60  # letters of the options in a name


def group_by_method(runs: Sequence[RunRecord], names: str = "options") -> dict[str, list[RunRecord]]:
    """Return runs by method, in the order given, each sorted by seed.

    Args:
        runs: the runs.
        names: ``options`` names a method after its model and, for a model with several settings, the options
            that differ; ``folders`` after the common beginning of its run folders' names.

    Raises:
        UsageError: a method has two runs with the same seed, or ``names`` has another value.
    """
    if names not in NAMES:
        raise UsageError(f"names is {names!r}; it takes {' or '.join(NAMES)}")
    groups: dict[str, list[RunRecord]] = defaultdict(list)
    for run in runs:
        groups[dump_value([run.model, _settings(run)])].append(run)
    for group in groups.values():
        _check_seeds(group)
    called = (
        _folder_names(list(groups.values()))
        if names == "folders"
        else _option_names([one[0] for one in groups.values()])
    )
    taken = Counter(called)
    return {
        f"{name} [{group[0].path.name}]" if taken[name] > 1 else name: sorted(group, key=lambda run: run.seed)
        for name, group in zip(called, groups.values(), strict=True)
    }


def _settings(run: RunRecord) -> dict[str, Any]:
    """Return the options that make a run's method.

    Of ``load_checkpoint`` it counts whether there was one: each seed may have its own.
    """
    names = [name for name in sorted(run.config) if name not in {*OF_A_RUN, BEGINNING}]
    begun = {BEGINNING: True} if run.config.get(BEGINNING) else {}
    return {name: run.config[name] for name in names} | begun


def _check_seeds(group: list[RunRecord]) -> None:
    seen: dict[int, RunRecord] = {}
    for run in group:
        if run.seed in seen:
            # Runs of earlier versions do not tell what a sequential model has in histories alone.
            both = all("first_rows" in of.result for of in (seen[run.seed], run))
            data = data_key(seen[run.seed], both), data_key(run, both)
            if None not in data and data[0] != data[1]:
                raise UsageError(
                    f"{seen[run.seed].path} and {run.path} have equal options and the same seed, but "
                    "different interactions; compare runs on the same data"
                )
            if parts_key(seen[run.seed], both) != parts_key(run, both):
                one, other = (dump_value(of.config.get("split_seed")) for of in (seen[run.seed], run))
                raise UsageError(
                    f"{seen[run.seed].path} and {run.path} have equal options and the same seed, but "
                    f"different splits (split_seed {one} and {other}); compare runs on "
                    "the same split, or give each a seed of its own"
                )
            raise UsageError(
                f"{seen[run.seed].path} and {run.path} are {_alike(seen[run.seed], run)}; leave one out, or "
                "run it with another seed"
            )
        seen[run.seed] = run


def _alike(one: RunRecord, other: RunRecord) -> str:
    """Return how much alike two runs with equal options and seeds are, in words."""
    said = f"{one.model} with seed {one.seed} and equal options"
    tables = one.test_parts, other.test_parts
    if tables[0] == tables[1]:
        return f"the same: {said}"
    names = [{f"{part} {name}" for part in table for name in table[part]} for table in tables]
    if names[0] != names[1]:
        apart = sorted(names[0] ^ names[1])
        return f"one run evaluated by different metrics (only one has {apart[0]}): {said}"
    (part, name) = next(
        (part, name)
        for part in tables[0]
        for name in tables[0][part]
        if tables[0][part][name] != tables[1][part][name]
    )
    values = " and ".join(f"{table[part][name]:.6g}" for table in tables)
    return f"{said}, but not the same: {part} {name} is {values}, so code, versions or machine differ"


def _option_names(firsts: list[RunRecord]) -> list[str]:
    """Return a name for each method, given one run of each: the model, and the options in which they differ.

    If that is too long, options at their most frequent value are left out.
    """
    names = []
    for run in firsts:
        same_model = [other for other in firsts if other.model == run.model]
        differing = _differing(same_model)
        if any(len(_options_text(other, differing)) > LONGEST for other in same_model):
            usual = {
                name: Counter(_value(other, name) for other in same_model).most_common(1)[0][0]
                for name in differing
            }
            differing = [name for name in differing if _value(run, name) != usual[name]]
        text = _options_text(run, differing)
        if len(text) > LONGEST:
            text = text[:LONGEST].rsplit(", ", 1)[0] + ", ..."
        names.append(f"{run.model} ({text})" if text else run.model)
    return names


def _folder_names(groups: list[list[RunRecord]]) -> list[str]:
    """Return the common beginning of each method's folder names, without trailing numbers and separators."""
    starts = [_common_start([run.path.name for run in group]) for group in groups]
    return [
        (re.sub(r"[-_. ]*\d*[-_. ]*\d*$", "", start) or start or group[0].path.name).replace("_", " ")
        for start, group in zip(starts, groups, strict=True)
    ]


def _common_start(names: list[str]) -> str:
    length = next(
        (k for k, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1),
        min(map(len, names)),
    )
    return names[0][:length]


def _differing(runs: list[RunRecord]) -> list[str]:
    """Return the options in which the runs differ; the model's, which come last in a configuration, first."""
    names = dict.fromkeys(name for run in runs for name in reversed(run.config) if name not in OF_A_RUN)
    return [name for name in names if len({_value(run, name) for run in runs}) > 1]


def _options_text(run: RunRecord, names: list[str]) -> str:
    return ", ".join(f"{name}={_value(run, name)}" for name in names if name in run.config)


def _value(run: RunRecord, name: str) -> str:
    value = run.config.get(name)
    if name == BEGINNING:
        return "given" if value else "none"
    return f"{value:.4g}" if isinstance(value, float) else dump_value(value)
