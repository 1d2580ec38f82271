"""deletion: is anything of an artifact made from rows that were to be deleted?

All data below it are searched for their ids: corpora, splits, augmented texts, and the tables that
git keeps. That these are what it was made from is what its provenance says.
"""

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from lmspec.audit import agreement
from lmspec.specs.base import references
from lmspec.specs.names import METRICS, PARTS, ArtifactName
from lmspec.specs.project import Project

SEARCHED = (*PARTS, "augmented")
NAMES = ("id", "made_from", "beside")  # columns with ids of rows


@dataclass(frozen=True)
class Search:
    """lines: where a row still is, and what could not be searched; data: artifacts with rows."""

    lines: tuple[str, ...]
    data: tuple[str, ...]
    stages: tuple[str, ...]


def search(
    project: Project, root: Path, names: Collection[ArtifactName], ids: Collection[str]
) -> Search:
    """Look for rows in all that these artifacts were made from, and in what git keeps of it."""
    below = made_from(project, names)
    data = [name for name in below if name.noun in SEARCHED]
    lines = [line for name in data for line in _in_folder(root, name, ids)]
    lines += [line for name in below for line in _in_tables(root, name, ids)]
    stages = tuple(name.stage for name in below)
    lines += agreement.check(project, root, stages).lines
    return Search(tuple(lines), tuple(map(str, data)), stages)


def made_from(project: Project, names: Collection[ArtifactName]) -> list[ArtifactName]:
    """These artifacts and all that they refer to, in the order of the project."""
    found: set[str] = set()
    queue = [str(name) for name in names]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += [str(ref) for _, ref in references(project.find(name))]
    return [ArtifactName.parse(name) for name, _ in project.artifacts() if name in found]


def _in_folder(root: Path, name: ArtifactName, ids: Collection[str]) -> Iterator[str]:
    """By the ids that a text has in every corpus, and by those of its rows."""
    folder = root / name.folder
    files = sorted([*folder.glob("*.ids"), *folder.glob("*.parquet")])
    if not files:
        yield f"{name}: {name.folder} is not here, so it was not searched: `dvc pull`"
    for file in files:
        held = file.read_text(encoding="utf-8").split() if file.suffix == ".ids" else _ids(file)
        yield from _line(f"{name}: {file.relative_to(root)}", held, ids)


def _ids(file: Path) -> list[str]:
    table = pl.scan_parquet(file)
    columns = [name for name in NAMES if name in table.collect_schema().names()]
    return [name for column in table.select(columns).collect() for name in column if name]


def _in_tables(root: Path, name: ArtifactName, ids: Collection[str]) -> Iterator[str]:
    """In the tables of data/metrics, such as predictions."""
    for file in sorted((root / METRICS / name.stage).glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            held = [row[column] for row in rows for column in NAMES if row.get(column)]
        yield from _line(f"{name}: {file.relative_to(root)}", held, ids)


def _line(place: str, held: Sequence[str], ids: Collection[str]) -> Iterator[str]:
    if still := sorted({*held} & {*ids}):
        yield f"{place} has {len(still):,} of the rows: {', '.join(still[:5])}"
