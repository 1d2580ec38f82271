"""deployed: the code of a bundle: predict.py, what it shares with stages, and what to install."""

import re
from importlib import metadata
from pathlib import Path

from lmspec.formats import manifest, predict, wheels
from lmspec.methods import ngrams, reading, repairing

# As the stages use them: copied, not written again. Each by its name, by which `lmspec keep` sees
# that their comments are in a bundle.
SHARED = {
    "lmspec.formats.manifest": manifest.__file__,
    "lmspec.methods.ngrams": ngrams.__file__,
    "lmspec.methods.reading": reading.__file__,
    "lmspec.methods.repairing": repairing.__file__,
}
PREDICT = "predict.py"
OWN_FOLDER = "sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out\n"
PACKAGES = ("ftfy", "numpy", "onnxruntime", "tokenizers")
LOCKED = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
UNKNOWN = """# Built with these; lmspec has the hashes of other versions. To add those of these:
# uv pip compile --universal --generate-hashes requirements.txt
"""


def write(out: Path) -> bool:
    """Write them beside the graph. Are the hashes of the packages known?"""
    for name, content in code().items():
        (out / name).write_bytes(content)
    text, hashed = requirements()
    (out / "requirements.txt").write_text(text, encoding="utf-8")
    return hashed


def code() -> dict[str, bytes]:
    """File -> content, of all that a bundle executes."""
    text = Path(predict.__file__).read_text(encoding="utf-8")
    first = "from lmspec."
    text = text.replace(first, f"{OWN_FOLDER}{first}", 1)
    files = {}
    for module, path in SHARED.items():
        name = module.rpartition(".")[2]
        text = text.replace(f"from {module} import", f"from {name} import")
        files[f"{name}.py"] = Path(path).read_bytes()
    return {**files, PREDICT: text.encode()}


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
