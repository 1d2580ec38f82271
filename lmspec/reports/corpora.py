"""corpora: what `lmspec data` found in a corpus: in short, as JSON, and as a page."""

import json
from collections.abc import Iterator, Sequence

from lmspec.inspection.corpora import LONGEST, SHORTEST, Corpus, Shown
from lmspec.inspection.dialogues import Dialogues
from lmspec.inspection.lengths import Lengths
from lmspec.reports import html, tables, values, words
from lmspec.reports.estimates import share
from lmspec.reports.tables import Table
from lmspec.reports.terminal import Section

MOST_LABELS, MOST_SMALL, SHOWN = 20, 12, 200  # rows, rows, characters in a terminal
LONGEST_TEXT = 2000  # characters on the page


def sections(corpus: Corpus) -> Iterator[Section]:
    """In short: what a model would learn from, and what was left out."""
    left = corpus.rows - corpus.documents
    head = f"{corpus.name}: {corpus.documents:,} documents of {corpus.rows:,} rows"
    lines = [f"left out: {left:,} rows ({share(left / max(1, corpus.rows))})"] if left else []
    if corpus.state:
        lines.append(f"{corpus.state}: run `dvc repro`")
    yield Section(head, lines)
    yield from _labels(corpus)
    yield Section("lengths", table=lengths_table(corpus.lengths))
    if corpus.reads:
        yield Section("what models read", table=reads_table(corpus))
    yield Section("scripts", [scripts_line(corpus)])
    if corpus.reasons:
        yield Section("left out", table=reasons_table(corpus))
    if line := contradictions_line(corpus):
        yield Section("contradictions", [line])


def _labels(corpus: Corpus) -> Iterator[Section]:
    if corpus.dialogues:
        yield Section("prompts and answers", list(dialogue_lines(corpus.dialogues)))
        return
    if not corpus.labels:
        yield Section("labels: none; the texts are for pre-training")
        return
    labels = labels_table(corpus)
    more = len(labels.rows) - MOST_LABELS
    shown = Table(labels.title, labels.columns, labels.rows[:MOST_LABELS])
    yield Section(
        f"labels: {len(labels.rows)}" + (f" (the first {MOST_LABELS})" if more > 0 else ""),
        table=shown,
    )
    if corpus.small:
        small = small_table(corpus)
        cut = Table(small.title, small.columns, small.rows[:MOST_SMALL], small.note)
        yield Section(f"labels with few documents in a split: {len(corpus.small)}", table=cut)


def dialogue_lines(dialogues: Dialogues) -> Iterator[str]:
    """What is in the turns, a line each."""
    yield f"{dialogues.answers:,} different answers"
    if dialogues.system:
        yield f"{dialogues.system:,} rows with a system prompt"
    if dialogues.several:
        yield f"{dialogues.several:,} rows with several prompts"
    for answer, rows in dialogues.frequent.items():
        yield f"{rows:,} rows are answered {words.line(answer, 60)!r}"
    for name, (known, rows) in dialogues.known.items():
        if known:
            yield f"{name}: {known:,} of {rows:,} answers are in train, too"


def labels_table(corpus: Corpus) -> Table:
    """A row for each label: documents, in all, by split and by table."""
    splits = list(dict.fromkeys(name for label in corpus.labels for name in label.splits))
    names = list(corpus.tables) if len(corpus.tables) > 1 else []
    heads = [
        "label:name|documents:number|share:number",
        *(f"{head(name)}:number" for name in splits),
        *(f"table {head(name)}:number" for name in names),
    ]
    rows = (
        (
            label.name,
            f"{label.documents:,}",
            share(label.share),
            *(f"{label.splits.get(name, 0):,}" for name in splits),
            *(f"{label.tables.get(name, 0):,}" for name in names),
        )
        for label in corpus.labels
    )
    return tables.table("labels", "|".join(heads), rows)


def head(name: str) -> str:
    """A name as the head of a column, whose syntax has `:` and `|`."""
    return words.line(name, 30).replace(":", "").replace("|", " ")


def small_table(corpus: Corpus) -> Table:
    """Labels of which a split has few documents."""
    rows = ((*name.split(": ", 2), f"{count:,}") for name, count in corpus.small.items())
    heads = "splits:name|split:text|label:name|documents:number"
    note = "scores of so few say little, and a model hardly learns a label from them"
    return tables.table("labels with few documents in a split", heads, rows, note=note)


def lengths_table(lengths: Sequence[Lengths]) -> Table:
    """A row for each unit."""
    shown = [one for one in lengths if one.looked_at]
    names = list(shown[0].quantiles) if shown else []
    rows = (
        (
            one.unit,
            f"{one.looked_at:,}",
            f"{one.mean:,.1f}",
            *(f"{one.quantiles[name]:,}" for name in names),
        )
        for one in shown
    )
    heads = "|".join(f"{name}:number" for name in ("texts", "mean", *names))
    return tables.table("lengths", f"in:text|{heads}", rows)


def reads_table(corpus: Corpus) -> Table:
    """How much is beyond the maximum length of each model."""
    rows = (
        (one.model, one.max_length, one.long_texts, share(one.cut), share(one.unread))
        for one in corpus.reads
    )
    heads = (
        "model:name|max_length:number|long_texts:text|longer texts:number|tokens beyond it:number"
    )
    note = "a long text is cut, unless long_texts is windows; n-grams are of all of it"
    return tables.table("what models read", heads, rows, note=note)


def scripts_line(corpus: Corpus) -> str:
    """`Latin 99.1 %, Han 0.9 % (of 11,613 texts)`."""
    parts = [
        f"{name} {share(count / max(1, corpus.looked_at))}"
        for name, count in corpus.scripts.items()
    ]
    return f"{', '.join(parts[:8])} (of {corpus.looked_at:,} texts)"


def reasons_table(corpus: Corpus) -> Table:
    """Why rows were left out, with an example of each."""
    rows = (
        (
            one.reason,
            f"{one.rows:,}",
            share(one.share),
            words.line(one.examples[0].text or one.examples[0].detail, SHOWN)
            if one.examples
            else "",
        )
        for one in corpus.reasons
    )
    heads = "reason:text|rows:number|of all:number|such as:text"
    return tables.table("left out", heads, rows)


def contradictions_line(corpus: Corpus) -> str:
    """`3 texts in 7 rows have several labels`; empty if none has."""
    counts = corpus.contradictions
    parts = []
    what, one = ("prompts", "answer") if corpus.dialogues else ("texts", "label")
    if counts.get("texts"):
        rows = f"{counts.get('rows', 0):,} rows"
        parts.append(f"{counts['texts']:,} {what} in {rows} have several {one}s")
    if counts.get("near_duplicates"):
        parts.append(f"{counts['near_duplicates']:,} near-duplicates have another {one}")
    return "; ".join(parts)


def as_json(corpus: Corpus) -> str:
    """One object."""
    return json.dumps(values.finite(vars(corpus)), indent=2)


def page(corpus: Corpus) -> str:
    """One file without scripts, which loads nothing."""
    by_label: dict[str, list[Shown]] = {}
    for text in corpus.samples:
        by_label.setdefault(text.why, []).append(text)
    extremes = {
        why: [text for text in corpus.extremes if text.why == why] for why in (LONGEST, SHORTEST)
    }
    return (
        html.environment()
        .get_template("corpus.html.j2")
        .render(corpus=corpus, by_label=by_label, extremes=extremes, shown=_module())
    )


def _module() -> dict[str, object]:
    """What the template calls."""
    return {
        "labels": labels_table,
        "small": small_table,
        "lengths": lengths_table,
        "reads": reads_table,
        "scripts": scripts_line,
        "contradictions": contradictions_line,
        "share": share,
        "dialogues": dialogue_lines,
        "most": LONGEST_TEXT,
    }
