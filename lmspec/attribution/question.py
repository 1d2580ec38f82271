"""question: which metrics are asked about, what they are called in either commit, and what a build says of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lmspec.attribution import factors
from lmspec.attribution.design import Corner
from lmspec.attribution.effects import Seen
from lmspec.compare import out_of_date
from lmspec.compare.artifact import Artifact, leaves
from lmspec.compare.evidence import Evidence
from lmspec.compare.revision import Revision, Unavailable
from lmspec.compare.untested import is_measured
from lmspec.errors import LmspecError
from lmspec.history import metric_lookup
from lmspec.language import metric_names, suggest
from lmspec.specs.names import ArtifactName
from lmspec.statistics.paired import SplitMetric, split_metric

BY_DEFAULT = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class Asked:
    """A metric. old, new: names of its artifact in each commit; path: within the artifact's metrics."""

    old: str
    new: str
    path: tuple[str, ...]

    @property
    def name(self) -> str:
        """As `lmspec diff` has it."""
        return f"{self.new}.{'.'.join(self.path)}"

    def at(self, corner: Corner) -> str:
        """What its artifact is called at a corner: the spec says so, or, for what data is made of, the data's."""
        decides = (
            factors.DATA if factors.is_data(ArtifactName.parse(self.new).noun) else factors.SPEC
        )
        return self.new if decides in corner else self.old

    @property
    def part(self) -> SplitMetric:
        """What it is of the predictions of a test split."""
        return split_metric(self.path[1:])


def asked(old: Revision, new: Revision, names: Sequence[str]) -> list[Asked]:
    """The metrics of those names; if there are none, those that moved of the ones that gates are about, else of all scores.

    Raises LmspecError for one that a commit lacks, that is measured, or that is not what its commit would build;
    and if the commits have none in common.
    """
    every = {each.name: each for each in _both(old, new)}
    if not every:
        raise LmspecError(
            f"{old.name}, {new.name}",
            "they have no metric in common",
            "name commits that keep what `dvc repro` wrote",
        )
    for name in names:
        _require(name, every, old, new)
    found = [every[name] for name in dict.fromkeys(names)]
    if not names:
        differing = [
            each
            for each in every.values()
            if old.number(each.old, each.path) != new.number(each.new, each.path)
        ]
        found = _gated(new, differing) or _scored(differing)
    stales = [(side, out_of_date.artifacts(side)) for side in (old, new)]
    for each in found:
        for (side, reasons), artifact in zip(stales, (each.old, each.new), strict=True):
            if artifact in reasons:
                told = f"it is not what its spec would build: {reasons[artifact]}"
                raise LmspecError(
                    f"{side.name}: {artifact}",
                    told,
                    "check that commit out, `dvc repro`, and commit the results",
                )
    return found


def seen(side: Revision, each: Asked, artifact: str) -> Seen | None:
    """The metric at one side; None if it has no such number. All that it needs is read now: the side's files may go."""
    value = side.number(artifact, each.path)
    if value is None:
        return None
    scored = artifact.startswith("scores.") and len(each.path) > 1
    none = Unavailable("git keeps nothing from which their spread could be told")
    return Seen(value, Artifact(side, artifact).sample(each.path[0]) if scored else none)


def _both(old: Revision, new: Revision) -> Iterator[Asked]:
    """Every metric that is a number in both commits."""
    for pair in Evidence(old, new).in_both:
        metrics = pair.candidate.metrics
        for path, _ in leaves(metrics) if isinstance(metrics, Mapping) else ():
            if all(end.number(path) is not None for end in pair):
                yield Asked(pair.baseline.name, pair.name, path)


def _require(name: str, every: Mapping[str, Asked], old: Revision, new: Revision) -> None:
    if is_measured(name):
        raise LmspecError(
            name,
            "it is measured, and each measurement gives another number",
            "name a metric that is computed",
        )
    if name not in every:
        near = suggest.nearest(name, every)
        remedy = (
            f"did you mean '{near}'?" if near else "`lmspec diff --all` shows those that there are"
        )
        raise LmspecError(name, f"{old.name} and {new.name} do not both have such a number", remedy)


def _gated(new: Revision, differing: Sequence[Asked]) -> list[Asked]:
    """What gates are about. A gate that is none is passed over."""
    found: dict[str, Asked] = {}
    section = new.params.get("gates")
    for gate in section.values() if isinstance(section, dict) else ():
        if not isinstance(gate, dict):
            continue
        noun, *steps = metric_lookup.pattern(str(gate.get("kind")), str(gate.get("metric")))
        for each in differing if not is_measured(noun) else ():
            if each.new == ".".join((noun, *steps[:1])) and metric_names.matches(
                tuple(steps[1:]), each.path
            ):
                found[each.name] = each
    return list(found.values())


def _scored(differing: Sequence[Asked]) -> list[Asked]:
    return [
        each
        for each in differing
        if each.new.startswith("scores.") and len(each.path) == 2 and each.path[1] in BY_DEFAULT
    ]
