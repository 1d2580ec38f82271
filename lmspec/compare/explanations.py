"""explanations: do two releases look at the same words? From the tables of both, in git.

Two models of equal accuracy may rest on other words.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lmspec.compare import texts
from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.report import Drift, Metric, Moved, Names, WordWeight
from lmspec.compare.revision import Table
from lmspec.compare.verdicts import CONFIDENCE, Row
from lmspec.methods import concordance
from lmspec.methods.concordance import Attributed
from lmspec.specs.names import ArtifactName, MetricPath
from lmspec.statistics import means
from lmspec.statistics.arrays import Floats, Ints

NOUN = "explained"
MOVED, WORDS, STRONGEST = 5, 10, 3  # shown: texts, words, words of a text
# Metric -> columns of the table of texts whose difference it is the mean of.
COLUMNS: Mapping[MetricPath, tuple[str, ...]] = {
    ("comprehensiveness", "mean"): ("comprehensiveness",),
    ("sufficiency", "mean"): ("sufficiency",),
    ("over_random", "comprehensiveness", "mean"): ("comprehensiveness", "random_comprehensiveness"),
    ("over_random", "sufficiency", "mean"): ("random_sufficiency", "sufficiency"),
    ("area_over_perturbation_curve", "mean"): ("area",),
}


@dataclass(frozen=True)
class Side:
    """The explained texts of a revision by id. groups: of what was sampled together."""

    explained: Mapping[str, Attributed]
    groups: Mapping[str, str]
    rows: Mapping[str, int]
    table: Table


def read(end: Artifact) -> Side | None:
    """The committed table; None if there is none, or if it is damaged."""
    table = end.table("texts")
    if not table or not {"id", "cut", "predicted", "attributions", "group"} <= table.keys():
        return None
    answers = table.get("answer", table["predicted"])  # of models that write: hashes of them
    try:
        explained = {
            name: Attributed(cut, predicted, np.array(words.split(), np.float64))
            for name, cut, predicted, words in zip(
                table["id"], table["cut"], answers, table["attributions"], strict=True
            )
        }
    except ValueError:
        return None
    groups = {
        name: group or f"text {name}"
        for name, group in zip(table["id"], table["group"], strict=True)
    }
    return Side(explained, groups, {name: i for i, name in enumerate(table["id"])}, table)


def tested(pair: ArtifactPair, path: MetricPath, metric: Metric) -> Row | None:
    """A mean over texts, tested on those that both revisions explain; None if it is no such mean.

    The symmetric bootstrap of `lmspec diff`, over groups of texts.
    """
    columns = COLUMNS.get(path)
    baseline, candidate = (read(end) for end in pair)
    if columns is None or baseline is None or candidate is None:
        return None
    common = [name for name in candidate.rows if name in baseline.rows]
    try:
        changes = _values(candidate, columns, common) - _values(baseline, columns, common)
    except (ValueError, KeyError):
        return None
    if not common:
        return Row(replace(metric, verdict="not comparable", reason="no text in common"))
    left_out = len({*baseline.rows, *candidate.rows}) - len(common)
    reason = f"{left_out:,} texts are explained in one revision only" if left_out else None
    metric = replace(metric, examples=len(common), reason=reason)
    if not changes.any():
        return Row(replace(metric, verdict="same"))
    estimate = means.estimate(changes, _groups(candidate, common))
    tested = replace(
        metric,
        verdict="inconclusive",
        difference=estimate.value,
        interval=estimate.interval(CONFIDENCE),
        p=max(estimate.p, estimate.typical_p),
        family="explanations",
        method="paired bootstrap over texts",
    )
    return Row(tested, estimate, 2.0)


def _values(side: Side, columns: Sequence[str], names: Sequence[str]) -> Floats:
    """(n,) the first column, less the second if there is one."""
    rows = [side.rows[name] for name in names]
    first, *others = (np.array([float(side.table[c][i]) for i in rows]) for c in columns)
    return np.asarray(first - others[0] if others else first)


def _groups(side: Side, names: Sequence[str]) -> Ints:
    return concordance.numbered([side.groups[name] for name in names])


def drifts(pairs: Sequence[ArtifactPair], root: Path) -> Iterator[Drift]:
    """Of each artifact whose explanations differ. root: of the texts, if they are at hand."""
    for pair in pairs:
        if pair.noun != NOUN or _same(pair):
            continue
        baseline, candidate = (read(end) for end in pair)
        if baseline is None or candidate is None:
            continue
        found = concordance.correlations(
            candidate.explained, baseline.explained, _labels(pair.candidate)
        )
        common = [name for name in candidate.rows if name in baseline.rows]
        if not found:
            continue
        values = np.array(list(found.values()))
        mean = means.mean(values, (-1.0, 1.0), _groups(candidate, list(found)))
        yield Drift(
            pair.name,
            len(found),
            len(common) - len(found),
            mean.value,
            mean.interval,
            tuple(_moved(pair.candidate, baseline, candidate, found, root)),
            tuple(_weights(pair)),
        )


def _same(pair: ArtifactPair) -> bool:
    ids = [end.table_id("texts") for end in pair]
    return ids[0] is not None and ids[0] == ids[1]


def _labels(end: Artifact) -> int:
    """How many labels its texts can have; 0 if that is unknown."""
    artifacts = end.revision.artifacts
    splits = artifacts.get(str(end.spec.get("on")), {})
    return len(artifacts.get(str(splits.get("of")), {}).get("labels") or ())


def _moved(
    end: Artifact,
    baseline: Side,
    candidate: Side,
    correlations: Mapping[str, float],
    root: Path,
) -> Iterator[Moved]:
    """The texts whose words are ranked most differently, in the candidate's label."""
    names = sorted(correlations, key=lambda name: (correlations[name], name))[:MOVED]
    folder = root / ArtifactName.parse(str(end.spec.get("on"))).folder
    split = (end.spec.get("rows") or {}).get("split")
    of_texts = texts.of_prompts if end.spec.get("answers") else texts.of_documents
    known = of_texts(folder / f"{split}.parquet", names)
    labels = _labels(end)
    for name in names:
        after, text = candidate.explained[name], known.get(name)
        before = concordance.aligned(after, baseline.explained[name], labels)
        assert before is not None  # it has a correlation
        words = _words(text, after)
        row = candidate.rows[name]
        yield Moved(
            name,
            candidate.table.get("table", [""] * (row + 1))[row],
            candidate.table.get("label", [""] * (row + 1))[row],
            _predicted(baseline, name),
            _predicted(candidate, name),
            correlations[name],
            _strongest(words, before),
            _strongest(words, after.attributions),
            text,
        )


def _predicted(side: Side, name: str) -> str:
    return side.table["predicted"][side.rows[name]]


def _words(text: str | None, explained: Attributed) -> Names:
    """The words of a text; none if it is not at hand, or if its tokenizer joins some."""
    from lmspec.methods.wordspans import spans  # here: it takes 0.1 s, and few reports need it

    found = tuple(spans(text or ""))
    if text is None or concordance.cut(found) != explained.cut:
        return ()
    return tuple(text[start:end] for start, end in found)


def _strongest(words: Names, attributions: Floats) -> Names:
    """Words of most weight, the first the heaviest."""
    order = np.argsort(-attributions, kind="stable")[:STRONGEST]
    return tuple(words[i] for i in order) if words else ()


def _weights(pair: ArtifactPair) -> Iterator[WordWeight]:
    """Words whose mean weight for a label changed most, those that gained first."""
    sides = [_mean_weights(end.table("words")) for end in pair]
    changed = [
        WordWeight(label, word, sides[1][key][0], sides[0][key][1], sides[1][key][1])
        for key in sides[1]
        if key in sides[0] and sides[0][key][1] != sides[1][key][1]
        for label, word in [key]
    ]
    # of many texts: a word that is rare has a weight by chance
    changed.sort(key=lambda one: -abs(one.candidate - one.baseline) * min(one.texts, WORDS))
    most = changed[:WORDS]
    yield from sorted(most, key=lambda one: one.baseline - one.candidate)


def _mean_weights(table: Table | None) -> dict[tuple[str, str], tuple[int, float]]:
    """(label, word) -> (texts, mean weight)."""
    found: dict[tuple[str, str], tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    if table and {"label", "word", "texts", "weight"} <= table.keys():
        columns = (table[name] for name in ("label", "word", "texts", "weight"))
        for label, word, count, weight in zip(*columns, strict=True):
            try:
                found[label, word] = int(count), float(weight)
            except ValueError:
                return {}
    return dict(found)
