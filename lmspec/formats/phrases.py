"""phrases: a file of words, templates and terms to swap: read and checked."""

from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lmspec.errors import LmspecError, some
from lmspec.formats import yamltext
from lmspec.specs.phrases import Phrases

MOST_BYTES = 4 * 2**20
# kind of augmentation -> the part that it reads
PARTS = {
    "templates": "templates",
    "context": "contexts",
    "counterfactual": "swaps",
    "negation": "negation",
}


def read(root: Path, file: str, kind: str, labels: Collection[str]) -> Phrases:
    """What a kind of augmentation is given.

    labels  of the corpus: the file names no others
    Raises LmspecError, with the place in the file, if it is not right.
    """
    phrases = _read(root, file)
    part = PARTS[kind]
    if getattr(phrases, part) is None:
        raise LmspecError(file, f"it has no `{part}`, which `kind: {kind}` reads", "add them")
    for place, label in phrases.labels():
        if label not in labels:
            found = f"{label!r} is no label of the corpus"
            raise LmspecError(f"{file}: {place}", found, f"write one of {some(list(labels))}")
    return phrases


def _read(root: Path, file: str) -> Phrases:
    path = root / file
    try:
        content = path.read_bytes()
    except OSError as error:
        found = f"it cannot be read: {error.strerror}" if path.exists() else "there is no such file"
        raise LmspecError(file, found, "correct `file`, or add it") from None
    if len(content) > MOST_BYTES:
        found = f"it has {len(content):,} bytes; {MOST_BYTES:,} are allowed"
        raise LmspecError(file, found, "texts of this number belong in a corpus")
    try:
        values = yamltext.load(content.decode("utf-8"))
        return Phrases.model_validate(values)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise LmspecError(f"{file}:{line}", "it is not UTF-8", "save it as UTF-8") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        raise LmspecError(place, f"it is not YAML: {error.problem}", "correct it") from None
    except ValidationError as error:
        raise _refused(file, error) from None
    except (YAMLError, ValueError) as error:
        raise LmspecError(file, f"it is not YAML: {error}", "correct it") from None


def _refused(file: str, error: ValidationError) -> LmspecError:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    remedy = "docs/training.md shows such a file; quote what YAML takes for a number"
    return LmspecError(f"{file}: {place}" if place else file, message, remedy)
