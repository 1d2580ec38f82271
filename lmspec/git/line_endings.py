"""line_endings: files whose line endings git converted when it wrote the working tree."""

from collections.abc import Sequence
from pathlib import Path

from lmspec.errors import LmspecError, some
from lmspec.formats import lockfile
from lmspec.git import command as git
from lmspec.specs import names

PINNED = "* -text"  # in .gitattributes: what is hashed has the same bytes in every clone
# params.yaml and toolchain.yaml are missing: their values count, not their bytes
HASHED = (lockfile.NAME, "stages", "lmspec", names.METRICS, names.PROVENANCE)
REWRITE = "commit what you changed, then `git rm -rq --cached . && git reset -q --hard`"


def converted(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Path -> git's text attributes, for files with LF in git and CRLF on disk.

    Empty outside a repository, and without git. Raises LmspecError if git fails.
    """
    try:
        rows = git.text(root, "ls-files", "--eol", "-z", "--", *paths).split("\0")
    except (git.NoRepository, git.NotInstalled):
        return {}
    found = {}
    for row in filter(None, rows):
        about, _, path = row.partition("\t")
        in_git, on_disk, attributes = about.split(maxsplit=2)
        if on_disk in ("w/crlf", "w/mixed") and in_git in ("i/lf", "i/none"):
            found[path] = attributes.removeprefix("attr/").strip()
    return found


def require_unconverted(root: Path, paths: Sequence[str] = HASHED) -> None:
    """Raises LmspecError if files here have other hashes than in other clones."""
    if not (found := converted(root, paths)):
        return
    attributes = next(iter(found.values()))
    if attributes in ("", "-text"):
        cause = "" if attributes else "`lmspec init --merge-driver` pins them in .gitattributes; "
    else:
        cause = f"`{attributes}` of .gitattributes or .git/info/attributes must not apply to them; "
    raise LmspecError(
        ".gitattributes",
        f"files have CRLF here and LF in git, so their hashes differ from those of other clones: "
        f"{some(list(found))}",
        f"{cause}{REWRITE} writes them again",
    )
