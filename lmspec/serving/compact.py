"""compact: values -> JSON without spaces, in ASCII, which holds any text and has no line breaks."""

import json
from typing import Any

JSON = json.JSONEncoder(separators=(",", ":"))  # made once: that takes as long as encoding


def text(values: Any) -> str:
    """One line."""
    return JSON.encode(values)


def content(values: Any) -> bytes:
    """A body, or a part of one."""
    return JSON.encode(values).encode("ascii")
