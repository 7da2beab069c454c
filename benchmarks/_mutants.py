"""Small wrong changes of a source file: what can be changed where, by its syntax tree, and the changed text.

A place is an expression or statement of the file; at a place there are one or more mutants. Left out is what
is no computation or cannot matter: docstrings and other texts, types, decorators, what a message or a log
line says, declarations of options, sizes of blocks, and arguments such as ``strict`` of ``zip``.
"""

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARITHMETIC = {
    ast.Add: ("+", ["-"]),
    ast.Sub: ("-", ["+"]),
    ast.Mult: ("*", ["/"]),
    ast.Div: ("/", ["*"]),
    ast.Pow: ("**", ["*"]),
    ast.FloorDiv: ("//", ["*"]),
    ast.Mod: ("%", ["//"]),
    ast.BitAnd: ("&", ["|"]),
    ast.BitOr: ("|", ["&"]),
}
COMPARISONS = {
    ast.Lt: ("<", ["<=", ">"]),
    ast.LtE: ("<=", ["<", ">="]),
    ast.Gt: (">", [">=", "<"]),
    ast.GtE: (">=", [">", "<="]),
    ast.Eq: ("==", ["!="]),
    ast.NotEq: ("!=", ["=="]),
    ast.Is: ("is", ["is not"]),
    ast.IsNot: ("is not", ["is"]),
    ast.In: ("in", ["not in"]),
    ast.NotIn: ("not in", ["in"]),
}
PAIRS = (
    *(("min", "max"), ("amin", "amax"), ("minimum", "maximum"), ("argmin", "argmax"), ("any", "all")),
    *(("sum", "mean"), ("floor", "ceil"), ("clamp_min", "clamp_max"), ("log", "log1p"), ("exp", "expm1")),
    *(("cumsum", "cumprod"), ("sin", "cos"), ("zeros", "ones"), ("zeros_like", "ones_like")),
)
FUNCTIONS = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
# Swapping their first two arguments changes nothing, or nothing but an error.
SYMMETRIC = frozenset(
    {"min", "max", "minimum", "maximum", "clip", "clamp", "isclose", "allclose", "equal", "intersect1d"}
    | {"union1d", "isinstance", "issubclass", "getattr", "setattr", "hasattr", "print", "setdefault"}
    | {"register_buffer", "add_module"}
)
TALKING = frozenset(
    {"UsageError", "RunError", "ValueError", "warn", "did_you_mean", "option", "field", "super"}
)
LOGGERS = frozenset({"logger", "logging", "log", "warnings"})
NOT_COMPUTED = frozenset(
    {"strict", "inplace", "non_blocking", "copy", "compresslevel", "stacklevel", "encoding"}
)
SIZES = ("BLOCK", "CHUNK", "CELLS", "BATCH", "ROWS")
SILENT_FUNCTIONS = frozenset({"__repr__", "__str__", "extra_repr"})


@dataclass(frozen=True)
class Mutant:
    """One wrong change.

    Attributes:
        path: the file.
        line: the line, from 1.
        kind: what is changed.
        start: first byte of what is replaced.
        end: the byte behind it.
        text: what stands there instead.
    """

    path: Path
    line: int
    kind: str
    start: int
    end: int
    text: str

    def of(self, source: bytes) -> bytes:
        """Return the changed file."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def diff(self, source: bytes) -> list[str]:
        """Return the lines that differ, with - and + in front."""
        old, new = (text.decode().splitlines() for text in (source, self.of(source)))
        lines = difflib.unified_diff(old, new, lineterm="", n=0)
        return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def mutants(path: Path) -> list[list[Mutant]]:
    """Return the mutants of a file, a list for each place; those that are no Python any more are left out."""
    source = path.read_bytes()
    places: dict[tuple[int, int], list[Mutant]] = {}
    for mutant in _Finder(path, source).found():
        try:
            compile(mutant.of(source), str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
        places.setdefault((mutant.start, mutant.end), []).append(mutant)
    return [places[place] for place in sorted(places)]


class _Finder:
    """Walks one file.

    Args:
        path: the file.
        source: its content.
    """

    def __init__(self, path: Path, source: bytes) -> None:
        self.path, self.source = path, source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def found(self) -> Iterator[Mutant]:
        """Yield every mutant."""
        yield from self._walk(ast.parse(self.source))

    def _walk(self, node: ast.AST) -> Iterator[Mutant]:
        if _is_left_out(node):
            return
        yield from self._of(node)
        for child in _computing_children(node):
            yield from self._walk(child)

    def _of(self, node: ast.AST) -> Iterator[Mutant]:
        finder = getattr(self, f"_{type(node).__name__.lower()}", None)
        if finder is not None:
            yield from finder(node)

    # Places and texts.

    def _span(self, node: Any) -> tuple[int, int]:
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self.source[start:end].decode()

    def _mutant(self, node: ast.AST, kind: str, text: str, span: tuple[int, int] | None = None) -> Mutant:
        start, end = span or self._span(node)
        line = self.source.count(b"\n", 0, start) + 1
        return Mutant(self.path, line, kind, start, end, text)

    def _between(self, left: ast.AST, right: ast.AST, old: str, new: str, kind: str) -> Iterator[Mutant]:
        """Replace an operator, which stands between two expressions, with parentheses or not."""
        start, end = self._span(left)[1], self._span(right)[0]
        region = self.source[start:end].decode()
        at = region.find(old)
        if at >= 0 and "#" not in region:
            first = start + len(region[:at].encode())
            yield self._mutant(left, kind, new, (first, first + len(old.encode())))

    # Kinds of nodes.

    def _binop(self, node: ast.BinOp) -> Iterator[Mutant]:
        left, right = self._text(node.left), self._text(node.right)
        if isinstance(node.op, ast.MatMult):
            yield self._mutant(node, "swapped factors", f"(({right}) @ ({left}))")
            return
        old, others = ARITHMETIC.get(type(node.op), ("", []))
        for new in others:
            yield from self._between(node.left, node.right, old, new, f"{old} to {new}")
        if isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
            yield self._mutant(node, "dropped term", f"({left})")
            yield self._mutant(node, "changed sign", f"(-({self._text(node)}))")
        if isinstance(node.op, ast.Add | ast.Mult) and left != right:
            yield self._mutant(node, "dropped term", f"({right})")

    def _augassign(self, node: ast.AugAssign) -> Iterator[Mutant]:
        old, others = ARITHMETIC.get(type(node.op), ("", []))
        for new in others:
            yield from self._between(node.target, node.value, f"{old}=", f"{new}=", f"{old}= to {new}=")

    def _unaryop(self, node: ast.UnaryOp) -> Iterator[Mutant]:
        kind = "removed sign" if isinstance(node.op, ast.USub) else "removed negation"
        yield self._mutant(node, kind, f"({self._text(node.operand)})")

    def _compare(self, node: ast.Compare) -> Iterator[Mutant]:
        sides = [node.left, *node.comparators]
        for left, right, op in zip(sides, sides[1:], node.ops, strict=False):
            old, others = COMPARISONS[type(op)]
            for new in others:
                yield from self._between(left, right, old, new, f"{old} to {new}")

    def _boolop(self, node: ast.BoolOp) -> Iterator[Mutant]:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from self._between(left, right, old, new, f"{old} to {new}")

    def _constant(self, node: ast.Constant) -> Iterator[Mutant]:
        value = node.value
        if isinstance(value, bool):
            yield self._mutant(node, "other constant", str(not value))
        elif isinstance(value, int):
            yield self._mutant(node, "other constant", str(value + 1))
            yield self._mutant(node, "other constant", str(value - 1))
        elif isinstance(value, float):
            yield self._mutant(node, "other constant", str(2 * value if value else 1.0))

    def _call(self, node: ast.Call) -> Iterator[Mutant]:
        name = _name(node.func)
        if name in FUNCTIONS:
            start, end = self._span(node.func)
            new = FUNCTIONS[name]
            yield self._mutant(node, f"{name} to {new}", new, (end - len(name.encode()), end))
        plain = [one for one in node.args if not isinstance(one, ast.Starred)]
        if len(plain) == len(node.args) >= 2 and name not in SYMMETRIC:
            first, second = (self._text(one) for one in node.args[:2])
            if first != second:
                (start, a), (b, end) = self._span(node.args[0]), self._span(node.args[1])
                text = second + self.source[a:b].decode() + first
                yield self._mutant(node, "swapped arguments", text, (start, end))

    def _attribute(self, node: ast.Attribute) -> Iterator[Mutant]:
        if node.attr in ("T", "mT"):
            yield self._mutant(node, "not transposed", f"({self._text(node.value)})")

    def _slice(self, node: ast.Slice) -> Iterator[Mutant]:
        for bound in (node.lower, node.upper):
            if bound is not None and not isinstance(bound, ast.Constant):
                yield self._mutant(bound, "off by one", f"({self._text(bound)}) + 1")

    def _if(self, node: ast.If) -> Iterator[Mutant]:
        yield self._mutant(node.test, "negated condition", f"(not ({self._text(node.test)}))")

    _ifexp = _while = _if

    def _comprehension(self, node: ast.comprehension) -> Iterator[Mutant]:
        for condition in node.ifs:
            yield self._mutant(condition, "dropped condition", "True")

    def _expr(self, node: ast.Expr) -> Iterator[Mutant]:
        if isinstance(node.value, ast.Call):
            yield self._mutant(node, "dropped call", "pass")


def _name(function: ast.AST | None) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_left_out(node: ast.AST) -> bool:
    """Return whether nothing below a node computes anything."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert | ast.Global):
        return True
    if isinstance(node, ast.FunctionDef):
        return node.name in SILENT_FUNCTIONS
    if isinstance(node, ast.keyword):
        return node.arg in NOT_COMPUTED
    if isinstance(node, ast.Call):
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        return _name(node.func) in TALKING or _name(owner) in LOGGERS
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) or _is_left_out(node.value)
    if isinstance(node, ast.If):
        return _name(node.test) == "TYPE_CHECKING"
    if isinstance(node, ast.Assign):
        names = [_name(target) for target in node.targets]
        return any(name == "__all__" or (name.isupper() and name.endswith(SIZES)) for name in names)
    return False


def _computing_children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the children of a node without types, decorators and defaults of declarations."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params", "ctx", "op", "ops"):
            continue
        if isinstance(node, ast.ClassDef) and name in ("bases", "keywords"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
