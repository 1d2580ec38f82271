"""leaks: test examples that a scored model has seen, from the metrics and spec of a revision."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.compare.revision import Revision, Unavailable, number
from lmspec.errors import some

UNKNOWN = (
    "its metrics have no `overlap`, which says how many test examples its model has seen:"
    " the stages/scores.py of this lmspec reports it"
)


def reason(revision: Revision, artifact: str) -> str | None:
    """Why no build could give a scores artifact its metrics: the spec accepts no such overlap."""
    accepted = sum(int(number(each.get("at_most")) or 0) for each in _accepted(revision, artifact))
    seen = sum(count for _, count, _ in counts(revision, artifact) if count is not None)
    if seen <= accepted:
        return None
    spec = f"its spec accepts {accepted:,}" if accepted else "its spec accepts none"
    return f"its model has seen {seen:,.0f} of its test examples, and {spec}"


def is_unknown(revision: Revision, artifact: str) -> bool:
    """Do its metrics lack the overlap of a dataset, like those of an earlier lmspec?"""
    return any(count is None for _, count, _ in counts(revision, artifact))


def notes(revision: Revision) -> Iterator[str]:
    """What a reader of its scores should know: the overlaps that they accept, and why."""
    for artifact in revision.artifacts:
        seen = [
            f"{count:,.0f} of the {size} test examples of {dataset}"
            for dataset, count, size in counts(revision, artifact)
            if count
        ]
        if seen:
            reasons = [str(each.get("reason")) for each in _accepted(revision, artifact)]
            yield (
                f"the model of {artifact} in {revision.name} has seen {some(seen)}: "
                f"{'; '.join(reasons) or 'its spec does not say why'}"
            )


def counts(revision: Revision, artifact: str) -> Iterator[tuple[str, float | None, Any]]:
    """(dataset, overlap, test examples) of a scores artifact; nothing for other artifacts."""
    metrics = revision.metrics(artifact) if artifact.startswith("scores.") else {}
    for dataset, values in () if isinstance(metrics, Unavailable) else metrics.items():
        if isinstance(values, Mapping) and "examples" in values:
            count = number(values.get("overlap"))
            # a count below 0 would reduce that of another dataset
            yield dataset, None if count is None or count < 0 else count, values["examples"]


def _accepted(revision: Revision, artifact: str) -> list[Mapping[str, Any]]:
    """The overlaps that its spec accepts; in the spec of an earlier commit this may be anything."""
    accepted = revision.artifacts[artifact].get("accepted_overlap")
    return [each for each in accepted or () if isinstance(each, Mapping)]
