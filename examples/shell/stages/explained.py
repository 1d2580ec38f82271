"""explained: which words answers rest on.   model or graph, splits -> explained.parquet"""

import hashlib
import importlib
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import attributions, documents, examples
from lmspec.methods import attributing, concordance, faithfulness, shares
from lmspec.methods.faithfulness import Faithfulness
from lmspec.methods.reading import Floats, Ids
from lmspec.methods.subject import Answer, Explainable
from lmspec.methods.wordreader import Words
from lmspec.specs.explained import ExplainedSpec
from lmspec.statistics import means, ranks

DIGITS, OF_ATTRIBUTIONS = 6, 4
FREQUENT = 3  # texts in which a word is that the table of words has
CORRELATION = (-1.0, 1.0)
SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class Explained:
    """A text with its explanation.

    row           columns id, table, group, text and label
    label         position of the predicted one
    area          what is lost as words are taken away, those of most weight first
    control       how faithful random attributions are
    delta         how far the attributions are from summing to what all words change
    flipped       words without which the answer is another
    answer        of a model that writes
    """

    row: Mapping[str, Any]
    words: Words
    label: int
    probability: float
    attributions: Floats
    faithful: Faithfulness
    area: float
    control: Faithfulness
    delta: float
    flipped: Sequence[int]
    answer: Answer | None


def build(spec: ExplainedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Explain each text, and measure how far that can be relied on."""
    opener = importlib.import_module(spec.modules()[0])
    subject: Explainable = opener.opened(spec, needs)
    rows = chosen(needs[spec.on], spec, subject.labels)
    started = time.process_time()
    found = (explain(subject, row, spec) for row in counted(rows))
    explained = [one for one in found if one is not None]
    seconds = time.process_time() - started
    stage.say(f"{len(explained):,} texts, {seconds / max(1, len(rows)):.2f} CPU-s each")
    if not explained:
        problem = f"no text of its {spec.rows.split} split has a word that {spec.of} reads"
        raise LmspecError(str(spec.on), problem, "name other splits in `on`")
    if len(explained) < len(rows):
        stage.say(f"warning: {len(rows) - len(explained)} texts have no word that is read")
    scratch = out / "shuffled"
    scratch.mkdir()
    shuffled = again(opener.opened(spec, needs, scratch), explained[: spec.control.texts])
    shutil.rmtree(scratch)
    labels = subject.labels
    kept = sorted(explained, key=lambda one: str(one.row["id"]))
    attributions.write([stored(one, labels) for one in kept], labels, out)
    metrics = measured(explained, subject.most)
    if len(labels) > 1:
        metrics["flipped"] = flips(explained)
    metrics["randomized_weights"] = _mean(shuffled, CORRELATION, None)
    if spec.beside:
        metrics["agreement"] = dict(agreements(spec, needs, out, len(labels)))
    tables = {"texts": [line(one, labels) for one in kept], "words": weights(explained, labels)}
    return stage.Report(metrics, tables)


def counted(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows, in order; says every ten seconds how many are explained: long texts take long."""
    last = time.monotonic()
    for number, row in enumerate(rows):
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            stage.say(f"{number:,} of {len(rows):,} texts")
            last = time.monotonic()
        yield row


def chosen(splits: Path, spec: ExplainedSpec, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """The texts of the lowest hashes, in that order, which depends on no other text.

    Raises LmspecError if there is none, or if they have other labels than the model.
    """
    rows, writes = spec.rows, spec.answers is not None
    own = labels if writes else examples.labels_of(splits)
    if own != labels:
        found = f"its labels are {list(own)}, and the model's are {list(labels)}"
        remedy = "give both corpora the same `labels`, in the same order"
        raise LmspecError(str(splits), found, remedy)
    columns = ["id", "table", "group", "text", "turns" if writes else "label"]
    frame = documents.read_split(splits, rows.split, columns)
    if frame.is_empty():
        found = f"its {rows.split} split is empty"
        raise LmspecError(str(splits), found, "name another split in `rows`")
    order = sorted(frame["id"], key=lambda name: hashlib.sha256(name.encode()).digest())
    place = {name: i for i, name in enumerate(order[: rows.texts])}
    drawn = frame.filter(pl.col("id").is_in(list(place)))
    return sorted(drawn.rows(named=True), key=lambda row: place[row["id"]])


def explain(subject: Explainable, row: Mapping[str, Any], spec: ExplainedSpec) -> Explained | None:
    """The explanation of a text; None if the model reads no word of it."""
    words = subject.words(row)
    if not len(words):
        return None
    text, name = subject.text(words), str(row["id"])
    label = int(text.whole.argmax())
    found = _rounded(subject.attribution(text, label, name))
    random = attributing.control(spec.control.seed, len(words), name, number=1)
    text(faithfulness.questions(found, random, spec.fractions))
    return Explained(
        row,
        words,
        label,
        subject.probability(float(text.whole[label])),
        found,
        faithfulness.measured(text, label, found, spec.fractions),
        faithfulness.area(text, label, found),
        faithfulness.measured(text, label, random, spec.fractions),
        faithfulness.completeness_delta(text, label, found),
        faithfulness.flipping(text, label, found) if len(subject.labels) > 1 else [],
        subject.answer(text),
    )


def _rounded(found: Floats) -> Floats:
    """As git keeps them, to four significant digits: what is measured is what is compared."""
    return np.array([float(_short(value)) for value in found])


def _short(value: float) -> str:
    return f"{value + 0.0:.{OF_ATTRIBUTIONS}g}"  # no -0


def again(subject: Explainable, explained: Sequence[Explained]) -> Floats:
    """(n,) rank correlation of each text's attributions with those by another network."""
    return np.array(
        [
            ranks.spearman(
                one.attributions,
                subject.attribution(subject.text(one.words), one.label, str(one.row["id"])),
            )
            for one in explained
        ]
    )


def measured(explained: Sequence[Explained], most: float) -> dict[str, Any]:
    """Means over the texts, whose groups are what was sampled. most: that a text can lose"""
    change, difference = (-most, most), (-2 * most, 2 * most)
    groups = shares.documents([one.row["group"] for one in explained])
    method, control = (
        [getattr(one, name) for one in explained] for name in ("faithful", "control")
    )

    def of(name: str, who: list[Faithfulness]) -> Floats:
        return np.array([getattr(one, name) for one in who])

    fuller = of("comprehensiveness", method), of("comprehensiveness", control)
    alone = of("sufficiency", method), of("sufficiency", control)
    deltas = np.array([one.delta for one in explained])
    return {
        "texts": len(explained),
        "words_per_text": _round(np.mean([len(one.words) for one in explained])),
        "comprehensiveness": _mean(fuller[0], change, groups),
        "sufficiency": _mean(alone[0], change, groups),
        "over_random": {
            "comprehensiveness": _mean(fuller[0] - fuller[1], difference, groups),
            "sufficiency": _mean(alone[1] - alone[0], difference, groups),
        },
        "area_over_perturbation_curve": _mean(
            np.array([one.area for one in explained]), change, groups
        ),
        "completeness_delta": {
            "median": _round(np.median(deltas)),
            "max": _round(deltas.max()),
        },
    }


def flips(explained: Sequence[Explained]) -> dict[str, float]:
    """Of how many texts some words are known without which the answer is another; how many."""
    sizes = [len(one.flipped) for one in explained if one.flipped]
    return {
        "texts": _round(len(sizes) / len(explained)),
        "words": _round(np.mean(sizes)) if sizes else 0.0,
    }


def _mean(values: Floats, limits: tuple[float, float], groups: Ids | None) -> dict[str, float]:
    found = means.mean(values, limits, groups)
    low, high = found.interval
    return {"mean": _round(found.value), "low": _round(low), "high": _round(high)}


def _round(value: Any) -> float:
    return round(float(value), DIGITS)


def agreements(
    spec: ExplainedSpec, needs: stage.Needs, out: Path, labels: int
) -> list[tuple[str, dict[str, Any]]]:
    """Name of other explanations -> rank correlation with them, over common texts and words.

    Raises LmspecError if there is none.
    """
    own, found = attributions.by_id(out), []
    for other in spec.beside:
        common = concordance.correlations(own, attributions.by_id(needs[other]), labels)
        if not common:
            problem = f"{other} explains no text that {spec.of} does, in the same words"
            raise LmspecError("explained.beside", problem, f"remove {other}, or explain its texts")
        values = np.array(list(common.values()))
        found.append((other.name, _mean(values, CORRELATION, None) | {"texts": len(common)}))
    return found


def stored(one: Explained, labels: tuple[str, ...]) -> dict[str, Any]:
    """A row of explained.parquet."""
    answer = {} if one.answer is None else answered(one.answer)
    return {
        **{name: one.row[name] for name in ("id", "table", "group")},
        "label": one.row.get("label", labels[one.label]),
        "text": one.words.text,
        "predicted": labels[one.label],
        "probability": _round(one.probability),
        "cut": one.words.cut,
        "starts": [start for start, _ in one.words.spans],
        "ends": [end for _, end in one.words.spans],
        "attributions": one.attributions.tolist(),
        "flipped": list(one.flipped),
        "comprehensiveness": _round(one.faithful.comprehensiveness),
        "sufficiency": _round(one.faithful.sufficiency),
        **answer,
    }


def answered(answer: Answer) -> dict[str, Any]:
    """Further columns of a row, of a model that writes."""
    return {
        "answer": answer.digest,
        "tokens": list(answer.tokens),
        "lost": [[_round(float(_short(value))) for value in row] for row in answer.lost],
        "reference": answer.reference,
    }


def line(one: Explained, labels: tuple[str, ...]) -> stage.Row:
    """A row of the table that git keeps: numbers of words, and no text."""
    numbers = {
        "probability": one.probability,
        "comprehensiveness": one.faithful.comprehensiveness,
        "sufficiency": one.faithful.sufficiency,
        "random_comprehensiveness": one.control.comprehensiveness,
        "random_sufficiency": one.control.sufficiency,
        "area": one.area,
    }
    answer = {"answer": one.answer.digest} if one.answer else {}
    return {
        **{name: one.row[name] for name in ("id", "table", "group")},
        "label": one.row.get("label", labels[one.label]),
        "predicted": labels[one.label],
        **answer,
        **{name: round(value, OF_ATTRIBUTIONS) for name, value in numbers.items()},
        "cut": one.words.cut,
        "flipped": " ".join(map(str, one.flipped)),
        "attributions": " ".join(map(_short, one.attributions)),
    }


def weights(explained: Sequence[Explained], labels: tuple[str, ...]) -> list[stage.Row]:
    """A row for each word and label: the mean of its attributions in the texts so labelled.

    Of words in lower case that are in several texts of a label; of all, if there are none.
    """
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in explained:
        sums: dict[str, float] = defaultdict(float)
        for number, value in enumerate(one.attributions):
            sums[one.words[number].lower()] += value
        for word, total in sums.items():
            found[labels[one.label], word].append(total)
    several = {key: values for key, values in found.items() if len(values) >= FREQUENT}
    rows = [
        {
            "label": label,
            "word": word,
            "texts": len(values),
            "weight": round(float(np.mean(values)), OF_ATTRIBUTIONS) + 0.0,
        }
        for (label, word), values in (several or found).items()
    ]
    return sorted(rows, key=lambda row: (row["label"], -row["weight"], row["word"]))


STAGE = stage.Stage(ExplainedSpec, build)
