"""suites: what an `examined` artifact found: how many cases pass, and which fail worst."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from lmspec.compare import cases, texts
from lmspec.compare.artifact import Artifact
from lmspec.compare.revision import Unavailable
from lmspec.inspection import parts
from lmspec.inspection.overview import Inspection, estimate
from lmspec.inspection.results import Failure, SuiteResult
from lmspec.statistics.answers import PASS_RATE
from lmspec.statistics.cases import GAP, Terms

WORST = 3  # of each suite


def of_artifact(inspected: Inspection, artifact: Artifact) -> Iterator[SuiteResult]:
    """In the order of the file of cases."""
    metrics = artifact.metrics
    for suite in metrics if isinstance(metrics, Mapping) else ():
        sample = artifact.sample(suite)
        metric = PASS_RATE if artifact.number((suite, GAP)) is None else GAP
        found = estimate(artifact, (suite, metric))
        if isinstance(sample, Unavailable):
            count = artifact.number((suite, "cases")) or artifact.number((suite, "templates"))
            yield SuiteResult(suite, metric, found, int(count or 0), {}, [])
            continue
        if metric == PASS_RATE and found.why is None:  # the bootstrap of a gate may be wider
            found = replace(found, interval=parts.part("", "", sample, sample.rows(None)).interval)
        side = sample.predictions
        means = cases.means(side) if isinstance(side, Terms) else {}
        failed = [name for name, right in zip(side.id, side.right, strict=True) if not right]
        worst = list(_worst(inspected, artifact, suite, failed))
        yield SuiteResult(suite, metric, found, len(side.id), means, worst)


def _worst(
    inspected: Inspection, artifact: Artifact, suite: str, failed: list[str]
) -> Iterator[Failure]:
    table = artifact.table(cases.TABLE)
    severe = cases.severities(table, suite)
    chosen = sorted(failed, key=lambda name: -severe.get(name, 0.0))[:WORST]
    known = texts.of_cases(inspected.revision.tree.root, artifact.name, suite, chosen)
    rows = cases.rows(table, suite, chosen)
    for name in chosen:
        row = rows[name]
        yield Failure(
            name,
            row["expected"],
            row["predicted"],
            cases.number(row.get("before", "")),
            cases.number(row["probability"]),
            row.get("text") or known.get(name),
        )
