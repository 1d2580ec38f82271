"""explain: what a section or field of params.yaml is."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence

import click

from lmspec.cli import loading
from lmspec.language import conformance, examples, explain, schema
from lmspec.language import document as documents
from lmspec.language.document import Document
from lmspec.language.explain import Meaning
from lmspec.language.problems import ProblemsFound, dotted
from lmspec.language.schema import Schema

WIDTHS = (72, 120)  # of what is printed: the least and the most columns


@click.command("explain")
@click.argument("path", required=False)
def command(path: str | None) -> None:
    """Say what a section or field of params.yaml is: rule, kinds, checks, an example, and who refers to it.

    PATH is `noun.field.field`; without it, the sections are listed. What a message names works too, such as
    `model.minilm.training.epochs`.

    \b
    Example:
      lmspec explain
      lmspec explain student
      lmspec explain model.architecture.rnn.cell
    """
    if path is None:
        rows = [(name, str(section["description"])) for name, section in schema.sections().items()]
        click.echo("\n".join(_table(rows)))
        click.echo("\n`lmspec explain NAME` tells more")
        return
    document = _params()
    values = document.values if document else {}
    keys = {
        noun: list(values[noun]) for noun in schema.sections() if isinstance(values.get(noun), dict)
    }
    found = explain.meanings(
        path, {noun: [key for key in own if isinstance(key, str)] for noun, own in keys.items()}
    )
    for i, meaning in enumerate(found):
        click.echo("\n".join([*([""] if i else []), *_told(meaning, found, document)]))


def _params() -> Document | None:
    """params.yaml of the current folder, if there is one that parses."""
    try:
        return documents.read(loading.PARAMS)
    except ProblemsFound:
        return None


def _told(meaning: Meaning, found: Sequence[Meaning], document: Document | None) -> Iterator[str]:
    """All that is to be said about one meaning of a path."""
    path = ".".join(meaning.steps)
    yield _bold(
        path
        + (
            f", kind {schema.listed(meaning.kinds, 'or')}"
            if meaning.kinds and len(found) > 1
            else ""
        )
    )
    said = (str(meaning.schema.get("description", "")), explain.docstring(meaning.schema))
    yield from (
        line for part in dict.fromkeys(said) if part for line in textwrap.wrap(part, _width())
    )
    fields = explain.fields(meaning.schema)
    if not fields:
        yield f"It is {schema.rule(meaning.schema)}."
    for kinds, own in fields.items():
        rows = [
            (name, schema.rule(field), str(field.get("description", "")))
            for name, field in own.items()
        ]
        yield from _titled(
            _heading(path, kinds, meaning.schema), _table(rows) or ["  no further field"]
        )
    yield from _deeper(path, fields)
    yield from _titled("must hold", _table(list(explain.checks(meaning.schema))))
    yield from _titled("example", [f"  {line}" for line in _example(meaning, document)])
    if len(meaning.steps) == 1:
        yield from _titled("may be named by", [f"  {line}" for line in explain.referring(path)])
    yield from _titled(
        f"in {loading.PARAMS}", list(_present(meaning, document)) if document else []
    )


def _example(meaning: Meaning, document: Document | None) -> list[str]:
    """From examples.yaml; of a noun that it lacks, from params.yaml."""
    lines = examples.lines(meaning.steps)
    return lines or (examples.lines(meaning.steps, document) if document else [])


def _heading(path: str, kinds: tuple[str, ...], whole: Schema) -> str:
    """Of a table of fields: whose they are, or of which kind, and what that is."""
    if kinds:
        said = schema.kinds(schema.inner(whole))[kinds[0]]["properties"]["kind"]["description"]
        return f"kind {schema.listed(kinds, 'or')}: {said}"
    free = path in schema.sections() and schema.entries(schema.sections()[path]) is not None
    return f"fields of {path}.NAME" if free else f"fields of {path}"


def _deeper(path: str, fields: dict[tuple[str, ...], dict[str, Schema]]) -> Iterator[str]:
    """Where the path goes on."""
    every = {name: field for own in fields.values() for name, field in own.items()}
    names = [kind for kinds in fields for kind in kinds] + [
        name for name, field in every.items() if explain.fields(field)
    ]
    if names:
        yield from [
            "",
            *textwrap.wrap(
                f"more: lmspec explain {schema.listed([f'{path}.{n}' for n in names], 'or')}",
                _width(),
            ),
        ]


def _present(meaning: Meaning, document: Document) -> Iterator[str]:
    """The artifacts that there are: of the noun, each with who refers to it, or those that the field may name."""
    nouns = (
        (schema.inner(meaning.schema).get("x-refers-to") or ())
        if len(meaning.steps) > 1
        else meaning.steps
    )
    references = conformance.check(document).references
    for noun in nouns:
        if schema.entries(schema.sections()[noun]) is None or not isinstance(
            document.values.get(noun), dict
        ):
            continue
        for key in document.values[noun]:
            name, line = dotted((noun, key)), document.place((noun, key), key=True).line
            users = [
                dotted(reference.steps) for reference in references if reference.target == name
            ]
            who = f", named by {', '.join(users)}" if users and len(meaning.steps) == 1 else ""
            yield from textwrap.wrap(
                f"{name} (line {line}){who}",
                _width(),
                initial_indent="  ",
                subsequent_indent="    ",
            )


def _titled(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ["", _bold(title), *lines]


def _bold(text: str) -> str:
    """Only a terminal sees it: click removes it elsewhere."""
    return click.style(text, bold=True)


def _width() -> int:
    least, most = WIDTHS
    return max(least, min(most, shutil.get_terminal_size((most, 24)).columns))


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns side by side, each cell wrapped; a column in which nothing stands is left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    free = _width() - 2 * len(widths) - sum(widths[:-2])
    if len(widths) > 1:
        widths[-2] = min(widths[-2], max(free // 2, free - widths[-1]))
        widths[-1] = max(10, free - widths[-2])
    lines = []
    for row in zip(*columns, strict=True):
        cells = [
            textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)
        ]
        for i in range(max(map(len, cells))):
            parts = [
                (cell[i] if i < len(cell) else "").ljust(width)
                for cell, width in zip(cells, widths, strict=True)
            ]
            lines.append(f"  {'  '.join(parts)}".rstrip())
    return lines
