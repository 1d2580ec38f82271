"""examining: suites -> cases -> which of them pass, by a model's probabilities.

Source: Ribeiro et al. 2020, Beyond accuracy: behavioral testing of NLP models with CheckList,
arXiv:2005.04118.
"""

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lmspec.methods import perturbing
from lmspec.methods.metrics import Floats
from lmspec.specs.suites import Suite, filled, slots

DIGITS = 6
PASS, FAIL = "pass", "fail"


@dataclass(frozen=True)
class Row:
    """A text of a test split. group: what texts of one document have in common; "" of none."""

    id: str
    text: str
    group: str


@dataclass(frozen=True)
class Case:
    """One text, or two of which `before` is the first.

    id    of all that it says, so that two revisions have the same one if they ask the same
    term  the word in the slot that varies
    of_row  is it of a text of a test split, which git does not keep?
    """

    suite: Suite
    id: str
    text: str
    before: str | None = None
    term: str = ""
    group: str = ""
    of_row: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """What the model is asked."""
        return (self.text,) if self.before is None else (self.before, self.text)


def drawn(rows: Iterable[Row], most: int, seed: int) -> list[Row]:
    """That many rows, in the order of a hash: a row more or less moves no other one."""
    return sorted(rows, key=lambda row: digest(str(seed), row.id))[:most]


def cases(suite: Suite, rows: Sequence[Row], seed: int) -> list[Case]:
    """All cases of a suite, each once.

    rows  what is changed in a suite without templates; one that the change leaves as it is makes
          no case
    """
    made = _varied(suite, seed) if suite.vary else _changed(suite, rows, seed)
    return list({(case.id, case.term): case for case in made}.values())


def _varied(suite: Suite, seed: int) -> Iterator[Case]:
    """The words of one slot in the same frame: each against the first, or all of a group."""
    assert suite.vary is not None
    terms = suite.words[suite.vary]
    for frame in _frames(suite, seed):
        texts = [frame.filled({suite.vary: term}) for term in terms]
        if suite.is_gap:
            name = digest(suite.kind, suite.label or "", frame.text, *terms)
            yield from (
                Case(suite, name, text, term=term) for term, text in zip(terms, texts, strict=True)
            )
        else:
            for term, text in zip(terms[1:], texts[1:], strict=True):
                yield Case(suite, digest(suite.kind, texts[0], text), text, texts[0], term)


def _changed(suite: Suite, rows: Sequence[Row], seed: int) -> Iterator[Case]:
    """Texts of templates, or of rows: as they are, or beside what a change makes of them."""
    if suite.templates:
        rows = [Row(frame.text, frame.text, "") for frame in _frames(suite, seed)]
    expected = (suite.kind, suite.label or "", str(suite.rises), str(suite.tolerance))
    for row in rows:
        if suite.change is None:
            yield Case(suite, digest(*expected, row.text), row.text)
            continue
        rng = np.random.default_rng(int(digest(str(seed), suite.name, row.id), 16))
        text = perturbing.changed(row.text, suite.change, rng)
        if text != row.text and text.strip():
            name = digest(*expected, row.text, text)
            yield Case(suite, name, text, row.text, group=row.group, of_row=not suite.templates)


class Frame(NamedTuple):
    """A template with a word in each slot but the one that varies. text: it, with that slot."""

    text: str
    template: str
    words: Mapping[str, str]

    def filled(self, last: Mapping[str, str]) -> str:
        """The text with a word in the slot that is left."""
        return filled(self.template, {**self.words, **last})


def _frames(suite: Suite, seed: int) -> list[Frame]:
    """The templates with all words in all slots, each text once; or `most` of them.

    They are drawn in the order of a hash, and stay in that of the file.
    """
    frames: dict[str, Frame] = {}
    for template in suite.templates:
        names = [name for name in slots(template) if name != suite.vary]
        for chosen in itertools.product(*(suite.words[name] for name in names)):
            words = dict(zip(names, chosen, strict=True))
            text = filled(template, words)
            frames.setdefault(text, Frame(text, template, words))
    if suite.most is None or len(frames) <= suite.most:
        return list(frames.values())
    kept = set(sorted(frames, key=lambda text: digest(str(seed), text))[: suite.most])
    return [frame for text, frame in frames.items() if text in kept]


def digest(*parts: str) -> str:
    """16 hex digits."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Judged:
    """A case, and what the model made of it.

    expected   the right label, or that of the text before; of groups and directions, the label
               whose probability is watched
    predicted  the label of the text
    probability, before  of `expected` for the text and for the one before; nan without one, and
               of what is written
    severity   how far from what must hold, 0..1: what is worst of those that fail
    """

    case: Case
    passed: bool
    expected: str
    predicted: str
    probability: float
    before: float
    severity: float


def judged(case: Case, answers: Mapping[str, Floats], labels: Sequence[str]) -> Judged:
    """answers: text -> (k,) probabilities of the labels."""
    suite, now = case.suite, answers[case.text]
    then = None if case.before is None else answers[case.before]
    predicted = labels[int(now.argmax())]
    if suite.kind == "invariance":
        assert then is not None
        expected = labels[int(then.argmax())]
    else:
        assert suite.label is not None
        expected = suite.label
    place = labels.index(expected)
    after = float(now[place])
    before = math.nan if then is None else float(then[place])
    if suite.kind == "direction":
        severity = (before - after if suite.rises else after - before) - suite.tolerance
        return Judged(case, severity <= 0, expected, predicted, after, before, max(0.0, severity))
    if suite.is_gap:
        return Judged(case, True, expected, predicted, after, before, 0.0)
    severity = max(0.0, 1 - after if then is None else before - after)
    return Judged(case, predicted == expected, expected, predicted, after, before, severity)


def row(each: Judged) -> dict[str, Any]:
    """As git keeps it: of what fails with its text, unless that is of a test split.

    A suite of groups has no right answer: its rows have an empty `passed`.
    """
    case, failed = each.case, not each.passed
    return {
        "suite": case.suite.name,
        "id": case.id,
        "group": case.group,
        "term": case.term,
        "expected": each.expected,
        "predicted": each.predicted,
        "before": None if math.isnan(each.before) else round(each.before, DIGITS),
        "probability": None if math.isnan(each.probability) else round(each.probability, DIGITS),
        "severity": round(each.severity, DIGITS) if failed else None,
        "passed": "" if case.suite.is_gap else FAIL if failed else PASS,
        "text": case.text if failed and not case.of_row else "",
    }


def measured(suite: Suite, found: Sequence[Judged]) -> dict[str, float | int]:
    """The metrics of a suite. Raises ValueError if it has no case."""
    if not found:
        raise ValueError(f"{suite.name} has no case")
    if not suite.is_gap:
        return {
            "pass_rate": sum(each.passed for each in found) / len(found),
            "cases": len(found),
        }
    means = gaps(found)
    return {
        "gap": max(means.values()) - min(means.values()),
        "templates": len({each.case.id for each in found}),
    }


def gaps(found: Sequence[Judged]) -> dict[str, float]:
    """Term -> mean probability of the label in all templates, of six digits, as git has them."""
    of_term: dict[str, list[float]] = {}
    for each in found:
        of_term.setdefault(each.case.term, []).append(round(each.probability, DIGITS))
    return {term: float(np.mean(values)) for term, values in of_term.items()}
