"""url: one file behind any URL that fsspec opens, unpacked where the spec names members."""

import shutil
import tempfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import fsspec

from lmspec.errors import LmspecError
from lmspec.methods.sources import archive, digest
from lmspec.specs.sources import UrlSource


def fetch(spec: UrlSource, root: Path, out: Path) -> None:
    """Download to a scratch folder, check the hash, then unpack the members that the spec names.

    fsspec finds the credentials.
    """
    name = PurePosixPath(urlsplit(spec.url).path).name or "download"
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, name)
        try:
            # not fsspec.open: it reads in ranges, and fails after 5 MiB if a server has none
            system, path = fsspec.core.url_to_fs(spec.url)
            system.get_file(path, str(target))
        except ImportError as error:
            raise LmspecError(
                spec.url, f"its scheme needs another package: {error}", "install that package"
            ) from error
        except ValueError as error:
            raise LmspecError(
                spec.url, f"{error}", "use a scheme that fsspec knows: https, s3, gs, az"
            ) from error
        except Exception as error:  # every fsspec protocol raises errors of its own libraries
            reason = f"it cannot be read: {type(error).__name__}: {error}"
            raise LmspecError(
                spec.url, reason, "check the address, the credentials and the network"
            ) from error
        if not target.is_file():
            raise LmspecError(spec.url, "it is a folder, and must be a file", "name one file")
        digest.require(target, spec.sha256, spec.url)
        if spec.members:
            archive.take(target, spec.members, out, spec.url)
        else:
            shutil.copyfile(target, out / name)
