"""Every form shows the same report, and no text in a report is more than text."""

import base64
import hashlib
import io
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator, ValidationError
from markdown_it import MarkdownIt
from rich.cells import cell_len
from rich.console import Console

from lmspec.compare.report import Change, Confusion, Metric, Report
from lmspec.history.bisection import Bisection, NotFound
from lmspec.language.problems import columns
from lmspec.pipeline.difference import MISSING
from lmspec.reports import (
    bisection,
    charts,
    github,
    html,
    junit,
    markdown,
    tables,
    terminal,
    values,
    words,
)
from lmspec.specs.gates import Floor
from tests import reports

VOID = {"col", "meta", "br", "hr", "img", "link", "input", "wbr"}
HEAVY = ("numpy", "pydantic", "matplotlib", "rich", "torch", "polars", "jinja2")
ROOT = Path(__file__).parent.parent


class Page(HTMLParser):
    """Tags that were opened, with their attributes; those left open; and all text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.comments: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens and closes."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Closes what was opened last."""
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        """A text."""
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        """A comment."""
        self.comments.append(data)


@pytest.fixture(scope="module")
def report() -> Report:
    return reports.full()


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return html.render(report)


@pytest.fixture(scope="module")
def huge() -> Report:
    return reports.huge()


def rendered(source: str) -> Page:
    """Markdown as a site shows it."""
    return Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(source))


def test_numbers_are_written_alike_everywhere() -> None:
    """Four decimals for shares, no minus before zero; what is not a number stays as it is."""
    shown = {
        0.84: "0.8400",
        -0.00001: "-1e-05",
        -0.0: "0.0000",
        15.32666: "15.3267",
        17528029: "17528029",
    }
    assert {value: words.number(value) for value in shown} == shown
    assert [words.number(value) for value in (None, True, math.nan, math.inf, "text")] == [
        "",
        "True",
        "nan",
        "inf",
        "text",
    ]
    differences = (-0.00001, 0.00001, 0.0, -0.02, 0.02, None)
    assert [words.signed(d, 0.84) for d in differences] == [
        *["0.0000"] * 3,
        "-0.0200",
        "+0.0200",
        "",
    ]
    assert (
        words.signed(3e-07, 2e-06) == "+3e-07"
        and words.signed(7, 11613) == "+7"
        and words.signed(-0.0) == "0.0000"
    )
    assert words.ratio(0.93, (0.9, 0.97)) == "x0.93 [0.90, 0.97]"
    assert "-0.0000" not in terminal.plain(reports.full(), everything=True)


def test_what_needs_a_look_comes_first(report: Report) -> None:
    """Missing, worse, better, not comparable, then the rest; `same` is last."""
    ordered = [metric.verdict for metric in words.ordered(report.metrics)]
    assert set(words.TONES) == set(reports.VERDICTS) == set(ordered)
    assert (
        ordered[:5] == ["missing", "worse", "better", "better", "not comparable"]
        and ordered[-1] == "same"
    )
    assert words.ordered(tuple(reversed(report.metrics))) != list(report.metrics)


def test_plain_text_is_for_grep(report: Report) -> None:
    """No escape codes or boxes; one line per metric; `same` is only counted; verdict last."""
    text = terminal.plain(report)
    assert not set(text) & set("│─┃━")
    assert not [c for c in text if c != "\n" and not c.isprintable() and c != "\u200d"]
    for metric in report.metrics:
        lines = [
            line
            for line in text.splitlines()
            if line.startswith(words.line(metric.name).replace("##[", "## [") + "  ")
        ]
        assert len(lines) == (metric.verdict != "same"), metric.name
        assert all(metric.verdict in line for line in lines)
    assert "1 same (`same` is not shown" in text and "inconclusive (MDE 0.021)" in text
    assert (
        text.splitlines()[0] == "main (1a2b3c4d5e6f) -> worktree"
        and text.splitlines()[-1] == "FAIL: 6 reasons"
    )
    assert (
        text.index("failure: gate fail_gate")
        < text.index("parameters:")
        < text.index("metrics:")
        < text.index("gates:")
    )
    assert terminal.plain(reports.quiet()).splitlines()[-1] == "ok"


def test_everything_shows_the_rest_too(report: Report) -> None:
    """`same` rows, each example and how each metric was tested."""
    some, all_of_it = terminal.plain(report), terminal.plain(report, everything=True)
    assert "split_2.accuracy" not in some and "split_2.accuracy" in all_of_it
    assert "id-9" not in some and "id-9" in all_of_it and "McNemar" in all_of_it


def test_no_text_is_a_command_to_a_runner(report: Report) -> None:
    """A CI runner obeys lines that begin with :: and ##[ anywhere."""
    hostile = replace(
        report,
        notes=("::error::x",),
        changes=replace(report.changes, renamed={"::add-mask::y": "z"}),
    )
    for text in (terminal.plain(hostile, everything=True), github.annotations(hostile)):
        own = [line for line in text.splitlines() if line.lstrip().startswith("::")]
        assert all(re.match(r"::(error|warning|notice) title=", line) for line in own)
        assert "##[" not in text
    assert "##[" in words.line(reports.HOSTILE[5])  # it is the forms that see to it


def test_columns_are_aligned_where_characters_are_wide() -> None:
    """A column starts at the same place in every line."""
    code = replace(
        reports.quiet(),
        changes=replace(reports.changes(), parameters=(), data=(), rebuilt=("漢字", "abc")),
    )
    lines = terminal.plain(code).split("artifacts: ")[1].splitlines()[1:4]
    assert (
        len(
            {
                columns(line[: line.index(name)])
                for line, name in zip(lines[1:], ("漢字", "abc"), strict=True)
            }
        )
        == 1
    )
    assert columns("漢字") == 4 and columns("e\u0301") == 1


@pytest.mark.parametrize("width", [60, 100, 200])
def test_a_screen_shows_the_same_rows(report: Report, width: int) -> None:
    """Tables fit the width; texts are not read as the library's markup."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal.render(replace(report, notes=("[red]not a colour[/red]",))))
    text = console.export_text()
    assert max(map(cell_len, text.splitlines())) <= width
    assert "[red]not a colour[/red]" in text and "FAIL: 6 reasons" in text and "worse" in text


def test_markdown_starts_with_its_marker_and_the_decision(report: Report) -> None:
    """Marker first, headline second; significant metrics are open, the others folded."""
    text = markdown.render(report)
    assert (
        text.splitlines()[0] == "<!-- lmspec diff -->"
        and text.splitlines()[1].startswith(
            "**Fails: 5 of 7 gates do not pass (fail&#95;gate: fail, "
        )
        and "FAIL: 6 reasons" in text.splitlines()[3]
    )
    assert (
        text.index("split_1.accuracy` ")
        < text.index("<summary>other metrics")
        < text.index("split_3.accuracy`")
    )
    assert "left out here" not in text and "not fit" not in text


def hostile_texts_are_inert(source: str) -> None:
    """Rendered: only the form's own tags, each text unchanged, mentions and links inside code."""
    shown = rendered(source)
    known = {
        "p",
        "strong",
        "code",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
    }
    assert {tag for tag, _ in shown.tags} == known and shown.open == []
    assert {tuple(attributes) for _, attributes in shown.tags} <= {(), ("style",)}
    assert shown.comments == [" lmspec diff "]
    text = "".join(shown.texts)
    assert all(words.line(hostile) in text for hostile in reports.HOSTILE)
    outside = unescape(re.sub(r"<code>.*?</code>|`[^`]*`", "", source))
    assert not re.search(r"[@#]\w|://|www\.", outside) and re.search(r"@\w", unescape(source))
    assert not re.search(r"[@#](?!\d+;)\w|://", source)


def test_hostile_texts_in_markdown_are_inert(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with the escaping off, this test fails."""
    hostile_texts_are_inert(markdown.render(report, 10**6))
    monkeypatch.setattr(markdown, "_inert", lambda text: text)
    with pytest.raises(AssertionError):
        hostile_texts_are_inert(markdown.render(report, 10**6))


def test_each_row_of_markdown_has_the_cells_of_its_table(report: Report) -> None:
    """No text adds a cell or ends a row."""
    for block in markdown.render(report, 10**6).split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1
    cells = [
        row for made in (tables.data, tables.examples, tables.gates) for row in made(report).rows
    ]
    assert any("|" in "".join(row.cells) for row in cells)  # there was something to escape


@pytest.mark.parametrize("limit", [4_000, 65_536])
def test_markdown_stays_under_the_limit_and_says_what_is_left_out(huge: Report, limit: int) -> None:
    """5,000 metrics and 200 flips, whatever the limit; shown and left out are all rows."""
    text = markdown.render(huge, limit)
    assert limit - 1_500 < markdown.size(text) <= limit
    (missing,) = re.findall(r"^(\d+) rows do not fit into this comment", text, re.M)
    shown = len(re.findall(r"^\|", text, re.M)) - 2 * len(re.findall(r"^\| -", text, re.M))
    assert shown + int(missing) == sum(len(table.rows) for table in markdown._tables(huge))
    assert "`lmspec diff main --all` shows all" in text and rendered(text).open == []
    assert "fail_gate" in text  # the most urgent rows stay


def test_the_page_is_whole_and_loads_nothing(page: str) -> None:
    """All tags closed; one script, by its hash; no link out, nothing that loads, no id twice."""
    shown = Page(page)
    assert shown.open == []
    assert [attributes for tag, attributes in shown.tags if tag == "script"] == [{}]
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page
    names = {tag for tag, _ in shown.tags}
    assert not names & {
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "img",
        "image",
        "form",
        "foreignobject",
    }
    attributes = [pair for _, of_tag in shown.tags for pair in of_tag.items()]
    pointers = [
        str(value) for name, value in attributes if name.split(":")[-1] in ("src", "href", "data")
    ]
    assert pointers and all(pointer.startswith("#") for pointer in pointers)
    assert not [name for name, _ in attributes if name.startswith("on")]
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids)) and {pointer[1:] for pointer in pointers} <= set(ids)
    assert not re.search(r"url\((?!#)|@import", page.replace("&#x27;", "'"))
    assert "default-src 'none'" in page and "prefers-color-scheme" in page


def only_text(page: str) -> None:
    """Every hostile text is there, as text."""
    shown = Page(page)
    text = "".join(shown.texts)
    assert all(words.line(hostile) in text for hostile in reports.HOSTILE)
    assert (
        page.count("<script") == 1
        and "<h1>owned" not in page
        and "\x1b" not in page
        and "<!--" not in page
    )
    assert [tag for tag, _ in shown.tags].count("h1") == 1


def test_the_page_shows_hostile_texts_escaped(
    report: Report, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with the escaping off, this test fails."""
    only_text(page)
    unescaped = html.environment().overlay(autoescape=False)
    monkeypatch.setattr(html, "environment", lambda: unescaped)
    with pytest.raises(AssertionError):
        only_text(html.render(report))


def test_figures_and_tables_can_be_read_without_seeing_them(page: str) -> None:
    """Figures have labels, table heads a scope, tables a caption; verdicts are words."""
    tags = Page(page).tags
    svgs = [attributes for tag, attributes in tags if tag == "svg" and "x" not in attributes]
    figures = [attributes for attributes in svgs if attributes.get("role") == "img"]
    hidden = [attributes for attributes in svgs if attributes.get("aria-hidden") == "true"]
    assert len(figures) >= 4 and all(attributes["aria-label"] for attributes in figures)
    assert len(figures) + len(hidden) == len(svgs)
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in tags if tag == "th")
    names = [tag for tag, _ in tags]
    assert names.count("table") == names.count("caption")
    assert all(
        f">{verdict}<" in page
        for verdict in ("worse", "better", "missing", "not comparable", "undecided, fails")
    )


def test_the_same_report_gives_the_same_bytes(report: Report, page: str) -> None:
    """In every form."""
    assert html.render(report) == page
    for form in (terminal.plain, markdown.render, github.annotations, junit.render, values.as_json):
        assert form(report) == form(reports.full())


def test_accuracy_and_loss_share_no_axis(report: Report) -> None:
    """A forest plot has one kind of metric; only those with an interval are drawn."""
    drawn = list(filter(charts.is_drawn, report.metrics))
    assert len(drawn) == sum(metric.interval is not None for metric in report.metrics)
    forests = charts.forests(drawn, {})
    assert {forest.kind for forest in forests} == {"accuracy", "log_loss"}
    for forest in forests:
        assert {charts.kind(metric) for metric in forest.metrics} == {forest.kind}
    label = replace(report.metrics[0], name="scores.release.tweets.f1.negative")
    assert charts.kind(label) == "f1"


def test_marks_are_where_their_numbers_are() -> None:
    """On one linear axis, zero included; the region is the gate's margin, else the MDE."""
    metric = replace(reports.metric("worse"), difference=-0.02, interval=(-0.03, -0.01))
    gate = replace(reports.gate("fail"), metric="scores.release.*.accuracy", margin=0.015)
    margins = charts.margins(replace(reports.quiet(), metrics=(metric,), gates=(gate,)))
    for widths, region in ((margins, 0.015), ({}, metric.mde)):
        (forest,) = charts.forests([metric], widths)
        at = forest.scale.at
        assert (
            0 < at(-0.03) < at(-0.02) < at(-0.01) < at(0) < 100 and forest.region(metric) == region
        )
        assert at(-0.02) - at(-0.03) == pytest.approx(at(-0.01) - at(-0.02), abs=0.02)
        assert (at(0), "0") in forest.scale.ticks
    page = html.render(replace(reports.quiet(), metrics=(metric,)))
    assert f'x1="{at(-0.03)}%" x2="{at(-0.01)}%"' in page and f'<svg x="{at(-0.02)}%"' in page
    assert f'x="{at(-metric.mde)}%"' in page and f"--zero: {at(0)}%" in page
    assert "interval below zero" in page


@pytest.mark.parametrize(("low", "high"), [(0, 0), (-1e-9, 3e-9), (0.1, 0.1), (-7, 3e6)])
def test_an_axis_has_a_few_round_ticks(low: float, high: float) -> None:
    """Whatever its range."""
    scale = charts.Scale.over([low, high])
    assert 2 <= len(scale.ticks) <= 6 and all(0 <= place <= 100 for place, _ in scale.ticks)
    assert 0 < scale.at(low) <= scale.at(high) < 100


def test_the_released_model_comes_first(report: Report) -> None:
    """Its confusion is open; those of the others are folded."""
    first = html.render(replace(report, shipped=("scores.candidate",)))
    usual = html.render(report)
    for page, name in ((first, "scores.candidate"), (usual, "scores.release")):
        section = page[page.index('<section id="models"') :]
        assert section.index(name) < section.index("<details")


def test_the_decision_is_one_sentence_with_its_reasons(report: Report) -> None:
    """Three gates by name at most; what passes says what it rests on."""
    assert words.decision(report) == (
        "Fails",
        "5 of 7 gates do not pass (fail_gate: fail, undecided_gate: undecided, "
        "missing_gate: missing and 2 more); 1 metric is missing",
    )
    better = (reports.metric("better"), reports.metric("worse"), reports.metric("changed"))
    passes = replace(report, gates=(reports.gate("pass"),), metrics=better)
    assert words.decision(passes) == (
        "Passes",
        "1 of 1 gates pass; of 2 tested metrics 1 worse, 1 better",
    )
    assert words.decision(reports.quiet()) == (
        "Passes",
        "no gates are defined; no metric was tested",
    )


def test_what_a_bundle_quotes_is_the_release() -> None:
    """Of this project: by its spec, whatever the names are."""
    command = [sys.executable, "-m", "lmspec", "diff", "--format", "json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert json.loads(run.stdout)["shipped"] == ["scores.release"]


def test_gates_that_pass_by_a_waiver_are_counted_apart(report: Report) -> None:
    """In every form that counts gates; without waivers none is mentioned."""
    count = "2 of 7 gates pass, 1 of them by a waiver"
    assert all(count in form(report) for form in (markdown.render, github.annotations, html.render))
    assert "1 of 1 gates pass; " in words.headline(replace(report, gates=(reports.gate("pass"),)))


def test_a_revision_without_a_parameter_shows_a_dash() -> None:
    """`missing` is a failing verdict and null is a value; JSON has "missing" for an absent one."""
    added = replace(
        reports.changes(),
        parameters=(Change("gates.level.kind", MISSING, "floor"), Change("a.b", None, MISSING)),
    )
    report = replace(reports.quiet(), changes=added)
    assert [row.cells for row in tables.parameters(report).rows] == [
        ("gates.level.kind", "–", "floor"),
        ("a.b", "null", "–"),
    ]
    assert "missing" not in terminal.plain(report) + markdown.render(report) + html.render(report)
    assert [
        (change["baseline"], change["candidate"])
        for change in stated(report)["changes"]["parameters"]
    ] == [
        ("missing", "floor"),
        (None, "missing"),
    ]


def test_a_matrix_of_too_many_labels_is_a_sentence() -> None:
    """The page names the file that has the counts."""
    labels = tuple(f"label {i}" for i in range(51))
    page = html.render(
        replace(reports.quiet(), confusion=(Confusion("scores.a", "tweets", labels, None, None),))
    )
    assert (
        "51 labels are too many for a table here: "
        "data/metrics/scores-a/confusion.csv has the counts." in page.replace("\n", " ")
    )
    assert 'class="heat"' not in page and "label 7" not in page


def test_annotations_are_ten_per_level_and_count_the_rest(report: Report, huge: Report) -> None:
    """One line each; the tenth error counts the rest."""
    lines = github.annotations(report).splitlines()
    levels = ["::notice", *["::error"] * 6, *["::warning"] * 2]
    assert [line.split(" ")[0] for line in lines] == levels
    huge = replace(
        huge,
        metrics=tuple(
            replace(metric, reason=f"reason {i}") for i, metric in enumerate(huge.metrics)
        ),
    )
    many = github.annotations(huge).splitlines()
    assert len(many) == 1 + 10 + 2
    assert f"and {len(huge.failures) - 10} more" in many[10]

    assert "::error title=gate fail_gate%3A fail::" in lines[1] and "%0A" in lines[1]
    percent = replace(report, gates=(reports.gate("fail", "100% of 5%0A, so: no"),))
    placed = replace(report, gates=(replace(reports.gate("fail"), line=12),))
    assert "::error file=params.yaml,line=12,title=gate fail_gate%3A fail::" in github.annotations(
        placed
    )
    assert "::error file=a%2Cb/c/params.yaml,line=12," in github.annotations(placed, "a,b/c/")
    assert "100%25 of 5%250A, so: no" in github.annotations(percent)


def test_metrics_of_one_file_that_is_gone_are_one_failure(report: Report) -> None:
    """Another artifact or another reason is another failure."""
    gone = "data/metrics/scores-a.json does not exist"
    names = [
        ("scores.a.x.accuracy", gone),
        ("scores.a.x.macro_f1", gone),
        ("scores.b.x.accuracy", gone),
        ("scores.a.x.f1.c", "NaN"),
    ]
    lost = tuple(
        Metric(name, 0.5, "missing", None, "higher", "missing", reason=reason)
        for name, reason in names
    )
    assert replace(report, metrics=lost, gates=()).failures == [
        f"scores.a.x.accuracy and 1 more are missing: {gone}",
        f"scores.b.x.accuracy is missing: {gone}",
        "scores.a.x.f1.c is missing: NaN",
    ]


def test_junit_counts_what_it_holds(report: Report) -> None:
    """Counts agree with the report; a worse metric fails with the gate that is about it."""
    root = ElementTree.fromstring(junit.render(report))
    gates, metrics = root
    assert [suite.get("name") for suite in root] == ["lmspec gates", "lmspec metrics"]
    assert len(gates) == int(str(gates.get("tests"))) == len(report.gates)
    assert len(metrics) == int(str(metrics.get("tests"))) == len(report.metrics)
    assert int(str(root.get("failures"))) == len(root.findall(".//failure")) == len(report.failures)
    assert int(str(root.get("skipped"))) == len(root.findall(".//skipped")) == 2
    blocking = replace(reports.gate("fail"), metric="scores.release.*.accuracy")
    about = ElementTree.fromstring(junit.render(replace(report, gates=(blocking,))))
    assert int(str(about[1].get("failures"))) == 2


def test_a_star_of_a_gate_is_one_name() -> None:
    """A label may hold dots; a dimension of a slice is a name of its own."""
    names = (
        "reviews.accuracy",
        "reviews.table.movies.accuracy",
        "reviews.f1.v1.0",
        "reviews.table.movies.f1.v1.0",
    )
    about = {
        "*.accuracy": ["reviews.accuracy"],
        "reviews.table.*.accuracy": ["reviews.table.movies.accuracy"],
        "reviews.f1.*": ["reviews.f1.v1.0"],
        "reviews.f1.v1.0": ["reviews.f1.v1.0"],
        "reviews.table.*.f1.*": ["reviews.table.movies.f1.v1.0"],
        "reviews.*": ["reviews.accuracy"],
    }
    report = replace(
        reports.quiet(),
        metrics=tuple(reports.metric("worse", f"scores.cnn.{name}") for name in names),
    )
    for pattern, wanted in about.items():
        gate = replace(reports.gate("fail"), metric=f"scores.cnn.{pattern}")
        metrics = ElementTree.fromstring(junit.render(replace(report, gates=(gate,))))[1]
        failed = [case.get("name") for case in metrics if case.find("failure") is not None]
        gate_spec = Floor(kind="floor", metric=gate.metric, at_least=0.5)
        search = Bisection("gate", gate_spec, NotFound(""), report)
        assert (
            failed
            == [metric.name for metric in bisection.metrics(search)]
            == [f"scores.cnn.{name}" for name in wanted]
        ), pattern


def stated(report: Report) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(values.as_json(report), parse_constant=refused)
    return content


def refused(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_json_holds_every_value_and_fits_its_schema(report: Report) -> None:
    """Values round-trip; an unknown verdict or a number as text is invalid."""
    content = stated(report)
    validator = Draft202012Validator(values.schema())
    validator.validate(content)
    assert list(content)[:2] == ["schema", "failures"] and list(content)[2:] == list(vars(report))
    assert content["failures"] == report.failures
    for written, metric in zip(content["metrics"], report.metrics, strict=True):
        assert list(written) == list(vars(metric))
        assert (written["baseline"], written["p_holm"]) == (metric.baseline, metric.p_holm)
    assert content["curves"][0]["baseline"]["train_loss"] == [0.6, 0.4, "NaN"]
    for path, value in (("verdict", "nicer"), ("p", "small")):
        with pytest.raises(ValidationError):
            validator.validate({**content, "metrics": [{**content["metrics"][0], path: value}]})


def test_json_without_odd_numbers_is_the_same_on_both_ways(report: Report) -> None:
    """The fast path and the one that checks every value write the same."""
    usual = replace(report, curves=())
    content = {"schema": values.SCHEMA, "failures": list(usual.failures), **vars(usual)}
    assert (
        values._written(content) == values._written(values.finite(content)) == values.as_json(usual)
    )


@pytest.mark.parametrize("form", [html.render, markdown.render, terminal.plain, junit.render])
def test_a_long_report_is_rendered_in_time(form: Callable[[Report], str], huge: Report) -> None:
    """5,000 metrics and 1,200 negative flips in a few seconds, even on a busy machine."""
    began = time.process_time()
    form(huge)
    assert time.process_time() - began < 3


def test_the_schema_in_the_repository_is_the_generated_one() -> None:
    """What other tools read is what is written."""
    Draft202012Validator.check_schema(values.schema())
    assert json.loads(values.PATH.read_text(encoding="utf-8")) == values.schema()


def test_json_of_a_long_report_is_written_at_once() -> None:
    """5,000 metrics in well under a second."""
    long = replace(reports.huge(flips=0), curves=())
    began = time.perf_counter()
    values.as_json(long)
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("form", ["terminal", "markdown", "github", "junit", "values", "html"])
def test_no_form_loads_what_draws(form: str) -> None:
    """A report costs a moment."""
    script = f"import sys, lmspec.reports.{form}; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == ("['jinja2']" if form == "html" else "[]")
