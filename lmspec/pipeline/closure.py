"""closure: the files of the project and of lmspec that a module can import, by its source."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lmspec.errors import LmspecError

INSTALLED = Path(__file__).parents[2]  # this lmspec's parent: the project, or site-packages
CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


@dataclass(frozen=True)
class Closure:
    """What a stage can execute.

    files    sorted paths in the project, relative to its root: DVC watches them
    outside  module -> its file, for an installed lmspec, which DVC cannot watch; a package is
             called `name.__init__`
    foreign  top-level names of the other modules that they import, without the standard library
    """

    files: tuple[str, ...]
    outside: dict[str, Path]
    foreign: frozenset[str]


@lru_cache(maxsize=4096)
def imports(path: Path) -> frozenset[str]:
    """Names that a file imports anywhere, modules or not, except under `if TYPE_CHECKING`."""
    names: set[str] = set()
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise LmspecError(
            f"{path}:{error.lineno}", f"it does not parse: {error.msg}", "correct it"
        ) from None
    for node in _nodes(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level > 0:
            raise LmspecError(
                f"{path}:{node.lineno}",
                "a relative import hides what is imported",
                "name the module in full",
            )
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) in CHECKING:
            stack += node.orelse
        else:
            stack += ast.iter_child_nodes(node)


def file_of(module: str, root: Path) -> Path | None:
    """The file of a module of the project or of lmspec; None if it has none."""
    package, *_ = module.split(".")
    if package in sys.stdlib_module_names:
        return None
    home = INSTALLED if package == "lmspec" and not (root / package).is_dir() else root
    base = home.joinpath(*module.split("."))
    files = base.with_suffix(".py"), base / "__init__.py"
    return next((path for path in files if path.is_file()), None)


def closure(modules: tuple[str, ...], root: Path) -> Closure:
    """All files that the modules can import, including their own and their packages'.

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
