"""cases: which cases of a suite pass, and how far terms are apart, as sums over cases.

A suite takes the place of a test split. A case passes or fails as an answer is right or wrong; of
terms, an example is a template, with the probability that each term gives it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lmspec.statistics.answers import PASS_RATE, Answers, Formula, Part, TextScale
from lmspec.statistics.arrays import Floats

GAP = "gap"
PASS, FAIL = "pass", "fail"


@dataclass(frozen=True)
class Cases(Answers):
    """Cases of a suite: `label` is `pass`, `predicted` is `pass` or `fail`."""

    kind: ClassVar[str] = "cases"
    relabelled: ClassVar[str] = "with another expectation"


@dataclass(frozen=True)
class Terms(Answers):
    """Templates of a suite of groups. terms: in the order of the columns of their numbers."""

    kind: ClassVar[str] = "probabilities by term"
    relabelled: ClassVar[str] = "with other terms"
    terms: tuple[str, ...]

    @property
    def form(self) -> str:
        """Other terms are other numbers."""
        return f"{self.kind}: {', '.join(self.terms)}"

    def _made(self, columns: Sequence[Sequence[str]], parts: Mapping[str, Part]) -> "Terms":
        ids, table, group, label, predicted = map(tuple, columns)
        return dataclasses.replace(
            self, id=ids, table=table, group=group, label=label, predicted=predicted, parts=parts
        )


def of_cases(ids: Sequence[str], groups: Sequence[str], passed: Sequence[str]) -> Cases:
    """passed: `pass` or `fail` of each."""
    nothing = ("",) * len(ids)
    return Cases(tuple(ids), nothing, tuple(groups), (PASS,) * len(ids), tuple(passed), {})


def of_terms(ids: Sequence[str], terms: Sequence[str], probabilities: Floats) -> Terms:
    """probabilities: (templates, terms). A template that is gone counts as if one term had 1, the
    others 0."""
    nothing = ("",) * len(ids)
    numbers = np.hstack([np.ones((len(ids), 1)), probabilities])
    worst = np.zeros_like(numbers)
    worst[:, :2] = 1.0
    parts = {GAP: Part(numbers, worst)}
    return Terms(tuple(ids), nothing, nothing, nothing, nothing, parts, tuple(terms))


def scale(side: Cases | Terms) -> TextScale:
    """The metric of a suite as a function of its sums."""
    if isinstance(side, Cases):
        return TextScale({PASS_RATE: Formula(2, _share, 0.0, 1.0)})
    return TextScale({GAP: Formula(1 + len(side.terms), _gap, 0.0, 1.0)})


def _share(sums: Floats) -> Floats:
    """(...) from (..., 2): examples, and those that pass; nan of none."""
    with np.errstate(invalid="ignore"):  # the only case of a suite, left out in turn
        return np.asarray(sums[..., 1] / sums[..., 0])


def _gap(sums: Floats) -> Floats:
    """(...) from (..., 1 + terms): the largest difference of two means; nan of no template."""
    with np.errstate(invalid="ignore"):
        means = sums[..., 1:] / sums[..., :1]
    return np.asarray(means.max(-1) - means.min(-1))
