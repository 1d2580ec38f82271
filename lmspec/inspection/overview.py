"""overview: every model and graph with scores: how good, against what, how large, is it shipped?"""

import datetime
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmspec.compare import against, bounds, gates, out_of_date, pictures, standing, untested
from lmspec.compare.artifact import Artifact
from lmspec.compare.caching import cached
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.report import Gate
from lmspec.compare.revision import Revision, Unavailable
from lmspec.errors import some
from lmspec.inspection.results import CONFIDENCE, Estimate, Overview, Problem, Score, TextScore
from lmspec.methods import majority
from lmspec.specs.checks.speed import company
from lmspec.specs.names import ArtifactName, MetricPath
from lmspec.statistics.predictions import Predictions
from lmspec.statistics.sides import Side

ONE_SIDED = (1 + CONFIDENCE) / 2
SCORES = "scores"
NAMES = {"macro_f1": "macro F1", "chrf": "chrF"}
OF_TEXTS = ("exact_match", "bleu", "chrf", "log_loss")
OF_CHOICES = ("accuracy", "accuracy_per_byte", "log_loss")


class Inspection:
    """A revision whose results are looked at. out_of_date: artifact -> why."""

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
        self.out_of_date = out_of_date.artifacts(revision)

    @cached
    def artifact(self, name: str) -> Artifact:
        """An artifact of the revision; once, since it keeps its predictions."""
        return Artifact(self.revision, name, self.out_of_date.get(name))

    def spec(self, name: str) -> Mapping[str, Any]:
        """The section of an artifact; empty if there is none."""
        return self.revision.artifacts.get(name, {})

    @functools.cached_property
    def baselines(self) -> dict[str, str]:
        """Dataset -> the first scores on it of a simple model."""
        found: dict[str, str] = {}
        for name in standing.baselines(self.revision):
            for dataset in self.datasets(name):
                found.setdefault(dataset, name)
        return found

    def _scores(self) -> list[str]:
        return [name for name in self.revision.artifacts if name.startswith(f"{SCORES}.")]

    def datasets(self, scores: str) -> list[str]:
        """Datasets that a scores artifact has metrics of, in the order of its spec."""
        metrics = self.revision.metrics(scores)
        if isinstance(metrics, Unavailable):
            return []
        on = [ArtifactName.parse(str(ref)).name for ref in self.spec(scores).get("on") or ()]
        return [name for name in on if isinstance(metrics.get(name), Mapping)]

    def problem(self, name: str) -> Problem | None:
        """Why the results of an artifact cannot be trusted, or are not there."""
        stage = ArtifactName.parse(name).stage
        if stage not in self.revision.lock:
            return Problem(name, "it is not built", f"run `dvc repro {stage}`")
        if why := self.out_of_date.get(name):
            return Problem(name, f"out of date: {why}", out_of_date.remedy(why))
        return None

    def overview(self) -> Overview:
        """All scores in the order of params.yaml, the gates of the commit, and what is lacking."""
        scores, answers = list(self.all_scores()), list(self.all_answers())
        choices = [row for name in self._scores() for row in self.choices(name)]
        problems = [
            *self._problems(),
            *self._company(),
            *self._warnings([*scores, *answers, *choices]),
            *self._better(scores, "macro_f1"),
            *self._better(answers, "chrf"),
        ]
        return Overview(scores, answers, choices, self.baselines, list(self._gates()), problems)

    def _problems(self) -> Iterator[Problem]:
        """Of what has one by itself; of all that is made from these, one."""
        artifacts = self.revision.artifacts
        found = {name: problem for name in artifacts if (problem := self.problem(name))}
        beyond = [name for name in found if found.keys() & references(artifacts, name)]
        yield from (problem for name, problem in found.items() if name not in beyond)
        if beyond:
            others = f"{len(beyond)} other{'s' if len(beyond) > 1 else ''}"
            why = f"made from these: {some(beyond)}"
            yield Problem(others, why, "run `dvc repro`")

    def _company(self) -> Iterator[Problem]:
        """Measurements beside which other processes ran."""
        for name in self.revision.artifacts:
            path = ("others_share",)
            if untested.is_measured(name) and (found := company(self.revision.number(name, path))):
                stage = ArtifactName.parse(name).stage
                remedy = f"`dvc repro --force --single-item {stage}` when they are done"
                yield Problem(name, found, remedy)

    def _warnings(self, scores: Sequence[Score | TextScore]) -> Iterator[Problem]:
        """What makes scores worth little, as `lmspec diff` and the model card have it."""
        simple = self.baselines
        for score in scores:
            other = simple.get(score.dataset)
            held = self.artifact(other) if other else None
            found = standing.standing(self.artifact(score.scores), score.dataset, held)
            for warning in found.warnings if found else ():
                remedy = f"`lmspec show {score.scores}`, `lmspec show {score.of}`"
                yield Problem(score.scores, warning, remedy)

    def _better(self, scores: Sequence[Score | TextScore], metric: str) -> Iterator[Problem]:
        """Candidates that answer a dataset better than what ships; not what that was made from."""
        for ships in (score for score in scores if score.shipped):
            made_from = {ships.of, *self._made_from(ships.of)}
            for other in scores:
                is_folded = other.of.startswith("folds.")  # of more rows, and nothing to ship
                if other.dataset != ships.dataset or other.of in made_from or is_folded:
                    continue
                pair = ArtifactPair(self.artifact(ships.scores), self.artifact(other.scores))
                found = difference(pair, (ships.dataset, metric))
                if found and found.interval and found.interval[0] > 0:
                    low, high = found.interval
                    why = (
                        f"better than {ships.of}, which ships: {NAMES[metric]} of {ships.dataset}"
                        f" {found.value:+.3f} [{low:.3f}..{high:.3f}]"
                    )
                    yield Problem(other.of, why, self._to_ship(ships.of, other.of))

    def _made_from(self, name: str) -> set[str]:
        """All artifacts that it was made from, and what these were."""
        found: set[str] = set()
        left = references(self.revision.artifacts, name)
        while left:
            found |= left
            left = {n for one in left for n in references(self.revision.artifacts, one)} - found
        return found

    def _to_ship(self, ships: str, other: str) -> str:
        """What makes another model or graph the one that a bundle holds, if it can be that."""
        if self.artifact(other).kind == "nearest":
            return "no graph is made of a look-up: train on more rows, or longer"
        holders = [ships, *sorted(self._made_from(ships))]
        exported = next((name for name in holders if name.startswith("exported.")), None)
        if exported is None or other.startswith(("exported.", "quantized.")):
            exported = next(
                name
                for name, spec in self.revision.artifacts.items()
                if name.startswith("bundle.") and spec.get("of") == ships
            )
        return f"`lmspec set {exported}.of={other}`, then `dvc repro`"

    def all_scores(self, of: str | None = None) -> Iterator[Score]:
        """A row for each scores artifact and dataset. of: only those of this model or graph."""
        for name in self._scores_of(of):
            yield from self.scores(name)

    def all_answers(self, of: str | None = None) -> Iterator[TextScore]:
        """The same, of scores of generated answers."""
        for name in self._scores_of(of):
            yield from self.answers(name)

    def _scores_of(self, of: str | None) -> Iterator[str]:
        yield from (name for name in self._scores() if of in (None, self.spec(name).get("of")))

    def scores(self, name: str) -> Iterator[Score]:
        """A row for each dataset of a scores artifact; none if its answers are texts."""
        scores = self.artifact(name)
        for dataset in self.datasets(name) if scores.examples_table == "predictions" else ():
            yield self._score(scores, dataset)

    def answers(self, name: str) -> Iterator[TextScore]:
        """A row for each dataset of a scores artifact whose answers are texts."""
        scores = self.artifact(name)
        for dataset in self.datasets(name) if scores.examples_table == "answers" else ():
            yield self._answers(scores, dataset, OF_TEXTS)

    def choices(self, name: str) -> Iterator[TextScore]:
        """A row for each dataset of a scores artifact that chooses among answers."""
        scores = self.artifact(name)
        for dataset in self.datasets(name) if scores.examples_table == "choices" else ():
            yield self._answers(scores, dataset, OF_CHOICES)

    def written(self, name: str) -> Iterator[TextScore]:
        """Those of generated or chosen answers."""
        yield from self.answers(name)
        yield from self.choices(name)

    def _score(self, scores: Artifact, dataset: str) -> Score:
        of = str(scores.spec.get("of"))
        linear = self.baselines.get(dataset)
        against_majority = ArtifactPair(against.Majority(scores), scores)
        pair = ArtifactPair(self.artifact(linear), scores) if linear else None
        return Score(
            scores.name,
            of,
            dataset,
            int(scores.number((dataset, "examples")) or 0),
            estimate(scores, (dataset, "accuracy")),
            estimate(scores, (dataset, "macro_f1")),
            difference(against_majority, (dataset, "macro_f1")),
            difference(pair, (dataset, "macro_f1")) if pair and linear != scores.name else None,
            _constant(scores.predictions.get(dataset)),
            pictures.bytes_of(self.artifact(of)) or None,
            self._timed(of, ("latency_ms", "p50")),
            of in self.shipped,
        )

    def _answers(self, scores: Artifact, dataset: str, metrics: Sequence[str]) -> TextScore:
        of = str(scores.spec.get("of"))
        simple = self.baselines.get(dataset)
        pair = ArtifactPair(self.artifact(simple), scores) if simple else None
        return TextScore(
            scores.name,
            of,
            dataset,
            int(scores.number((dataset, "examples")) or 0),
            {
                name: estimate(scores, (dataset, name))
                for name in metrics
                if scores.number((dataset, name)) is not None
            },
            difference(pair, (dataset, "chrf"))
            if pair and "chrf" in metrics and simple != scores.name
            else None,
            pictures.bytes_of(self.artifact(of)) or None,
            self._timed(of, ("decode_tokens_per_second",)),
            of in self.shipped,
        )

    @functools.cached_property
    def shipped(self) -> set[str]:
        """Graphs that a bundle holds."""
        specs = self.revision.artifacts.items()
        return {str(spec.get("of")) for name, spec in specs if name.startswith("bundle.")}

    def _timed(self, of: str, metric: MetricPath) -> float | None:
        """From the first measurement in which it is timed."""
        for name, spec in self.revision.artifacts.items():
            for end in ("of", "against") if name.startswith("speed.") else ():
                found = self.revision.number(name, (end, *metric))
                if spec.get(end) == of and found is not None:
                    return found
        return None

    def _gates(self) -> Iterator[Gate]:
        """Those that need no other commit: `lmspec gate` knows about the others."""
        today = datetime.date.today()
        for name, gate in gates.demanded(self.revision).items():
            if against.of(gate) != against.BASELINE:
                about = self.artifact(".".join(gate.metric.split(".")[:2]))
                pair = ArtifactPair(about, about)
                yield gates.evaluated(pair, name, gate, today, self.out_of_date)


def references(artifacts: Mapping[str, Any], name: str) -> set[str]:
    """The artifacts that the spec of one refers to."""
    return {word for word in _words(artifacts.get(name)) if word in artifacts}


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _words(item)
    elif isinstance(value, list):
        for item in value:
            yield from _words(item)


def estimate(artifact: Artifact, path: MetricPath) -> Estimate:
    """A metric of a test split with its interval, or why it has none."""
    found = bounds.of_value(artifact, path, ONE_SIDED)
    if isinstance(found, str):
        value = artifact.number(path)
        return Estimate(float("nan") if value is None else value, None, found)
    return _estimate(found)


def difference(pair: ArtifactPair, path: MetricPath) -> Estimate | None:
    """candidate - baseline with its interval; None if they have no examples in common."""
    found = bounds.of_difference(pair, path, ONE_SIDED)
    return None if isinstance(found, str) else _estimate(found)


def _estimate(found: bounds.Bounds) -> Estimate:
    return Estimate(found.value, None if found.few else (found.low, found.high), found.few)


def _constant(answers: Side | None) -> str | None:
    """The label of nearly all answers, where the test split has others."""
    if not isinstance(answers, Predictions) or not answers.id:
        return None
    label, _ = majority.most_frequent(answers.predicted)
    others = [
        predicted
        for true, predicted in zip(answers.label, answers.predicted, strict=True)
        if true != label
    ]
    spared = sum(predicted != label for predicted in others)
    return label if others and spared <= majority.NEARLY * len(others) else None
