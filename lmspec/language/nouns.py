"""nouns: what each noun declares beside its fields, read from the JSON Schema."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from lmspec.language import schema as schemas
from lmspec.specs.names import ArtifactName, MetricPath
from lmspec.specs.results import Metric, Table

Name = str | ArtifactName  # of an artifact, as params.yaml has it or parsed


@dataclass(frozen=True)
class Noun:
    """The facts of a noun. specs/base.py says what each means.

    reads    path of a field that names splits -> which of them are read
    section  the field that names an artifact whose section is read, and not its output
    """

    measured: bool = False
    final: bool = False
    is_data: bool = False
    origin: str | None = None
    metrics: tuple[Metric, ...] = ()
    reports: tuple[Table, ...] = ()
    reads: Mapping[schemas.FieldPath, tuple[str, ...]] = field(default_factory=dict)
    section: str | None = None

    def metric(self, path: MetricPath) -> Metric | None:
        """The declared metric that a path, or a pattern with `*`, belongs to; or None."""
        return next((metric for metric in self.metrics if metric.fits(path)), None)

    @property
    def dev_field(self) -> str | None:
        """The field that names the splits of `dev.accuracy`; None if it has none, or several."""
        fields = [steps[0] for steps, splits in self.reads.items() if "dev" in splits]
        return fields[0] if len(fields) == 1 and self.metric(("dev", "accuracy")) else None


def of(noun: str) -> Noun:
    """The facts of a noun; of one that lmspec does not know, none."""
    return _load().get(noun, Noun())


def metric(artifact: Name, path: MetricPath) -> Metric | None:
    """The declared metric of an artifact that a path or a pattern belongs to."""
    return of(ArtifactName.parse(str(artifact)).noun).metric(path)


def evidence(artifact: Name, path: MetricPath) -> str | None:
    """What separates a change of a metric from noise: `predictions`, `rounds`, `size`, `peak`."""
    declared = metric(artifact, path)
    return declared.evidence if declared else None


@functools.cache
def _load() -> dict[str, Noun]:
    nouns = {}
    for noun in schemas.nouns():
        schema = schemas.inner(schemas.sections()[noun])
        facts = next(iter(schemas.kinds(schema).values()), schema)["x-noun"]
        parts = list(schemas.parts(schema))
        reads = {steps: tuple(part["x-reads"]) for steps, part in parts if "x-reads" in part}
        nouns[noun] = Noun(
            **{
                **facts,
                "metrics": tuple(
                    Metric(**{**row, "of": tuple(row.get("of", ()))})
                    for row in facts.get("metrics", ())
                ),
                "reports": tuple(Table(**row) for row in facts.get("reports", ())),
                "reads": reads,
                "section": next((s[0] for s, part in parts if "x-section" in part), None),
            }
        )
    return nouns
