"""artifact: every metric of one artifact on two sides, each tested alone."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lmspec.compare import bounds, expected, spread
from lmspec.compare.evidence import NO_PREDICTIONS, UNSCORED, Evidence, leaves
from lmspec.compare.judging import CONFIDENCE, Row
from lmspec.compare.report import Family, Metric
from lmspec.compare.revision import Fault, Revision, at, number
from lmspec.formats.lockfile import NEVER
from lmspec.language import nouns
from lmspec.pipeline import paths
from lmspec.pipeline.paths import METRICS
from lmspec.specs.names import ArtifactName
from lmspec.statistics import exact
from lmspec.statistics.paired import part_of

MISSING = "missing"


@dataclass
class Artifact:
    """The metrics of one artifact. name: its new name, or its old one if it is gone."""

    evidence: Evidence
    name: str
    stales: tuple[Mapping[str, str], Mapping[str, str]]

    def rows(self) -> Iterator[Row]:
        """One for each metric of either side, in the order of the new side."""
        old, new = self._metrics("old"), self._metrics("new")
        gone = self.name not in self.evidence.new.artifacts
        if (old is None or (gone and isinstance(old, Fault))) and new is None:
            return
        fault = self._fault(old, new)
        before, after = (
            dict(leaves(side)) if isinstance(side, Mapping) else {} for side in (old, new)
        )
        if fault and not before and not after:
            yield Row(
                Metric(f"{self.name}.*", MISSING, MISSING, None, None, "missing", reason=fault)
            )
        for path in dict.fromkeys([*after, *before]):
            yield self._row(path, before.get(path, MISSING), after.get(path, MISSING), fault)

    def _metrics(self, side: str) -> Mapping[str, Any] | Fault | None:
        """None where the spec of that side has no such artifact, or one of its noun has no metrics."""
        revision = self.evidence.old if side == "old" else self.evidence.new
        name = self.evidence.name(side, self.name)
        unlike = (
            side == "old"
            and self.name in self.evidence.new.artifacts
            and self.name not in self.evidence.before
        )
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
        return any(path.startswith(f"{METRICS}/{noun}-") for path in files) or bool(
            nouns.of(noun).metrics
        )

    def _fault(self, old: Any, new: Any) -> str | None:
        """Why metrics that should be there are not."""
        sides = ((new, self.evidence.new), (old, self.evidence.old))
        return next(
            (
                f"{side.reason} in {revision.name}"
                for side, revision in sides
                if isinstance(side, Fault)
            ),
            None,
        )

    def _row(self, path: tuple[str, ...], old: Any, new: Any, fault: str | None) -> Row:
        better = bounds.better(self.evidence, self.name, path)
        one, other = number(old), number(new)
        change = other - one if one is not None and other is not None else None
        plain = Metric(f"{self.name}.{'.'.join(path)}", old, new, change, better, "changed")
        lacking = self._lacking(path, plain, fault)
        if lacking:
            return Row(lacking)
        late = self._late()
        if late:
            return Row(replace(plain, verdict="not comparable", reason=late))
        if self.name.startswith("scores.") and len(path) > 1 and better:
            return self.scored(path, plain)
        if old == new and type(old) is type(new):
            return Row(replace(plain, verdict="same"))
        return Row(self._untested(path, plain))

    def _late(self) -> str | None:
        """Why the metrics of a side are not what its own spec would build."""
        sides = (
            (self.evidence.new, self.stales[0], "new"),
            (self.evidence.old, self.stales[1], "old"),
        )
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
        if (
            plain.baseline == MISSING
            and known
            and plain.candidate != MISSING
            and not _is_no_number(plain.candidate, plain)
        ):
            return replace(plain, verdict="new")
        if plain.candidate == MISSING and not fault and expected.dropped(artifact, self.name, path):
            return replace(
                plain,
                verdict="removed",
                reason=f"the spec of {artifact.new.name} does not ask for it",
            )
        for value, side in ((plain.candidate, artifact.new), (plain.baseline, artifact.old)):
            if value == MISSING:
                return replace(
                    plain, verdict="missing", reason=fault or f"{side.name} does not have it"
                )
            if _is_no_number(value, plain):
                shown = json.dumps(value, ensure_ascii=False)
                why = f"its value in {side.name} is {shown}, no number"
                return replace(plain, difference=None, verdict="missing", reason=why)
        return None

    def scored(self, path: tuple[str, ...], plain: Metric) -> Row:
        """A metric of a test split, tested on the predictions that both sides have."""
        if plain.difference == 0 and self.evidence.unchanged(self.name):
            return Row(replace(plain, verdict="same"))
        paired = self.evidence.scored(self.name, path)
        if isinstance(paired, Fault):
            return Row(
                self._untested(path, plain)
                if paired == UNSCORED
                else self._without_pairs(paired, plain, path)
            )
        part = part_of(path[1:])
        size = len(paired.rows(part.table))
        said = replace(plain, examples=size, reason=paired.left_out(part))
        if (
            plain.difference == 0
            and not said.reason
            and not paired.moved[paired.rows(part.table)].any()
        ):
            return Row(replace(said, verdict="same"))
        estimate = paired.difference(part)
        p, method = paired.p(part, estimate)
        interval = paired.interval(part, estimate, CONFIDENCE)
        whole = part.table is None and not part.name.startswith("f1.")
        family: Family = "test sets" if whole else "slices"
        said = replace(
            said,
            difference=estimate.value,
            interval=interval,
            p=p,
            family=family,
            method=method,
            verdict="~",
        )
        return Row(said, estimate)

    def _without_pairs(self, fault: Fault, plain: Metric, path: tuple[str, ...]) -> Metric:
        """Where predictions are lacking, two shares can still be compared, as if they came from different examples."""
        if NO_PREDICTIONS not in fault.reason:
            return replace(plain, verdict="not comparable", reason=fault.reason)
        sizes = [self._examples(side, path) for side in ("old", "new")]
        if path[-1] == "accuracy" and sizes[0] and sizes[0] == sizes[1] and _are_shares(plain):
            family: Family = "slices" if path[1] == "table" else "test sets"
            return _unpaired(plain, sizes[0], fault.reason, family)
        if plain.baseline == plain.candidate:
            return replace(plain, verdict="same", reason=fault.reason)
        return replace(plain, verdict="untested", reason=fault.reason)

    def _examples(self, side: str, path: tuple[str, ...]) -> int:
        revision, name = self.evidence.side(side, self.name)
        found = at(revision.metrics(name), (*path[:-1], "examples"))
        return found if isinstance(found, int) and found > 0 else 0

    def _untested(self, path: tuple[str, ...], plain: Metric) -> Metric:
        """A number of which git keeps no predictions."""
        if plain.difference == 0:
            return replace(plain, verdict="same")
        if plain.better is None or plain.difference is None:
            return replace(plain, verdict="changed")
        if nouns.evidence(self.name, path) == "size":
            up = (plain.difference > 0) == (plain.better == "higher")
            return replace(plain, verdict="better" if up else "worse", method="exact")
        splits = nouns.of(ArtifactName.parse(self.name).noun).dev_field
        if splits and path == ("dev", "accuracy") and _are_shares(plain):
            one, other = (self._dev(side, splits) for side in ("old", "new"))
            if one != other:
                return replace(plain, verdict="not comparable", reason="another dev set")
            if one[0]:
                return _unpaired(plain, one[0], "git keeps no predictions of dev splits")
        if path[0] == "seeds":
            return replace(
                plain,
                verdict="untested",
                reason="one of several trainings: their spread stands beside `dev`",
            )
        return replace(plain, verdict="untested", reason=spread.unknown(self.name, path))

    def _dev(self, side: str, field: str) -> tuple[int, str | None]:
        """(documents of the dev split, hash of the splits that it is of)."""
        revision, name = self.evidence.side(side, self.name)
        splits = str(revision.artifacts.get(name, {}).get(field))
        found = at(revision.metrics(splits), ("dev", "documents"))
        md5 = revision.lock.get(paths.stage_name(splits), NEVER).outs.get(paths.folder(splits))
        return found if isinstance(found, int) and found > 0 else 0, md5


def _is_no_number(value: Any, plain: Metric) -> bool:
    """Is it none where one is due: by the other side, or since the metric has a direction?"""
    if value == MISSING or number(value) is not None:
        return False
    due = plain.better is not None or any(
        number(side) is not None for side in (plain.baseline, plain.candidate)
    )
    return due or isinstance(value, float)


def _are_shares(plain: Metric) -> bool:
    """Not percent, or whatever else a stage of one's own calls accuracy."""
    return all(
        isinstance(value, int | float) and 0 <= value <= 1
        for value in (plain.baseline, plain.candidate)
    )


def _unpaired(plain: Metric, size: int, why: str, family: Family = "test sets") -> Metric:
    if plain.baseline == plain.candidate:
        return replace(plain, verdict="same")
    p, low, high = exact.two_proportions(
        float(plain.baseline), float(plain.candidate), size, size, CONFIDENCE
    )
    method = "Fisher's test of two shares, unpaired, which sees less than a paired one"
    return replace(
        plain,
        verdict="~",
        p=p,
        interval=(low, high),
        family=family,
        method=method,
        examples=size,
        reason=why,
    )
