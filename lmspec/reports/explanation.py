"""explanation: a section or field of params.yaml, described for the terminal."""

import itertools
import shutil
import textwrap
from collections.abc import Iterator, Sequence

import click

from lmspec.language import conformance, examples, explain, schema
from lmspec.language.document import Document
from lmspec.language.explain import Meaning
from lmspec.language.problems import dotted
from lmspec.language.schema import Schema, listed

WIDTHS = (72, 120)  # least and most columns of the output


def sections() -> str:
    """Every section, with its description."""
    rows = [(name, str(section["description"])) for name, section in schema.sections().items()]
    return "\n".join([*_table(rows), "", "`lmspec explain NAME` describes one"])


def text(path: str, params: Document | None) -> str:
    """All that a path means. params: the spec whose artifacts are named."""
    names = {
        noun: [name for name in section if isinstance(name, str)]
        for noun, section in (params.values if params else {}).items()
        if noun in schema.sections() and isinstance(section, dict)
    }
    meanings = explain.meanings(path, names)
    several = len(meanings) > 1
    return "\n\n".join("\n".join(_meaning(each, several, params)) for each in meanings)


def _meaning(meaning: Meaning, several: bool, params: Document | None) -> Iterator[str]:
    path = ".".join(meaning.steps)
    kinds = f", kind {listed(meaning.kinds, 'or')}" if meaning.kinds and several else ""
    yield _bold(path + kinds)
    description = str(meaning.schema.get("description", ""))
    for part in dict.fromkeys((description, explain.docstring(meaning.schema))):
        yield from textwrap.wrap(part, _width())
    fields = explain.fields(meaning.schema)
    if not fields:
        yield f"It is {schema.rule(meaning.schema)}."
    for own_kinds, own in fields.items():
        rows = [
            (name, schema.rule(field), str(field.get("description", "")))
            for name, field in own.items()
        ]
        heading = _heading(path, own_kinds, meaning.schema)
        yield from _titled(heading, _table(rows) or ["  no further fields"])
    deeper = [kind for own_kinds in fields for kind in own_kinds]
    every = {name: field for own in fields.values() for name, field in own.items()}
    deeper += [name for name, field in every.items() if explain.fields(field)]
    if deeper:
        more = f"more: lmspec explain {listed([f'{path}.{name}' for name in deeper], 'or')}"
        yield from ["", *textwrap.wrap(more, _width())]
    yield from _titled("must hold", _table(list(explain.checks(meaning.schema))))
    example = examples.lines(meaning.steps)
    if not example and params:  # a noun that examples.yaml does not have
        example = examples.lines(meaning.steps, params)
    yield from _titled("example", [f"  {line}" for line in example])
    if len(meaning.steps) == 1:
        users = [f"  {field}" for field in explain.referring(path)]
        yield from _titled("may be named by", users)
    if params:
        yield from _titled("in params.yaml", list(_present(meaning, params)))


def _heading(path: str, kinds: tuple[str, ...], whole: Schema) -> str:
    """Of a table of fields: whose they are, or of which kind, and what that is."""
    if kinds:
        own = schema.kinds(schema.inner(whole))[kinds[0]]
        return f"kind {listed(kinds, 'or')}: {own['properties']['kind']['description']}"
    is_noun = path in schema.sections() and schema.entries(schema.sections()[path]) is not None
    return f"fields of {path}.NAME" if is_noun else f"fields of {path}"


def _present(meaning: Meaning, params: Document) -> Iterator[str]:
    """The artifacts of the noun, each with its users; for a reference, those that it may name."""
    is_section = len(meaning.steps) == 1
    nouns = schema.inner(meaning.schema).get("x-refers-to", ())
    references = conformance.check(params).references
    for noun in meaning.steps if is_section else nouns:
        section = params.values.get(noun)
        if schema.entries(schema.sections()[noun]) is None or not isinstance(section, dict):
            continue
        for own in section:
            name, line = dotted((noun, own)), params.place((noun, own), key=True).line
            users = [dotted(each.steps) for each in references if each.target == name]
            named = f", named by {', '.join(users)}" if users and is_section else ""
            yield from textwrap.wrap(
                f"{name} (line {line}){named}",
                _width(),
                initial_indent="  ",
                subsequent_indent="    ",
            )


def _titled(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ["", _bold(title), *lines]


def _bold(text: str) -> str:
    """On a terminal: click removes it elsewhere."""
    return click.style(text, bold=True)


def _width() -> int:
    least, most = WIDTHS
    return max(least, min(most, shutil.get_terminal_size((most, 24)).columns))


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Aligned columns with wrapped cells, without those that are empty."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    free = _width() - 2 * len(widths) - sum(widths[:-2])
    if len(widths) > 1:
        widths[-2] = min(widths[-2], max(free // 2, free - widths[-1]))
        widths[-1] = max(10, free - widths[-2])
    lines = []
    for row in zip(*columns, strict=True):
        cells = [textwrap.wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in itertools.zip_longest(*cells, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            lines.append(f"  {'  '.join(padded)}".rstrip())
    return lines
