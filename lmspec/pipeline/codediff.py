"""codediff: what an edit changed of a file's parsed code: nothing, or which of its definitions."""

import ast
from collections.abc import Iterator

REST = "statements outside of its definitions"
ORDER = "the order of its statements"
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def changed(old: str, new: str) -> tuple[str, ...]:
    """Names of what differs, as `fit` or `Classifier.predict`; empty if only comments and layout do.

    A docstring is code: a program can read it. Raises SyntaxError if one of the two does not parse.
    """
    before, after = ast.parse(old), ast.parse(new)
    if ast.dump(before) == ast.dump(after):
        return ()
    parts, others = dict(_parts(before)), dict(_parts(after))
    return tuple(name for name in {**parts, **others} if parts.get(name) != others.get(name)) or (
        ORDER,
    )


def _parts(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """(name, code) of each definition, methods by themselves; what stands around them in one."""
    rest = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _members(node)
        elif isinstance(node, Definition):
            yield node.name, [ast.dump(node)]
        else:
            rest.append(ast.dump(node))
    yield REST, rest


def _members(node: ast.ClassDef) -> Iterator[tuple[str, list[str]]]:
    methods = [member for member in node.body if isinstance(member, Definition)]
    yield from ((f"{node.name}.{method.name}", [ast.dump(method)]) for method in methods)
    node.body = [member for member in node.body if member not in methods]
    yield node.name, [ast.dump(node)]


def read_as_text(source: str) -> frozenset[str]:
    """Names of modules whose files a program reads as text, by `module.__file__`: there a comment is content.

    `*` stands for all: a program that asks `inspect` for sources can read any.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        name = (
            node.attr
            if isinstance(node, ast.Attribute)
            else node.id
            if isinstance(node, ast.Name)
            else ""
        )
        if (
            name == "__file__"
            and isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
        ):
            found.add(node.value.id)
        elif name == "__file__" or name in SOURCES:
            found.add("*")
    return frozenset(found)


SOURCES = {"getsource", "getsourcelines", "getsourcefile", "getline", "getlines"}
