"""closure: the files of the project and of lmspec that a module can import, found without running them."""

import ast
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lmspec.errors import LmspecError

INSTALLED = Path(__file__).parents[
    2
]  # where this lmspec lies: the project itself, or a folder of installed packages


@dataclass(frozen=True)
class Closure:
    """What a stage can execute.

    files    sorted paths in the project, relative to its root: DVC watches them
    outside  module -> its file, for an installed lmspec, where DVC cannot watch it; a package is called `name.__init__`
    foreign  top-level names of all other modules that they import, but of the standard library
    """

    files: tuple[str, ...]
    outside: dict[str, Path]
    foreign: frozenset[str]


@lru_cache(maxsize=4096)
def imports(path: Path) -> frozenset[str]:
    """Names of modules, and of what can be modules, that a file imports, anywhere in it, but under `if TYPE_CHECKING`."""
    found: set[str] = set()
    for node in _nodes(_parse(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level > 0:
            raise LmspecError(
                f"{path}:{node.lineno}",
                "a relative import hides what is imported",
                "name the module in full",
            )
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise LmspecError(
            f"{path}:{error.lineno}", f"it does not parse: {error.msg}", "correct it"
        ) from None


def _nodes(tree: ast.AST) -> list[ast.AST]:
    out: list[ast.AST] = []
    stack = [tree]
    while stack:
        node = stack.pop()
        out.append(node)
        checking = isinstance(node, ast.If) and ast.unparse(node.test) in (
            "TYPE_CHECKING",
            "typing.TYPE_CHECKING",
        )
        stack += (
            node.orelse if checking and isinstance(node, ast.If) else ast.iter_child_nodes(node)
        )
    return out


def file_of(module: str, root: Path) -> Path | None:
    """The file of a module: in the project, or, if that has no lmspec of its own, where lmspec is installed. None: nowhere."""
    package, *_ = module.split(".")
    if package in sys.stdlib_module_names:
        return None
    base = (root if package != "lmspec" or (root / package).is_dir() else INSTALLED).joinpath(
        *module.split(".")
    )
    return next(
        (path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None
    )


def closure(modules: tuple[str, ...], root: Path) -> Closure:
    """All files that those modules can import, their own and their packages' included.

    Raises LmspecError if one of the modules has no file, or a file does not parse.
    """
    files: dict[str, Path] = {}
    foreign: set[str] = set()
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
        queue += [parent] if parent and file_of(parent, root) else []
        for name in imports(path):
            if file_of(name, root):
                queue.append(name)
            else:
                foreign.add(name.split(".")[0])
    inside = {
        path.relative_to(root).as_posix() for path in files.values() if path.is_relative_to(root)
    }
    outside = {
        f"{module}.__init__" if path.stem == "__init__" else module: path
        for module, path in sorted(files.items())
        if not path.is_relative_to(root)
    }
    ours = {module.split(".")[0] for module in files}
    return Closure(
        tuple(sorted(inside)), outside, frozenset(foreign - ours - sys.stdlib_module_names)
    )
