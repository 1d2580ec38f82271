"""Whatever is typed into params.yaml: it is valid, or there are problems at places of the file.

No traceback, no hang.
"""

import contextlib
import copy
import json
import re
import shutil
import signal
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError
from ruamel.yaml import YAML

from lmspec.language import document as documents
from lmspec.language import rules, validate
from lmspec.language.problems import ProblemsFound
from lmspec.language.schema import load
from lmspec.reports import problems as reports
from lmspec.specs.project import Project
from tests import mutations

ROOT = Path(__file__).parent.parent
EXAMPLES = 1050  # of each of three properties
SHAPES = {
    "wrong-type",
    "out-of-bounds",
    "missing-field",
    "missing-section",
    "unknown-field",
    "unknown-section",
}
SHAPES |= {"unknown-kind", "unknown-choice"}
BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def many(factor: int) -> Callable[[Any], Any]:
    """The same examples in each run; one that takes longer than two seconds fails."""
    checks = (HealthCheck.too_slow, HealthCheck.data_too_large)
    return settings(
        max_examples=EXAMPLES * factor,
        derandomize=True,
        database=None,
        deadline=2000,
        suppress_health_check=checks,
        print_blob=False,
    )


@contextlib.contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Stops what hangs: a deadline is looked at when an example is over."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"no answer after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources of the miniature, and the files that this project names."""
    folder = tmp_path_factory.mktemp("mutation")
    (folder / "raw/weights").mkdir(parents=True)
    (folder / "raw/weights/config.json").write_bytes(mutations.CONFIG)
    for name in ("old.csv", "new.csv"):
        (folder / "raw" / name).touch()
    for name in ("cases", "pairs", "phrases", "sides"):
        shutil.copytree(mutations.ROOT / name, folder / name)
    return folder


def report_on(content: bytes, folder: Path) -> validate.Validation:
    """The report on a file, checked for what every report must be."""
    path = folder / "params.yaml"
    path.write_bytes(content)
    with at_most(20):
        report = validate.file(path)
    lines = BREAK.split(content.decode("utf-8", "replace").removeprefix("\ufeff"))
    for problem in report.problems:
        assert problem.what and problem.found
        for span in (problem.span, *(place for place, _ in problem.others)):
            assert 1 <= span.line <= len(lines), (problem, len(lines))
            assert 1 <= span.column <= len(lines[span.line - 1]) + 1, (
                problem,
                lines[span.line - 1],
            )
            assert span.width >= 1
    with at_most(20):
        every_format_can_be_read(report)
    return report


def every_format_can_be_read(report: validate.Validation) -> None:
    count = len(report.problems)
    texts = {form: render(report) for form, render in reports.FORMATS.items()} | {
        "text": reports.text(report)
    }
    for form, text in texts.items():
        text.encode()
        assert not [
            c
            for c in text
            if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t"
        ], form
    assert [entry["message"] for entry in json.loads(texts["json"])] == [
        problem.found for problem in report.problems
    ]
    (run,) = json.loads(texts["sarif"])["runs"]
    assert len(run["results"]) == count
    assert {result["ruleId"] for result in run["results"]} == {
        rule["id"] for rule in run["tool"]["driver"]["rules"]
    }
    annotations = texts["github"].split("\n") if count else []
    assert len(annotations) == count
    assert all(
        re.fullmatch(
            r"::(error|warning) file=[^:,]+,line=\d+,col=\d+,endColumn=\d+,title=[^:,]+::.+", a
        )
        for a in annotations
    )
    reports.text(report, lambda text, role: f"{role}{text}")


def checks_of_specs(schema: Any) -> Iterator[str]:
    """Rules that the pydantic specs hold too."""
    if isinstance(schema, dict):
        yield from (name.rpartition(":")[2].replace("_", "-") for name in schema.get("x-holds", ()))
        for part in schema.values():
            yield from checks_of_specs(part)


BOTH = SHAPES | (set(checks_of_specs(load())) - {rules.name_of(rule) for rule in rules.RULES})


def agrees_with_the_specs(report: validate.Validation) -> bool:
    """False if there is nothing to compare: no values, or rules that the specs do not know."""
    if report.values is None:
        return False
    broken = {problem.rule for problem in report.problems if not problem.warning}
    values = {section: value for section, value in report.values.items() if value is not None}
    if not broken:
        Project.model_validate(values)
    elif broken <= BOTH:
        with pytest.raises(ValidationError):
            Project.model_validate(values)
    return broken <= BOTH


def as_dvc_reads_it(text: str) -> Any:
    """The values, NOTHING if DVC's reader refuses the text."""
    try:
        return YAML(typ="safe").load(text)
    except Exception:  # ruamel raises what Python does, of a dozen types
        return NOTHING


NOTHING = object()


def with_types(value: Any) -> object:
    """A value that equals another only if their types are equal: in Python 1, 1.0 and True are
    equal."""
    if isinstance(value, dict):
        return dict, frozenset((with_types(key), with_types(item)) for key, item in value.items())
    if isinstance(value, list):
        return list, tuple(with_types(item) for item in value)
    return type(value), hex(value) if isinstance(value, int) else repr(value)


def is_read_as_dvc_reads_it(content: bytes, folder: Path) -> bool:
    """False if there is nothing to compare: lmspec rejects the text."""
    path = folder / "read.yaml"
    path.write_bytes(content)
    try:
        own = documents.read(path).values
    except ProblemsFound:
        return False
    other = as_dvc_reads_it(content.decode())
    assert other is not NOTHING
    assert with_types(own) == with_types(other)
    return True


def survives(content: bytes, folder: Path) -> bool:
    return agrees_with_the_specs(report_on(content, folder))


def least_share(check: Callable[[Any], bool], cases: Any, times: int, share: float) -> None:
    """Run a check on generated cases; so many of them must have had something to compare."""
    compared = Counter[bool]()

    @many(times)
    @given(case=cases)
    def run(case: Any) -> None:
        compared[check(case)] += 1

    run()
    assert compared[True] >= share * compared.total(), compared


@pytest.mark.parametrize("content", [b"", b"\xff", b"\n\n# nothing\n", b"a:\t1"])
def test_a_file_that_holds_next_to_nothing_is_answered(content: bytes, folder: Path) -> None:
    """With a problem at a place of the file."""
    survives(content, folder)
    assert report_on(content, folder).errors


TIMES = [1, pytest.param(10, marks=pytest.mark.slow)]


@pytest.mark.parametrize("times", TIMES)
def test_any_edit_of_the_text_is_answered(times: int, folder: Path) -> None:
    """Valid, or problems at places of the file, in every format; the pydantic specs agree."""
    least_share(lambda text: survives(text, folder), mutations.edited_texts(), times, 0.1)


@pytest.mark.parametrize("times", TIMES)
def test_any_edit_of_the_values_is_answered(times: int, folder: Path) -> None:
    """Valid, or problems at places of the file, in every format; the pydantic specs agree."""
    least_share(lambda text: survives(text.encode(), folder), mutations.edited_trees(), times, 0.5)


@pytest.mark.parametrize("times", TIMES)
def test_what_is_read_is_what_dvc_reads(times: int, folder: Path) -> None:
    """Where lmspec reads values, DVC reads the same ones, types included."""

    def check(text: bytes) -> bool:
        return is_read_as_dvc_reads_it(text, folder)

    least_share(check, mutations.edited_texts(most=2), times, 0.25)


@pytest.mark.slow
def test_edited_values_are_read_as_dvc_reads_them(folder: Path) -> None:
    """The same of edits of values."""

    def check(text: str) -> bool:
        return is_read_as_dvc_reads_it(text.encode(), folder)

    least_share(check, mutations.edited_trees(), 10, 0.5)


def test_a_reader_that_rejects_everything_is_noticed() -> None:
    """The negative control of the least share."""
    with pytest.raises(AssertionError):
        least_share(lambda _: False, mutations.edited_texts(), 1, 0.3)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("threads: 1", "threads: 1" + "0" * 400),  # beyond any float
        ("kind: rnn", "kind: 0x" + "f" * 5000),  # beyond what Python prints
        ("labels: [bad, good]", "labels: 0x" + "f" * 5000),
        ("kind: rnn", f"kind: [{mutations.HUGE}]"),
        ("raw/old.csv", "a" * 300),  # longer than a file's name can be
        ("raw/old.csv", "a" * 252),
        ("raw/old.csv", '"a\\0b"'),
        ("labels: [bad, good]", 'labels: ["\\x1b[31m", good]'),
        ("columns: null", 'columns: ["\\x1b[31m", b]'),
        ("teacher: model.bert", 'teacher: "model.\\x1bbert"'),
        ("  gru:\n", '  "\\x1b\\u202e":\n'),
        ("  gru:\n", "  1:\n"),
        ("  gru:\n", "  .nan:\n"),
        ("  gru:\n", "  2001-01-01:\n"),
        ("metric: quantized.release.bytes", "metric: quantized.release"),
        ("numerics: {", "x: &x {seed: 3}\nnumerics: {<<: *x, <<: *x, "),
        ("title: Good or bad", "title: <<"),
        ("title: Good or bad", "title: ="),
        ("title: Good or bad", "title: \uffff"),
        ("title: Good or bad", "title: ! 3"),
        ("numerics: {", "numerics: !!seq {"),
        ("numerics:", "x: &a 1\ny: &a 2\nz: *a\nnumerics:"),
        ("numerics:", "x: {&m <<: {a: 1}}\ny: {*m : {a: 1}}\nnumerics:"),
        ("pattern: null", "pattern: '" + "(" * 900 + "'"),
        ("pattern: null", "pattern: 'a{" + "9" * 900 + "}'"),
    ],
)
def test_what_once_went_wrong_is_answered(old: str, new: str, folder: Path) -> None:
    """Each of these gave a traceback, an answer that DVC would not give, or a sign that a terminal
    obeys."""
    assert old in mutations.MINIATURE
    content = mutations.MINIATURE.replace(old, new, 1).encode()
    assert report_on(content, folder).errors
    survives(content, folder)
    is_read_as_dvc_reads_it(content, folder)


def test_sections_may_be_empty_and_gates_too(folder: Path) -> None:
    """All entries of a section may be commented out; numerics and machine have none."""
    text = mutations.MINIATURE
    empty = text[: text.index("gates:")] + "gates:\n" + text[text.index("numerics:") :]
    report = report_on(empty.encode(), folder)
    assert not report.errors
    agrees_with_the_specs(report)
    assert (
        report_on(text.replace("machine: {device: cpu}", "machine:").encode(), folder).errors == 1
    )


def test_types_are_distinguished() -> None:
    """The negative control of the comparison with DVC: 1, 1.0, true and '1' are four values, nan is
    itself."""
    assert (
        len({with_types(value) for value in (1, 1.0, True, "1", [1], {1: 1}, {1.0: 1}, {1: True})})
        == 8
    )
    assert with_types(float("nan")) == with_types(float("nan"))


def test_what_hangs_is_stopped() -> None:
    """The negative control of the time limit."""
    with pytest.raises(TimeoutError), at_most(1):
        while True:
            pass


# A process of its own that starts the command: what a process held before `exec` counts as its
# child's.
MEASURE = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, peak)
"""
PEAK_BYTES = 200 * 2**20


def cost(content: str | bytes, folder: Path) -> tuple[int, float, int, str]:
    """(exit code, CPU seconds, peak bytes, what it says) of `lmspec validate` on a file."""
    path = folder / "cost.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "lmspec", "validate", path.name]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    code, seconds, peak = done.stdout.split()
    return int(code), float(seconds), int(peak), done.stderr


@pytest.fixture(scope="module")
def start_up(folder: Path) -> float:
    """CPU seconds of `lmspec validate` on a small file."""
    return min(cost("a: 1\n", folder)[1] for _ in range(2))


def doubled(first: str, again: Callable[[int], str]) -> str:
    return f"a0: &a0 {first}\n" + "".join(f"a{i}: &a{i} {again(i - 1)}\n" for i in range(1, 30))


WIDE = "a: &a {" + ", ".join(f"k{i}: 1" for i in range(20_000)) + "}\n"
BOMBS: dict[str, str | bytes] = {
    "aliases of lists": doubled("[lol]", lambda i: f"[{', '.join([f'*a{i}'] * 10)}]"),
    "aliases of mappings": doubled(
        "{lol: 1}", lambda i: "{" + ", ".join(f"k{j}: *a{i}" for j in range(10)) + "}"
    ),
    "merge keys": WIDE + "b:\n" + "- <<: *a\n" * 20_000,
    "merge keys in a chain": WIDE
    + "a0: &a0 {<<: *a}\n"
    + "".join(f"a{i}: &a{i} {{<<: *a{i - 1}}}\n" for i in range(1, 20_000)),
    "lists in lists": "a: " + "[" * 100_000 + "]" * 100_000,
    "mappings in mappings": "a: " + "{a: " * 100_000 + "}" * 100_000,
    "lists in lists, in block style": "- " * 100_000,
    "mappings in mappings, in block style": "? " * 100_000,
    "mappings in mappings, a line each": "\n".join(" " * i + "a:" for i in range(2_000)),
    "a line of 20 MB": "title: " + "x" * 20_000_000,
    "a quote of 20 MB that nothing closes": 'title: "' + "x" * 20_000_000,
    "a list of 20 MB": "a: [" + "1," * 10_000_000 + "]",
    "a line of 4 MB": "x" * 4_000_000 + ": 1",
    "a quote of 4 MB that nothing closes": 'title: "\U0001f600' + "x" * 4_000_000,
    "a comment of 4 MB": "#" * 4_000_000,
    "4 MB that are not UTF-8": b"x" * 4_000_000 + b"\xff",
    "anchors of one name": "a: [" + "&a 1," * 600_000 + "]",
    "an alias of the list it is in": "a: &a [*a]",
    "an alias of the mapping it is in": "a: &a {b: *a}",
    "a mapping merged with itself": "a: &a {<<: *a}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_exhaust_a_machine_is_rejected_at_once(
    name: str, folder: Path, start_up: float
) -> None:
    """One message with a place, in less than a second beyond start-up and less than 200 MB."""
    code, seconds, peak, output = cost(BOMBS[name], folder)
    assert code == 1
    assert len(re.findall(r"^cost\.yaml:", output, re.M)) == 1, output[:2000]
    assert output.endswith("1 problem in cost.yaml\n")
    assert seconds - start_up < 1
    assert peak < PEAK_BYTES


def test_too_many_values_are_rejected(folder: Path) -> None:
    """Two million values, without aliases: rejected before they fill the memory."""
    code, seconds, peak, output = cost("a: [" + "1," * 2_000_000 + "]", folder)
    assert code == 1 and "it has more than 200,000 values" in output
    assert seconds < 20 and peak < PEAK_BYTES


def chained(links: int, wrong: bool) -> str:
    """The miniature and a chain of updates, each with a corpus, splits, a graph and scores of its
    own: five artifacts a link.

    wrong  each artifact of the chain refers to one that is not there
    """
    values = copy.deepcopy(mutations.VALUES[0])
    for i in range(links):
        name, before = f"link-{i}", f"link-{i - 1}" if i else "first"
        of = {"corpus": "sources.new", "splits": f"corpus.{name}", "updated": f"updated.{before}"}
        of |= {"exported": f"updated.{name}", "scores": f"exported.{name}"}
        if wrong:
            of = {noun: target.partition(".")[0] + f".nothing-{i}" for noun, target in of.items()}
        (table,) = values["corpus"]["new"]["tables"]
        values["corpus"][name] = values["corpus"]["new"] | {
            "tables": [table | {"of": of["corpus"]}]
        }
        values["splits"][name] = values["splits"]["new"] | {"of": of["splits"]}
        values["updated"][name] = values["updated"]["first"] | {
            "of": of["updated"],
            "on": f"splits.{name}",
        }
        values["exported"][name] = values["exported"]["release"] | {"of": of["exported"]}
        values["scores"][name] = values["scores"]["cnn"] | {
            "of": of["scores"],
            "on": [f"splits.{name}"],
        }
    return mutations.written(mutations.tree(values))


def test_a_thousand_artifacts_are_valid(folder: Path) -> None:
    """200 updates, one after the other."""
    report = report_on(chained(200, wrong=False).encode(), folder)
    assert report.errors == 0
    agrees_with_the_specs(report)


def test_a_thousand_mistakes_are_a_thousand_problems(folder: Path) -> None:
    """Each at its place, none twice, and nothing that follows from another."""
    report = report_on(chained(200, wrong=True).encode(), folder)
    assert [problem.rule for problem in report.problems] == ["no-such-artifact"] * 1000
    assert len({problem.span for problem in report.problems}) == 1000
