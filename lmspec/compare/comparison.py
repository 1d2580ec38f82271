"""comparison: two revisions -> a report: what changed, and what that did to every metric."""

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lmspec.compare import bounds, changes, exact, expected, flips, gates, naming, pictures, ratios, resampling, stale
from lmspec.compare.evidence import NO_OUTCOMES, Evidence, Paired, leaves, part_of
from lmspec.compare.report import Metric, Report, Seeds, Side, Verdict
from lmspec.compare.resampling import Estimate
from lmspec.compare.revision import METRICS, Fault, Revision, at, number
from lmspec.errors import some
from lmspec.graph import measured

LEVEL = 0.05
CONFIDENCE = 0.95
MISSING = "missing"
NOTED = 8  # stale artifacts of a side that have a note
DEV = {"model": "on", "student": "on"}  # nouns with metrics of one dev side, and the field that names it


def compare(old: Revision, new: Revision, root: Path, today: datetime.date | None = None) -> Report:
    """All that is to be said of two revisions. root: where the corpus may be at hand; today: for the ends of exceptions."""
    before = {name: name for name in new.artifacts if name in old.artifacts} | naming.renamed(old.artifacts, new.artifacts)
    evidence = Evidence(old, new, before)
    stales = stale.artifacts(new), stale.artifacts(old)
    tested = [row for name in _names(old, new, before) for row in _Artifact(evidence, name, stales).rows()]
    timed = tuple(ratios.ratios(evidence))
    metrics = tuple(_seeded(evidence, _of_ratios(_judged(tested), {ratio.name: ratio.verdict for ratio in timed})))
    changed = [name for name in before if any(m.name.startswith(f"{name}.") and m.verdict != "same" for m in metrics)]
    found = Report(
        old=Side(old.name, old.commit),
        new=Side(new.name, new.commit),
        changes=changes.changes(old, new, before),
        metrics=metrics,
        flips=tuple(flips.flips(evidence, changed, root)),
        ratios=timed,
        notes=tuple(_notes(evidence, stales)),
        confusion=tuple(pictures.confusion(evidence, changed)),
        calibration=tuple(pictures.calibration(evidence, changed)),
        curves=tuple(pictures.curves(evidence, changed)),
        front=tuple(pictures.front(evidence)),
    )
    return replace(found, gates=tuple(gates.verdicts(evidence, *stales, today or datetime.date.today())))


def _names(old: Revision, new: Revision, before: Mapping[str, str]) -> list[str]:
    """Artifacts of either side, by the new name where there is one."""
    return [*new.artifacts, *(name for name in old.artifacts if name not in before.values())]


@dataclass
class _Row:
    """A metric, with what its verdict will be made of once all are known."""

    metric: Metric
    estimate: Estimate | None = None


@dataclass
class _Artifact:
    """The metrics of one artifact. name: its new name, or its old one if it is gone."""

    evidence: Evidence
    name: str
    stales: tuple[Mapping[str, str], Mapping[str, str]]

    def rows(self) -> Iterator[_Row]:
        """One for each metric of either side, in the order of the new side."""
        old, new = self._metrics("old"), self._metrics("new")
        gone = self.name not in self.evidence.new.artifacts
        if (old is None or (gone and isinstance(old, Fault))) and new is None:
            return
        fault = self._fault(old, new)
        before, after = (dict(leaves(side)) if isinstance(side, Mapping) else {} for side in (old, new))
        if fault and not before and not after:
            yield _Row(Metric(f"{self.name}.*", MISSING, MISSING, None, None, "missing", reason=fault))
        for path in dict.fromkeys([*after, *before]):
            yield self._row(path, before.get(path, MISSING), after.get(path, MISSING), fault)

    def _metrics(self, side: str) -> Mapping[str, Any] | Fault | None:
        """None where the spec of that side has no such artifact, or one of its noun has no metrics."""
        revision = self.evidence.old if side == "old" else self.evidence.new
        name = self.evidence.name(side, self.name)
        unlike = side == "old" and self.name in self.evidence.new.artifacts and self.name not in self.evidence.before
        if name not in revision.artifacts or unlike:
            return None
        found = revision.metrics(name)
        if isinstance(found, Fault) and not self._should_have(revision, name):
            return None
        return found

    def _should_have(self, revision: Revision, name: str) -> bool:
        """Does its noun write metrics? By the others of its kind, on either side, or the file that is there and is none."""
        noun = name.partition(".")[0]
        files = {*self.evidence.old.tree.ids, *self.evidence.new.tree.ids}
        return any(path.startswith(f"{METRICS}/{noun}-") for path in files) or noun in MEASURED

    def _fault(self, old: Any, new: Any) -> str | None:
        """Why metrics that should be there are not."""
        sides = ((new, self.evidence.new), (old, self.evidence.old))
        return next((f"{side.reason} in {revision.name}" for side, revision in sides if isinstance(side, Fault)), None)

    def _row(self, path: tuple[str, ...], old: Any, new: Any, fault: str | None) -> _Row:
        better = bounds.better(self.evidence, self.name, path)
        one, other = number(old), number(new)
        change = other - one if one is not None and other is not None else None
        plain = Metric(f"{self.name}.{'.'.join(path)}", old, new, change, better, "changed")
        lacking = self._lacking(path, plain, fault)
        if lacking:
            return _Row(lacking)
        late = self._late()
        if late:
            return _Row(replace(plain, verdict="not comparable", reason=late))
        if self.name.startswith("scores.") and len(path) > 1 and better:
            return self._scored(path, plain)
        if old == new and type(old) is type(new):
            return _Row(replace(plain, verdict="same"))
        return _Row(self._untested(path, plain))

    def _late(self) -> str | None:
        """Why the metrics of a side are not what its own spec would build."""
        sides = ((self.evidence.new, self.stales[0], "new"), (self.evidence.old, self.stales[1], "old"))
        for revision, stales, side in sides:
            if (why := stales.get(self.evidence.name(side, self.name))) is not None:
                return f"stale in {revision.name}: {why}"
        return None

    def _lacking(self, path: tuple[str, ...], plain: Metric, fault: str | None) -> Metric | None:
        """The verdict on what one side lacks, or on what is no number."""
        artifact = self.evidence
        if self.name not in artifact.new.artifacts:
            return replace(plain, verdict="removed")
        # what A's file does not have is gained; what B's does not have is lost, unless B's spec asks no more for it
        known = not isinstance(self._metrics("old"), Fault) or self.name not in artifact.before
        if plain.old == MISSING and known and plain.new != MISSING and not _is_no_number(plain.new, plain):
            return replace(plain, verdict="new")
        if plain.new == MISSING and not fault and expected.dropped(artifact, self.name, path):
            return replace(plain, verdict="removed", reason=f"the spec of {artifact.new.name} does not ask for it")
        for value, side in ((plain.new, artifact.new), (plain.old, artifact.old)):
            if value == MISSING:
                return replace(plain, verdict="missing", reason=fault or f"{side.name} does not have it")
            if _is_no_number(value, plain):
                shown = json.dumps(value, ensure_ascii=False)
                why = f"its value in {side.name} is {shown}, no number"
                return replace(plain, difference=None, verdict="missing", reason=why)
        return None

    def _scored(self, path: tuple[str, ...], plain: Metric) -> _Row:
        """A metric of a test side, tested on the outcomes that both sides have."""
        if plain.difference == 0 and self.evidence.unchanged(self.name):
            return _Row(replace(plain, verdict="same"))
        split, part = path[0], part_of(path[1:])
        paired = self.evidence.paired(self.name, split)
        if isinstance(paired, Fault):
            return _Row(self._without_pairs(paired, plain, path))
        if part.source is not None and part.source not in paired.pairs.sources:
            return _Row(
                replace(plain, verdict="not comparable", reason=f"another test set: no example of {part.source} in common")
            )
        if not paired.scale.computes(part.name):
            return _Row(self._untested(path, plain))
        other = self.evidence.scorers_differ(self.name, split, part)
        if other:
            return _Row(replace(plain, verdict="not comparable", reason=other))
        size = len(paired.rows(part.source))
        said = replace(plain, examples=size, reason=self._left_out(paired))
        if plain.difference == 0 and not said.reason and not paired.moved[paired.rows(part.source)].any():
            return _Row(replace(said, verdict="same"))
        estimate = paired.difference(part)
        p, method = paired.p(part, estimate)
        if not bounds.spread(estimate) and estimate.value != 0:
            p = 1.0  # one example, or all alike: nothing is known of the spread
        interval = estimate.interval(CONFIDENCE) if bounds.spread(estimate) else None
        whole = part.source is None and not part.name.startswith("f1.")
        family: Any = "test sets" if whole else "slices"
        said = replace(said, difference=estimate.value, interval=interval, p=p, family=family, method=method, verdict="~")
        return _Row(said, estimate)

    def _left_out(self, paired: Paired) -> str | None:
        parts = []
        if paired.pairs.left_out:
            parts.append(f"{paired.pairs.left_out:,} that one side lacks")
        if paired.pairs.relabelled:
            parts.append(f"{paired.pairs.relabelled:,} whose label is another")
        return f"on the examples that both have; left out: {', '.join(parts)}" if parts else None

    def _without_pairs(self, fault: Fault, plain: Metric, path: tuple[str, ...]) -> Metric:
        """Where outcomes are lacking, two shares can still be compared, as if they came from different examples."""
        if NO_OUTCOMES not in fault.reason:
            return replace(plain, verdict="not comparable", reason=fault.reason)
        sizes = [self._examples(side, path) for side in ("old", "new")]
        if path[-1] == "accuracy" and sizes[0] and sizes[1] and sizes[0] == sizes[1]:
            return _unpaired(plain, sizes[0], sizes[1], fault.reason)
        if plain.old == plain.new:
            return replace(plain, verdict="same", reason=fault.reason)
        return replace(plain, verdict="untested", reason=fault.reason)

    def _examples(self, side: str, path: tuple[str, ...]) -> int:
        revision, name = self.evidence.side(side, self.name)
        found = at(revision.metrics(name), (*path[:-1], "examples"))
        return found if isinstance(found, int) else 0

    def _untested(self, path: tuple[str, ...], plain: Metric) -> Metric:
        """A number of which git keeps no outcomes."""
        if plain.better is None or plain.difference is None:
            return replace(plain, verdict="changed")
        if path[-1] in measured.EXACT:
            up = (plain.difference > 0) == (plain.better == "higher")
            return replace(plain, verdict="better" if up else "worse", method="exact")
        noun = self.name.partition(".")[0]
        if noun in DEV and path == ("dev", "accuracy"):
            sizes = [self._dev_size(side, DEV[noun]) for side in ("old", "new")]
            if sizes[0] and sizes[1]:
                return _unpaired(plain, sizes[0], sizes[1], "git keeps no outcomes of dev sides")
        if path[0] == "seeds":
            return replace(plain, verdict="untested", reason="one of several trainings: their spread stands beside `dev`")
        return replace(plain, verdict="untested", reason="git keeps nothing from which its spread could be told")

    def _dev_size(self, side: str, field: str) -> int:
        revision, name = self.evidence.side(side, self.name)
        found = at(revision.metrics(str(revision.artifacts.get(name, {}).get(field))), ("dev", "documents"))
        return found if isinstance(found, int) else 0


def _is_no_number(value: Any, plain: Metric) -> bool:
    """Is it none where one is due: by the other side, or since the metric has a direction?"""
    if value == MISSING or number(value) is not None:
        return False
    due = plain.better is not None or any(number(side) is not None for side in (plain.old, plain.new))
    return due or isinstance(value, float)


MEASURED = ("corpus", "splits", "model", "student", "updated", "exported", "quantized", "scores", "speed")


def _unpaired(plain: Metric, old_size: int, new_size: int, why: str) -> Metric:
    if plain.old == plain.new:
        return replace(plain, verdict="same")
    p, low, high = exact.two_proportions(float(plain.old), float(plain.new), old_size, new_size, CONFIDENCE)
    method = "unpaired z test of two shares, which sees less than a paired one"
    return replace(
        plain, verdict="~", p=p, interval=(low, high), family="test sets", method=method, examples=new_size, reason=why
    )


def _judged(rows: list[_Row]) -> list[Metric]:
    """With verdicts: p corrected within each family, and what a `~` could have shown."""
    found = [row.metric for row in rows]
    for family in ("test sets", "slices"):
        places = [i for i, metric in enumerate(found) if metric.family == family]
        corrected, factors = exact.holm([found[i].p or 0.0 for i in places])
        for i, p_holm, factor in zip(places, corrected, factors, strict=True):
            found[i] = _with_verdict(found[i], rows[i].estimate, p_holm, LEVEL / factor)
    return found


def _with_verdict(metric: Metric, estimate: Estimate | None, p_holm: float, level: float) -> Metric:
    verdict: Verdict = "~"
    if p_holm <= LEVEL and metric.difference:
        up = (metric.difference > 0) == (metric.better == "higher")
        verdict = "changed" if metric.better is None else "better" if up else "worse"
    least = None
    if verdict == "~" and metric.examples and (error := _error(metric, estimate)):
        least = resampling.smallest(error, level)
        if metric.method and "exact" in metric.method:
            least = max(least, exact.fewest_discordant(level) / metric.examples)
    reason = metric.reason
    if verdict == "~" and least is None and estimate is not None and estimate.value:
        reason = "; ".join(filter(None, (reason, "too few examples to tell any spread")))
    if least is not None and metric.better == "higher" and least > 1:
        least, reason = None, "; ".join(filter(None, (reason, f"{metric.examples} examples could show no difference at all")))
    return replace(metric, verdict=verdict, p_holm=p_holm, smallest=least, reason=reason)


def _error(metric: Metric, estimate: Estimate | None) -> float:
    if estimate is not None:
        return estimate.error
    width = metric.interval[1] - metric.interval[0] if metric.interval else 0.0
    return width / (2 * exact.NORMAL.inv_cdf((1 + CONFIDENCE) / 2))


def _of_ratios(metrics: list[Metric], verdicts: Mapping[str, Verdict]) -> Iterator[Metric]:
    """What was measured in rounds is judged as a ratio."""
    for metric in metrics:
        if metric.verdict == "untested" and metric.name in verdicts and verdicts[metric.name] != "untested":
            yield replace(metric, verdict=verdicts[metric.name], reason=None, method="as a ratio, over rounds")
        else:
            yield metric


def _seeded(evidence: Evidence, metrics: Iterator[Metric]) -> Iterator[Metric]:
    """With what several seeds came to, where what is scored, or what it was made from, was trained with several."""
    for metric in metrics:
        noun, key, *path = metric.name.split(".")
        trained = _trained(evidence.new, f"{noun}.{key}")
        if trained and metric.family == "test sets" and metric.verdict != "missing":
            old = _over_seeds(evidence.old, evidence.name("old", trained), path[-1])
            new = _over_seeds(evidence.new, trained, path[-1])
            if max(len(old), len(new)) > 1:
                metric = replace(metric, seeds=Seeds(trained, old, new, exact.welch(old, new, CONFIDENCE)))
        yield metric


def _trained(revision: Revision, name: str) -> str | None:
    """The artifact itself, or what it was made from, if it was trained."""
    seen = set()
    while name in revision.artifacts and name not in seen:
        spec = revision.artifacts[name]
        if isinstance(spec.get("training"), dict):
            return name
        seen.add(name)
        name = str(spec.get("of"))
    return None


def _over_seeds(revision: Revision, name: str, metric: str) -> tuple[float, ...]:
    values = revision.metrics(name)
    seeds = values.get("seeds") if isinstance(values, Mapping) else None
    found = (number(each.get(metric)) for each in seeds.values()) if isinstance(seeds, dict) else ()
    return tuple(value for value in found if value is not None)


def _notes(evidence: Evidence, stales: tuple[Mapping[str, str], Mapping[str, str]]) -> Iterator[str]:
    old, new = evidence.old, evidence.new
    for side, late in zip((old, new), reversed(stales), strict=True):
        if stale.unknown(side):
            yield f"{side.name} has no dvc.lock: whether its metrics are of its spec and code was not checked"
        for name, why in list(stale.first(late).items())[:NOTED]:
            remedy = "`git checkout` it, or run `dvc repro`" if why.endswith("the build wrote") else "run `dvc repro`"
            yield f"{name} is stale in {side.name}: {why}: {remedy}" + (" there, and commit" if side.commit else "")
        for path in side.tree.others:
            yield f"{path} of {side.name} is a submodule: what it holds is in another repository, and was not looked at"
    scored = [name for name in evidence.before if name.startswith("scores.") and not evidence.unchanged(name)]
    for which, side in (("old", old), ("new", new)):
        there = [name for name in scored if not isinstance(side.metrics(evidence.name(which, name)), Fault)]
        lacking = [name for name in there if not evidence.outcomes(which, evidence.name(which, name))]
        if lacking:
            yield f"{side.name} {NO_OUTCOMES} of {some(lacking)}: what differs there was not tested on pairs of examples"
    unknown = [name for name in new.artifacts if name.startswith("scores.") and not (new.better(name) or old.better(name))]
    if unknown:
        yield f"no record says which way the metrics of {some(unknown)} are better, so none of them was tested"
