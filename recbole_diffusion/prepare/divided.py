"""A log whose training part is not published: one published part divided anew, beside a shifted test part."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.held_out import SEED
from recbole_diffusion.prepare.pair_files import Pair, Part, by_number, counted_pairs, rows_of
from recbole_diffusion.prepare.recipe import PreparedSet, Request
from recbole_diffusion.prepare.written_parts import check_parts, write_parts

ENDS = {"train": 7, "valid": 8, "test_iid": 10}  # tenths of the rows up to the end of a part


@dataclass(frozen=True)
class DividedLog:
    """Train, valid and test_iid out of one file, 7:1:2 at random, and a file that is test_ood.

    Rows are taken in the order of users and items, which are numbers, and shuffled by the generator of
    ``held_out.SEED``. Held-out rows whose user or item ``train`` lacks are left out.

    Attributes:
        log: the rows that are divided.
        shifted: the rows of test_ood.
        published: how many pairs each of the two has as published.
    """

    log: Part
    shifted: Part
    published: tuple[int, int]
    parts = (*ENDS, "test_ood")
    options = ()

    def make(self, asked: Request) -> PreparedSet:
        """Write the parts and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: a file is malformed, has no row or the other one's name, the two have rows in common,
                or a part is empty.
        """
        log, repeated = rows_of(self.log, asked.paths, ())
        shifted, again = rows_of(self.shifted, asked.paths, ())
        if (len(shifted), len(log)) == self.published:
            files = " and ".join(str(asked.paths[part.files[0]]) for part in (self.log, self.shifted))
            raise UsageError(f"{files} have each other's names: the rows of one are those of the other")
        rows = {**divided(log), "test_ood": by_number(shifted)}
        check_parts(asked.recipe, rows, largest=False)
        train = rows["train"]
        users, items = ({pair[place] for pair in train} for place in (0, 1))
        known = {
            part: {pair: value for pair, value in some.items() if pair[0] in users and pair[1] in items}
            for part, some in rows.items()
        }
        lost = {part: len(rows[part]) - len(known[part]) for part in rows}
        every = [pair for some in known.values() for pair in some]
        drawn = {"divided": {"seed": SEED, "tenths": ENDS}, "unknown": lost}
        counts, left_out = counted_pairs(every), repeated + again
        made = write_parts(asked, known, (), counts, left_out, drawn)
        told = ", ".join(f"{part} {many:,}" for part, many in lost.items() if many)
        made.lines.append(f"divided  here, seed {SEED}; the training part is not published")
        if (len(log), len(shifted)) != self.published:
            made.warnings.append(
                f"the files have {len(log):,} and {len(shifted):,} pairs, as published {self.published[0]:,} "
                f"and {self.published[1]:,}: this is not the set of the tables"
            )
        if told:
            made.lines.append(f"unknown  rows without their user or item in train left out: {told}")
        return made


def divided(log: Mapping[Pair, str]) -> dict[str, dict[Pair, str]]:
    """Return train, valid and test_iid of rows, each in the order of users and items."""
    pairs = list(by_number(log).items())
    shuffled = np.random.default_rng(SEED).permutation(len(pairs))
    rows, start = {}, 0
    for part, tenths in ENDS.items():
        end = (tenths * len(pairs) + 5) // 10  # rounded half up, in whole numbers
        rows[part] = dict(pairs[row] for row in np.sort(shuffled[start:end]))
        start = end
    return rows
