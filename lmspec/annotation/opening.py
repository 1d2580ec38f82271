"""opening: a built list, and the file that its annotations go to."""

from pathlib import Path

from lmspec.annotation.session import Session
from lmspec.errors import LmspecError
from lmspec.formats import documents, worklist
from lmspec.formats.annotations import Appending
from lmspec.specs.names import ArtifactName

NOUNS = ("queue", "suspects")


def file_of(name: ArtifactName) -> str:
    """Where annotations of a list go, unless another file is named."""
    return f"labels/{name.stage}.csv"


def opened(root: Path, name: ArtifactName, file: str) -> Session:
    """Raises LmspecError if it is not built, or the file is damaged."""
    folder = root / name.folder
    rows = worklist.read(folder)
    if name.noun == "queue":  # a label that a classifier suggests would sway the annotator
        rows = [row._replace(label=None, suggested=None) for row in rows]
    appending = Appending(root / file, file)
    session = Session(str(name), rows, documents.read_labels(folder), appending)
    known = {one.label for one in appending.read() if one.id in session.rows and one.label}
    if strange := sorted(known - {*session.labels}):
        found = f"it has the label {strange[0]!r}, which {name} does not"
        raise LmspecError(file, found, "give another file with --to, or correct the lines")
    return session
