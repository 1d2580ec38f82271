"""closure: the files of the project and of lmspec that a module can import, by its source."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from lmspec.errors import LmspecError

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


class Code(Protocol):
    """The Python files of a project, by their paths from its root."""

    def has(self, path: str) -> bool:
        """Is there such a file?"""

    def has_package(self, name: str) -> bool:
        """Is there such a folder at the root?"""

    def imports(self, path: str) -> frozenset[str]:
        """What `imports` says of the file. Raises LmspecError if it does not parse."""


class OnDisk:
    """Those of a checkout. Each path is looked up once, so files must not come or go meanwhile."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._has: dict[str, bool] = {}

    def has(self, path: str) -> bool:
        """Is there such a file?"""
        if path not in self._has:
            self._has[path] = (self.root / path).is_file()
        return self._has[path]

    def has_package(self, name: str) -> bool:
        """Is there such a folder at the root?"""
        return (self.root / name).is_dir()

    def imports(self, path: str) -> frozenset[str]:
        """Names that the file imports. Raises LmspecError if it does not parse."""
        return _imports_on_disk(self.root / path)


# This lmspec's parent: the project, or site-packages.
LIBRARY = OnDisk(Path(__file__).parents[2])


@lru_cache(maxsize=4096)
def _imports_on_disk(path: Path) -> frozenset[str]:
    return imports(path.read_bytes(), str(path))


def imports(text: str | bytes, path: str) -> frozenset[str]:
    """Names that a file imports anywhere, modules or not, except under `if TYPE_CHECKING`.

    path  its name in an error. Raises LmspecError if it does not parse.
    """
    names: set[str] = set()
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        place = f"{path}:{error.lineno}"
        raise LmspecError(place, f"it does not parse: {error.msg}", "correct it") from None
    except ValueError as error:
        raise LmspecError(str(path), f"it does not parse: {error}", "correct it") from None
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


def _locate(module: str, code: Code) -> tuple[Code, str] | None:
    """Where a module of the project or of lmspec is, and its path there; None if it has no file."""
    package, *_ = module.split(".")
    if package in sys.stdlib_module_names:
        return None
    home = LIBRARY if package == "lmspec" and not code.has_package(package) else code
    base = module.replace(".", "/")
    paths = f"{base}.py", f"{base}/__init__.py"
    return next(((home, path) for path in paths if home.has(path)), None)


def _is_lost(name: str, code: Code) -> bool:
    """Is it a module that an installed lmspec lacks?

    A name without a file that another file defines has that file as its parent.
    """
    parent = name.rpartition(".")[0]
    if not parent.startswith("lmspec.") or code.has_package("lmspec") or _locate(parent, code):
        return False
    return not LIBRARY.has_package(name.replace(".", "/"))


def closure(modules: tuple[str, ...], code: Code) -> Closure:
    """All files that the modules can import, including their own and their packages'.

    Raises LmspecError if one of the modules has no file, a file does not parse, or imports a module
    that lmspec lacks.
    """
    files: dict[str, tuple[Code, str]] = {}
    foreign: set[str] = set()
    queue = list(modules)
    while queue:
        module = queue.pop()
        if module in files:
            continue
        place = _locate(module, code)
        if place is None:
            raise LmspecError(
                module, "it has no file in this project", "restore it: a stage runs it"
            )
        files[module] = place
        home, path = place
        parent = module.rpartition(".")[0]
        queue += [parent] if parent and _locate(parent, code) else []
        for name in sorted(home.imports(path)):
            if name in files:
                continue
            if _locate(name, code):
                queue.append(name)
            elif _is_lost(name, code):
                raise LmspecError(
                    path,
                    f"it imports {name}, which this lmspec does not have",
                    "it was written for another one: install that, such as the wheel in vendor/, "
                    "or take over stages/ of a new project of `lmspec init`",
                )
            else:
                foreign.add(name.split(".")[0])
    inside = {path for home, path in files.values() if home is code}
    outside = {
        f"{module}.__init__" if path.endswith("/__init__.py") else module: LIBRARY.root / path
        for module, (home, path) in sorted(files.items())
        if home is not code
    }
    ours = {module.split(".")[0] for module in files}
    return Closure(
        tuple(sorted(inside)), outside, frozenset(foreign - ours - sys.stdlib_module_names)
    )
