"""wheels: put the lock on standard input into the module whose path is given."""

import sys
from pathlib import Path

HEAD = 'LOCK = """\\\n'


def written(module: str, lock: str) -> str:
    """The module with that lock."""
    doubled = lock.replace("\\", "\\\\")
    return f'{module.partition(HEAD)[0]}{HEAD}{doubled}"""\n'


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written(path.read_text(), sys.stdin.read()))
