"""Does a wrong input give one clear line, and a killed run the same numbers? Counts, for the page.

    python -m benchmarks.faults [--kinds=inter,option,...] [--kills=300] [--seed=0] [--journal=FILE]
        [--output=docs/reliability.md] [--show]

Inputs (benchmarks/_fault_inputs.py) are damaged data files, options out of range, YAML files, command lines,
run folders, feature files and parts that overlap, each with what is right: refused, accepted with the same
result as the undamaged one, refused or at least told, or either. Each runs in a process of its own, forked
from one that has the packages loaded, in a folder of its own. Kills (benchmarks/_fault_kills.py) end a
command at a random moment and run it again, until it ends by itself; its result is held against that of an
undisturbed one.

``refused`` is exit code 1 or 2 and one line that begins with ``error:``. An ``internal error`` is a trace, an
exception that nobody worded, a death by a signal, or no end within a minute. ``nonsense`` is an input that
had to be refused and was not, or another result than the undamaged input has. ``--show`` prints what each
input was answered; anything but a count of 0 in the last two columns ends with exit code 1.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import _fault_inputs, _fault_kills
from benchmarks._fault_runs import Answer, Case, answered, preload
from benchmarks._page import machine, page_parser, show_page, stack, table_head

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- counts: benchmarks/faults.py -->", "<!-- end of counts -->"


def verdict(case: Case, answer: Answer) -> str:
    """Return what an answer is: ``refused``, ``accepted``, ``internal error`` or ``nonsense``."""
    if answer.internal:
        return "internal error"
    if answer.code == 0:
        wrong = case.right == "refused" or (case.right == "same" and answer.result != case.result)
        silent = case.right == "said" and not any(text in answer.text for text in case.words)
        return "nonsense" if wrong or silent else "accepted"
    return "nonsense" if case.right == "same" else "refused"


def main() -> int:
    """Try the inputs and the kills that are asked for, print the page; return 1 if an answer is wrong."""
    parser = page_parser(__doc__)
    parser.add_argument("--kinds", default="all", help="kinds of inputs, comma-separated; none: only kills")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--journal", type=Path, help="file that keeps what was answered, a line each")
    parser.add_argument("--show", action="store_true", help="print every answer, not only the wrong ones")
    arguments = parser.parse_args()
    preload()
    kinds = list(_fault_inputs.KINDS) if arguments.kinds == "all" else arguments.kinds.split(",")
    counts: dict[str, Counter] = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in _cases(Path(folder), [kind for kind in kinds if kind != "none"], arguments.seed):
            answer = answered(case)
            found = verdict(case, answer)
            counts.setdefault(case.kind, Counter())[found] += 1
            _keep(arguments.journal, case, answer, found)
            if arguments.show or found in ("internal error", "nonsense"):
                print(f"{found}: {case.kind}: {case.name}: {answer.code}: {answer.last}", flush=True)
        kills = _fault_kills.killed(Path(folder), arguments.kills, arguments.seed)
    lines = _page(counts, kills, sys.argv[1:])
    show_page(lines, None)
    if arguments.output is not None:
        _insert(arguments.output, lines)
    wrong = sum(one["internal error"] + one["nonsense"] for one in counts.values())
    return int(wrong > 0 or any(one.different for one in kills))


def _cases(folder: Path, kinds: list[str], seed: int) -> Iterator[Case]:
    for kind in kinds:
        yield from _fault_inputs.cases(kind, folder / kind, seed)


def _keep(journal: Path | None, case: Case, answer: Answer, found: str) -> None:
    if journal is not None:
        line: dict[str, Any] = {"kind": case.kind, "name": case.name, "right": case.right, "found": found}
        with journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"code": answer.code, "line": answer.last}) + "\n")


def _page(counts: dict[str, Counter], kills: list[_fault_kills.Killed], argv: list[str]) -> list[str]:
    told = [one for one in argv if not one.startswith(("--journal", "--output", "--show"))]
    command = " ".join(["python -m benchmarks.faults", *told])
    lines = [BEGIN, f"`{command}`; {machine()};", f"{stack()}.", ""]
    if counts:
        columns = ("refused", "accepted", "internal error", "nonsense")
        lines += table_head("inputs", "tried", *columns)
        total: Counter = Counter()
        for kind, count in counts.items():
            total += count
            lines.append(
                _row([_fault_inputs.KINDS[kind][0], sum(count.values()), *(count[one] for one in columns)])
            )
        lines += [_row(["all", sum(total.values()), *(total[one] for one in columns)]), ""]
    if kills:
        lines += table_head("killed", "results", "kills", "same result", "another", "not ended")
        lines += [
            _row([one.name, one.results, one.kills, one.same, one.different, one.failed]) for one in kills
        ]
        summed = [sum(getattr(one, name) for one in kills) for name in _fault_kills.COUNTS]
        lines += [_row(["all", *summed]), ""]
    return [*lines, END]


def _row(cells: list[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _insert(page: Path, lines: list[str]) -> None:
    """Put the tables between the two marks of the page."""
    text = page.read_text(encoding="utf-8") if page.is_file() else f"# Reliability\n\n{BEGIN}{END}\n"
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(before + "\n".join(lines) + after, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
