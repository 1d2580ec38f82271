"""closure: the files of this repository that a module can import, found without running them."""

import ast
from functools import lru_cache
from pathlib import Path

from lmspec.errors import LmspecError

PACKAGES = ("lmspec", "stages")


@lru_cache(maxsize=4096)
def imports(path: Path, root: Path) -> frozenset[str]:
    """Names of the repository's own modules that a file imports, anywhere in it, but under `if TYPE_CHECKING`."""
    found: set[str] = set()
    for node in _nodes(_parse(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level > 0:
            raise LmspecError(f"{path}:{node.lineno}", "a relative import hides what is imported", "name the module in full")
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in found if name.split(".")[0] in PACKAGES and file_of(name, root))


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise LmspecError(f"{path}:{error.lineno}", f"it does not parse: {error.msg}", "correct it") from None


def _nodes(tree: ast.AST) -> list[ast.AST]:
    out: list[ast.AST] = []
    stack = [tree]
    while stack:
        node = stack.pop()
        out.append(node)
        checking = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        stack += node.orelse if checking and isinstance(node, ast.If) else ast.iter_child_nodes(node)
    return out


def file_of(module: str, root: Path) -> Path | None:
    """The file of a module, relative to the root; None if it is not one of the repository's."""
    base = Path(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if (root / path).is_file():
            return path
    return None


def closure(modules: tuple[str, ...], root: Path) -> list[str]:
    """Sorted paths of all files that those modules can import, their own and their packages' included.

    Raises LmspecError if one of the modules is not in the repository, or a file does not parse.
    """
    files: dict[str, Path] = {}
    queue = list(modules)
    while queue:
        module = queue.pop()
        if module in files:
            continue
        path = file_of(module, root)
        if path is None:
            raise LmspecError(module, f"it has no file under {root}", "restore it: a stage runs it")
        files[module] = path
        parent = module.rpartition(".")[0]
        queue += [*imports(root / path, root), *([parent] if parent else [])]
    return sorted({path.as_posix() for path in files.values()})
