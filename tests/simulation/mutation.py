"""Small mistakes in Python source, made one at a time: what ``mutants.py`` puts the tests to.

Laws: pure. A mutant differs from its source in one place. Texts, docstrings, annotations and asserts are left alone:
what they say is not what the machine does. So is what stands outside of functions: a constant, a default.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
_LEFT_ALONE = (ast.Assert, ast.JoinedStr, ast.FunctionDef)
_SWAPPED = {"max": "min", "min": "max", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake: in which line, what it is, and the whole source with it."""

    line: int
    what: str
    source: str


Mistake = tuple[str, Callable[[ast.AST], ast.AST]]
"""What it is, and what makes it: a node that is the mutant's own in, the node in its place out."""


def places(source: str) -> list[tuple[int, int]]:
    """Return where a mistake can be made in the functions of ``source``, in the order of its lines: for ``mutant``."""
    nodes = enumerate(_places(ast.parse(source)))
    return [(number, which) for number, node in nodes for which, _ in enumerate(_mistakes(node))]


def mutant(source: str, place: tuple[int, int]) -> Mutant:
    """Return the mutant of ``source`` with the mistake at ``place``."""
    number, which = place
    tree = ast.parse(source)
    node = list(_places(tree))[number]
    what, make = list(_mistakes(node))[which]
    line = getattr(node, "lineno", 0)
    return Mutant(line, what, ast.unparse(ast.fix_missing_locations(_Replace(node, make(node)).visit(tree))))


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else super().visit(node)


def _places(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes in which a mistake can be made: those of the bodies of functions."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for statement in function.body:
                yield from _within(statement)


def _within(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, _LEFT_ALONE):
        return
    yield node
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name != "annotation":
                yield from _within(child)


def _mistakes(node: ast.AST) -> Iterator[Mistake]:
    yield from _in_expression(node)
    match node:
        case ast.If():
            yield "the condition is not", lambda n: _with(n, test=ast.UnaryOp(ast.Not(), n.test))  # type: ignore[attr-defined]
        case ast.Assign(targets=[ast.Attribute()]) | ast.AugAssign():
            yield "an assignment is left out", lambda n: ast.Pass()
        case ast.Expr(value=ast.Call(func=function)) if ast.unparse(function) != "assert_never":
            yield "a call is left out", lambda n: ast.Pass()
        case ast.List(elts=items) if len(items) > 1 and isinstance(node.ctx, ast.Load):
            for at in range(len(items)):
                yield f"item {at + 1} of a list is left out", lambda n, at=at: _without(n, "elts", at)  # type: ignore[misc]
        case ast.Call(func=ast.Name(id="replace"), keywords=words) if len(words) > 1:
            for at, word in enumerate(words):
                yield f"{word.arg} is not replaced", lambda n, at=at: _without(n, "keywords", at)  # type: ignore[misc]
        case _:
            pass


def _in_expression(node: ast.AST) -> Iterator[Mistake]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARED:
            other = _COMPARED[type(operator)]
            yield f"{type(operator).__name__} is {other.__name__}", lambda n: _with(n, ops=[other()])
        case ast.BinOp(op=operator) if type(operator) in _COMPUTED:
            computed = _COMPUTED[type(operator)]
            yield f"{type(operator).__name__} is {computed.__name__}", lambda n: _with(n, op=computed())
        case ast.BoolOp(op=operator):
            swapped = ast.Or if isinstance(operator, ast.And) else ast.And
            yield f"{type(operator).__name__} is {swapped.__name__}", lambda n: _with(n, op=swapped())
        case ast.UnaryOp(op=ast.Not()):
            yield "not is left out", lambda n: n.operand  # type: ignore[attr-defined]
        case ast.IfExp():
            yield "if and else change places", lambda n: _with(n, body=n.orelse, orelse=n.body)  # type: ignore[attr-defined]
        case ast.Constant(value=bool(value)):
            yield f"{value} is {not value}", lambda n: ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield f"{value} is {value + 1}", lambda n: ast.Constant(value + 1)
        case ast.Name(id=name) if name in _SWAPPED:
            yield f"{name} is {_SWAPPED[name]}", lambda n: _with(n, id=_SWAPPED[name])
        case _:
            pass


def _with(node: ast.AST, **changes: object) -> ast.AST:
    for name, value in changes.items():
        setattr(node, name, value)
    return node


def _without(node: ast.AST, field: str, at: int) -> ast.AST:
    items = getattr(node, field)
    setattr(node, field, items[:at] + items[at + 1 :])
    return node
