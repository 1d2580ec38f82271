"""shipping: code that a bundle holds, copied so that it runs without lmspec, and what to install.

Each kind of bundle has a module of its own, which imports what it ships and nothing else.
"""

import re
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path

from lmspec.formats import wheels

PREDICT = "predict.py"
OWN_FOLDER = "sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out\n"
IMPORT = re.compile(r"^( *)from lmspec\.\w+\.(\w+) import", re.MULTILINE)
LOCKED = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
ENTRY = re.compile(r"^(?=\S)", re.MULTILINE)  # where a package begins in the lock
OPTIONAL = "llguidance"  # of the lock: for constraints
UNKNOWN = """# Built with these; lmspec has the hashes of other versions. To add those of these:
# uv pip compile --universal --generate-hashes requirements.txt
"""


def write(out: Path, files: Mapping[str, bytes], packages: Collection[str]) -> bool:
    """Write code and requirements.txt. Are the hashes of the packages known?

    files     as `code` has them
    packages  that they import
    """
    for name, content in files.items():
        (out / name).write_bytes(content)
    text, hashed = requirements(packages)
    (out / "requirements.txt").write_text(text, encoding="utf-8")
    return hashed


def code(program: str, shared: Mapping[str, str]) -> dict[str, bytes]:
    """File -> content, of all that a bundle executes.

    program  file that becomes predict.py
    shared   name of a module -> its file
    """
    text = IMPORT.sub(f"{OWN_FOLDER}\\g<0>", Path(program).read_text(encoding="utf-8"), count=1)
    files = {f"{name}.py": _alone(Path(path).read_text("utf-8")) for name, path in shared.items()}
    return {**files, PREDICT: _alone(text)}


def _alone(code: str) -> bytes:
    """A module that imports the others from its own folder."""
    return IMPORT.sub(r"\1from \2 import", code).encode()


def requirements(packages: Collection[str]) -> tuple[str, bool]:
    """requirements.txt, and whether it has hashes: if lmspec knows those of the versions here."""
    lock = "".join(
        entry
        for entry in ENTRY.split(wheels.LOCK)
        if not entry.startswith(f"{OPTIONAL}==") or OPTIONAL in packages
    )
    locked = dict(LOCKED.findall(lock))
    here = {name: _version(name) for name in (*packages, *locked)}
    if all(here[name] in (None, locked[name]) for name in locked):
        return lock, True
    pins = "".join(f"{name}=={here[name]}\n" for name in packages if here[name])
    return f"{UNKNOWN}{pins}", False


def _version(name: str) -> str | None:
    """None for a package of other platforms, or of another variant, as onnxruntime-gpu."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None
