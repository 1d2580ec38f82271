"""npm: files of a pinned npm package, fetched by npm and checked against a hash."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.methods.sources import archive, digest
from lmspec.specs.sources import NpmSource

TOP = "package"  # the folder of every package


def fetch(spec: NpmSource, root: Path, out: Path) -> None:
    """`npm pack` downloads the package, with the registry and the credentials of the user's npm.

    It runs no script of it.
    """
    what = f"{spec.package}@{spec.version} (npm)"
    npm = shutil.which("npm")
    if npm is None:
        raise LmspecError(what, "there is no npm on the PATH", "install it (nodejs.org)")
    with tempfile.TemporaryDirectory() as scratch:
        command = [npm, "pack", "--ignore-scripts", "--loglevel=error", "--cache", f"{scratch}/npm"]
        run = subprocess.run(
            [*command, "--pack-destination", scratch, f"{spec.package}@{spec.version}"],
            cwd=scratch,  # away from a package.json
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "NO_UPDATE_NOTIFIER": "1"},
        )
        packed = sorted(Path(scratch).glob("*.tgz"))
        if run.returncode or len(packed) != 1:
            raise LmspecError(what, "npm could not fetch it", _last_error(run.stderr))
        digest.require(packed[0], spec.sha256, what)
        taken = Path(scratch, "taken")
        for number, file in enumerate(spec.members):
            place = taken / str(number)
            place.mkdir(parents=True)
            archive.take(packed[0], (f"{TOP}/{file}",), place, what)
            (path,) = place.iterdir() if (place / Path(file).name).is_file() else (None,)
            if path is None:
                raise LmspecError(what, f"'{file}' is a folder", "name the files that you need")
        for path in sorted(taken.glob("*/*")):
            shutil.move(path, out / path.name)


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    found = next((line for line in lines if "npm error" in line and "code" not in line), None)
    found = found or (lines or ["npm printed nothing"])[-1]
    return f"check the name, the version and the network; npm: {found}"
