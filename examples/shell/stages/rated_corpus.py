"""rated_corpus: labels of a table whose texts several people rated."""

import math
from pathlib import Path

from lmspec import stage
from lmspec.errors import LmspecError, some
from lmspec.formats import rawtable
from lmspec.methods import labelling, rated, rating
from lmspec.methods.labelling import NoLabel, Whole
from lmspec.methods.rated import Rated
from lmspec.specs.corpus import CorpusSpec, Table
from lmspec.specs.ratings import RatingsLabel

NO_RATINGS = NoLabel(rated.TOO_FEW, "0")


def labels_of(table: Table, spec: CorpusSpec, needs: stage.Needs) -> Whole:
    """The label of each row, with its probability; the raters. Raises LmspecError."""
    rule, folder = table.label, needs[table.of]
    assert isinstance(rule, RatingsLabel)  # specs/corpus.py:LABELLED_BY
    place = f"{table.of} {rule.file.file if rule.file else table.file}"
    given = rating.read(rawtable.ratings(folder, table), rule, table.missing, place)
    found = rated.labelled(given, rule, spec.labels, place)
    units = units_of(table, folder, given.unit, rule)
    strange = sorted({*given.unit.values()} - {*units}) if rule.file is not None else []
    if rule.file is not None and len(strange) == len(given.unit):
        what = f"no '{rule.file.key}' of it is a '{rule.file.row}' of {table.file}: it has"
        remedy = "correct `key` and `row`; the values are compared as they are written"
        raise LmspecError(place, f"{what} {some([repr(key) for key in given.unit])}", remedy)
    say(table.name, found, units.count(None), len(strange))
    return Whole(
        [NO_RATINGS if unit is None else found.labels[unit] for unit in units],
        {
            name: [None if unit is None or math.isnan(of[unit]) else of[unit] for unit in units]
            for name, of in (
                ("probability", found.probability.tolist()),
                ("disagreement", found.disagreement.tolist()),
            )
        },
        found.metrics,
        rows_of(table.name, found, rule),
    )


def units_of(
    table: Table, folder: Path, unit: dict[str, int], rule: RatingsLabel
) -> list[int | None]:
    """Which of the rated texts each row of the table is; None of one that no one rated."""
    rows = rawtable.rows(folder / table.file, table)
    if rule.file is None:
        return [number for number, _ in enumerate(rows)]
    keys = (labelling.present(row[rule.file.row], table.missing) for row in rows)
    return [None if key is None else unit.get(key.strip()) for key in keys]


def rows_of(name: str, found: Rated, rule: RatingsLabel) -> list[dict[str, object]]:
    """The table `raters`: none if no one knows who rated."""
    if found.raters is None:
        return []
    scored, all_ratings = rule.model == "bias_precision", int(found.counts.sum())
    return [
        {
            "table": name,
            "rater": found.names[i],
            "ratings": int(found.counts[i]),
            "share": int(found.counts[i]) / all_ratings,
            "bias": float(found.raters.bias[i]) if scored else None,
            "precision": float(found.raters.precision[i]) if scored else None,
            "accuracy": None if scored else float(found.raters.precision[i]),
            "random": float(found.raters.random[i]),
            "suspected": bool(found.raters.suspected[i]),
        }
        for i in range(len(found.names))
    ]


def say(name: str, found: Rated, unrated: int, strange: int) -> None:
    """Print what was found."""
    parts = [f"{found.metrics['ratings']:,} ratings of {found.metrics['rows']:,} texts"]
    if found.raters is not None:
        parts.append(
            f"{found.metrics['raters']:,} raters, {found.metrics['suspected']:,} of them suspected"
            " to answer at random"
        )
    parts.append(f"raters disagree on {found.metrics['disagreed']:,}")
    parts += [f"alpha {found.metrics['alpha']:.3f}"] if "alpha" in found.metrics else []
    parts += [f"{unrated:,} rows that no one rated"] if unrated else []
    parts += [f"{strange:,} rated texts that are not in the table"] if strange else []
    stage.say(f"{name}: {'; '.join(parts)}")
