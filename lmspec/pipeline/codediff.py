"""codediff: which definitions an edit of a code file changed, by its AST."""

import ast
from collections.abc import Iterator

REST = "statements outside its definitions"
ORDER = "the order of its statements"
# Names that give a program its own text, where that is, or a line number
SOURCES = {
    *("getsource", "getsourcelines", "getsourcefile", "getline", "getlines", "getcomments"),
    *("findsource", "getfile", "get_source", "get_data", "__file__", "__cached__", "__spec__"),
    *("co_filename", "co_firstlineno", "co_lines", "f_lineno", "tb_lineno", "lineno"),
}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def changed(old: bytes, new: bytes) -> tuple[str, ...]:
    """Names of what differs, such as `Classifier.predict`; empty if only comments and layout do.

    A docstring is code: a program can read it. Both are decoded as Python does it, since a
    comment may name their encoding (PEP 263). Raises SyntaxError if either does not parse.
    """
    before, after = ast.parse(old), ast.parse(new)
    if ast.dump(before) == ast.dump(after):
        return ()
    parts, others = dict(_parts(before)), dict(_parts(after))
    return tuple(name for name in {**parts, **others} if parts.get(name) != others.get(name)) or (
        ORDER,
    )


def _parts(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """(name, code) of each function, method and class body; the remaining statements as one."""
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


def read_as_text(source: bytes) -> frozenset[str]:
    """Modules whose files a program reads as text, by `module.__file__`: there comments count.

    `*` stands for any module: the program asks `inspect` for sources, or for the place of a line.
    The name of a file in the program, as in `open("stages/labels.py")`, stands for that file.
    """
    modules = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr="__file__"):
                modules.add(module)
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Constant(value=str(name)) if (
                name in SOURCES
            ):
                modules.add("*")
            case ast.Constant(value=str(name)) if name.endswith(".py"):
                modules.add(name.rpartition("/")[2].removesuffix(".py"))
    return frozenset(modules)
