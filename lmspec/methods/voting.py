"""voting: labelling functions vote on texts or abstain; the votes as one label."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lmspec.errors import LmspecError
from lmspec.methods import labelling
from lmspec.methods.labelling import NoLabel
from lmspec.specs.votes import FromColumn, Lexicon, Pattern, VotesLabel

Ints = NDArray[np.int64]
ABSTAINS = -1
TIED = "votes are tied"
EDGES = ".,;:!?\"'()[]{}<>*_-…“”‘’«»„–—"  # of a word, unless the lexicon has it so
Words = Mapping[str, str | float]


class Voted(NamedTuple):
    """Labels of votes.

    labels       of each text, or why it has none
    probability  (n,) share of a text's votes that are for its label; nan without a label
    """

    labels: list[str | NoLabel]
    probability: NDArray[np.float64]


class Function(NamedTuple):
    """What a labelling function did.

    coverage  share of the texts that it votes on
    overlaps  share of the texts that it and another vote on
    conflicts share of the texts that another votes otherwise on
    judged    how many of its votes the others have a majority on
    accuracy  estimated: share of those that are that majority; None if there are none
    """

    coverage: float
    overlaps: float
    conflicts: float
    judged: int
    accuracy: float | None


def votes(
    function: Lexicon | Pattern | FromColumn,
    texts: Sequence[str],
    cells: Sequence[str | None],
    words: Words,
    labels: Sequence[str],
) -> Ints:
    """(n,) position of the label that each text gets a vote for, or ABSTAINS.

    texts  cleaned; "" of a row without a text
    cells  of its column, for a function that reads one; words: of a lexicon
    Raises LmspecError if a pattern is none.
    """
    if isinstance(function, Pattern):
        found = matches(function.name, function.pattern, texts)
        return np.where(found, labels.index(function.label), ABSTAINS)
    if isinstance(function, FromColumn):
        given = [None if cell is None else function.values.get(cell.strip()) for cell in cells]
    else:
        longest = max((word.count(" ") + 1 for word in words), default=1)
        given = [_by_words(text, function, words, longest) for text in texts]
    return np.asarray([ABSTAINS if one is None else labels.index(one) for one in given], np.int64)


def matches(name: str, pattern: str, texts: Sequence[str]) -> NDArray[np.bool_]:
    """(n,) in which texts the pattern is found, in a time linear in their length.

    Raises LmspecError if it is no regular expression of Rust, or too large.
    """
    try:
        return pl.Series(texts, dtype=pl.String).str.contains(pattern).to_numpy()
    except pl.exceptions.PolarsError as error:
        lines = str(error).splitlines()
        reason = next((line[7:] for line in lines if line.startswith("error: ")), lines[0])
        place = f"label.functions {name}"
        found = f"the pattern is no regular expression: {reason}"
        raise LmspecError(place, found, "see the syntax of Rust's crate `regex`") from None


def _by_words(text: str, lexicon: Lexicon, words: Words, longest: int) -> str | None:
    found = [words[term] for term in _terms(text, words, longest)]
    if lexicon.bands is not None:
        if not found:
            return None
        total = float(sum(weight for weight in found if isinstance(weight, float)))
        return next((band.label for band in lexicon.bands if band.holds_score(total)), None)
    counts = {label: found.count(label) for label in found if isinstance(label, str)}
    most = [label for label, count in counts.items() if count == max(counts.values())]
    return most[0] if len(most) == 1 else None


def _terms(text: str, words: Words, longest: int) -> list[str]:
    """The entries of a lexicon that a text has, as often as it has them.

    One in lower case is found in any case; one with capitals, such as :P, as it is written.
    """
    tokens = [_token(token, words) for token in text.split()]
    runs = (
        " ".join(tokens[i : i + size])
        for size in range(1, longest + 1)
        for i in range(len(tokens) - size + 1)
    )
    return [run for run in runs if run in words]


def _token(token: str, words: Words) -> str:
    bare, lower = token.strip(EDGES), token.lower()
    every = (token, bare, lower, lower.strip(EDGES))
    return next((one for one in every if one in words), every[-1])


def labelled(given: Ints, rule: VotesLabel, labels: Sequence[str]) -> Voted:
    """The label of each text by its votes. given: (functions, n)"""
    counts = counted(given, len(labels))
    most, total = counts.max(axis=1), counts.sum(axis=1)
    tied = (counts == most[:, None]).sum(axis=1) > 1
    found: list[str | NoLabel] = []
    probability = np.full(len(total), np.nan)
    for i, best in enumerate(counts.argmax(axis=1).tolist()):
        if total[i] == 0:
            found.append(NoLabel(labelling.NO_LABEL, "no vote"))
        elif tied[i]:
            found.append(NoLabel(TIED, f"{most[i]} votes each"))
        elif most[i] < rule.min_votes:
            found.append(NoLabel(labelling.NO_LABEL, f"{most[i]} votes"))
        else:
            found.append(labels[best])
            probability[i] = most[i] / total[i]
    return Voted(found, probability)


def counted(given: Ints, labels: int) -> Ints:
    """(n, labels) votes for each label. given: (functions, n)"""
    return np.stack([(given == label).sum(axis=0) for label in range(labels)], axis=1)


def functions(given: Ints, labels: int) -> list[Function]:
    """What each function did. given: (functions, n)"""
    counts = counted(given, labels)
    return [_function(own, counts) for own in given]


def _function(own: Ints, counts: Ints) -> Function:
    there = own != ABSTAINS
    others = counts.copy()
    others[np.flatnonzero(there), own[there]] -= 1
    most = others.max(axis=1)
    alone = (others == most[:, None]).sum(axis=1) == 1
    judged = there & alone & (most > 0)
    same = others[np.arange(len(own)), np.where(there, own, 0)]
    overlaps = there & (others.sum(axis=1) > 0)
    conflicts = there & (others.sum(axis=1) > same)
    size = int(judged.sum())
    right = int((others.argmax(axis=1) == own)[judged].sum())
    return Function(
        float(there.mean()),
        float(overlaps.mean()),
        float(conflicts.mean()),
        size,
        right / size if size else None,
    )
