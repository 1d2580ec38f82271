"""`python -m lmspec.run NOUN NAME`: build one artifact as dvc.yaml declares it.

DVC runs this for every stage.
"""

import sys
from pathlib import Path

from lmspec.run import source


def main() -> int:
    """Check the interpreter before importing what another one may lack. Returns the exit code."""
    root = Path.cwd()
    source.only(str(root))
    from lmspec.run import interpreter

    interpreter.prepare(root, *sys.argv[1:2])
    from lmspec.run import supervisor

    return supervisor.main(root, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
