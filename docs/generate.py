"""generate: what the documentation takes from the code and from data/metrics. `make docs` runs it.

Writes docs/cli.md, the captions of rooms in docs/architecture.md, in README.md the tables of
results and the tree of the repository, and the figures in examples/shell/README.md.
tests/test_docs.py and tests/test_shell_example.py fail if one of them is out of date.
"""

import ast
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from lmspec.cli.main import COMMANDS, main
from lmspec.compare import answers
from lmspec.specs.project import NOUNS
from lmspec.statistics import predictions
from lmspec.statistics.paired import PairedSample, SplitMetric

ROOT = Path(__file__).parent.parent
WIDTH = 100
DASH = "–"
EXAMPLE = ROOT / "examples/shell"
OF_ANSWERS = {"exact_match": 100, "bleu": 1, "chrf": 1}  # metric -> what it is multiplied by


def cli_reference() -> str:
    """Every command's --help, as docs/cli.md has it."""
    widths = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    group = click.Context(main, info_name="lmspec", **main.context_settings, **widths)
    parts = [
        "# Command line",
        "What `--help` prints, written here by `make docs`. "
        "A command that is used wrongly exits with 2.",
        *_help(group),
    ]
    for name in COMMANDS:
        command = main.get_command(group, name)
        assert command is not None
        parts += _help(click.Context(command, group, name, **widths))
    return "\n\n".join(parts) + "\n"


def _help(context: click.Context) -> Iterator[str]:
    yield f"## {context.command_path}"
    yield f"```text\n{context.command.get_help(context).rstrip()}\n```"


def results(text: str, metrics: Path) -> str:
    """README.md with the figures of its tables as data/metrics has them."""
    text = re.sub(r"^(\| `(\w+)` \|[^|]*\|)( [\d.–]+ \|){3}$", _scores(metrics), text, flags=re.M)
    for row, figures in _speed(metrics).items():
        text = re.sub(rf"^\| {row} \|.*\|$", f"| {row} | {figures} |", text, flags=re.M)
    return text


def mapped(text: str, architecture: str) -> str:
    """README.md with the tree of the repository as the captions of the code are now."""
    start, inner, end = re.split(r"(?<=-->\n```\n)(.*?)(?=```\n<!-- end)", text, flags=re.S)
    return start + tree(inner, architecture) + end


def _scores(metrics: Path) -> Any:
    """Replacement of one row of accuracies, in percent."""

    def row(match: re.Match[str]) -> str:
        scores = json.loads((metrics / f"scores-{match[2]}.json").read_text(encoding="utf-8"))
        tests = (
            scores["reviews"]["table"]["movies"],
            scores.get("tweets"),
            scores.get("editorials"),
        )
        cells = (f"{100 * test['accuracy']:.1f}" if test else DASH for test in tests)
        return f"{match[1]} {' | '.join(cells)} |"

    return row


def _speed(metrics: Path) -> dict[str, str]:
    """Row -> cells of the table of speed and size."""
    speed = json.loads((metrics / "speed-release.json").read_text(encoding="utf-8"))
    release, minilm, ratio = speed["of"], speed["against"], speed["ratio"]
    latency = ratio["latency_p50"]
    return {
        "median latency, ms": (
            f"{release['latency_ms']['p50']:.1f} | {minilm['latency_ms']['p50']:.1f} | "
            f"{latency['median']:.1f} ({latency['p5']:.1f} to {latency['p95']:.1f})"
        ),
        **{
            f"{what.replace('_', ' ')}, MB": (
                f"{release[f'{what}_bytes'] / 1e6:.1f} | {minilm[f'{what}_bytes'] / 1e6:.1f} | "
                f"{ratio[what]:.1f}"
            )
            for what in ("weights", "peak_memory")
        },
    }


def answered(text: str, metrics: Path) -> str:
    """The example's README.md with the figures of its answers as data/metrics has them.

    A row with one name has the metrics of these scores, a row with two by how much the first is
    better than the second on the prompts that both answered, with 95 % intervals. A row stays as it
    is if the scores are not built.
    """

    def missing(*names: str) -> bool:
        return not all((metrics / f"scores-{name}.json").exists() for name in names)

    def level(row: re.Match[str]) -> str:
        if missing(row[2]):
            return row[0]
        of = json.loads((metrics / f"scores-{row[2]}.json").read_text(encoding="utf-8"))[row[3]]
        cells = (f"{scale * of[name]:.1f}" for name, scale in OF_ANSWERS.items())
        return f"{row[1]} {of['examples']:,} | {' | '.join(cells)} |"

    def better(row: re.Match[str]) -> str:
        if missing(row[2], row[3]):
            return row[0]
        (one, scale), (other, its) = (_answers(metrics, name, row[4]) for name in (row[2], row[3]))
        pairs = predictions.pair(other, one)
        cells = _better(pairs, scale.common(its))
        return f"{row[1]} {len(pairs.candidate.id):,} | {' | '.join(cells)} |"

    text = re.sub(r"^(\| `([\w-]+)` \| [^`|]*\| (\w+) \|).*$", level, text, flags=re.M)
    return re.sub(r"^(\| `([\w-]+)` \| `([\w-]+)` \| (\w+) \|).*$", better, text, flags=re.M)


def _answers(metrics: Path, name: str, dataset: str) -> tuple[Any, Any]:
    with (metrics / f"scores-{name}/answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = answers.read({column: [row[column] for row in rows] for column in rows[0]})
    assert found is not None, name
    return found[0][dataset], found[1]


def _better(pairs: predictions.Pairs, scale: Any) -> Iterator[str]:
    sample = PairedSample(pairs, scale, same=False)
    for name, factor in OF_ANSWERS.items():
        metric = SplitMetric(name, None)
        estimate = sample.difference(metric)
        interval = sample.interval(metric, estimate, 0.95)
        assert interval is not None, name
        low, high = (factor * bound for bound in interval)
        yield f"{factor * estimate.value:+.1f} ({low:+.1f} to {high:+.1f})"


def tree(text: str, architecture: str) -> str:
    """The tree in README.md: its top level is written there; stages and rooms have the captions of
    the code."""
    inner = {
        "stages/": {f"{noun}.py": caption(ROOT / "stages" / f"{noun}.py") for noun in NOUNS},
        "lmspec/": rooms(architecture),
    }
    lines = []
    for line in text.splitlines():
        if not line.startswith(" "):
            lines.append(line)
            entries = inner.get(line.split()[0], {})
            lines += [f"  {name:14}  {holds}" for name, holds in entries.items()]
    return "\n".join(lines) + "\n"


def captioned(architecture: str) -> str:
    """docs/architecture.md with the caption of each room that has a docstring as it is there."""

    def row(match: re.Match[str]) -> str:
        room = ROOT / ("" if match[2] == "stages" else "lmspec") / match[2]
        source = room / "__init__.py" if room.is_dir() else room.with_suffix(".py")
        holds = caption(source).partition(". ")[0].rstrip(".") if source.exists() else match[3]
        return f"{match[1]}{holds} |"

    return re.sub(r"^(\| `(\w+)` \| )(.*?) \|", row, architecture, flags=re.M)


def rooms(architecture: str) -> dict[str, str]:
    """Folder or module of lmspec/ -> what it holds, by the table of docs/architecture.md, from the
    top floor down."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", architecture, re.M)
    return {
        f"{room}.py" if (ROOT / f"lmspec/{room}.py").exists() else f"{room}/": holds
        for room, holds in rows
        if room != "stages"
    }


def caption(path: Path) -> str:
    """The first line of a module's docstring, without its name."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring is not None, path
    return docstring.splitlines()[0].partition(": ")[2]


if __name__ == "__main__":
    (ROOT / "docs/cli.md").write_text(cli_reference(), encoding="utf-8")
    page = ROOT / "README.md"
    house = ROOT / "docs/architecture.md"
    architecture = captioned(house.read_text(encoding="utf-8"))
    house.write_text(architecture, encoding="utf-8")
    current = results(page.read_text(encoding="utf-8"), ROOT / "data/metrics")
    page.write_text(mapped(current, architecture), encoding="utf-8")
    example = EXAMPLE / "README.md"
    current = answered(example.read_text(encoding="utf-8"), EXAMPLE / "data/metrics")
    example.write_text(current, encoding="utf-8")
