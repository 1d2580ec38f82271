"""explanation: a section or field of params.yaml, described for the terminal."""

import itertools
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import click

from lmspec.errors import LmspecError, some
from lmspec.language import conformance, examples, explain, schema, uses
from lmspec.language.document import Document
from lmspec.language.explain import Meaning
from lmspec.language.problems import dotted
from lmspec.language.suggest import did_you_mean, nearest
from lmspec.reports import aligned
from lmspec.reports.templating import environment
from lmspec.specs import blocks

WIDTHS = (72, 120)  # least and most columns of the output


def sections() -> str:
    """Every section, with its description."""
    rows = [(name, str(section["description"])) for name, section in schema.sections().items()]
    return "\n".join([*_columns(rows), "", "`lmspec explain NAME` describes one"])


def text(path: str, params: Document | None) -> str:
    """All that a path means. params: the spec whose artifacts are named."""
    values = params.values if params else {}
    if path.startswith(blocks.PREFIX) and params:
        return _of_block(path, params)
    names = {noun: names for noun, names in values.items() if isinstance(names, dict)}
    templates = environment(str, autoescape=False)
    # click removes the style where the output is no terminal
    templates.filters |= {"bold": partial(click.style, bold=True), "columns": _columns}
    templates.filters["wrapped"] = _wrapped
    return (
        templates.get_template("explanation.txt.j2")
        .render(
            meanings=explain.meanings(path, names),
            explain=explain,
            schema=schema,
            example=partial(_example, params),
            present=partial(_present, params),
            deeper=_deeper,
        )
        .rstrip()
    )


def _of_block(path: str, params: Document) -> str:
    """What a path into a block means where the block is used first, and who uses it."""
    _, name, *rest = path.split(".")
    known = blocks.of(params.values)
    if name not in known:
        remedy = did_you_mean(nearest(name, known)) or f"there are {some([*known])}"
        raise LmspecError(f"explain {path}", f"params.yaml has no block '{name}'", remedy)
    title = click.style(next(_blocks(params, name)), bold=True)
    field = uses.field(params.values, name)
    if field is None:
        return title
    return f"{title}\n\n{text('.'.join((dotted(field), *rest)), params)}"


def _blocks(params: Document, *names: str) -> Iterator[str]:
    """Each block with its line and the fields that name it. names: of some, else of all."""
    users: dict[str, list[str]] = {}
    for steps, block in uses.places(params.values):
        users.setdefault(block, []).append(dotted(steps))
    for name in names or blocks.of(params.values):
        line = params.place((blocks.SECTION, name), key=True).line
        by = f", used by {', '.join(users[name])}" if name in users else ", which nothing uses"
        yield f"{blocks.PREFIX}{name} (line {line}){by}"


def _example(params: Document | None, meaning: Meaning) -> Sequence[str]:
    """From examples.yaml; for a noun that it does not have, from params.yaml."""
    lines = examples.lines(meaning.steps)
    return lines if lines or not params else examples.lines(meaning.steps, params)


def _deeper(meaning: Meaning) -> Iterator[str]:
    """Paths of its kinds, and of its fields that have fields."""
    fields = explain.fields(meaning.schema)
    below = (name for own in fields.values() for name in own if explain.fields(own[name]))
    for name in dict.fromkeys((*itertools.chain(*fields), *below)):
        yield ".".join((*meaning.steps, name))


def _present(params: Document | None, meaning: Meaning) -> Iterator[str]:
    """The artifacts of the noun, each with its users; for a reference, those that it may name."""
    if not params:
        return
    if meaning.steps == (blocks.SECTION,):
        yield from _blocks(params)
        return
    is_section = len(meaning.steps) == 1
    nouns = meaning.steps if is_section else schema.inner(meaning.schema).get("x-refers-to", ())
    references = conformance.check(params).references
    for noun in nouns:
        section = params.values.get(noun)
        if schema.entries(schema.sections()[noun]) is None or not isinstance(section, dict):
            continue
        for own in section:
            name, line = dotted((noun, own)), params.place((noun, own), key=True).line
            users = ", ".join(dotted(each.steps) for each in references if each.target == name)
            yield f"{name} (line {line})" + (f", named by {users}" if users and is_section else "")


def _width() -> int:
    least, most = WIDTHS
    return max(least, min(most, shutil.get_terminal_size((most, 24)).columns))


def _wrapped(paragraphs: Iterable[str], indent: str = "") -> str:
    """Each paragraph once, in the width of the terminal; its further lines are indented more."""
    wrap = partial(
        textwrap.fill, width=_width(), initial_indent=indent, subsequent_indent=2 * indent
    )
    return "\n".join(map(wrap, filter(None, dict.fromkeys(paragraphs))))


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Indented, aligned columns with wrapped cells, without those that are empty."""
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    free = _width() - 2 * len(widths) - sum(widths[:-2])
    if len(widths) > 1:
        widths[-2] = min(widths[-2], max(free // 2, free - widths[-1]))
        widths[-1] = max(10, free - widths[-2])
    lines = [
        ("", *parts)
        for row in zip(*columns, strict=True)
        for parts in itertools.zip_longest(*map(textwrap.wrap, row, widths), fillvalue="")
    ]
    yield from aligned.grid(lines)
