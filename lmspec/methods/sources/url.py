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
    """Download to a scratch folder, check the hash, then take what is wanted. Credentials: as fsspec finds them."""
    name = PurePosixPath(urlsplit(spec.url).path).name or "download"
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, name)
        try:
            with fsspec.open(spec.url, "rb") as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        except ImportError as error:
            raise LmspecError(spec.url, f"its scheme needs another package: {error}", "install that package") from error
        except ValueError as error:
            raise LmspecError(spec.url, f"{error}", "use a scheme that fsspec knows: https, s3, gs, az") from error
        except Exception as error:  # every fsspec protocol raises errors of its own libraries
            reason = f"it cannot be read: {type(error).__name__}: {error}"
            raise LmspecError(spec.url, reason, "check the address, the credentials and the network") from error
        digest.require(target, spec.sha256, spec.url)
        if spec.members:
            archive.take(target, spec.members, out, spec.url)
        else:
            shutil.copyfile(target, out / name)
