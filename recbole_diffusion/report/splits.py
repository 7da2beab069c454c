"""Whether runs are on the same split: a mean or a paired test over different test parts compares nothing."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from recbole_diffusion.data.fingerprint import joined
from recbole_diffusion.data.valid_shift import LEARNED, UNSHIFTED
from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.storage import yaml_io

# The options that decide the split, for runs that were made before results had fingerprints.
OF_THE_SPLIT = (
    *("benchmark_filename", "eval_args", "val_interval", "rm_dup_inter", "filter_inter_by_user_or_item"),
    *(
        "user_inter_num_interval",
        "item_inter_num_interval",
        "shift",
        "shift_seed",
        "shift_ratio",
        "shift_rest",
        "shift_test",
        "valid_part",
        "valid_shift",
    ),
)
OF_VALID = ("valid_part", "valid_shift")
NOTHING = (None, "none", "iid", "[0,inf)")


def at_random(config: Mapping[str, Any]) -> bool:
    """Return whether the split is random, with the run's seed or ``split_seed``.

    Ready-made parts and a split by time are not; a shift has its own seed.
    """
    given = config.get("benchmark_filename") or config.get("shift") not in (None, "none")
    return not given and (config.get("eval_args") or {}).get("order") == "RO"


def by_run_seed(config: Mapping[str, Any]) -> bool:
    """Return whether another seed of the run is another split."""
    return at_random(config) and config.get("split_seed") is None and config.get("cold_seed") is None


def settings_key(run: RunRecord) -> str:
    """Return a text that is equal for runs whose settings make the same split."""
    settings = {name: run.config.get(name) for name in OF_THE_SPLIT}
    settings = {name: value for name, value in settings.items() if value not in NOTHING}
    if at_random(run.config):
        settings["seed"] = run.seed if by_run_seed(run.config) else run.config["split_seed"]
    return hashlib.sha256(yaml_io.dump_value([run.result["dataset"], settings]).encode()).hexdigest()[:16]


def split_key(run: RunRecord, fingerprints: bool, with_train: bool, first: str | None = None) -> str:
    """Return what tells the split of one run from another.

    Args:
        run: the run.
        fingerprints: use those of its parts; else its settings.
        first: the fingerprint of interactions that are in histories alone, for a run that does not tell it.
        with_train: tell different validation parts apart too. Without, a run that was chosen on test, and so
            also learns from the validation part, is on the same split as one chosen on validation, and so are
            runs with different ways of making valid (``valid_part``, ``valid_shift``).
    """
    if not fingerprints:
        return settings_key(run)
    prints = parts_key(run)
    train = prints.pop("train")
    train = joined(train, first) if first is not None and "first_rows" not in run.result else train
    apart = [train, *(prints.pop(name) for name in ("valid", UNSHIFTED) if name in prints)]
    known = apart if with_train else [train if run.validates_on_test else joined(*apart)]
    return " ".join([run.result["dataset"], *known, *(f"{name}={prints[name]}" for name in sorted(prints))])


def parts_key(run: RunRecord, first_rows: bool = True) -> dict[str, str]:
    """Return the fingerprints of a run's parts by name; none for a run that is older than fingerprints.

    With ``first_rows``, train has the interactions of a sequential run that are in histories alone, which are
    no rows of it. Runs of earlier versions do not tell them.
    """
    prints = {name: part["fingerprint"] for name, part in (run.result.get("parts") or {}).items()}
    if first_rows and "first_rows" in run.result and "train" in prints:
        prints["train"] = joined(prints["train"], run.result["first_rows"]["fingerprint"])
    return prints


def data_key(run: RunRecord, first_rows: bool = True) -> tuple[int, str] | None:
    """Return the number of rows and the fingerprint of a run's parts together, which no split changes.

    With ``first_rows``, the interactions of a sequential run that are in histories alone are among them. None
    for a run that is older than fingerprints.
    """
    parts = dict(run.result.get("parts") or {})
    if not parts:
        return None
    tests = (
        [parts.pop("test")]
        if "test" in parts
        else [parts.pop(name) for name in list(parts) if name.startswith("test_")]
    )
    names = ["train"] if run.validates_on_test else LEARNED
    learned = [parts[name] for name in names if name in parts]
    together = [*learned, *tests]
    together += [run.result["first_rows"]] if first_rows and "first_rows" in run.result else []
    return sum(part["rows"] for part in together), joined(*(part["fingerprint"] for part in together))


def group_by_split(
    methods: Mapping[str, Sequence[RunRecord]],
) -> tuple[dict[str, list[list[RunRecord]]], list[str]]:
    """Return each method's runs by split, in the same order for each, and caveats for the reader.

    A random split depends on the run's seed, so a method may have several; then every method must have the
    same ones.

    Raises:
        UsageError: methods are on different data sets, test parts or splits.
    """
    table = runs_by_split(methods)
    first = next(iter(table))
    order = list(table[first])
    for name in table:
        if set(table[name]) != set(order):
            raise UsageError(_different(first, table[first], name, table[name]))
    notes = []
    if not _have_fingerprints(methods):
        notes.append(
            "Some runs are older than the fingerprints of splits; whether they are on the same split is "
            "judged by their settings."
        )
    runs = [run for of_method in methods.values() for run in of_method]
    ways = {tuple(_ways_of_valid(run)) for run in runs}
    if len(ways) > 1 and any(run.config.get("valid_shift") not in NOTHING for run in runs):
        said = "; ".join(" ".join(way) or "the split's own" for way in sorted(ways))
        notes.append(
            f"The runs were chosen on different validation parts, shifted ones cut from train: {said}. Train "
            "and the validation parts together, and the test parts, are the same."
        )
    elif len(ways) > 1:
        notes.append(
            "The validation part is drawn like train in some runs and the latest of each user in others "
            "(valid_part); train and valid together, and the test parts, are the same."
        )
    if len(order) > 1:
        notes.append(f"The seed of a run decides its split: each method is on the same {len(order)} splits.")
    return {name: [table[name][split] for split in order] for name in methods}, notes


def runs_by_split(
    methods: Mapping[str, Sequence[RunRecord]],
) -> dict[str, dict[str, list[RunRecord]]]:
    """Return each method's runs by the key of their split, which is the same for all methods.

    Raises:
        UsageError: methods are on different data sets.
    """
    runs = [run for of_method in methods.values() for run in of_method]
    datasets = {run.result["dataset"]: run for run in runs}
    if len(datasets) > 1:
        one, other = list(datasets.values())[:2]
        raise UsageError(
            f"runs on different data sets cannot be compared: {one.result['dataset']} ({one.path.name}) and "
            f"{other.result['dataset']} ({other.path.name}); make one table for each"
        )
    fingerprints = _have_fingerprints(methods)
    both = len({(run.selection, *_ways_of_valid(run)) for run in runs}) > 1
    # A sequential run of an earlier version has the first rows of a later one with equal parts.
    rows = {run.path: frozenset(parts_key(run, first_rows=False).items()) for run in runs}
    told = [run for run in runs if "first_rows" in run.result]
    first = {rows[run.path]: run.result["first_rows"]["fingerprint"] for run in told}
    table: dict[str, dict[str, list[RunRecord]]] = {name: defaultdict(list) for name in methods}
    for name, of_method in methods.items():
        for run in of_method:
            key = split_key(run, fingerprints, with_train=not both, first=first.get(rows[run.path]))
            table[name][key].append(run)
    return table


def _ways_of_valid(run: RunRecord) -> list[str]:
    """Return the options that make another validation part than the split's, as text."""
    names = [name for name in OF_VALID if run.config.get(name) not in NOTHING]
    if "valid_shift" in names:
        drawn = ["shift_seed"] if run.config["valid_shift"] == "popularity" else []
        names += [name for name in ("valid_shift_ratio", *drawn) if name in run.config]
    return [f"{name}={run.config[name]}" for name in names]


def _have_fingerprints(methods: Mapping[str, Sequence[RunRecord]]) -> bool:
    return all(run.result.get("parts") for runs in methods.values() for run in runs)


def _different(
    first: str, mine: Mapping[str, list[RunRecord]], second: str, other: Mapping[str, list[RunRecord]]
) -> str:
    """Return the message for two methods that are not on the same splits."""
    alone = []
    for name, left, right in ((first, mine, other), (second, other, mine)):
        runs = [run for split, of_split in left.items() if split not in right for run in of_split]
        said = [f"{run.path.name} (seed {run.seed}, chosen on {run.selection})" for run in runs[:2]]
        alone += (
            [f"{name!r} alone has {', '.join(said)}{' and others' if len(runs) > 2 else ''}"] if runs else []
        )
    advice = _advice(first, mine, second, other)
    return f"runs on different splits cannot be compared: {'; '.join(alone)}; {advice}"


def _advice(
    first: str, mine: Mapping[str, list[RunRecord]], second: str, other: Mapping[str, list[RunRecord]]
) -> str:
    """Return what to do about two methods on different splits: their data differ, or their seeds do."""
    left, right = ([run for of_split in runs.values() for run in of_split] for runs in (mine, other))
    data = [{data_key(run) for run in runs} for runs in (left, right)]
    known = [{key for key in keys if key is not None} for keys in data]
    rows = [{data_key(run, first_rows=False) for run in runs} for runs in (left, right)]
    if known == data and not data[0] & data[1] and not rows[0] & rows[1]:
        sizes = [" or ".join(f"{rows:,}" for rows, _ in sorted(one)) for one in known]
        domains = [run for run in (*left, *right) if "cold_user_ratio" in run.config]
        why = f"; {domains[0].path.name} has two domains" if 0 < len(domains) < len(left) + len(right) else ""
        return (
            f"their data differ, not only the split: {first!r} has {sizes[0]} interactions, {second!r} "
            f"{sizes[1]}{why}; compare runs on the same data"
        )
    advice = "compare runs on the same parts"
    seeds = [{run.seed for run in runs} for runs in (left, right)]
    if seeds[0] != seeds[1] and any(by_run_seed(run.config) for run in (*left, *right)):
        advice += (
            "; here the seed of a run decides its split, so give every method the same seeds, or a split_seed"
        )
    return advice
