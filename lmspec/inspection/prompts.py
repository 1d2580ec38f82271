"""prompts: scores of generated answers in detail: metrics, why they ended, the worst of them."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from lmspec.compare import texts
from lmspec.compare.artifact import Artifact, leaves
from lmspec.compare.revision import Unavailable, number
from lmspec.inspection import parts
from lmspec.inspection.overview import Inspection, estimate
from lmspec.inspection.results import Answer, OnPrompts, TextScore
from lmspec.statistics.answers import Answers
from lmspec.statistics.paired import Sample

WORST = 10
FURTHER = ("rouge_l", "bits_per_byte")


def on_prompts(inspected: Inspection, artifact: Artifact, score: TextScore) -> OnPrompts:
    """Scores of generated answers on one dataset."""
    dataset, sample = score.dataset, artifact.sample(score.dataset)
    known = [
        ".".join(path)
        for path, value in _own(artifact, dataset)
        if path[0] in ("own", *FURTHER) and number(value) is not None
    ]
    metrics = {**score.metrics}
    metrics |= {name: estimate(artifact, (dataset, *name.split("."))) for name in known}
    facts = {
        ".".join(path): found
        for path, value in _own(artifact, dataset)
        if ".".join(path) not in ("examples", *metrics) and (found := number(value)) is not None
    }
    if isinstance(sample, Unavailable):
        return OnPrompts(score, metrics, facts, [], {}, [])
    is_text = "chrf" in score.metrics
    worst = list(_worst(inspected, artifact, dataset, sample)) if is_text else []
    lengths = _lengths(artifact, dataset)
    return OnPrompts(score, metrics, facts, list(parts.tables(sample)), lengths, worst)


def _own(artifact: Artifact, dataset: str) -> Iterator[tuple[tuple[str, ...], object]]:
    """(path, value) of the metrics of a whole test split."""
    metrics = artifact.metrics
    values = metrics.get(dataset) if isinstance(metrics, Mapping) else None
    yield from ((path, value) for path, value in leaves(values) if path[:1] != ("table",))


def _lengths(artifact: Artifact, dataset: str) -> dict[str, int]:
    """Tokens that were generated, in ranges that double -> how many answers."""
    table = artifact.table("answers") or {}
    cells = zip(table.get("dataset", ()), table.get("new_tokens", ()), strict=False)
    counts = Counter(
        int(cell).bit_length() for own, cell in cells if own == dataset and cell.isdecimal()
    )
    return {_range(bits): counts[bits] for bits in sorted(counts)}


def _range(bits: int) -> str:
    """`4 to 7` for the numbers of three bits."""
    low, high = 2**bits // 2, 2**bits - 1
    return f"{low:,} to {high:,}" if low < high else f"{high:,}"


def _worst(
    inspected: Inspection, artifact: Artifact, dataset: str, sample: Sample
) -> Iterator[Answer]:
    """The answers with the least in common with their references, by chrF."""
    side = sample.predictions
    assert isinstance(side, Answers)
    similarity = sample.scale.metric("chrf", side.parts["chrf"].numbers)  # (n,)
    wrong = np.flatnonzero(~side.right)
    places = wrong[np.argsort(similarity[wrong], kind="stable")][:WORST]
    hashes = {side.id[i]: (side.label[i], side.predicted[i]) for i in places}
    known = texts.of_answers(inspected.revision.tree.root, artifact.name, dataset, hashes)
    for i in places:
        name, found = side.id[i], known.get(side.id[i])
        prompt, reference, text = (None, None, None) if found is None else found
        yield Answer(name, side.table[i], float(similarity[i]), prompt, reference, text)
