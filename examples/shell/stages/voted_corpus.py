"""voted_corpus: labels of a table from labelling functions."""

import numpy as np

from lmspec import stage
from lmspec.errors import some
from lmspec.formats import lexicon, rawtable
from lmspec.methods import cleaning, labelling, voting
from lmspec.methods.labelling import Whole
from lmspec.specs.corpus import CorpusSpec, Table
from lmspec.specs.votes import FromColumn, Lexicon, VotesLabel


def labels_of(table: Table, spec: CorpusSpec, needs: stage.Needs) -> Whole:
    """The label of each row; what each function did. Raises LmspecError."""
    rule = table.label
    assert isinstance(rule, VotesLabel)  # specs/corpus.py:LABELLED_BY
    texts, columns = read(table, spec, needs, rule)
    given = np.stack(
        [
            voting.votes(
                function,
                texts,
                columns.get(function.name, ()),
                words_of(function, spec, needs) if isinstance(function, Lexicon) else {},
                spec.labels,
            )
            for function in rule.functions
        ]
    )
    found = voting.labelled(given, rule, spec.labels)
    counts = voting.counted(given, len(spec.labels))
    voted = (counts > 0).sum(axis=1)
    metrics = {
        "covered": float((voted > 0).mean()),
        "overlapping": float((counts.sum(axis=1) > 1).mean()),
        "conflicting": float((voted > 1).mean()),
    }
    shares = ", ".join(f"{share:.1%} {what}" for what, share in metrics.items())
    stage.say(f"{table.name}: {len(rule.functions)} labelling functions: {shares}")
    probability = [None if np.isnan(one) else one for one in found.probability.tolist()]
    of_functions = voting.functions(given, len(spec.labels))
    done = [*zip(rule.functions, of_functions, strict=True)]
    if idle := [function.name for function, one in done if not one.coverage]:
        stage.say(f"{table.name}: without any vote: {some(idle)}")
    rows: list[dict[str, object]] = [
        {
            "table": table.name,
            "function": function.name,
            "kind": function.kind,
            **one._asdict(),
        }
        for function, one in done
    ]
    return Whole(found.labels, {"probability": probability}, metrics, rows)


def read(
    table: Table, spec: CorpusSpec, needs: stage.Needs, rule: VotesLabel
) -> tuple[list[str], dict[str, list[str | None]]]:
    """(cleaned text of each row, function -> cells of the column that it reads)."""
    assert table.text is not None  # rows of turns have no label
    of = {one.name: one.column for one in rule.functions if isinstance(one, FromColumn)}
    texts: list[str] = []
    columns: dict[str, list[str | None]] = {name: [] for name in of}
    for row in rawtable.rows(needs[table.of] / table.file, table):
        raw = labelling.present(row[table.text], table.missing)
        texts.append("" if raw is None else cleaning.repair(raw, spec.clean))
        for name, column in of.items():
            columns[name].append(labelling.present(row[column], table.missing))
    return texts, columns


def words_of(function: Lexicon, spec: CorpusSpec, needs: stage.Needs) -> voting.Words:
    """The lexicon of a function."""
    folder = needs.root if function.of is None else needs[function.of]
    place = function.file if function.of is None else f"{function.of} {function.file}"
    return lexicon.read(
        folder / function.file, place, spec.labels, weighted=function.bands is not None
    )
