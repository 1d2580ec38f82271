"""decoding: how answers are generated, as scores and bundles hand it on."""

import json
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError
from lmspec.specs.generation import Decoding, JsonSchema


def settled(rule: Decoding, root: Path) -> dict[str, Any]:
    """Its fields, with the JSON schema in place of the file that has it.

    Raises LmspecError if there is no such file, or it is no JSON.
    """
    values = rule.model_dump(mode="json", include={*Decoding.model_fields})
    if isinstance(rule.constraint, JsonSchema):
        schema = schema_in(root, rule.constraint.file)
        values["constraint"] = {"kind": rule.constraint.kind, "schema": schema}
    return values


def schema_in(root: Path, file: str) -> Any:
    """The JSON schema of a file of the project. Raises LmspecError if there is none."""
    try:
        return json.loads((root / file).read_text(encoding="utf-8"))
    except OSError as error:
        found = f"it cannot be read: {error.strerror}"
        raise LmspecError(file, found, "correct `constraint.file`, or add the file") from None
    except ValueError as error:
        raise LmspecError(file, f"it is no JSON: {error}", "correct it") from None
