"""surroundings: what every stage may read of the system and of the interpreter.

A listed minimum: these files are in no cache key. Dictionaries, corpora and models are in the same
folders (/usr/share, /usr/local, /opt), so no folder of the system is readable as a whole that a
package or a person puts data into.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

SYSTEM = (
    "/etc/ld.so.cache",  # where the dynamic loader finds shared libraries
    "/usr/share/zoneinfo",
    "/usr/lib/locale",
    "/usr/share/locale",
    "/proc",  # what the kernel says of this process, its processors and its memory
    "/sys",
)
LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32")
DRIVERS = (  # of a GPU, where a container or the system mounts them
    "/run/opengl-driver/lib",
    "/usr/lib/wsl/lib",
    "/usr/lib64-nvidia",
    "/usr/local/cuda/compat",
    "/usr/local/nvidia/lib",
    "/usr/local/nvidia/lib64",
)
STORES = ("/nix/store", "/gnu/store")  # never edited: what is in there has its hash in its name
DEVICES = ("null", "zero", "full", "random", "urandom", "shm", "dri", "kfd", "dxg")


def readable() -> Iterator[Path]:
    """Files, and folders with their content, without links."""
    yield from (Path(name) for name in SYSTEM)
    yield from interpreter()
    kind = str(sysconfig.get_config_var("MULTIARCH") or "")
    folders = [Path(name, part) for name in LIBRARIES for part in ("", kind)]
    folders += [Path(name) for name in DRIVERS]
    folders += [Path(sys.base_prefix, "lib")]  # what the interpreter is linked with
    for folder in dict.fromkeys(folder.resolve() for folder in folders if folder.is_dir()):
        yield from shared_objects(folder)
    own = Path(sys.executable).resolve()
    yield from (Path(store) for store in STORES if own.is_relative_to(store))


def interpreter() -> Iterator[Path]:
    """Python itself and its standard library, without the packages that are installed into it."""
    yield Path(sys.executable).resolve()
    yield Path(sys.prefix, "pyvenv.cfg").resolve()
    yield from Path(sys.base_prefix, "lib").resolve().glob("python3*.zip")
    for folder in standard_library():
        for path in folder.iterdir():
            if path.name not in ("site-packages", "dist-packages"):
                yield path


def standard_library() -> tuple[Path, ...]:
    """Its folders: packages may be installed beneath them."""
    base = {"platbase": sys.base_exec_prefix, "installed_platbase": sys.base_exec_prefix}
    names = (sysconfig.get_path(name, vars=base) for name in ("stdlib", "platstdlib"))
    return tuple(dict.fromkeys(Path(name).resolve() for name in names))


def shared_objects(folder: Path) -> Iterator[Path]:
    """Shared libraries right in a folder."""
    for entry in os.scandir(folder):
        if ".so" in entry.name and not entry.is_symlink():
            yield Path(entry.path)
        elif ".so" in entry.name and len(Path(entry.path).readlink().parts) > 1:
            yield Path(entry.path).resolve()  # elsewhere; what is here comes by its own name


def devices() -> Iterator[Path]:
    """Devices that a stage may use, and the memory that its processes share."""
    yield from (Path("/dev", name).resolve() for name in DEVICES)
    yield from Path("/dev").glob("nvidia*")
