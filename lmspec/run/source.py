"""source: have Python compile the code of a stage from its source, and never read byte code of it.

A cache key holds the source. Python does not compare byte code with it if the byte code says so
(`compileall --invalidation-mode unchecked-hash`), nor after an edit within the same second that
keeps the file's size. Byte code of installed packages is Python's affair. The standard library
only, and of that what every start of Python has loaded.
"""

import os
import site
import sys
from collections.abc import Callable
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import cache_from_source
from pathlib import Path
from types import CodeType
from typing import Any

import lmspec


class FromSource(SourceFileLoader):
    """Imports a module from its source."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of the source, whatever byte code there is beside it."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def only(root: str) -> None:
    """Import modules of the project and of lmspec from here on from `.py` files alone.

    Restarts this process if the modules that are needed for this came from other byte code.
    """
    specs = (lmspec.__spec__, __spec__, sys.modules["__main__"].__spec__)
    old = [file for file in map(_old, specs) if file is not None]
    for file in old:
        try:
            file.unlink()
        except OSError:
            sys.exit(f"lmspec: {file} is not the byte code of its source\n  -> remove it")
    if old:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    package = os.path.realpath(lmspec.__path__[0])
    hook = FileFinder.path_hook((FromSource, SOURCE_SUFFIXES))
    sys.path_hooks.insert(0, _for_folders_of((os.path.realpath(root), package), hook))
    sys.path_importer_cache.clear()


def _old(spec: ModuleSpec | None) -> Path | None:
    """The byte code of a module, if it is another's than its source's."""
    if spec is None or spec.origin is None or not isinstance(spec.loader, SourceFileLoader):
        return None
    source = spec.loader.source_to_code(spec.loader.get_data(spec.origin), spec.origin)
    is_fresh = spec.loader.get_code(spec.name) == source
    return None if is_fresh else Path(cache_from_source(spec.origin))


def _for_folders_of(ours: tuple[str, ...], hook: Callable[[str], Any]) -> Callable[[str], Any]:
    """The hook for these folders alone, and not for what is installed beneath them."""
    installed = [os.path.realpath(place) for place in (sys.prefix, *site.getsitepackages())]

    def finder(folder: str) -> Any:
        place = os.path.realpath(folder)
        around = [one for one in (*installed, *ours) if _is_in(place, one)]
        if max(around, key=len, default="") not in ours:
            raise ImportError(folder)
        return hook(folder)

    return finder


def _is_in(place: str, folder: str) -> bool:
    return place == folder or place.startswith(folder + os.sep)
