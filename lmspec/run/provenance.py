"""provenance: what a stage was given and what it made, as a statement that holds nothing of the clock, the host or a path.

Source: in-toto Statement v1 with SLSA Provenance v1 (https://slsa.dev/spec/v1.0/provenance).
"""

import ast
import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:lmspec:stage:v1"


Entry = dict[str, Any]  # in-toto's ResourceDescriptor


def statement(
    artifact: str,
    params: Mapping[str, Any],
    inputs: Sequence[Entry],
    outputs: Sequence[Entry],
    how: Entry,
) -> str:
    """The text of a record: an array of one statement.

    An array, since DVC shows all that an object in a file of metrics holds as a metric, and keeps no run-cache for a stage
    that has an output in git which is neither metric nor plot.

    params           name -> value, of all of params.yaml that decides the bytes
    inputs, outputs  what `of_path` and `of_package` give
    how              `sealed`, the version of Python
    """
    return f"""[{{
"_type": {_json(STATEMENT)},
"subject": {_lines(outputs)},
"predicateType": {_json(PROVENANCE)},
"predicate": {{
 "buildDefinition": {{
  "buildType": {_json(BUILD_TYPE)},
  "externalParameters": {_json({"artifact": artifact, "params": params})},
  "internalParameters": {_json(how)},
  "resolvedDependencies": {_lines(inputs)}
 }},
 "runDetails": {{"builder": {{"id": {_json(BUILD_TYPE)}}}}}
}}
}}]
"""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _lines(entries: Sequence[Entry]) -> str:
    """One to a line, so that a diff of two records shows which of them differ."""
    return "[\n" + ",\n".join(f"   {_json(entry)}" for entry in entries) + "\n  ]"


def of_path(place: Path, name: str) -> Entry:
    """An input or output, with its digest: of code, that of the parsed code as well, which comments and layout leave alone."""
    if place.is_dir():
        return {"name": name, "digest": {"dirHash": of_folder(place)}}
    found: Entry = {"name": name, "digest": {"sha256": _sha256(place)}}
    if place.suffix == ".py":
        found["annotations"] = {"parsed": parsed(place.read_bytes())}
    return found


def annotate(entries: Iterable[Entry], name: str, better: Mapping[str, str]) -> None:
    """Say of the metrics called `name` which way each is better: who compares two commits reads it here, from git alone."""
    for entry in entries:
        if better and entry["name"] == name:
            entry["annotations"] = {"better": dict(better)}


def of_package(name: str, version: str, declared: bool) -> Entry:
    """A Python package; a local label of its version, as `+cpu`, stays in the record and is in no key."""
    found: Entry = {"uri": f"pkg:pypi/{name}@{version}"}
    return found if declared else found | {"annotations": {"declared": False}}


def of_folder(folder: Path) -> str:
    """SHA-256 of the list of its files with their SHA-256: `dirHash` of in-toto, Hash1 of Go's module `dirhash`, in hex."""
    names = sorted((file.relative_to(folder).as_posix(), file) for file in files(folder))
    lines = "".join(f"{_sha256(file)}  {name}\n" for name, file in names)
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def files(folder: Path) -> Iterable[Path]:
    """All files beneath a folder but what Python compiled."""
    return (
        file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    )


def parsed(content: bytes) -> str:
    """SHA-256 of the parsed code of a file, docstrings included; of the content, if it does not parse."""
    with contextlib.suppress(SyntaxError, ValueError):
        content = ast.dump(ast.parse(content)).encode()
    return hashlib.sha256(content).hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
