"""shadowed: the process in which a shadow answers: a JSON object a line, in and out.

python -m lmspec.serving.shadowed FOLDER [--any-owner]

The first line that it writes says what it is, or why it does not start. It ends with its input.
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from lmspec.errors import LmspecError
from lmspec.serving import opening

LOWEST = 19  # of priorities: any other work of the machine comes first
FIRST_TO_END = "1000"  # where memory runs out, before the service


def yielding() -> None:
    """Everything else of the machine comes first; signals are for the service, which ends this."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with contextlib.suppress(OSError):
        os.nice(LOWEST)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_END, encoding="ascii")


def own_output() -> BinaryIO:
    """Standard output; what a library prints there goes nowhere."""
    output = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return output


def bundle_in(folder: Path, any_owner: bool) -> opening.Bundle:
    """One that predicts labels. Raises LmspecError."""
    opened = opening.opened(folder, any_owner)
    if not isinstance(opened, opening.Bundle):
        found = "its model writes, and a shadow compares labels"
        raise LmspecError(str(folder), found, "name a bundle that predicts labels")
    return opened


def main(arguments: Sequence[str]) -> None:
    """Answer each line of standard input."""
    yielding()
    output = own_output()

    def write(**values: Any) -> None:
        output.write(json.dumps(values).encode() + b"\n")
        output.flush()

    folder, *options = arguments
    try:
        bundle = bundle_in(Path(folder), "--any-owner" in options)
    except LmspecError as error:
        write(refused=[error.place, error.found, error.remedy])
        return
    classifier = bundle.classifier
    write(name=bundle.name, digest=bundle.manifest.digest, labels=classifier.labels)
    for line in sys.stdin.buffer:
        try:
            answer = classifier.predict(json.loads(line)["text"])
        except Exception as error:  # of one text: the next may have an answer
            write(failed=type(error).__name__)
            continue
        confidence = next(iter(answer.values()), None)
        write(label=classifier.label(answer), confidence=confidence)


if __name__ == "__main__":
    main(sys.argv[1:])
