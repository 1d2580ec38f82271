"""applying: the best values of a sweep, written into params.yaml."""

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmspec.language import document as documents
from lmspec.language import setting, validate
from lmspec.language.document import Document
from lmspec.language.problems import dotted
from lmspec.language.setting import Setting
from lmspec.language.validate import Validation
from lmspec.run import declaration
from lmspec.specs.disagreement import Steps
from lmspec.specs.names import ArtifactName

PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[a-z][a-z0-9_]*")


def applied(
    path: Path, of: str, values: Mapping[str, Any]
) -> tuple[str, list[Setting], Validation]:
    """(the text of a params.yaml with those values, each change, what is wrong with the result).

    values  path of a field below the artifact -> value
    A block that something else names too is written out in its place: only the artifact changes.
    Raises LmspecError if a value cannot be replaced in place; ProblemsFound if it is not YAML.
    """
    text, settings = documents.text_of(path), []
    for field, value in values.items():
        read = documents.parsed(text, path)
        steps: Steps = (*ArtifactName.parse(of), *field.split("."))
        if declaration.same(declaration.at(read.resolved, dotted(steps)), value):
            continue
        where, new = _place(read, steps, value)
        text, made = setting.changed(text, path, f"{dotted(where)}={flow(new)}")
        settings.append(made)
    return text, settings, validate.of_document(documents.parsed(text, path))


def _place(read: Document, steps: Steps, value: Any) -> tuple[Steps, Any]:
    """(path of what is written, its new value): the field, or the shared block around it."""
    for _, user in read.references(steps):
        block = str(read.written(user)[1])
        if len(read.users.get(block, ())) > 1:
            whole = copy.deepcopy(declaration.at(read.resolved, dotted(user)))
            owner = whole
            *parents, last = steps[len(user) :]
            for parent in parents:
                owner = owner[parent]
            owner[last] = value
            return (*read.written(user[:-1]), user[-1]), whole
    return read.written(steps), value


def flow(value: Any) -> str:
    """A value as YAML on one line, as people write it: `{kind: adamw, beta1: 0.9}`."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, str) and PLAIN.fullmatch(value):
        return value
    if isinstance(value, float) and value != 0 and not 0.001 <= abs(value) < 1e6:
        digits, exponent = f"{value:e}".split("e")
        short = f"{float(digits):g}"
        text = f"{short if '.' in short else f'{short}.0'}e{int(exponent)}"
        return text if float(text) == value else repr(value)
    return json.dumps(value, ensure_ascii=False)
