"""Sets with a shifted test part: read, filtered, split into four parts, and written with a record."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.data.split import PARTS, ShiftSplit, split_rows, summarize
from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.interactions import Interactions, filtered
from recbole_diffusion.prepare.recipe import ADVICE, RECORD, PreparedSet, Request
from recbole_diffusion.storage.atomic import whole_set

SHARE = 0.2  # of test_ood (popularity, temporal)
REST = (0.7, 0.1, 0.2)  # of train, valid and test_iid among the rest


@dataclass(frozen=True)
class ShiftedSet:
    """A set in four parts, the last one shifted.

    Attributes:
        read: reads the files, ``(paths by name, threshold) -> Interactions``.
        threshold: the option with the smallest value of a positive row.
        shift: how the OOD part is made: ``temporal``, ``popularity`` or ``exposure``.
    """

    read: Callable[[Mapping[str, Path], float], Interactions]
    threshold: str
    shift: str

    parts = PARTS
    options = ("seed",)

    def make(self, asked: Request) -> PreparedSet:
        """Write the four parts, ``split.json`` and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: a file is malformed, the filters leave nothing, or the rest cannot be split.
        """
        found, steps, dropped = filtered(
            self.read(asked.paths, asked.options[self.threshold]),
            min_user=int(asked.options["min_user"]),
            min_item=int(asked.options["min_item"]),
            by_time=self.shift == "temporal",
        )
        if len(found) == 0:
            values = " ".join(f"--{name}={asked.options[name]}" for name in asked.recipe.filters)
            raise UsageError(
                f"data set {asked.recipe.name!r} has no row left ({as_text(steps)}); give lower limits than "
                f"{values}, or check the files"
            )
        try:
            split = self._split(found, asked.options["seed"])
        except UsageError as error:
            raise UsageError(
                f"data set {asked.recipe.name!r}, {len(found)} rows after the filters: {error}"
            ) from error
        for reason, count in dropped.items():
            split.dropped[reason] += count
        kept = np.zeros(len(found), bool)
        kept[np.concatenate(split.rows)] = True
        counts = found.only(kept).counts()
        steps["in_the_four_parts"] = counts.interactions
        with whole_set(asked.folder, ADVICE) as draft:
            for part, rows in zip(PARTS, split.rows, strict=True):
                write_part(found, rows, draft / f"{asked.recipe.name}.{part}.inter")
            _write_json(draft / "split.json", self._summary(found, split, asked.options["seed"]))
            _write_json(draft / RECORD, {**asked.record, "rows": steps, "found": asdict(counts)})
        sizes = [f"{part} {len(rows):,}" for part, rows in zip(PARTS, split.rows, strict=True)]
        lines = [
            f"rows     {as_text(steps)}",
            f"dropped  {as_text(split.dropped)}",
            f"parts    {', '.join(sizes)}",
        ]
        return PreparedSet(counts, lines, [])

    def _split(self, found: Interactions, seed: int) -> ShiftSplit:
        return split_rows(
            self.shift,
            found.users,
            found.items,
            np.random.default_rng(seed),
            share=SHARE,
            rest=REST,
            time=found.time,
            exposed=found.exposed,
        )

    def _summary(self, found: Interactions, split: ShiftSplit, seed: int) -> dict[str, Any]:
        """Return the content of ``split.json``."""
        share = {} if self.shift == "exposure" else {"share": SHARE}
        return summarize(
            split, found.users, found.items, kind=self.shift, seed=seed, **share, rest=list(REST)
        )


def as_text(steps: Mapping[str, int]) -> str:
    """Return the number of rows after each step as one line."""
    return ", ".join(f"{name.replace('_', ' ')} {rows:,}" for name, rows in steps.items())


def write_part(found: Interactions, rows: np.ndarray, path: Path) -> None:
    """Write one atomic file in the order of the source, without a time column if no time is known."""
    timed = not np.isnan(found.time).all()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("user_id:token\titem_id:token" + ("\ttimestamp:float\n" if timed else "\n"))
        columns = (found.users[rows].tolist(), found.items[rows].tolist(), found.time[rows].tolist())
        for user, item, seconds in zip(*columns, strict=True):
            end = f"\t{_seconds_text(seconds)}\n" if timed else "\n"
            file.write(f"{found.user_tokens[user]}\t{found.item_tokens[item]}{end}")


def _seconds_text(seconds: float) -> str:
    """Return a time with up to three decimals; an unknown one is an empty field."""
    return "" if seconds != seconds else f"{seconds:.3f}".rstrip("0").rstrip(".")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
