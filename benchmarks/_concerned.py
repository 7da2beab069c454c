"""Which tests concern a module: its mirror, those that import it, and so on along the imports."""

import ast
import functools
from collections import deque
from collections.abc import Iterator
from pathlib import Path

PACKAGE, TESTS = "recbole_diffusion", "tests"


def concerned(root: Path) -> dict[Path, list[Path]]:
    """Return the test files of each module, relative to a checkout, the nearest and shortest first.

    A test file that is called ``test_x.py`` is nearest to the module ``x.py`` in the folder that it mirrors,
    then to what it imports, then to what that imports.
    """
    modules = {_dotted(path, root): path.relative_to(root) for path in sorted((root / PACKAGE).rglob("*.py"))}
    support = {
        ".".join(path.relative_to(root / TESTS).with_suffix("").parts): path
        for path in sorted((root / TESTS).rglob("*.py"))
    }
    imports = {name: set(_imported(root / path, modules)) - {name} for name, path in modules.items()}
    tests = [path for name, path in support.items() if path.name.startswith("test_")]
    steps = {test: _steps(_starts(test, root, modules, support), imports) for test in tests}
    found = {}
    for name, path in modules.items():
        near = [(steps[test][name], test.stat().st_size, test) for test in tests if name in steps[test]]
        found[path] = [test.relative_to(root) for *_, test in sorted(near)]
    return found


def _dotted(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path, known: dict) -> Iterator[str]:
    """Yield the known modules that a file imports, inside functions too."""
    return (name for name in _names_imported(path) if name in known)


@functools.cache  # a file is asked for by each test that leads to it
def _names_imported(path: Path) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [name for one in node.names for name in (f"{node.module}.{one.name}", node.module)]
    return tuple(found)


def _starts(test: Path, root: Path, modules: dict, support: dict) -> dict[str, int]:
    """Return where the search from a test file begins: the module it mirrors, and the imports of both."""
    starts: dict[str, int] = {}
    seen, waiting = set(), deque([(test, 1)])
    while waiting:
        path, step = waiting.popleft()
        if path in seen:
            continue
        seen.add(path)
        for name in _imported(path, modules):
            starts.setdefault(name, step)
        waiting.extend((support[name], step + 1) for name in _imported(path, support))
    folder = test.relative_to(root / TESTS).parent.parts
    mirrored = ".".join([PACKAGE, *folder, test.stem.removeprefix("test_")])
    return starts | ({mirrored: 0} if mirrored in modules else {})


def _steps(starts: dict[str, int], imports: dict[str, set[str]]) -> dict[str, int]:
    """Return the number of imports from a test to each module that it reaches."""
    found: dict[str, int] = {}
    waiting = deque(sorted(starts.items(), key=lambda pair: pair[1]))
    while waiting:
        name, step = waiting.popleft()
        if found.get(name, step + 1) <= step:
            continue
        found[name] = step
        waiting.extend((one, step + 1) for one in sorted(imports[name]))
    return found
