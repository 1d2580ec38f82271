"""functions: what a Python file defines, by its source alone: none of it runs."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from lmspec.errors import some


def parsed(path: Path) -> ast.Module:
    """A file of Python. Raises OSError, SyntaxError, ValueError."""
    return ast.parse(path.read_bytes())


def fault(path: Path, name: str, arguments: int) -> str | None:
    """Why a file has no function of that name that takes so many arguments; None if it has one.

    A name that is imported or assigned may be anything. Raises as `parsed` does.
    """
    bound = dict(_bound(parsed(path).body))
    if "*" in bound and name not in bound:
        return None
    if name not in bound:
        defined = [each for each, node in bound.items() if isinstance(node, ast.FunctionDef)]
        return f"it has no function '{name}'; it has {some(defined)}"
    node = bound[name]
    if isinstance(node, ast.AsyncFunctionDef):
        return f"'{name}' is asynchronous"
    if isinstance(node, ast.FunctionDef) and not _takes(node.args, arguments):
        return f"'{name}' does not take {arguments} arguments (line {node.lineno})"
    return None


def _bound(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """(name, statement) of what a module binds, in any branch; `*` for a star import."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (((a.asname or a.name).partition(".")[0], node) for a in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from ((n.id, node) for n in ast.walk(target) if isinstance(n, ast.Name))
        else:
            for field in ("body", "orelse", "finalbody"):
                yield from _bound(getattr(node, field, ()))
            for handler in getattr(node, "handlers", ()):
                yield from _bound(handler.body)


def _takes(given: ast.arguments, count: int) -> bool:
    """Can it be called with so many positional arguments?"""
    places = len(given.posonlyargs) + len(given.args)
    needed = places - len(given.defaults)
    without = [default for default in given.kw_defaults if default is None]
    return needed <= count and (places >= count or given.vararg is not None) and not without
