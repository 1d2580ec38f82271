"""changes: spec, rows, code and versions that differ, and which artifacts were rebuilt."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lmspec.compare import naming
from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import ArtifactPair, Evidence
from lmspec.compare.report import Change, Changes, Code, Rows
from lmspec.compare.revision import PARAMS, Nested, Revision, Table, executed
from lmspec.language import uses
from lmspec.pipeline import codediff, difference
from lmspec.specs.names import METRICS, PROVENANCE, ArtifactName

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


def _differing(baseline: Any, candidate: Any) -> Iterator[Change]:
    """Every leaf with another value; a digest is shown by its first digits."""
    for row in difference.rows(baseline, candidate):
        if row.differs:
            yield Change(row.name, _shortened(row.old), _shortened(row.new))


def _parameters(
    baseline: Revision, candidate: Revision, former: Mapping[str, str]
) -> Iterator[Change]:
    """Of params.yaml; a rename is no change."""
    if baseline.tree.ids.get(PARAMS) != candidate.tree.ids.get(PARAMS):
        renamed = _under_new_names(baseline.params, former)
        old, new = uses.compared(renamed, candidate.params)
        for change in _differing(_filled(old, new), _filled(new, old)):
            users = uses.artifacts(candidate.params, uses.block_of(change.name))
            yield replace(change, used_by=users)


def _filled(params: Mapping[str, Any], other: Mapping[str, Any]) -> Nested:
    """An empty section, which YAML reads as null, becomes {} where the other's is not empty."""
    return {
        name: {} if value is None and isinstance(other.get(name), dict) else value
        for name, value in params.items()
    }


def _under_new_names(params: Nested, former: Mapping[str, str]) -> Nested:
    names = {old: new for new, old in former.items() if old != new}
    renamed = {}
    for noun, section in params.items() if names else ():
        if isinstance(section, dict):
            artifacts = {
                ArtifactName.parse(names.get(f"{noun}.{name}", f"{noun}.{name}")).name: spec
                for name, spec in section.items()
            }
            section = naming.translated(artifacts, names)
        renamed[noun] = section
    return renamed or params


def _data(pairs: list[ArtifactPair]) -> Iterator[Rows]:
    """Of each corpus the committed rows; of each test split the examples that were scored."""
    compared: set[str] = set()  # datasets: many artifacts are scored on the same
    for pair in pairs:
        report = {"corpus": "rows", "scores": "predictions"}.get(pair.noun)
        if report is None or len({end.table_id(report) for end in pair}) == 1:
            continue
        baseline, candidate = (end.table(report) or {} for end in pair)
        if report == "rows":
            yield from _rows(pair.name, baseline, candidate)
            continue
        for dataset in dict.fromkeys(candidate.get("dataset", ())):
            if dataset in baseline.get("dataset", ()) and dataset not in compared:
                compared.add(dataset)
                tables = (_where(table, dataset) for table in (baseline, candidate))
                yield from _rows(f"splits.{dataset}: test split", *tables)


def _rows(artifact: str, *tables: Table) -> Iterator[Rows]:
    """Per table and label of the baseline and the candidate. The id of a row follows from its text.

    A row that moved to another table is removed from the one and added to the other.
    """
    if any({"id", "table", "label"} - set(table) for table in tables):
        return
    before, after = (
        dict(zip(rows["id"], zip(rows["table"], rows["label"], strict=True), strict=True))
        for rows in tables
    )  # id -> (table, label)
    stays = {i for i, place in after.items() if i in before and before[i][0] == place[0]}
    added = Counter(place for i, place in after.items() if i not in stays)
    removed = Counter(place for i, place in before.items() if i not in stays)
    relabelled = Counter(after[i] for i in stays if before[i][1] != after[i][1])
    for place in sorted({*added, *removed, *relabelled}):
        yield Rows(artifact, *place, added[place], removed[place], relabelled[place])


def _where(table: Table, dataset: str) -> Table:
    places = [i for i, name in enumerate(table["dataset"]) if name == dataset]
    columns = [name for name in table if name in ("id", "table", "label")]
    return {name: [table[name][i] for i in places] for name in columns}


def code(baseline: Revision, candidate: Revision) -> Iterator[Code]:
    """Files that a stage of either executes, by dvc.lock; without one, all code of the project."""
    stages = executed(baseline, candidate)
    trees = baseline.tree, candidate.tree
    for path in sorted({path for tree in trees for path in tree.ids if path.endswith(".py")}):
        if stages is not None and path not in stages:
            continue
        if len({tree.ids.get(path) for tree in trees}) > 1:
            what = _what(*(tree.read(path) for tree in trees))
            yield Code(path, what, (stages or {}).get(path, ()))


def _what(baseline: bytes | None, candidate: bytes | None) -> tuple[str, ...]:
    if baseline is None or candidate is None:
        return ("a new file",) if baseline is None else ("the file is gone",)
    try:
        return codediff.changed(baseline, candidate)
    except (SyntaxError, ValueError):
        return ("it does not parse",)


def _toolchain(baseline: Revision, candidate: Revision) -> Iterator[Change]:
    """Versions of packages, and digests of the modules of an installed lmspec."""
    for change in _differing(baseline.toolchain, candidate.toolchain):
        yield replace(change, name=change.name.removeprefix("packages."))


def _shortened(value: Any) -> Any:
    return value[:SHORT] if isinstance(value, str) and len(value) == 64 else value


def _is_rebuilt(pair: ArtifactPair) -> bool:
    """Has an output another hash? Provenance describes outputs, and does not count."""
    baseline, candidate = (_outputs(end) for end in pair)
    return bool(baseline and candidate) and baseline != candidate


def _outputs(artifact: Artifact) -> dict[str, str]:
    """Output -> MD5, under names without the artifact's own."""
    name = ArtifactName.parse(artifact.name)
    outputs = {}
    for path, md5 in artifact.revision.run(artifact.name).outs.items():
        if not path.startswith(f"{PROVENANCE}/"):
            own = path.replace(f"{METRICS}/{name.stage}", "metrics")
            outputs[own.replace(name.folder, "output")] = md5
    return outputs
