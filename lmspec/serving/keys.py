"""keys: who may ask: secrets in a file, compared in constant time."""

import hashlib
import hmac
import re
import stat
from pathlib import Path

from lmspec.errors import LmspecError

KEY = re.compile(r"[A-Za-z0-9._~+/=-]{16,200}")  # what `Authorization: Bearer` can hold
MOST_BYTES = 2**20
MAKE_ONE = "openssl rand -hex 32"


class Keys:
    """Known by their SHA-256, which all have one length."""

    def __init__(self, keys: list[str]) -> None:
        self._digests = [_sha256(key) for key in keys]

    def hold(self, authorization: str) -> bool:
        """Is it `Bearer` and one of them? It takes as long for any key."""
        scheme, _, key = authorization.partition(" ")
        given = _sha256(key.strip())
        held = False
        for digest in self._digests:
            held |= hmac.compare_digest(digest, given)
        return held and scheme.lower() == "bearer"


def read(path: Path) -> Keys:
    """One key a line; empty lines and those with # are none. Raises LmspecError, OSError."""
    if stat.S_IMODE(path.stat().st_mode) & (stat.S_IROTH | stat.S_IWOTH):
        remedy = f"let no one else read it: `chmod 600 {path.name}`"
        raise LmspecError(str(path), "every user may read or write the keys", remedy)
    with path.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    for number, line in enumerate(lines, start=1):
        if line in keys and not KEY.fullmatch(line):
            found = "a key has 16 to 200 ASCII letters, digits and ._~+/=-"
            raise LmspecError(f"{path}:{number}", found, f"make one with `{MAKE_ONE}`")
    if not keys or len(content) > MOST_BYTES:
        found = f"it has no key, or more than {MOST_BYTES} bytes"
        raise LmspecError(str(path), found, f"write one key a line, such as of `{MAKE_ONE}`")
    return Keys(keys)


def _sha256(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
