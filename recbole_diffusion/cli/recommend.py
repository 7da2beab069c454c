"""``recommend``: the best items of users, from a run, as a table in original ids.

Longer than most files: known and new users, here or on a cluster, are one command with one form of files.
"""

import contextlib
import gc
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recbole_diffusion.cli.command import Command
from recbole_diffusion.cli.machine import MachineOptions
from recbole_diffusion.errors import UsageError, agreeing, counted
from recbole_diffusion.options.declare import argument
from recbole_diffusion.storage.slow_step import LOADING, Progress, told_if_slow


@dataclass(frozen=True)
class RecommendOptions(MachineOptions):
    """What ``recommend`` takes."""

    run: str = argument("", "folder of a run that has ended")
    all: bool = argument(False, "all users of the data set")
    new_users: bool = argument(
        False, "with --all: also users who are new in the data since the training, by their rows there"
    )
    users: str | None = argument(None, "file of known users, one original id per line")
    histories: str | None = argument(None, "file with the items of new users; nothing is trained")
    output: str = argument("", "file to write")
    format: str | None = argument(
        None, "format of the output; null: by its ending", choices=("csv", "jsonl", "parquet", None)
    )
    k: int = argument(20, "length of a list", low=1)
    exclude: str = argument(
        "all",
        "items left out of a user's list: all that the user has in the data set, the history in train and "
        "valid, or none",
        choices=("all", "history", "none"),
    )
    ray_address: str | None = argument(
        None,
        "score the users on a Ray cluster, on processors: auto, HOST:PORT, ray://HOST:PORT, or local for a "
        "Ray of this machine; null: in this process",
    )
    ray_workers: int | None = argument(
        None, "blocks of users ranked at a time there; null: as many as the cluster has processors", low=1
    )
    unknown: str | None = argument(
        None, "file for unknown ids, by default OUTPUT.unknown.txt; written only if there are any"
    )
    overwrite: bool = argument(False, "replace existing files")
    unfinished: bool = argument(False, "accept a run that has not ended, with its best weights so far")

    def __post_init__(self) -> None:
        for name in ("run", "output"):
            if not getattr(self, name):
                raise UsageError(f"--{name} is missing; usage: {COMMAND.usage_line()}")
        given = [name for name in ("all", "users", "histories") if getattr(self, name)]
        if len(given) != 1:
            what = " and ".join(f"--{name}" for name in given) + " are" if given else "none of them is"
            raise UsageError(f"recommend takes one of --all, --users=FILE and --histories=FILE; {what} given")
        if self.new_users and not self.all:
            raise UsageError("--new_users goes with --all: the new users of the data beside the known ones")
        self._check_ray()

    def _check_ray(self) -> None:
        if self.ray_workers and not self.ray_address:
            raise UsageError(f"ray_workers is {self.ray_workers}, but no --ray_address names a Ray cluster")
        if self.ray_address and self.histories:
            raise UsageError(
                "--ray_address ranks known users, of --all or --users; histories are ranked in this process, "
                "so leave it out"
            )
        if self.ray_address and self.use_gpu:
            raise UsageError("--ray_address ranks on processors, use_gpu is True; leave one of them out")

    def for_loading(self) -> dict[str, Any]:
        """Return the given options, for ``load_run``; with Ray, the model is on the CPU."""
        return {**super().for_loading(), **({"use_gpu": False} if self.ray_address else {})}


COMMAND = Command(
    "recommend",
    "--run=RUN_DIR (--all | --users=FILE | --histories=FILE) --output=FILE [--k=20 ...]",
    "Writes user, item, rank and score in original ids, a row for each place of each user's list.",
    RecommendOptions,
    after="""
A file of users has one original id per line. A file of histories has the form of an .inter file of the run's
data set: a header such as user_id:token<TAB>item_id:token (and rating:float for a model of ratings), then a
row for each item of a user. The model must be able to fold users in; otherwise the command names the models
that are. For a model of cold users, histories are rated items of its source domain.
""",
)


@dataclass(frozen=True)
class RecommendJob:
    """The lists to write, and the ids without one.

    Attributes:
        lists: blocks of lists.
        tokens: original ids of the users, [n].
        unknown: lines of the file of unknown ids.
        notes: lines to print for the user.
    """

    lists: Iterator[Any]
    tokens: Any
    unknown: list[str]
    notes: list[str]


def recommend(argv: Sequence[str]) -> int:
    """Write the lists; return the exit code.

    Raises:
        UsageError: the request cannot be met; nothing is written.
        RunError: damaged weights, scores that are not finite, or the file cannot be written; nothing is kept.
    """
    given = COMMAND.read(argv)
    if given is None:
        return 0
    options = given.read(RecommendOptions)
    with _no_garbage():
        output = Path(options.output).expanduser()
        if not output.name or output.is_dir():
            raise UsageError(f"--output={options.output} is a folder; name a file in it, such as lists.csv")
        unknown = (
            Path(options.unknown).expanduser()
            if options.unknown
            else output.with_name(f"{output.name}.unknown.txt")
        )
        with told_if_slow(LOADING):
            kind = _checked_places(options, output, unknown)
            tokens = _tokens_of(options)
            from recbole_diffusion.serving.loaded_run import load_run

        clock = time.perf_counter()
        with told_if_slow("loading the run"):
            run = load_run(options.run, unfinished=options.unfinished, **options.for_loading())
        loaded = time.perf_counter() - clock
    with contextlib.ExitStack() as stack:
        if options.histories:
            job = _new(run, options, Path(options.histories).expanduser())
        else:
            job = _known(run, options, tokens, stack)
        rows = _write(run, job, output, kind, unknown)
    ranked = time.perf_counter() - clock - loaded
    lines = [f"{counted(rows, 'row')} for {counted(len(job.tokens), 'user')} in {output}", *job.notes]
    lines += [f"{len(job.unknown):,} unknown, in {unknown}"] if job.unknown else []
    lines += [note] if (note := run.model.list_note()) else []
    sys.stdout.write("\n".join([*lines, f"time   load {loaded:.1f} s  rank and write {ranked:.1f} s"]) + "\n")
    return 0


@contextlib.contextmanager
def _no_garbage() -> Iterator[None]:
    """Switch off garbage collection while packages and data are loaded: it takes a tenth of that time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _checked_places(options: RecommendOptions, output: Path, unknown: Path) -> str:
    """Check both files and return the format."""
    from recbole_diffusion.serving.writers import format_of
    from recbole_diffusion.storage.atomic import output_file

    kind = format_of(output, options.format)
    if output.resolve() == unknown.resolve():
        raise UsageError(f"--output and --unknown are both {output}; name two files")
    output_file(output, options.overwrite)
    output_file(unknown, options.overwrite)
    return kind


def _tokens_of(options: RecommendOptions) -> list[str] | None:
    from recbole_diffusion.serving.users import read_tokens

    return read_tokens(Path(options.users).expanduser()) if options.users else None


def _known(
    run: Any, options: RecommendOptions, tokens: list[str] | None, stack: contextlib.ExitStack
) -> RecommendJob:
    """Return the job of known users; with Ray, the cluster stays connected until ``stack`` is closed."""
    from recbole_diffusion.serving.recommend import ListMaker, known_lists
    from recbole_diffusion.serving.users import asked_users, note_on_source, note_on_untrained
    from recbole_diffusion.serving.writers import one_line

    asked = asked_users(run.users, tokens, str(options.users))
    told = note_on_untrained(run, asked.numbers), note_on_source(run, asked.unknown)
    notes = [note for note in told if note]
    if options.ray_address:
        from recbole_diffusion.serving.ranking import check_k
        from recbole_diffusion.tuning.ray_lists import ray_lists

        check_k(options.k, len(run.items))
        made = ListMaker(run, options.exclude).of_known
        with told_if_slow("connecting to Ray"):
            lists = stack.enter_context(
                ray_lists(made, asked.numbers, options.k, options.ray_address, options.ray_workers, notes)
            )
    else:
        lists = known_lists(run, asked.numbers, options.k, options.exclude)
    unknown = list(map(one_line, asked.unknown))
    job = RecommendJob(lists, run.users.tokens[asked.numbers], unknown, notes)
    new = 0 if run.changed.new is None else len(run.changed.new.users)
    if options.new_users:
        return _with_new(run, options, job)
    if new and options.all:
        how = "--new_users lists them by their rows" if run.model.takes_histories else "train again for them"
        job.notes.append(f"{new:,} new {'user has' if new == 1 else 'users have'} no list: {how}")
    return job


def _with_new(run: Any, options: RecommendOptions, known: RecommendJob) -> RecommendJob:
    """Return the job of known users, and then of those that are new in the data."""
    import numpy as np

    from recbole_diffusion.serving.recommend import new_lists, users_of_histories

    frame = run.new_users()
    if not len(frame):
        return known
    users, before = users_of_histories(run, frame), len(known.tokens)
    lists = (
        replace(one, start=one.start + before) for one in new_lists(run, users, options.k, options.exclude)
    )
    new = set(run.changed.new.users.tolist()) - set(users.tokens.tolist())
    listed = "new user is listed by its rows" if len(users) == 1 else "new users are listed by their rows"
    notes = known.notes  # which still grow while the known users are ranked
    notes.append(f"{len(users):,} {listed}")
    if new:
        notes.append(
            f"{len(new):,} new {'user has' if len(new) == 1 else 'users have'} no known item and no list"
        )
    tokens = np.concatenate([known.tokens, users.tokens])
    return RecommendJob(itertools.chain(known.lists, lists), tokens, known.unknown, notes)


def _new(run: Any, options: RecommendOptions, file: Path) -> RecommendJob:
    from recbole_diffusion.serving.histories import read_histories
    from recbole_diffusion.serving.recommend import new_lists, note_on_known, users_of_histories
    from recbole_diffusion.serving.scoring import check_takes_histories
    from recbole_diffusion.serving.writers import one_line

    check_takes_histories(run.model)  # before the file is read
    frame = read_histories(file, run.fold_in_config, run.model.predicts_ratings)
    users = users_of_histories(run, frame)
    unknown = [f"user\t{one_line(token)}" for token in users.without] + [
        f"item\t{one_line(token)}" for token in users.unknown_items
    ]
    rows = f"{users.unknown_rows:,} of {counted(len(frame), 'row')} {agreeing(users.unknown_rows, 'name')}"
    items = counted(len(users.unknown_items), "unknown item")
    lacking = counted(len(users.without), "user", "have")
    notes = [f"{rows} {items}; {lacking} no known item and no list"] if unknown else []
    notes += [note] if (note := note_on_known(run, users)) else []
    return RecommendJob(new_lists(run, users, options.k, options.exclude), users.tokens, unknown, notes)


def _write(run: Any, job: RecommendJob, output: Path, kind: str, unknown: Path) -> int:
    """Write the lists and the file of unknown ids; return the number of rows."""
    from tqdm import tqdm

    from recbole_diffusion.serving.untrained_items import ListedUntrained
    from recbole_diffusion.serving.writers import table_file
    from recbole_diffusion.storage.atomic import write_text

    rows = by_chance = short = empty = 0
    untrained = ListedUntrained(run)
    shown, users = sys.stderr.isatty(), len(job.tokens)
    bar = tqdm(desc="recommend", total=users, unit="user", disable=not shown)
    told = contextlib.nullcontext(Progress()) if shown else told_if_slow("ranking", total=users, unit="users")
    with table_file(output, kind, job.tokens, run.items.tokens) as write, bar, told as progress:
        for lists in job.lists:
            rows += write(lists)
            by_chance += _by_chance(lists)
            untrained.add(lists)
            lengths = (lists.items > 0).sum(1)
            short += int((lengths < lists.items.shape[1]).sum())
            empty += int((lengths == 0).sum())
            bar.update(len(lists.items))
            progress.done += len(lists.items)
        if job.unknown:
            write_text(unknown, "".join(f"{line}\n" for line in job.unknown))
        else:
            unknown.unlink(missing_ok=True)  # of an earlier output of this name
    if short:
        none = f"; {counted(empty, 'user', 'have')} none at all" if empty else ""
        job.notes.append(
            f"{counted(short, 'list')} {agreeing(short, 'are')} shorter than asked for: what is left out "
            f"leaves no more items{none}"
        )
    job.notes.extend([note] if (note := untrained.note()) else [])
    if by_chance:
        job.notes.append(
            f"{counted(by_chance, 'list')} {agreeing(by_chance, 'have')} one score throughout, so that the "
            "order is chance: nothing tells items apart, as for a user without a row in train"
        )
    return rows


def _by_chance(lists: Any) -> int:
    """Return how many lists of a block, of two items or more, have the same score in each place."""
    import numpy as np

    there = lists.items > 0
    lowest = np.where(there, lists.scores, np.inf).min(1)
    highest = np.where(there, lists.scores, -np.inf).max(1)
    return int(((there.sum(1) > 1) & (lowest == highest)).sum())
