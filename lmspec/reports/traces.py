"""traces: a traced network in a terminal, and as a page with its heat maps and plots."""

from collections.abc import Iterator, Sequence

from lmspec.inspection.results import Estimate, Known, TracedPart, Traces
from lmspec.reports import charts, html, tables, words
from lmspec.reports.charts import Chart, Series
from lmspec.reports.estimates import level, share, signed
from lmspec.reports.tables import Table
from lmspec.reports.terminal import Section
from lmspec.specs.contrasts import POSITIONS

OPEN = 6  # pairs that are not folded
CALLED = {
    "first": "first token",
    "before": "before the word",
    "word": "the word",
    "after": "after the word",
    "last": "last token",
}


def page(found: Traces) -> str:
    """One file that loads nothing and needs no script."""
    templates = html.environment()
    return templates.get_template("traced.html.j2").render(
        found=found,
        positions=[CALLED[position] for position in POSITIONS],
        names=POSITIONS,
        heat=heat,
        layer=layer,
        restored=restored(found),
        known=known(found.concepts),
        weights=weights(found.parts, found.against),
        plots=list(plots(found)),
        most_open=OPEN,
    )


def heat(value: float) -> str:
    """A share as the strength of a colour, 0 to 1."""
    return f"{min(1.0, max(0.0, value)):.2f}"


def layer(name: str) -> str:
    """`layer_3` -> `layer 3`."""
    return name.replace("_", " ")


def sections(found: Traces) -> Iterator[Section]:
    """What git holds, for a terminal."""
    if found.layers:
        yield Section(f"where it decides: {found.count} pairs", table=restored(found))
    if found.concepts:
        yield Section("what its layers know", table=known(found.concepts))
    if found.parts:
        yield Section("weights and units", table=weights(found.parts, found.against))


def restored(found: Traces) -> Table:
    """The share of the answer that comes with the states at a position."""
    heads = "|".join(["after:text", *(f"{CALLED[position]}:number" for position in POSITIONS)])
    rows = ((layer(one.name), *map(level, one.shares.values())) for one in found.layers)
    note = "share of the log odds that states of one text restore in the other; [..]: 95 %"
    return tables.table("restored", heads, rows, note=note)


def known(found: Sequence[Known]) -> Table:
    """Concepts by layer."""
    heads = (
        "concept:name|after:text|majority:number|probe:number|erased:number|accuracy:number"
        "|without it:number|lost:number"
    )
    rows = (
        (
            one.concept,
            layer(one.layer),
            share(one.majority),
            *map(level, (one.probe, one.erased, one.accuracy, one.without)),
            signed(one.lost),
        )
        for one in found
    )
    note = (
        "probe, erased: accuracy of a linear reader of the concept, before and after it is erased;"
        " accuracy, without it: of the model; [..]: 95 %"
    )
    return tables.table("concepts", heads, rows, note=note)


def weights(parts: Sequence[TracedPart], against: str | None) -> Table:
    """Norms, zeros, changes and dead units by part."""
    heads = (
        "part:text|weights:number|norm:number|zero:number|changed:number|norm of states:number"
        "|units:number|dead:number"
    )
    rows = (
        (
            layer(one.name),
            f"{one.weights:,}",
            f"{one.norm:.4f}",
            f"{one.zero:,}",
            None if one.changed is None else share(one.changed),
            None if one.state_norm is None else f"{one.state_norm:.2f}",
            None if one.units is None else f"{one.units:,}",
            None if one.dead is None else f"{one.dead:,}",
        )
        for one in parts
    )
    note = "norm: root mean square; dead: units that stay at 0 in all texts"
    if against:
        note += f"; changed: distance to {words.line(against)}, over its norm"
    return tables.table("weights", heads, rows, note=note)


def plots(found: Traces) -> Iterator[tuple[str, Chart, Sequence[tuple[str, str]]]]:
    """(heading, drawing, (role, what it stands for) of its lines)."""
    yield from _of_concepts(found.concepts)
    inner = [part for part in found.parts if part.name.startswith("layer_")]
    for title, y_label, values in (
        ("size of the states", "mean norm", [part.state_norm for part in inner]),
        ("size of the weights", "root mean square", [part.norm for part in inner]),
        (f"changed against {found.against}", "share of the norm", [part.changed for part in inner]),
        ("dead units", "share", [_dead(part) for part in inner]),
    ):
        points = [
            (float(number), value) for number, value in enumerate(values) if value is not None
        ]
        if points and any(value for _, value in points):
            chart = Chart(title, "layer", y_label, [Series("candidate", points)])
            yield title, chart, [("candidate", y_label)]


def _dead(part: TracedPart) -> float | None:
    return part.dead / part.units if part.units and part.dead is not None else None


def _of_concepts(
    found: Sequence[Known],
) -> Iterator[tuple[str, Chart, Sequence[tuple[str, str]]]]:
    for concept in dict.fromkeys(one.concept for one in found):
        some = [one for one in found if one.concept == concept]
        for title, before, after in (
            ("a probe finds it", "probe", "erased"),
            ("right answers", "accuracy", "without"),
        ):
            series = [
                Series("baseline", _points(some, [getattr(one, before) for one in some])),
                Series("candidate", _points(some, [getattr(one, after) for one in some])),
            ]
            about = f"{concept}: {title}"
            lines = [("baseline", "as it is"), ("candidate", "erased")]
            yield about, Chart(about, "layer", "share", series), lines


def _points(some: Sequence[Known], values: Sequence[Estimate]) -> list[charts.XY]:
    return [
        (float(one.layer.removeprefix("layer_")), value.value)
        for one, value in zip(some, values, strict=True)
    ]
