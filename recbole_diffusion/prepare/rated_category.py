"""The ratings of one category out of a MATLAB file of a site with many, as a domain of its own."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.cores import k_core
from recbole_diffusion.prepare.pair_files import STARS, Pair, counted_pairs
from recbole_diffusion.prepare.recipe import Counts, PreparedSet, Request
from recbole_diffusion.prepare.written_parts import write_parts

COLUMNS = ("user", "item", "category", "rating", "helpfulness", "time")  # of the published matrix
KEY = "rating"  # its name in the file
WRITTEN = ("rating:float", "timestamp:float")


@dataclass(frozen=True)
class RatedCategory:
    """The core of one category's ratings: users have one number on the whole site, items are those of one.

    Of a pair the latest rating counts, of several in one period the last of the file.

    Attributes:
        file: the MATLAB file, a matrix ``rating`` of ``COLUMNS``.
        category: its number.
        tables: counts of the set that the tables have.
        core: least number of rows of a user and of an item within the category.
    """

    file: str
    category: int
    tables: Counts
    core: int = 3
    parts = ()
    options = ()

    def make(self, asked: Request) -> PreparedSet:
        """Write the ratings, by user and time, and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: the file is none of MATLAB's, has another matrix, or no core of the category.
        """
        path = asked.paths[self.file]
        every = read_matrix(path)
        rows = every[every[:, 2] == self.category]
        if not len(rows):
            known = ", ".join(f"{number:.0f}" for number in np.unique(every[:, 2])[:40])
            raise UsageError(f"{path} has no row of category {self.category}; it has {known or 'no row'}")
        latest = _latest(rows)
        users, items = (np.unique(latest[:, column], return_inverse=True)[1] for column in (0, 1))
        kept = latest[k_core(users, items, self.core)]
        if not len(kept):
            raise UsageError(
                f"no user and item of category {self.category} has {self.core} rows or more in {path}; get "
                "the published file"
            )
        found: dict[Pair, str] = {
            (f"{user:.0f}", f"{item:.0f}"): f"{rating:g}\t{_exact(time)}"
            for user, item, _, rating, _, time in kept.tolist()
        }
        repeated = len(rows) - len(latest)
        core = {"category": self.category, "core": self.core, "rows_read": len(every)}
        counts = counted_pairs(list(found))
        made = write_parts(asked, {"": found}, WRITTEN, counts, repeated, core)
        made.lines.append(f"category {self.category}: {len(rows):,} of {len(every):,} ratings of the site")
        made.lines.append(f"core     {len(latest) - len(kept):,} ratings are of no {self.core}-core")
        if counts != self.tables:
            made.warnings.append(f"the set of the tables has {self.tables}: {path} is another file")
        return made


def read_matrix(path: Path) -> np.ndarray:
    """Return the ratings of a file, float64 [rows, 6], with the columns of ``COLUMNS``.

    Raises:
        UsageError: it is no file of MATLAB up to version 7, or its matrix is another one.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    expected = f"a MATLAB file (up to version 7) with a matrix {KEY!r} of {', '.join(COLUMNS)}"
    try:
        found = loadmat(path, variable_names=[KEY]).get(KEY)
    except (MatReadError, ValueError, TypeError, NotImplementedError, OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is not {expected} ({error}); get the file again") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.shape[1] != len(COLUMNS):
        shape = "none" if not isinstance(found, np.ndarray) else f"one of shape {found.shape}"
        raise UsageError(f"{path} has {shape}, not {expected}; get the published file")
    if found.dtype.kind not in "iuf" or not np.isfinite(rows := found.astype(np.float64)).all():
        raise UsageError(f"{path} has a cell of {KEY!r} that is no number; get the file again")
    low, high = STARS
    ids, ratings = rows[:, :3], rows[:, 3]
    wrong = ((ids < 0) | (ids % 1 != 0)).any(1) | (ratings < low) | (ratings > high)
    if wrong.any():
        row = int(wrong.argmax())
        raise UsageError(
            f"{path}, row {row + 1} of {KEY!r}: found {rows[row].tolist()}, expected {', '.join(COLUMNS)}, "
            f"whole numbers first and ratings from {low:g} to {high:g}; get the file again"
        )
    return rows


def _exact(value: float) -> str:
    """Return a number with all its digits, and a whole one without a point, as times may have ten."""
    return f"{value:.0f}" if value % 1 == 0 else repr(value)


def _latest(rows: np.ndarray) -> np.ndarray:
    """Return the latest row of each user and item, in the order of users and times, [pairs, 6]."""
    ordered = rows[np.lexsort((rows[:, 5], rows[:, 0]))]  # equal ones keep the order of the file
    backwards = ordered[::-1, :2]
    _, last = np.unique(backwards, axis=0, return_index=True)
    return ordered[np.sort(len(ordered) - 1 - last)]
