"""lockfile: what dvc.lock says of the last run of each stage, and the text of a file as it was then."""

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lmspec.errors import LmspecError
from lmspec.git import command as git

REMEMBERED = Path(".lmspec/code")
COMMITS = 50  # how far back the text of a file is looked for


@dataclass(frozen=True)
class Run:
    """The last run of a stage. params: name -> value in params.yaml; deps: path -> MD5 of what was there."""

    params: Mapping[str, Any]
    deps: Mapping[str, str]


def read(root: Path) -> dict[str, Run]:
    """Stage -> its last run. Empty if nothing was ever run."""
    path = root / "dvc.lock"
    document = (YAML(typ="safe").load(path) if path.exists() else None) or {}
    return {
        stage: Run(
            entry.get("params", {}).get("params.yaml", {}),
            {dep["path"]: str(dep.get("md5", "")) for dep in entry.get("deps", ())},
        )
        for stage, entry in (document.get("stages") or {}).items()
    }


def require_whole(root: Path) -> None:
    """Raises LmspecError if DVC was killed while it wrote dvc.lock: it empties the file first, and writes it in parts."""
    path = root / "dvc.lock"
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    *_, last = text.rpartition("- path:")  # the last thing that a stage reads or makes
    hashed = "- path:" not in text or re.search("md5:|etag:|checksum:", last)
    if not text.strip() or not text.endswith("\n") or text.endswith(":\n") or not hashed:
        raise LmspecError(
            "dvc.lock",
            "it is cut short: DVC was killed while it wrote it",
            "`git checkout dvc.lock`, or remove it if git has none; then `dvc repro` takes what was built from its cache",
        )


def text_then(root: Path, path: str, md5: str) -> str | None:
    """The text that a file had when it had that MD5: from what was remembered, or the commits that touched it.

    None if none of them has it.
    """
    remembered = root / REMEMBERED / md5
    if remembered.exists():
        return remembered.read_text(encoding="utf-8")
    if shutil.which("git") is None:  # DVC can do without
        return None
    commits = git.run(root, "log", f"--max-count={COMMITS}", "--format=%H", "--", path).stdout
    for commit in commits.decode().split():
        content = git.run(root, "show", f"{commit}:./{path}").stdout
        if _md5(content) == md5:
            return content.decode("utf-8", "replace")
    return None


def remember(root: Path, path: str) -> None:
    """Keep the text of a file under its MD5, for one that is in no commit yet."""
    content = (root / path).read_bytes()
    folder = root / REMEMBERED
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _md5(content)).write_bytes(content)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
