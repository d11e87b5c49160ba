"""Finds the small changes of a source text that its tests should notice, each as a text edit."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

_COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">="),
    ast.LtE: ("<", ">"),
    ast.Gt: (">=", "<="),
    ast.GtE: (">", "<"),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Mod: "*",
    ast.LShift: ">>",
    ast.RShift: "<<",
    ast.BitAnd: "|",
    ast.BitOr: "&",
    ast.BitXor: "|",
}
_OTHER_FUNCTION = {"min": "max", "max": "min", "any": "all", "all": "any"}
_ORDER_IS_NOT_TESTED = frozenset({"min", "max", "isinstance", "cast", "zip"})
"""Functions to which the order of arguments is nothing, or a matter of types."""

_LOGGERS = frozenset({"_log", "log", "logger", "logging"})


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Args:
        path: the file, relative to the root of the tree.
        start: where the text that goes begins, in bytes from the start of the file.
        end: where it ends, in bytes.
        text: what stands there instead.
        kind: what sort of change it is.
        first_line: the first line of the statement that changes.
        last_line: its last line; of a compound statement the last of its head.
        runs_on_import: whether the statement runs when the module is imported.
    """

    path: str
    start: int
    end: int
    text: str
    kind: str
    first_line: int
    last_line: int
    runs_on_import: bool

    @property
    def key(self) -> str:
        """A name that stays the same as long as the file does."""
        return f"{self.path}:{self.first_line}:{self.start}-{self.end}:{self.text}"

    def apply(self, source: bytes) -> bytes:
        """The file's content with the change."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def diff(self, source: bytes) -> str:
        """The change as a unified diff."""
        before = source.decode().splitlines(keepends=True)
        after = self.apply(source).decode().splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, self.path, self.path, n=2))


def find_mutants(path: str, source: bytes) -> list[Mutant]:
    """All changes of a file that can be tried, in the order of the text.

    Args:
        path: the file, relative to the root of the tree.
        source: its content.
    """
    return sorted(_Finder(path, source).find(), key=lambda each: (each.start, each.end, each.text))


class _Finder:
    def __init__(self, path: str, source: bytes) -> None:
        self._path = path
        self._source = source
        self._line_starts = [0]
        for line in source.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))
        self._lines = (1, 1)
        self._depth = 0

    def find(self) -> Iterator[Mutant]:
        tree = ast.parse(self._source)
        yield from self._in_body(tree.body)

    def _in_body(self, body: list[ast.stmt]) -> Iterator[Mutant]:
        for statement in body:
            if not _is_left_alone(statement):
                yield from self._in_statement(statement)

    def _in_statement(self, statement: ast.stmt) -> Iterator[Mutant]:
        inner = [
            child
            for child in ast.walk(statement)
            if isinstance(child, ast.stmt) and child is not statement
        ]
        last = min((child.lineno for child in inner), default=(statement.end_lineno or 0) + 1) - 1
        lines = (statement.lineno, max(last, statement.lineno))
        self._lines = lines
        yield from self._of_statement(statement)
        for field, value in ast.iter_fields(statement):
            if field in {"annotation", "returns", "decorator_list", "type_params", "bases"}:
                continue
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                is_function = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
                self._depth += is_function
                yield from self._in_body(value)
                self._depth -= is_function
                self._lines = lines
                continue
            for node in value if isinstance(value, list) else [value]:
                if isinstance(node, ast.ExceptHandler):
                    yield from self._in_body(node.body)
                elif isinstance(node, ast.match_case):
                    if node.guard is not None:
                        self._lines = (node.guard.lineno, node.guard.end_lineno or 0)
                        yield from self._in_expression(node.guard)
                    yield from self._in_body(node.body)
                elif isinstance(node, ast.AST):
                    yield from self._in_expression(node)
                self._lines = lines

    def _of_statement(self, statement: ast.stmt) -> Iterator[Mutant]:
        match statement:
            case ast.Expr(value=ast.Call() | ast.Await()) | ast.Delete() | ast.Raise():
                yield self._mutant(statement, "pass", "statement removed")
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                yield self._mutant(statement, "pass", "statement removed")
            case ast.AugAssign():
                yield self._mutant(statement, "pass", "statement removed")
                other = _ARITHMETIC.get(type(statement.op))
                if other is not None:
                    yield self._between(statement.target, statement.value, f" {other}= ")
            case ast.Return(value=ast.expr() as value):
                if not (isinstance(value, ast.Constant) and value.value is None):
                    yield self._mutant(value, "None", "None returned")
            case ast.If() | ast.While():
                if not isinstance(statement.test, ast.UnaryOp | ast.Constant):
                    yield self._negated(statement.test)
            case ast.Continue():
                yield self._mutant(statement, "break", "loop left")
            case ast.Break():
                yield self._mutant(statement, "continue", "loop gone on with")
            case _:
                pass

    def _in_expression(self, node: ast.AST) -> Iterator[Mutant]:
        if isinstance(node, ast.JoinedStr):
            return
        if isinstance(node, ast.arg):
            return
        yield from self._of_expression(node)
        for child in ast.iter_child_nodes(node):
            yield from self._in_expression(child)

    def _of_expression(self, node: ast.AST) -> Iterator[Mutant]:
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                for other in _COMPARISONS[type(op)]:
                    yield self._between(left, right, f" {other} ")
            case ast.BoolOp(op=op, values=values):
                other = "or" if isinstance(op, ast.And) else "and"
                for left, right in pairwise(values):
                    yield self._between(left, right, f" {other} ")
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                yield self._between(left, right, f" {_ARITHMETIC[type(op)]} ")
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield self._mutant(node, self._text(operand), "not removed")
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                yield self._mutant(node, self._text(operand), "minus removed")
            case ast.IfExp(test=test):
                yield self._negated(test)
            case ast.Constant(value=bool() as value):
                yield self._mutant(node, str(not value), "boolean turned")
            case ast.Constant(value=int() | float() as value):
                yield self._mutant(node, repr(value + 1), "constant + 1")
                yield self._mutant(node, repr(value - 1), "constant - 1")
            case ast.Call():
                yield from self._of_call(node)
            case ast.comprehension(ifs=conditions):
                for condition in conditions:
                    if not isinstance(condition, ast.UnaryOp):
                        yield self._negated(condition)
            case _:
                pass

    def _of_call(self, call: ast.Call) -> Iterator[Mutant]:
        if isinstance(call.func, ast.Name) and call.func.id in _OTHER_FUNCTION:
            yield self._mutant(call.func, _OTHER_FUNCTION[call.func.id], "other function")
        if isinstance(call.func, ast.Name) and call.func.id in _ORDER_IS_NOT_TESTED:
            return
        plain = [each for each in call.args if not isinstance(each, ast.Starred)]
        for left, right in pairwise(plain):
            first, second = self._text(left), self._text(right)
            if first != second:
                start, end = self._start(left), self._end(right)
                between = self._source[self._end(left) : self._start(right)].decode()
                yield self._edit(start, end, f"{second}{between}{first}", "arguments swapped")

    def _negated(self, test: ast.expr) -> Mutant:
        return self._mutant(test, f"not ({self._text(test)})", "condition negated")

    def _between(self, left: ast.expr, right: ast.expr, text: str) -> Mutant:
        """Another operator between two operands; brackets and line ends around it stay."""
        start, end = self._end(left), self._start(right)
        before = self._source[start:end].decode()
        head = before[: len(before) - len(before.lstrip(" \n)"))]
        tail = before[len(before.rstrip(" \n(")) :]
        return self._edit(start, end, f"{head.rstrip(' ')}{text}{tail.lstrip(' ')}", "operator")

    def _mutant(self, node: ast.expr | ast.stmt, text: str, kind: str) -> Mutant:
        return self._edit(self._start(node), self._end(node), text, kind)

    def _edit(self, start: int, end: int, text: str, kind: str) -> Mutant:
        return Mutant(self._path, start, end, text, kind, *self._lines, self._depth == 0)

    def _text(self, node: ast.expr) -> str:
        return self._source[self._start(node) : self._end(node)].decode()

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self._line_starts[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt) -> int:
        return self._line_starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)


def _is_left_alone(statement: ast.stmt) -> bool:
    """Whether no test needs to notice a change: imports, docstrings, logging, `__all__`."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Assert():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return name in _LOGGERS
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name.startswith("__")
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case _:
            return False
