"""origin: the commit of git whose provenance has a bundle."""

import hashlib

from lmspec.errors import LmspecError
from lmspec.formats import manifest
from lmspec.git import command as git
from lmspec.serving.opening import Opened


def commit(bundle: Opened) -> str | None:
    """The first commit with the provenance of exactly these files; None if git does not know it.

    Provenance has the digest of the folder, and the folder is data/bundle/<name> of its project.
    """
    folder = bundle.folder.resolve()
    if folder.parts[-3:-1] != ("data", "bundle"):
        return None
    root, provenance = folder.parents[2], f"data/provenance/bundle-{folder.name}.json"
    arguments = ("log", "--format=%H", "--reverse", f"-S{folder_digest(bundle)}", "--", provenance)
    try:
        found = git.run(root, *arguments).stdout.decode("ascii", "replace").split()
    except (LmspecError, OSError):
        return None
    return found[0] if found else None


def folder_digest(bundle: Opened) -> str:
    """As `methods/folders.py:sha256` of the folder, without files that were not built."""
    files = {**bundle.manifest.files, manifest.NAME: bundle.manifest.digest}
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
