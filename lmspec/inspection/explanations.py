"""explanations: explained texts for people: their words with weights, errors first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lmspec.compare import explanations
from lmspec.compare.artifact import Artifact
from lmspec.compare.revision import Revision, Unavailable, at
from lmspec.errors import LmspecError
from lmspec.formats import attributions, documents
from lmspec.inspection.overview import Inspection
from lmspec.inspection.results import Estimate
from lmspec.methods import concordance
from lmspec.methods.concordance import Attributed
from lmspec.specs.names import ArtifactName
from lmspec.specs.results import ESTIMATES
from lmspec.statistics.ranks import spearman

HEAVIEST = 15  # words of each label
MOST_OF_TOKEN = 3  # words of each token of an answer
LEAST_OF_TOKEN = 0.05  # nats that a token loses without a word that it rests on
# paths of metrics -> what they are called
MEASURES = {
    ("comprehensiveness",): "lost without the words of most weight (comprehensiveness)",
    ("over_random", "comprehensiveness"): "the same, more than without random words",
    ("sufficiency",): "lost if these words alone are kept (sufficiency)",
    ("over_random", "sufficiency"): "the same, less than with random words",
    ("area_over_perturbation_curve",): "area over the perturbation curve",
    ("randomized_weights",): "rank correlation with a model of shuffled weights",
}


@dataclass(frozen=True)
class Word:
    """A word with the text before it: white space, and what the model does not read.

    weight   what it adds to the probability of the predicted label
    before   the same in the baseline; None without one
    flipped  is it one of those without which the answer is another?
    """

    space: str
    text: str
    weight: float
    flipped: bool
    before: float | None = None


@dataclass(frozen=True)
class Token:
    """A token of an answer. rests_on: the words of the prompt of most weight, with it"""

    text: str
    rests_on: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Text:
    """An explained text.

    rest         what follows its last word
    correlation  with the baseline's explanation; None without one
    former       the baseline's label, if it is another
    answer       what a model writes, whose prompt the text is; empty of any other
    reference    what that should be; empty if it is, or if it is not known
    """

    id: str
    table: str
    label: str
    predicted: str
    probability: float
    words: Sequence[Word]
    rest: str
    correlation: float | None = None
    former: str | None = None
    answer: Sequence[Token] = ()
    reference: str = ""

    @property
    def right(self) -> bool:
        """Is the label the predicted one? Answers that are written have none to be wrong about."""
        return bool(self.answer) or self.label == self.predicted

    @property
    def flips(self) -> Sequence[str]:
        """Words without which the answer is another; empty if none are known."""
        return [word.text for word in self.words if word.flipped]


@dataclass(frozen=True)
class Explanations:
    """What an artifact explains.

    state     why it is not what params.yaml asks for; None if it is
    texts     errors first, of these the surest; then what is right, of it the least sure
    measures  what is measured of the method -> mean over texts
    heaviest  label -> (word, texts, mean weight), the heaviest first
    against   the revision that weights are compared with; None without one
    """

    name: str
    of: str
    on: str
    method: str
    state: str | None
    labels: Sequence[str]
    texts: Sequence[Text]
    measures: Mapping[str, Estimate]
    delta: float | None
    heaviest: Mapping[str, Sequence[tuple[str, int, float]]]
    against: str | None = None
    tables: Sequence[str] = field(default_factory=tuple)

    @property
    def writes(self) -> bool:
        """Are these prompts with answers that are written?"""
        return any(text.answer for text in self.texts)

    @property
    def errors(self) -> Sequence[Text]:
        """Texts of another label than the predicted one."""
        return [text for text in self.texts if not text.right]

    @property
    def moved(self) -> Sequence[Text]:
        """Texts that the baseline explains, too, those first whose words it ranks otherwise."""
        compared = [text for text in self.texts if text.correlation is not None]
        return sorted(compared, key=lambda text: text.correlation or 0.0)


def inspect(
    inspected: Inspection, name: ArtifactName, baseline: Revision | None = None
) -> Explanations:
    """Raises LmspecError if the explanations are not here, or the baseline has none."""
    revision, artifact = inspected.revision, inspected.artifact(str(name))
    folder = revision.tree.root / name.folder
    if not (folder / attributions.FILE).is_file():
        built = name.stage in revision.lock
        remedy = f"run `dvc pull {name.stage}`, or " if built else "run "
        raise LmspecError(name.folder, "it is not here", f"{remedy}`dvc repro {name.stage}`")
    labels = documents.read_labels(folder)
    former = _former(baseline, name) if baseline else {}
    rows = attributions.read(folder).rows(named=True)
    found = [_text(row, former.get(row["id"]), len(labels)) for row in rows]
    problem = inspected.problem(str(name))
    spec = artifact.spec
    return Explanations(
        str(name),
        str(spec.get("of")),
        f"{spec.get('on')}, {at(spec, ('rows', 'split'))}",
        str(at(spec, ("method", "kind"))).replace("_", " "),
        problem.found if problem else None,
        labels,
        sorted(found, key=_by_urgency),
        dict(_measures(artifact)),
        artifact.number(("completeness_delta", "max")),
        _heaviest(artifact),
        baseline.name if baseline else None,
        sorted({text.table for text in found}),
    )


def _former(baseline: Revision, name: ArtifactName) -> Mapping[str, Attributed]:
    side = explanations.read(Artifact(baseline, str(name)))
    if side is None:
        found = f"{baseline.name} has no explanations of {name}"
        raise LmspecError("show", found, "name another revision")
    return side.explained


def _by_urgency(text: Text) -> tuple[bool, float, str]:
    return text.right, text.probability if text.right else -text.probability, text.id


def _text(row: Mapping[str, Any], former: Attributed | None, labels: int) -> Text:
    text, weights = row["text"], row["attributions"]
    own = Attributed(row["cut"], row.get("answer") or row["predicted"], np.array(weights))
    aligned = concordance.aligned(own, former, labels) if former else None
    before = [None] * len(weights) if aligned is None else aligned.tolist()
    words, end = [], 0
    for number, (start, stop) in enumerate(zip(row["starts"], row["ends"], strict=True)):
        flipped = number in row["flipped"]
        words.append(
            Word(text[end:start], text[start:stop], weights[number], flipped, before[number])
        )
        end = stop
    return Text(
        row["id"],
        row["table"],
        row["label"],
        row["predicted"],
        row["probability"],
        words,
        text[end:],
        None if aligned is None else spearman(own.attributions, aligned),
        _other(row, own, former),
        answered(row, [word.text for word in words]),
        row.get("reference") or "",
    )


def _other(row: Mapping[str, Any], own: Attributed, former: Attributed | None) -> str | None:
    """What the baseline answered, if it is another thing."""
    if former is None or former.predicted == own.predicted:
        return None
    return "another answer" if row.get("answer") else former.predicted


def answered(row: Mapping[str, Any], words: Sequence[str]) -> tuple[Token, ...]:
    """The tokens of an answer, each with the words that it loses most without.

    Those that make one character together are shown as one, with the sum of what they lose.
    """
    found, begun = [], np.zeros(len(words))
    for text, lost in zip(row.get("tokens") or (), row.get("lost") or (), strict=True):
        begun = begun + lost
        if not text:
            continue
        heaviest = np.argsort(-begun, kind="stable")[:MOST_OF_TOKEN]
        rests_on = ((words[i], float(begun[i])) for i in heaviest if begun[i] >= LEAST_OF_TOKEN)
        found.append(Token(text, tuple(rests_on)))
        begun = np.zeros(len(words))
    return tuple(found)


def _measures(artifact: Artifact) -> Iterator[tuple[str, Estimate]]:
    for path, called in MEASURES.items():
        mean, low, high = (artifact.number((*path, part)) for part in ESTIMATES)
        if mean is not None and low is not None and high is not None:
            yield called, Estimate(mean, (low, high))
    metrics = artifact.metrics
    others = None if isinstance(metrics, Unavailable) else at(metrics, ("agreement",))
    for other in others or ():
        mean, low, high = (artifact.number(("agreement", other, part)) for part in ESTIMATES)
        if mean is not None and low is not None and high is not None:
            yield f"rank correlation with explained.{other}", Estimate(mean, (low, high))


def _heaviest(artifact: Artifact) -> Mapping[str, Sequence[tuple[str, int, float]]]:
    """Words are ordered by weight in the table."""
    table = artifact.table("words") or {}
    found: dict[str, list[tuple[str, int, float]]] = {}
    columns = (table.get(name, []) for name in ("label", "word", "texts", "weight"))
    for label, word, count, weight in zip(*columns, strict=True):
        words = found.setdefault(label, [])
        if len(words) < HEAVIEST:
            words.append((word, int(count), float(weight)))
    return found
