"""deployed: the code of a bundle: predict.py, what it shares with stages, and what to install."""

import re
import shutil
from importlib import metadata
from pathlib import Path

from lmspec.formats import predict, wheels
from lmspec.methods import ngrams, reading, repairing

# As the stages use them: copied, not written again. Each by its name, by which `lmspec keep` sees
# that their comments are in a bundle.
SHARED = {
    "ngrams": ngrams.__file__,
    "reading": reading.__file__,
    "repairing": repairing.__file__,
}
OWN_FOLDER = "sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out\n"
PACKAGES = ("ftfy", "numpy", "onnxruntime", "tokenizers")
LOCKED = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
UNKNOWN = """# Built with these; lmspec has the hashes of other versions. To add those of these:
# uv pip compile --universal --generate-hashes requirements.txt
"""


def write(out: Path) -> bool:
    """Write them beside the graph. Are the hashes of the packages known?"""
    code = Path(predict.__file__).read_text(encoding="utf-8")
    first = "from lmspec.methods."
    code = code.replace(first, f"{OWN_FOLDER}{first}", 1)
    for name, path in SHARED.items():
        code = code.replace(f"from lmspec.methods.{name} import", f"from {name} import")
        shutil.copyfile(path, out / f"{name}.py")
    (out / "predict.py").write_text(code, encoding="utf-8")
    text, hashed = requirements()
    (out / "requirements.txt").write_text(text, encoding="utf-8")
    return hashed


def requirements() -> tuple[str, bool]:
    """requirements.txt, and whether it has hashes: if lmspec knows those of the versions here."""
    here = {name: _version(name) for name in (*PACKAGES, *dict(LOCKED.findall(wheels.LOCK)))}
    locked = dict(LOCKED.findall(wheels.LOCK))
    if all(here[name] in (None, locked[name]) for name in locked):
        return wheels.LOCK, True
    pins = "".join(f"{name}=={here[name]}\n" for name in PACKAGES if here[name])
    return f"{UNKNOWN}{pins}", False


def _version(name: str) -> str | None:
    """None for a package of other platforms, or of another variant, as onnxruntime-gpu."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None
