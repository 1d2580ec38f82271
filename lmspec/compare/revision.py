"""revision: params.yaml and data/metrics as a commit, or the working tree, has them. Read from git alone."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lmspec.errors import LmspecError

WORKTREE = "worktree"
METRICS = "data/metrics"


@dataclass(frozen=True)
class Revision:
    """name: as the user gave it; params, metrics: nested values, metrics by stage."""

    name: str
    params: dict[str, Any]
    metrics: dict[str, Any]


def read(name: str, root: Path) -> Revision:
    """A branch, tag or commit, or `worktree`. Raises LmspecError if git does not know it, or a file is not what it should be."""
    if name == WORKTREE:
        files = {p.name: p.read_text(encoding="utf-8") for p in sorted((root / METRICS).glob("*.json"))}
        params = (root / "params.yaml").read_text(encoding="utf-8") if (root / "params.yaml").exists() else ""
    else:
        _git(root, "rev-parse", "--git-dir")
        commit = _commit(name, root)
        listed = _git(root, "ls-tree", "--name-only", commit, "params.yaml", f"{METRICS}/").splitlines()
        files = {path.rpartition("/")[2]: _git(root, "show", f"{commit}:./{path}") for path in listed if path.endswith(".json")}
        params = _git(root, "show", f"{commit}:./params.yaml") if "params.yaml" in listed else ""
    values = _parse(params, f"{name}:params.yaml", YAML(typ="safe").load) or {}
    if name == WORKTREE and not values:
        where = "run lmspec in the folder that holds params.yaml, or restore it: `git checkout params.yaml`"
        raise LmspecError("params.yaml", "it is empty, or not in this folder", where)
    # DVC leaves the file of an artifact that was renamed or removed: it is no metric of this revision
    stages = {f"{noun}-{key}" for noun, section in values.items() if isinstance(section, dict) for key in section}
    kept = {file: text for file, text in files.items() if file.removesuffix(".json") in stages}
    metrics = {f.removesuffix(".json"): _parse(text, f"{name}:{METRICS}/{f}", json.loads) for f, text in kept.items()}
    return Revision(name, values, metrics)


def _parse(text: str, place: str, load: Any) -> Any:
    try:
        return load(text)
    except (json.JSONDecodeError, YAMLError) as error:
        raise LmspecError(place, f"it does not parse: {str(error).splitlines()[0]}", "build it again, or restore it") from None


def _commit(name: str, root: Path) -> str:
    run = _run(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if run.returncode:
        raise LmspecError(name, "there is no such commit", "name a branch, a tag or a commit: `git log --oneline` shows some")
    return run.stdout.strip()


def _git(root: Path, *arguments: str) -> str:
    run = _run(root, *arguments)
    if run.returncode:
        said = run.stderr.strip().splitlines() or ["git failed"]
        raise LmspecError(f"git {arguments[0]}", said[0], "run lmspec in a git repository that is whole")
    return run.stdout


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
