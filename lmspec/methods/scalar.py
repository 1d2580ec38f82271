"""scalar: a text as a YAML scalar that every reader of YAML gives back as that text."""

import json
import re

# words that readers of YAML 1.1 take for something else
RESERVED = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
# what a YAML file may not hold as it is, or gives back as a space, beside what JSON escapes
UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def quoted(text: str) -> str:
    """In double quotes unless it is a plain word."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text) and text.lower() not in RESERVED
    escaped = json.dumps(text, ensure_ascii=False)
    return text if plain else UNPRINTABLE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", escaped)


def flow(value: object) -> str:
    """A value in YAML on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, int):  # a bool too
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, float):  # YAML 1.1 has no float without a point
        return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))
    return "null" if value is None else quoted(str(value))
