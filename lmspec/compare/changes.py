"""changes: what differs between two revisions before any metric: spec, rows, code, versions, and which artifacts were rebuilt."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.compare import naming
from lmspec.compare.report import Change, Changes, Code, Rows
from lmspec.compare.revision import Revision, executed
from lmspec.formats.lockfile import NEVER
from lmspec.pipeline import codediff, difference
from lmspec.pipeline import paths as places

SHORT = 12  # digits of a digest that are shown


def changes(old: Revision, new: Revision, before: Mapping[str, str]) -> Changes:
    """before: new name of an artifact -> its old name."""
    return Changes(
        parameters=tuple(_parameters(old, new, before)),
        data=tuple(_data(old, new, before)),
        code=tuple(_code(old, new)),
        toolchain=tuple(_toolchain(old, new)),
        rebuilt=tuple(_rebuilt(old, new, before)),
        new=tuple(name for name in new.artifacts if name not in before),
        removed=tuple(name for name in old.artifacts if name not in before.values()),
        renamed={name: to for to, name in before.items() if name != to},
    )


def _parameters(old: Revision, new: Revision, before: Mapping[str, str]) -> Iterator[Change]:
    """Every leaf of params.yaml with another value. What was only renamed has none."""
    if old.tree.ids.get("params.yaml") == new.tree.ids.get("params.yaml"):
        return
    params = _under_new_names(old.params, before)
    for row in difference.rows(_filled(params, new.params), _filled(new.params, params)):
        if row.differs:
            yield Change(row.name, _short(row.old), _short(row.new))


def _filled(params: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A section that holds nothing is null in YAML; where the other side's holds something, it is an empty one."""
    return {
        name: {} if value is None and isinstance(other.get(name), dict) else value
        for name, value in params.items()
    }


def _under_new_names(params: dict[str, Any], before: Mapping[str, str]) -> Any:
    names = {old: new for new, old in before.items() if old != new}
    if not names:
        return params
    moved: dict[str, Any] = {}
    for noun, section in params.items():
        if isinstance(section, dict):
            keys = {
                names.get(f"{noun}.{key}", f"{noun}.{key}").partition(".")[2]: value
                for key, value in section.items()
            }
            moved[noun] = naming.translated(keys, names)
        else:
            moved[noun] = section
    return moved


def _data(old: Revision, new: Revision, before: Mapping[str, str]) -> Iterator[Rows]:
    """Of each corpus the rows in git; of each test split the examples that were scored."""
    sides: dict[str, None] = {}
    for name in new.artifacts:
        if name.partition(".")[0] == "corpus" and name in before:
            paths = [
                r.tree.ids.get(r.table_path(n, "rows"))
                for r, n in ((old, before[name]), (new, name))
            ]
            if paths[0] != paths[1]:
                yield from _rows(name, old.table(before[name], "rows"), new.table(name, "rows"))
        elif name.partition(".")[0] == "scores" and name in before:
            tables = (
                old.table_path(before[name], "predictions"),
                new.table_path(name, "predictions"),
            )
            if old.tree.ids.get(tables[0]) != new.tree.ids.get(tables[1]):
                for found in _test_sides(
                    old.table(before[name], "predictions"), new.table(name, "predictions"), sides
                ):
                    yield from found


def _rows(
    artifact: str, old: Mapping[str, list[str]] | None, new: Mapping[str, list[str]] | None
) -> Iterator[Rows]:
    """Per table and label. A row is known by its id: the same text has the same one everywhere.

    One that is in another table now is out of the one and in the other.
    """
    if (
        old is None
        or new is None
        or any({"id", "table", "label"} - set(table) for table in (old, new))
    ):
        return
    before, after = (
        {
            i: (s, label)
            for i, s, label in zip(table["id"], table["table"], table["label"], strict=True)
        }
        for table in (old, new)
    )
    stays = {i for i, where in after.items() if i in before and before[i][0] == where[0]}
    added = Counter(where for i, where in after.items() if i not in stays)
    removed = Counter(where for i, where in before.items() if i not in stays)
    relabelled = Counter(after[i] for i in stays if before[i][1] != after[i][1])
    for table, label in sorted({*added, *removed, *relabelled}):
        where = table, label
        yield Rows(artifact, table, label, added[where], removed[where], relabelled[where])


def _test_sides(
    old: Mapping[str, list[str]] | None, new: Mapping[str, list[str]] | None, seen: dict[str, None]
) -> Iterator[Iterator[Rows]]:
    """One for each test split that was not looked at yet: many artifacts are scored on the same."""
    if old is None or new is None or "dataset" not in old or "dataset" not in new:
        return
    for dataset in dict.fromkeys(new["dataset"]):
        if dataset not in seen and dataset in old["dataset"]:
            seen[dataset] = None
            parts = [_where(table, dataset) for table in (old, new)]
            yield _rows(f"splits.{dataset}: test split", *parts)


def _where(table: Mapping[str, list[str]], dataset: str) -> dict[str, list[str]]:
    places = [i for i, name in enumerate(table["dataset"]) if name == dataset]
    return {
        name: [column[i] for i in places]
        for name, column in table.items()
        if name in ("id", "table", "label")
    }


def _code(old: Revision, new: Revision) -> Iterator[Code]:
    """Files that a stage of either side executes, by its closure in dvc.lock; without one, all code that is there."""
    stages = executed(old, new)
    for path in sorted({*old.tree.ids, *new.tree.ids}):
        counts = path.endswith(".py") and (stages is None or path in stages)
        if counts and old.tree.ids.get(path) != new.tree.ids.get(path):
            yield Code(
                path, _what(old.tree.text(path), new.tree.text(path)), (stages or {}).get(path, ())
            )


def _what(old: str | None, new: str | None) -> tuple[str, ...]:
    if old is None or new is None:
        return ("a new file",) if old is None else ("the file is gone",)
    try:
        return codediff.changed(old, new)
    except (SyntaxError, ValueError):
        return ("it does not parse",)


def _toolchain(old: Revision, new: Revision) -> Iterator[Change]:
    """Versions, and digests of the modules of an lmspec outside of the project."""
    for row in difference.rows(old.toolchain, new.toolchain):
        if row.differs:
            yield Change(row.name.removeprefix("packages."), _short(row.old), _short(row.new))


def _short(value: Any) -> Any:
    return value[:SHORT] if isinstance(value, str) and len(value) == 64 else value


def _rebuilt(old: Revision, new: Revision, before: Mapping[str, str]) -> Iterator[str]:
    """Artifacts of which an output has another hash. A record is about an output, and is none."""
    for name in new.artifacts:
        if name in before:
            sides = [_outputs(side, key) for side, key in ((old, before[name]), (new, name))]
            if all(sides) and sides[0] != sides[1]:
                yield name


def _outputs(side: Revision, name: str) -> dict[str, str]:
    """What was made -> its hash, under names that do not hold the artifact's own."""
    stage, folder = places.stage_name(name), places.folder(name)
    found = {}
    for path, md5 in side.lock.get(stage, NEVER).outs.items():
        if not path.startswith(f"{places.PROVENANCE}/"):
            found[
                path.replace(f"{places.METRICS}/{stage}", "metrics").replace(folder, "output")
            ] = md5
    return found
