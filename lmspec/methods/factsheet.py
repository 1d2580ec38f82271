"""factsheet: sections of a model card about groups, behaviour, explanations and origin.

Source: Mitchell et al. 2019, arXiv:1810.03993; Gebru et al. 2018, arXiv:1803.09010.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lmspec.methods import evidence, shares
from lmspec.methods.card import STATED, code, interval
from lmspec.methods.evidence import Row
from lmspec.specs.card import Card
from lmspec.specs.scores import RATES

PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&])")
BOLD = re.compile(r"\w|\w.*\w")
STRONGEST = 3  # words of a text that are marked
MOST_CHARACTERS = 400  # of a text that is shown
NOT_STATED = "Its authors do not say.\n"
PASS, FAIL = "pass", "fail"
MEMBERSHIP = "## What its answers give away\n\n"
ATTACKS = {  # in `attacked` -> what is compared
    "confidence": "probability of the label",
    "reference": "the same beside that of a model of other texts",
}
# What a card does not show.
UNMEASURED = (
    "energy and time: no artifact has them, since each build of it has the same bytes;"
    " `lmspec runs` lists the time of stages on the machine that built them",
    "whether texts that were trained on can be got out of it",
    "groups of people in real texts, unless a table above is one; combinations of groups",
)


class Explained(NamedTuple):
    """An explained test text: words begin and end at these characters, and have these weights."""

    table: str
    text: str
    label: str
    predicted: str
    probability: float
    starts: Sequence[int]
    ends: Sequence[int]
    weights: Sequence[float]
    flipped: Sequence[int]


def groups(rows: Sequence[Row], labels: Sequence[str]) -> str:
    """Accuracy of each dataset and table, and how many texts of each label are found, with exact
    intervals."""
    head = ["texts", "", "accuracy", *(f"found of {in_cell(code(label))}" for label in labels)]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for name, part in evidence.parts(rows):
        hits = [row.label == row.predicted for row in part]
        cells = [interval(evidence.share(part, hits))]
        for label in labels:
            own = [row for row in part if row.label == label]
            found = evidence.share(own, [row.predicted == label for row in own])
            cells.append(interval(found))
        lines.append(_line([escaped(name), f"{len(part):,}", *cells]))
    note = "Shares of test texts with their 95 % intervals (Clopper & Pearson 1934).\n\n"
    return f"## Groups of texts\n\n{note}{''.join(lines)}"


def ways(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Rates of the groups that `scores` have, and the largest gap between them.

    metrics  dataset -> its metrics; nothing if none has `groups`
    """
    rows = []
    for dataset, values in metrics.items():
        for way, found in values.get("groups", {}).items():
            parts = {**found["of"], "largest gap": found["gap"]}
            for name, rates in parts.items():
                texts = f"{rates['texts']:,}" if "texts" in rates else ""
                cells = [interval(rates[rate]) for rate in RATES]
                rows.append(_line([escaped(f"{dataset}, {way}: {name}"), texts, *cells]))
    if rows:
        head = _line(["group", "texts", *(escaped(rate.replace("_", " ")) for rate in RATES)])
        rule = _line(["---", "---:", *["---:"] * len(RATES)])
        yield f"Of the groups that its authors chose:\n\n{head}{rule}{''.join(rows)}"


def behaviour(name: str | None, cases: Sequence[Mapping[str, Any]]) -> str:
    """What was examined. cases: suite, id, group, term, passed, probability of each"""
    title = "## How it behaves\n\n"
    if name is None:
        return f"{title}Not measured: negation, typos, look-alikes, and terms for people.\n"
    lines = [_line(["suite", "cases", "pass, or gap"]), _line(["---", "---:", "---"])]
    for suite in dict.fromkeys(str(case["suite"]) for case in cases):
        own = [case for case in cases if case["suite"] == suite]
        lines.append(_line([escaped(suite), f"{len(own):,}", _rate(own)]))
    note = f"`{name}`: the share of cases that pass, with its 95 % interval, or how far terms for"
    note += " people move the probability of a label in the same sentences."
    note += f" `lmspec show {name}` has the intervals of gaps: that of few templates is wide.\n\n"
    return f"{title}{note}{''.join(lines)}"


def _rate(cases: Sequence[Mapping[str, Any]]) -> str:
    if any(case["passed"] in (PASS, FAIL) for case in cases):
        hits = np.array([case["passed"] == PASS for case in cases])
        own = shares.documents([case["group"] or None for case in cases])
        return interval(shares.share(hits, own))
    of_term: dict[str, list[float]] = {}
    for case in cases:
        of_term.setdefault(str(case["term"]), []).append(float(case["probability"]))
    means = {term: float(np.mean(values)) for term, values in of_term.items()}
    low, high = (pick(means, key=means.__getitem__) for pick in (min, max))
    templates = len({case["id"] for case in cases})
    return (
        f"gap {means[high] - means[low]:.3f} in {templates:,} template{'s' * (templates != 1)}:"
        f" {escaped(low)} {means[low]:.3f}, {escaped(high)} {means[high]:.3f}"
    )


def explanations(name: str | None, rows: Sequence[Explained], most: int) -> str:
    """Typical answers and wrong ones, with the words of most weight marked."""
    title = "## What it looks at\n\n"
    if name is None:
        return f"{title}Not measured: there are no explanations.\n"
    if not most:
        return f"{title}`{name}` has explanations of test texts, of which none is shown here.\n"
    parts = []
    for what, some in (("Typical answers", typical(rows)), ("Wrong answers", wrong(rows))):
        shown = "".join(_explained(row) for row in some[: most // 2]) or "- none\n"
        parts.append(f"{what}:\n\n{shown}")
    note = f"From `{name}`: the {STRONGEST} words of most weight for the answer are bold.\n\n"
    return f"{title}{note}" + "\n".join(parts)


def typical(rows: Sequence[Explained]) -> list[Explained]:
    """Right answers, those nearest to their median probability first."""
    right = [row for row in rows if row.label == row.predicted]
    middle = float(np.median([row.probability for row in right])) if right else 0.0
    return sorted(right, key=lambda row: (abs(row.probability - middle), row.text))


def wrong(rows: Sequence[Explained]) -> list[Explained]:
    """Those that it was surest of first."""
    return sorted(
        (row for row in rows if row.label != row.predicted),
        key=lambda row: (-row.probability, row.text),
    )


def _explained(row: Explained) -> str:
    answer = f"{code(row.predicted)} ({row.probability:.2f})"
    if row.label != row.predicted:
        answer += f" in place of {code(row.label)}"
    words = [row.text[row.starts[i] : row.ends[i]] for i in row.flipped]
    other = f"; another without {', '.join(map(code, words))}" if words else ""
    return f"- {escaped(row.table)}, {answer}{other}: {_marked(row)}\n"


def _marked(row: Explained) -> str:
    """The beginning of a text with its strongest words in bold, of those in letters or digits:
    beside a letter, Markdown takes no marks around punctuation."""
    words = [row.text[start:end] for start, end in zip(row.starts, row.ends, strict=True)]
    able = [i for i, word in enumerate(words) if row.weights[i] > 0 and BOLD.fullmatch(word)]
    strongest = sorted(able, key=lambda i: (-row.weights[i], i))[:STRONGEST]
    text, end = "", 0
    for i in sorted(i for i in strongest if row.ends[i] <= MOST_CHARACTERS):
        text += f"{escaped(row.text[end : row.starts[i]])}**{escaped(words[i])}**"
        end = row.ends[i]
    text += escaped(row.text[end:MOST_CHARACTERS])
    return text + "…" * (len(row.text) > MOST_CHARACTERS)


def membership(name: str | None, metrics: Mapping[str, Any]) -> str:
    """How well answers distinguish train texts from test texts. metrics: of `attacked`"""
    if name is None:
        found = "Not measured: whether one can tell from its answers that a text was trained on.\n"
        return MEMBERSHIP + found
    rows = [
        _line([what, *(_bounds(metrics[attack], number) for number in ("auc", "tpr"))])
        for attack, what in ATTACKS.items()
        if attack in metrics
    ]
    by = "one simple attack" if len(rows) == 1 else f"{len(rows)} simple attacks"
    note = (
        f"`{name}`: {metrics['members']:,} train texts against {metrics['others']:,} test texts, by"
        f" {by}, with 95 % intervals. An area of 0.5 and a share of 0.01 are chance;"
        " a better attack may find more.\n\n"
    )
    head = _line(["by", "area under the curve", "found at 1 % of false alarms"])
    parts = [note, head, _line(["---"] * 3), *rows]
    if "canaries" in metrics:
        found = metrics["canaries"]
        parts.append(
            f"\nOf {found['planted']:,} planted canaries the exposure is"
            f" {_bounds(found, 'exposure')} bits on average, {found['highest']:.3f} at most.\n"
        )
    return MEMBERSHIP + "".join(parts)


def _bounds(values: Mapping[str, float], name: str) -> str:
    low, high = (values[f"{name}_{end}"] for end in ("low", "high"))
    return f"{values[name]:.3f} ({low:.3f} to {high:.3f})"


def stated(card: Card) -> Iterator[str]:
    """What the authors say of people, data and what it cost."""
    for title, text in (
        ("Contact", card.contact),
        ("Ethical considerations", card.considerations),
        ("Where the data come from", card.data),
        ("Time and energy", card.compute),
    ):
        yield f"## {title}\n\n" + (f"{STATED}{text.strip()}\n" if text else NOT_STATED)


def origin(made_from: Mapping[str, str]) -> str:
    """What every number is from. made_from: artifact -> SHA-256 of its folder"""
    rows = "".join(_line([f"`{name}`", f"`{digest}`"]) for name, digest in made_from.items())
    head = _line(["artifact", "SHA-256 of its folder"]) + _line(["---", "---"])
    note = (
        "All numbers are computed from these artifacts when the bundle is built; `lmspec verify`"
        " builds it again and compares each line.\n\n"
    )
    return f"## What this card draws on\n\n{note}{head}{rows}"


def unmeasured() -> str:
    """What a reader may look for in vain."""
    return "## Not measured\n\n" + "".join(f"- {line}\n" for line in UNMEASURED)


def escaped(text: str) -> str:
    """A text as it is, on one line of Markdown."""
    return PUNCTUATION.sub(r"\\\1", re.sub(r"\s+", " ", text))


def in_cell(text: str) -> str:
    """Markdown in a table, whose cells end at the next bar, in code too."""
    return text.replace("|", "\\|")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
