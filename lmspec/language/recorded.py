"""recorded: values that DVC's lock file does not give back: their stage is never up to date.

DVC writes the values of a stage to dvc.lock, and reads and writes the whole file again after each
stage that runs, with ruamel's round-trip loader. That loader folds long texts, which loses runs of
spaces and adds a space to a backslash, and it cuts digits of numbers with an exponent. After it
folds a key, neither DVC nor git's merge driver can read the file.
"""

import io
import math
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lmspec.language.document import CONTROL
from lmspec.specs.disagreement import Disagreement, Steps

WIDEST_KEY = 40  # characters; never folded, since keys begin before column 30 and a line holds 80
FEWEST_DIGITS = 10  # numbers with fewer come back as they are


def losses(value: Any, steps: Steps) -> Iterator[Disagreement]:
    """Each value or key that would not come back. steps: its path, from the artifact's noun on."""
    if isinstance(value, dict):
        for key, item in value.items():
            lost = list(_of_key(key, (*steps, key)))
            yield from lost or losses(item, (*steps, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from losses(item, (*steps, i))
    elif isinstance(value, str):
        if not _is_plain(value):
            yield from _of_text(value, steps, value)
    elif isinstance(value, float):
        yield from _of_number(value, steps)


def _is_plain(text: str, longest: float = math.inf) -> bool:
    """Does it always come back, so that it need not be tried?"""
    apart = "  " not in text and "\\" not in text and text == text.strip()
    return len(text) <= longest and text.isprintable() and apart


def _of_key(key: str, steps: Steps) -> Iterator[Disagreement]:
    if not _is_plain(key, WIDEST_KEY):
        yield from _of_text(key, steps, {key: 0})


def _of_text(text: str, steps: Steps, value: Any) -> Iterator[Disagreement]:
    if control := CONTROL.search(text):
        yield Disagreement(steps, f"it has the control character {_code(control[0])}", "remove it")
    elif "\x85" in text:
        found = f"it has a {_code(chr(0x85))}, which dvc.lock gives back as a space"
        yield Disagreement(steps, found, "write a space or a line feed")
    elif value != (back := _back(value, steps)):
        if back is None:
            found, remedy = "a key this long makes dvc.lock unreadable", "40 characters are safe"
        else:
            found = "dvc.lock folds it and gives back another text"
            remedy = "write single spaces, and no backslash in a long text"
        yield Disagreement(steps, found, remedy)


def _of_number(number: float, steps: Steps) -> Iterator[Disagreement]:
    if number == 0 and math.copysign(1, number) < 0:
        found = "-0.0 and 0.0 are the same to DVC, but not to a build"
        yield Disagreement(steps, found, "write 0.0")
    elif "e" in (digits := repr(number)) and len(digits) > FEWEST_DIGITS:
        back = _back(number, steps)
        if number != back:
            yield Disagreement(steps, f"dvc.lock gives back {back!r}", "write it with 12 digits")


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"


def _back(value: Any, steps: Steps) -> Any:
    """What dvc.lock gives back for a value at that path after another stage ran; None: unreadable.

    The place where a text is folded depends on its column, and so on the path.
    """
    noun, name, *fields = steps[: -1 if isinstance(value, dict) else None]
    for step in reversed(fields):
        value = [value] if isinstance(step, int) else {step: value}
    params = {"params.yaml": {f"{noun}.{name}": value}}
    text = _written({"stages": {f"{noun}-{name}": {"params": params}}})
    try:
        text = _written(YAML().load(text))
        back = YAML(typ="safe").load(text)
    except YAMLError:
        return None
    for step in ("stages", f"{noun}-{name}", "params", "params.yaml", f"{noun}.{name}", *fields):
        back = back[0 if isinstance(step, int) else step]
    return back


def _written(document: Any) -> str:
    """As DVC writes YAML."""
    yaml, stream = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.dump(document, stream)
    return stream.getvalue()
