"""changes: spec, rows, code and versions that differ, and which artifacts were rebuilt."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.compare import naming
from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import ArtifactPair, Evidence
from lmspec.compare.report import Change, Changes, Code, Rows
from lmspec.compare.revision import PARAMS, Revision, executed
from lmspec.pipeline import codediff, difference
from lmspec.pipeline import paths as places

SHORT = 12  # digits of a digest that are shown


def changes(evidence: Evidence) -> Changes:
    """All that differs before any metric does."""
    baseline, candidate = evidence.baseline, evidence.candidate
    pairs = evidence.in_both
    former = {pair.name: pair.baseline.name for pair in pairs}
    return Changes(
        parameters=tuple(_parameters(baseline, candidate, former)),
        data=tuple(_data(pairs)),
        code=tuple(code(baseline, candidate)),
        toolchain=tuple(_toolchain(baseline, candidate)),
        rebuilt=tuple(pair.name for pair in pairs if _is_rebuilt(pair)),
        new=tuple(name for name in candidate.artifacts if name not in former),
        removed=tuple(name for name in baseline.artifacts if name not in former.values()),
        renamed={old: new for new, old in former.items() if new != old},
    )


def _parameters(
    baseline: Revision, candidate: Revision, former: Mapping[str, str]
) -> Iterator[Change]:
    """Every leaf of params.yaml with another value; a rename is not one."""
    if baseline.tree.ids.get(PARAMS) == candidate.tree.ids.get(PARAMS):
        return
    old, new = _under_new_names(baseline.params, former), candidate.params
    for row in difference.rows(_filled(old, new), _filled(new, old)):
        if row.differs:
            yield Change(row.name, _shortened(row.old), _shortened(row.new))


def _filled(params: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """An empty section, which YAML reads as null, becomes {} where the other's is not empty."""
    return {
        name: {} if value is None and isinstance(other.get(name), dict) else value
        for name, value in params.items()
    }


def _under_new_names(params: dict[str, Any], former: Mapping[str, str]) -> dict[str, Any]:
    names = {old: new for new, old in former.items() if old != new}
    if not names:
        return params
    renamed: dict[str, Any] = {}
    for noun, section in params.items():
        if isinstance(section, dict):
            artifacts = {
                names.get(f"{noun}.{name}", f"{noun}.{name}").partition(".")[2]: spec
                for name, spec in section.items()
            }
            renamed[noun] = naming.translated(artifacts, names)
        else:
            renamed[noun] = section
    return renamed


def _data(pairs: list[ArtifactPair]) -> Iterator[Rows]:
    """Of each corpus the committed rows; of each test split the examples that were scored."""
    compared: set[str] = set()  # datasets: many artifacts are scored on the same
    for pair in pairs:
        report = {"corpus": "rows", "scores": "predictions"}.get(pair.noun)
        if report is None or len({end.table_id(report) for end in pair}) == 1:
            continue
        old, new = (end.table(report) for end in pair)
        if report == "rows":
            yield from _rows(pair.name, old, new)
        elif old and new and "dataset" in old and "dataset" in new:
            for dataset in dict.fromkeys(new["dataset"]):
                if dataset in old["dataset"] and dataset not in compared:
                    compared.add(dataset)
                    tables = (_where(table, dataset) for table in (old, new))
                    yield from _rows(f"splits.{dataset}: test split", *tables)


def _rows(
    artifact: str, old: Mapping[str, list[str]] | None, new: Mapping[str, list[str]] | None
) -> Iterator[Rows]:
    """Per table and label. The id of a row follows from its text.

    A row that moved to another table is removed from the one and added to the other.
    """
    if old is None or new is None or any({"id", "table", "label"} - set(t) for t in (old, new)):
        return
    before, after = (
        dict(zip(rows["id"], zip(rows["table"], rows["label"], strict=True), strict=True))
        for rows in (old, new)
    )  # id -> (table, label)
    stays = {i for i, place in after.items() if i in before and before[i][0] == place[0]}
    added = Counter(place for i, place in after.items() if i not in stays)
    removed = Counter(place for i, place in before.items() if i not in stays)
    relabelled = Counter(after[i] for i in stays if before[i][1] != after[i][1])
    for place in sorted({*added, *removed, *relabelled}):
        yield Rows(artifact, *place, added[place], removed[place], relabelled[place])


def _where(table: Mapping[str, list[str]], dataset: str) -> dict[str, list[str]]:
    places = [i for i, name in enumerate(table["dataset"]) if name == dataset]
    columns = [name for name in table if name in ("id", "table", "label")]
    return {name: [table[name][i] for i in places] for name in columns}


def code(baseline: Revision, candidate: Revision) -> Iterator[Code]:
    """Files that a stage of either executes, by dvc.lock; without one, all code of the project."""
    stages = executed(baseline, candidate)
    old, new = baseline.tree, candidate.tree
    for path in sorted({*old.ids, *new.ids}):
        counts = path.endswith(".py") and (stages is None or path in stages)
        if counts and old.ids.get(path) != new.ids.get(path):
            yield Code(path, _what(old.text(path), new.text(path)), (stages or {}).get(path, ()))


def _what(old: str | None, new: str | None) -> tuple[str, ...]:
    if old is None or new is None:
        return ("a new file",) if old is None else ("the file is gone",)
    try:
        return codediff.changed(old, new)
    except (SyntaxError, ValueError):
        return ("it does not parse",)


def _toolchain(baseline: Revision, candidate: Revision) -> Iterator[Change]:
    """Versions of packages, and digests of the modules of an installed lmspec."""
    for row in difference.rows(baseline.toolchain, candidate.toolchain):
        if row.differs:
            name = row.name.removeprefix("packages.")
            yield Change(name, _shortened(row.old), _shortened(row.new))


def _shortened(value: Any) -> Any:
    """A digest is shown by its first digits."""
    return value[:SHORT] if isinstance(value, str) and len(value) == 64 else value


def _is_rebuilt(pair: ArtifactPair) -> bool:
    """Has an output another hash? Provenance describes outputs, and does not count."""
    old, new = (_outputs(end) for end in pair)
    return bool(old and new) and old != new


def _outputs(artifact: Artifact) -> dict[str, str]:
    """Output -> MD5, under names without the artifact's own."""
    stage, folder = places.stage_name(artifact.name), places.folder(artifact.name)
    outputs = {}
    for path, md5 in artifact.revision.run(artifact.name).outs.items():
        if not path.startswith(f"{places.PROVENANCE}/"):
            name = path.replace(f"{places.METRICS}/{stage}", "metrics").replace(folder, "output")
            outputs[name] = md5
    return outputs
