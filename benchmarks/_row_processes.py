"""A page of rows, each computed by a process of one thread and kept, so that a stopped page goes on."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks._page import page_parser, show_page

HERE = Path(__file__).resolve().parent.parent
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
Row = dict[str, Any]


def main_of_rows(
    module: str,
    text: str | None,
    wanted: Iterable[tuple[str, str]],
    row_of: Callable[[str, str, str], Row],
    page: Callable[[list[Row]], list[str]],
) -> None:
    """Write a page, or with ``--row`` print the JSON of one row.

    Args:
        module: name of the benchmark, as in ``benchmarks.systems``.
        text: its docstring.
        wanted: data set and model of each row, in order.
        row_of: returns the row of a model, a data set and the data's folder, both named in it.
        page: returns the lines of the page.
    """
    if sys.argv[1:2] == ["--row"]:
        words = sys.argv[2:]
        sys.argv = sys.argv[:1]  # RecBole reads it in places
        with contextlib.redirect_stdout(io.StringIO()):
            row = row_of(*words)
        print(json.dumps(row))
        return
    parser = page_parser(text)
    parser.add_argument("--data_path", required=True, help="folder of the data sets")
    parser.add_argument("--rows", type=Path, help="file of finished rows, JSON lines")
    parser.add_argument("--only", default="", help="models, data sets or DATA:MODEL to compute, by commas")
    given = parser.parse_args()
    data_path = str(Path(given.data_path).resolve())
    only = {one for one in given.only.split(",") if one}
    show_page(page(list(_rows(module, wanted, only, data_path, given.rows))), given.output)


def _rows(
    module: str, wanted: Iterable[tuple[str, str]], only: set[str], data_path: str, kept: Path | None
) -> Iterator[Row]:
    """Yield the rows, those of ``kept`` without computing them again."""
    stored = kept.read_text(encoding="utf-8").splitlines() if kept and kept.is_file() else []
    done = {(row["dataset"], row["model"]): row for row in map(json.loads, stored)}
    for dataset, name in wanted:
        row = done.get((dataset, name))
        if row is None and not {name, dataset, f"{dataset}:{name}"} & (only or {name}):
            continue
        if row is None:
            ended = subprocess.run(
                [sys.executable, "-m", module, "--row", name, dataset, data_path],
                cwd=HERE,
                env={**os.environ, **THREADS},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            row = json.loads(ended.stdout.splitlines()[-1])
            if kept:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        yield row
