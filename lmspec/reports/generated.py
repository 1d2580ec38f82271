"""generated: what `lmspec show` found of scores of generated answers, in sections."""

import math
from collections.abc import Iterator, Mapping, Sequence

from lmspec.inspection.results import OnPrompts, TextScore
from lmspec.reports import tables, words
from lmspec.reports.estimates import level, of_100, parts
from lmspec.reports.tables import Table
from lmspec.reports.terminal import Section
from lmspec.specs.names import ArtifactName

TO_100 = ("bleu", "chrf")  # metrics from 0 to 100
NAMES = {"bleu": "BLEU", "chrf": "chrF", "rouge_l": "ROUGE-L"}


def overview(scores: Sequence[TextScore], baseline: Mapping[str, str]) -> Table:
    """A row for each scores artifact and dataset. baseline: dataset -> scores of the baseline."""
    note = (
        "[..]: 95 % interval; loss: nats for each token of the references; over nearest: chrF "
        "minus that of the answers to the nearest training prompts, on the same prompts"
    )
    heads = (
        "scores:name|dataset:name|examples:number|exact match:text|BLEU:text|chrF:text|loss:text"
        "|over nearest:text"
    )
    return tables.table("answers", heads, (_row(s, baseline) for s in scores), note=note)


def _row(score: TextScore, baseline: Mapping[str, str]) -> Sequence[object]:
    is_baseline = baseline.get(score.dataset) == score.scores
    cells = (
        words.NONE if (found := score.metrics.get(name)) is None else shown(found)
        for name, shown in (
            ("exact_match", level),
            ("bleu", of_100),
            ("chrf", of_100),
            ("log_loss", level),
        )
    )
    over = "" if score.nearest is None else of_100(score.nearest, "+z.1f")
    return (
        score.scores,
        score.dataset,
        f"{score.examples:,}",
        *cells,
        "the baseline" if is_baseline else over,
    )


def choices(scores: Sequence[TextScore]) -> Table:
    """A row for each scores artifact and dataset that chooses among given answers."""
    note = (
        "[..]: 95 % interval; accuracy: of the most likely choice; per byte: of the one that is"
        " most likely for its length; loss: nats of the right one, if one of them is written"
    )
    heads = "scores:name|dataset:name|examples:number|accuracy:text|per byte:text|loss:text"
    rows = (
        (
            score.scores,
            score.dataset,
            f"{score.examples:,}",
            *(
                level(score.metrics[name]) if name in score.metrics else words.NONE
                for name in ("accuracy", "accuracy_per_byte", "log_loss")
            ),
        )
        for score in scores
    )
    return tables.table("choices", heads, rows, note=note)


def on_prompts(on: OnPrompts) -> Iterator[Section]:
    """Generated answers on one dataset."""
    score = on.score
    head = f"on {words.line(score.dataset)}: {score.examples:,} prompts"
    rows: list[tuple[object, ...]] = [
        (
            NAMES.get(name, name.replace("_", " ")),
            of_100(estimate) if name in TO_100 else level(estimate),
            estimate.why or "",
        )
        for name, estimate in on.metrics.items()
        if not math.isnan(estimate.value)
    ]
    if score.nearest is not None:
        rows.append(("chrF over nearest", of_100(score.nearest, "+z.1f"), ""))
    heads = "metric:text|value, 95 %:number|remark:text"
    yield Section(head, table=tables.table("metrics", heads, rows))
    if on.facts:
        facts = ((name, words.number(value)) for name, value in on.facts.items())
        shown = tables.table("answers", "of the answers:name|value:number", facts)
        yield Section("answers", table=shown)
    if on.lengths:
        counts = ((name, f"{count:,}") for name, count in on.lengths.items())
        shown = tables.table("lengths", "tokens:text|answers:number", counts)
        yield Section("length", table=shown)
    if on.parts:
        what = "accuracy" if "accuracy" in score.metrics else "exact match"
        yield Section(f"{what} by table", table=parts(on.parts))
    if on.worst:
        yield Section("least in common with the reference", table=_worst(on))


def _worst(on: OnPrompts) -> Table:
    rows = (
        (
            f"{one.similarity:.1f}",
            words.line(one.id, 16),
            *(
                None if text is None else words.line(text, 300)
                for text in (one.prompt, one.reference, one.text)
            ),
        )
        for one in on.worst
    )
    here = any(one.text is not None for one in on.worst)
    stage = ArtifactName.parse(on.score.scores).stage
    note = "" if here else f"`dvc pull {stage}` brings their texts"
    heads = "chrF:number|id:name|prompt:text|reference:text|answer:text"
    return tables.table("worst answers", heads, rows, note=note)
