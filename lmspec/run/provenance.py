"""provenance: what a stage was built from and what it made; holds no time, host or path.

An in-toto Statement v1 with SLSA Provenance v1 (https://slsa.dev/spec/v1.0/provenance), in an
array in an array: DVC keeps no run-cache for a stage with an output in git that is neither metric
nor plot, and it draws the first array of objects in the file of a plot.
"""

import ast
import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.methods import folders
from lmspec.methods.folders import Hasher

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:lmspec:stage:v1"
PACKAGE = "pkg:pypi/"

Entry = dict[str, Any]  # in-toto's ResourceDescriptor


@dataclass(frozen=True)
class Provenance:
    """What a file of provenance says.

    params    parameter of params.yaml -> value
    inputs    path, or module of an installed lmspec -> its entry
    packages  package -> full version, of those in the cache key
    outputs   path -> its entry
    sandbox   what enforced the sandbox: see run/sandbox.py
    """

    params: Mapping[str, Any]
    inputs: Mapping[str, Entry]
    packages: Mapping[str, str]
    outputs: Mapping[str, Entry]
    sandbox: str

    def directions(self, path: str) -> dict[str, str]:
        """Metric in that file, or a group of them -> `higher` or `lower` is better."""
        notes = self.outputs.get(path, {}).get("annotations")
        better = notes.get("better") if isinstance(notes, dict) else None
        return better if isinstance(better, dict) else {}


def read(content: bytes | None) -> Provenance | None:
    """Parse a file of provenance; None if there is none or it is malformed."""
    try:
        (document,) = json.loads(content or b"[]")
        if isinstance(document, list):  # earlier versions wrote one array
            (document,) = document
        build = document["predicate"]["buildDefinition"]
        made_from, made = build["resolvedDependencies"], document["subject"]
        packages = (
            entry["uri"].removeprefix(PACKAGE).partition("@")
            for entry in made_from
            if "uri" in entry and entry.get("annotations", {}).get("declared", True)
        )
        return Provenance(
            build["externalParameters"]["params"],
            {entry["name"]: entry for entry in made_from if entry.get("name") is not None},
            {name: version for name, _, version in packages},
            {entry["name"]: entry for entry in made if entry.get("name") is not None},
            build["internalParameters"].get("sandbox", "unknown"),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def statement(
    artifact: str,
    params: Mapping[str, Any],
    inputs: Sequence[Entry],
    outputs: Sequence[Entry],
    how: Entry,
) -> str:
    """Text of a file of provenance.

    params           parameter -> value, all of params.yaml that decides the bytes, blocks resolved
    inputs, outputs  what `of_path` and `of_package` return
    how              `sandbox` and the version of Python
    """
    return f"""[[{{
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
}}]]
"""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _lines(entries: Sequence[Entry]) -> str:
    """One entry per line, so that a diff shows which ones differ."""
    return "[\n" + ",\n".join(f"   {_json(entry)}" for entry in entries) + "\n  ]"


def of_path(place: Path, name: str, of_file: Hasher = folders.of_file) -> Entry:
    """Entry of an input or output; code has a second digest that ignores comments and layout."""
    if place.is_dir():
        return {"name": name, "digest": {"dirHash": folders.sha256(place, of_file)}}
    entry: Entry = {"name": name, "digest": {"sha256": folders.sha256(place, of_file)}}
    if place.suffix == ".py":
        entry["annotations"] = {"parsed": parsed(place.read_bytes())}
    return entry


def annotate(entries: Iterable[Entry], name: str, better: Mapping[str, str]) -> None:
    """Add the directions of metrics to the entry of their file; comparisons read them from git."""
    for entry in entries:
        if better and entry["name"] == name:
            entry["annotations"] = {"better": dict(better)}


def of_package(name: str, version: str, declared: bool) -> Entry:
    """Entry of a Python package, with the local label of its version, as `+cpu`."""
    entry: Entry = {"uri": f"{PACKAGE}{name}@{version}"}
    return entry if declared else entry | {"annotations": {"declared": False}}


def parsed(content: bytes) -> str:
    """SHA-256 of a file's syntax tree, docstrings included; of the content if it does not parse."""
    with contextlib.suppress(SyntaxError, ValueError):
        content = ast.dump(ast.parse(content)).encode()
    return hashlib.sha256(content).hexdigest()
