"""The mutants of a source, the tests that concern a module, and what a run of tests says."""

from pathlib import Path

import pytest

from benchmarks import mutations
from benchmarks._concerned import concerned
from benchmarks._mutants import mutants

ROOT = Path(__file__).resolve().parents[2]


def changes(tmp_path, source: str) -> set[tuple[str, str]]:
    """Return kind and changed source of each mutant."""
    file = tmp_path / "a.py"
    file.write_text(source)
    found = [mutant for place in mutants(file) for mutant in place]
    return {(mutant.kind, mutant.of(source.encode()).decode()) for mutant in found}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "a + b",
            {
                ("+ to -", "a - b"),
                ("dropped term", "(a)"),
                ("dropped term", "(b)"),
                ("changed sign", "(-(a + b))"),
            },
        ),
        ("(a) ** b", {("** to *", "(a) * b")}),
        ("a @ b", {("swapped factors", "((b) @ (a))")}),
        ("-a", {("removed sign", "(a)")}),
        ("not a", {("removed negation", "(a)")}),
        ("a < b", {("< to <=", "a <= b"), ("< to >", "a > b")}),
        ("a is not b", {("is not to is", "a is b")}),
        ("a and b", {("and to or", "a or b")}),
        ("a[1]", {("other constant", "a[2]"), ("other constant", "a[0]")}),
        ("a[:b]", {("off by one", "a[:(b) + 1]")}),
        ("x = f(a, b)", {("swapped arguments", "x = f(b, a)")}),
        ("x = a.max(dim)", {("max to min", "x = a.min(dim)")}),
        ("x = a.T", {("not transposed", "x = (a)")}),
        ("x += a", {("+= to -=", "x -= a")}),
        ("f()", {("dropped call", "pass")}),
        ("x = [a for a in b if a]", {("dropped condition", "x = [a for a in b if True]")}),
        ("x = a if b else c", {("negated condition", "x = a if (not (b)) else c")}),
        ("x = 'ä' + 2 * a", {("* to /", "x = 'ä' + 2 / a")}),  # bytes and letters differ
    ],
)
def test_what_is_changed(tmp_path, source, expected):
    assert expected <= changes(tmp_path, source)


@pytest.mark.parametrize(
    "source",
    [
        '"""Text with 1 + 1."""',
        "x: tuple[a, 2]",
        "raise ValueError(a + 1)",
        "logger.info(a, 1)",
        "x = f'{a + 1}'",
        "zip(a, strict=True)",
        "USER_BLOCK = 1024",
        "@f(1)\ndef g(a: b(1)): return a",
        "x: int = option(1, help)",
        "from a import b",
        "x = min(a, b)",
    ],
)
def test_what_is_left_alone(tmp_path, source):
    kinds = {kind for kind, _ in changes(tmp_path, source)}
    assert kinds <= {"dropped call", "min to max"}


def test_nothing_is_drawn_that_is_no_python(tmp_path):
    for source in ("def f(*a, b=1): return a[b:-1] @ -b", "x = lambda: 1 if a < 2 else not b"):
        for _, changed in changes(tmp_path, source):
            compile(changed, "a", "exec")


def test_drawing_is_by_the_seed():
    files = [mutations.PACKAGE / "evaluation/significance.py"]
    one, same, other = (mutations.drawn(files, 20, seed) for seed in (1, 1, 2))
    assert one == same != other
    assert len({(mutant.start, mutant.end) for mutant in one}) == 20


def test_the_files_are_mathematics_evaluation_and_data():
    files = {str(file.relative_to(mutations.PACKAGE)) for file in mutations.targets()}
    assert {"diffusion/gaussian.py", "report/paired.py", "data/split.py", "sampler/hard.py"} <= files
    assert not any(file.startswith(("cli", "tuning", "serving")) or "options" in file for file in files)


def test_the_nearest_tests_are_those_of_the_mirrored_name():
    tests = concerned(ROOT)[Path("recbole_diffusion/evaluation/significance.py")]
    assert tests[0] == Path("tests/evaluation/test_significance.py")
    assert Path("tests/report/test_comparison.py") in tests
    assert Path("tests/diffusion/test_gaussian.py") not in tests


def test_a_change_is_made_and_taken_back(tmp_path, monkeypatch):
    monkeypatch.setattr(mutations, "ROOT", tmp_path)
    source = tmp_path / "a.py"
    source.write_text("x = 1 + 2\n")
    copy = object.__new__(mutations.Copy)
    copy.root = tmp_path / "copy"
    copy.root.mkdir()
    (copy.root / "a.py").write_text("x = 1 + 2\n")
    mutant = next(one for place in mutants(source) for one in place if one.kind == "+ to -")
    with copy.changed(mutant):
        assert (copy.root / "a.py").read_text() == "x = 1 - 2\n"
    assert (copy.root / "a.py").read_text() == source.read_text()
    assert mutant.diff(source.read_bytes()) == ["-x = 1 + 2", "+x = 1 - 2"]


def test_a_run_tells_the_test_that_failed_or_did_not_end(tmp_path, monkeypatch):
    monkeypatch.setattr(mutations, "ENDLESS", 0.5)
    (tmp_path / "test_a.py").write_text("def test_a(): pass\ndef test_b(): assert False\n")
    (tmp_path / "test_c.py").write_text("def test_c():\n    while True: pass\n")
    state, test, _ = mutations.run_tests(tmp_path, ["test_a.py"], 30)
    assert (state, test) == ("failed", "test_a.py::test_b")
    assert mutations.run_tests(tmp_path, ["test_a.py::test_a"], 30)[:2] == ("passed", "")
    assert mutations.run_tests(tmp_path, ["test_c.py"], 2)[:2] == ("endless", "test_c.py::test_c")


def test_a_change_is_caught_by_a_test_that_passes_without_it(monkeypatch):
    said = {
        ("a.py b.py", True): ("failed", "a.py::test_flaky", 1.0),
        ("a.py::test_flaky", False): ("failed", "a.py::test_flaky", 1.0),
        ("b.py", True): ("failed", "b.py::test_real", 2.0),
        ("b.py::test_real", False): ("passed", "", 1.0),
    }
    changed = []

    class Fake:
        root = Path("copy")

        def changed(self, mutant):
            import contextlib

            @contextlib.contextmanager
            def block():
                changed.append(mutant)
                yield
                changed.pop()

            return block()

    monkeypatch.setattr(mutations, "run_tests", lambda _, tests, __: said[" ".join(tests), bool(changed)])
    mutant = mutations.drawn([mutations.PACKAGE / "evaluation/significance.py"], 1, 0)[0]
    tests = {mutant.path.relative_to(mutations.ROOT): [Path("a.py"), Path("b.py")]}
    monkeypatch.setattr(mutations, "concerned", lambda root: tests)
    judge = mutations.Judge([Fake()], 100.0, 20)
    found = judge(mutant)
    assert (found["caught"], found["test"], found["seconds"]) == (True, "b.py::test_real", 3.0)


def test_the_page_has_the_share_and_the_survivors(tmp_path):
    chosen = mutations.drawn([mutations.PACKAGE / "evaluation/significance.py"], 2, 0)
    found = [
        {"caught": True, "state": "failed", "test": "t.py::test", "files": 1, "seconds": 1.0},
        {"caught": False, "state": "cut", "test": "", "files": 1, "seconds": 9.0},
    ]
    text = "\n".join(mutations.page(chosen, found, "command"))
    assert "1 of 2 changes were caught, 50 %." in text
    assert "(not all tests ran)" in text
    assert "\n".join(f"  {line}" for line in chosen[1].diff(chosen[1].path.read_bytes())) in text
    assert "caught by `t.py::test`" in text
