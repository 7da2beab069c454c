"""What the pages of all benchmarks share: ``--output``, table heads, machine and versions, writing."""

import argparse
import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path


def page_parser(text: str | None) -> argparse.ArgumentParser:
    """Return a parser with a benchmark's docstring as its help, and ``--output``."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    refuse_underscores(parser)
    parser.add_argument("--output", type=Path, help="file to write the page to as well")
    return parser


def refuse_underscores(parser: argparse.ArgumentParser) -> None:
    """Let ``type=int`` and ``type=float`` of a parser refuse ``1_0``, which Python takes for 10."""

    def strict(kind: type) -> Callable[[str], int | float]:
        def number(text: str) -> int | float:
            if "_" in text:
                raise ValueError(text)
            found: int | float = kind(text)
            return found

        return number

    for kind in (int, float):
        parser.register("type", kind, strict(kind))


def stack() -> str:
    """Return the versions of what numbers depend on, in one line."""
    from recbole_diffusion.storage.versions import versions

    return ", ".join(f"{name} {version}" for name, version in versions().items())


def machine(*more: str) -> str:
    """Return threads, processor and what else there is to say about how a page was measured, in one line."""
    threads = f"{os.environ.get('OMP_NUM_THREADS', 'all')} torch threads"
    return ", ".join([threads, platform.machine(), "CPU only", *more])


def table_head(*columns: str, words: int = 1) -> list[str]:
    """Return the two lines that begin a table; its first columns are of words, all others of numbers."""
    rules = ["---"] * words + ["---:"] * (len(columns) - words)
    return [f"| {' | '.join(columns)} |", f"|{'|'.join(rules)}|"]


def show_page(lines: Iterable[str], output: Path | None) -> None:
    """Print a page, and write it to ``output`` if that is given."""
    text = "\n".join(lines).rstrip("\n") + "\n"
    print(text, end="")
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
