"""The page of the service in a browser: its answers are those of predict.py, for everybody."""

import csv
import io
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lmspec.formats.predict import Classifier
from lmspec.serving.keys import Keys
from tests import browser, bundles, miniature
from tests.browser import Browser
from tests.serving import Client, listening
from tests.test_page import CONTRAST, OVERFLOW
from tests.test_served_page import CARD, SCORES
from tests.visiting import ask, drop, in_csv, load, text_of, until

LIMITS = {"max_text_bytes": 200, "max_texts": 8, "max_body_bytes": 1000, "queue": 32}
LIMITS |= {"timeout_ms": 20_000, "drain_seconds": 30, "empty_text": "no_answer"}
HOSTILE = """
Labels: `a <b> c`.

## Limitations

<script>document.title = "broken"</script> **bold** and `co|de`, [site](https://example.org/a) and
[script](javascript:document.title='broken'); &lt;b> is text.

| a | b |
| --- | ---: |
| `x` | 1 |
"""
FILES = {"README.md": CARD + HOSTILE, "scores.json": json.dumps(SCORES)}
AXE = (Path("node_modules/axe-core/axe.min.js"), os.environ.get("AXE_CORE", ""))
TEXT = "the film was good but the plot is a bore"
TEXTS = [text for _, text, _ in miniature.sentences("")]
# so that a test sees what a person would download
KEEP_FILE = """URL.createObjectURL = (file) => { window.kept = file; return "#"; }"""


class Served(NamedTuple):
    """Where the page is, and the two bundles that it is of."""

    url: str
    client: Client
    first: Classifier
    second: Classifier


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    first, second = (tmp_path_factory.mktemp(name) for name in ("release", "candidate"))
    bundles.make(first, LIMITS, files=FILES)
    return first, bundles.make(second, LIMITS, seed=2)


@pytest.fixture(scope="module")
def served(folders: tuple[Path, Path]) -> Iterator[Served]:
    client = Client(folders[0], compared=folders[1], hosts=())
    with listening(client) as url:
        yield Served(url, client, *map(Classifier, folders))


@pytest.fixture(scope="module")
def opened() -> Iterator[Browser]:
    with browser.opened() as tab:
        yield tab


@pytest.fixture
def tab(opened: Browser, served: Served) -> Iterator[Browser]:
    """The page, open; afterwards it has logged nothing, and asked no one else."""
    load(opened, served.url)
    opened.run(KEEP_FILE)
    yield opened
    require_quiet(opened, served.url)


def require_quiet(tab: Browser, url: str) -> None:
    """Every request went to the service, and nothing was logged or thrown."""
    tab.run("1")
    asked, bad = set(), []
    for event in tab.events:
        values = event["params"]
        match event["method"]:
            case "Network.requestWillBeSent":
                asked.add(values["request"]["url"])
            case "Log.entryAdded":
                bad.append(values["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                bad.append(json.dumps(values)[:500])
    assert bad == []
    assert asked and {one for one in asked if not one.startswith((url, "blob:", "data:"))} == set()


def classified(tab: Browser) -> list[dict[str, str]]:
    """Classify the file that was dropped; the rows of the table that can be downloaded."""
    tab.run("document.getElementById('table-form').requestSubmit()")
    until(tab, "/an answer/.test(document.getElementById('table-status').textContent)")
    tab.run("[...document.querySelectorAll('#table-answers button')]"
            ".find((one) => one.textContent.startsWith('Download')).click()")  # fmt: skip
    content = tab.run("window.kept.arrayBuffer().then((b) => [...new Uint8Array(b)])")
    text = bytes(content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def best(answer: dict[str, float]) -> tuple[str, float]:
    return next(iter(answer.items()), ("", 0.0))


def percent(share: float) -> str:
    """As the page has it: what is neither 0 nor 1 is not shown as one."""
    if 0 < share < 0.0005 or 0.9995 < share < 1:
        return "< 0.1\u00a0%" if share < 0.5 else "> 99.9\u00a0%"
    return f"{100 * share:.1f}\u00a0%"


def test_an_answer_is_that_of_predict_py(tab: Browser, served: Served) -> None:
    """Label and probabilities of both bundles, and whether they agree."""
    for text in (TEXT, *random.Random(1).sample(TEXTS, 3)):
        ask(tab, text)
        answers = [each.predict(text) for each in (served.first, served.second)]
        cards = tab.run(
            "[...document.querySelectorAll('.answer')].map((card) => ["
            "card.querySelector('.label').firstChild.textContent, "
            "...[...card.querySelector('.bars').rows].map((row) => row.cells[2].textContent)])"
        )
        shown = [[best(each)[0], *map(percent, each.values())] for each in answers]
        assert [[card[0], *map(str.strip, card[1:])] for card in cards] == shown
        agree = best(answers[0])[0] == best(answers[1])[0]
        assert text_of(tab, "#ask-status").startswith("Both answer" if agree else "They differ")
    ask(tab, " \t ")
    assert "nothing to read" in text_of(tab, ".answer")
    ask(tab, "x" * 201)
    assert "200 bytes" in text_of(tab, ".answer")


def test_words_are_marked_by_what_they_change(tab: Browser, served: Served) -> None:
    """The difference to the text without the word, as predict.py has it."""
    ask(tab, TEXT)
    until(tab, "document.querySelectorAll('.words').length === 2")
    words = TEXT.split()
    for number, classifier in enumerate((served.first, served.second)):
        label, share = best(classifier.predict(TEXT))
        without = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
        drops = [share - classifier.predict(text)[label] for text in without]
        ranked = sorted(zip(words, drops, strict=True), key=lambda one: -abs(one[1]))
        expected = [[w, f"{'−' if d > 0 else '+'}{100 * abs(d):.1f}\u00a0points"]
                    for w, d in ranked if abs(d) >= 0.01][:6]  # fmt: skip
        rows = tab.run(
            f"[...document.querySelectorAll('.words')[{number}].querySelectorAll('tr')]"
            ".map((row) => [row.cells[0].textContent, row.cells[2].textContent])"
        )
        assert sorted(rows) == sorted(expected) and len(rows) > 1
        marked = f"document.querySelectorAll('.words')[{number}].querySelector('.marked')"
        assert tab.run(f"{marked}.textContent") == TEXT
    assert TEXT not in json.dumps(served.client.log)


def test_a_dropped_table_is_answered_row_by_row(tab: Browser, served: Served) -> None:
    """In lists within the limits; all columns come back, and no cell is run as a formula."""
    draw = random.Random(2)
    texts = ["=1+2", "@SUM(A1)", 'a, "quoted"\r\ntext', "", "x" * 201, "\u20ac" * 70, "-5"]
    texts += [" ".join(draw.sample(TEXTS, 2))[:190] for _ in range(60)]
    rows = [[str(i), text, "+cell"] for i, text in enumerate(texts)]
    drop(tab, "reviews.csv", in_csv([["id", "text", "note"], *rows], delimiter=";"))
    assert text_of(tab, "#table-form .main") == f"Classify {len(texts)} texts"
    got = classified(tab)
    assert [row["id"] for row in got] == [row[0] for row in rows]
    assert {row["note"] for row in got} == {"'+cell"}
    names = [name for name in got[0] if name.startswith("predicted")]
    differing = 0
    for row, text in zip(got, texts, strict=True):
        assert row["text"] == (f"'{text}" if text[:1] in ("=", "@") else text)
        too_long = len(text.encode()) > 200
        answers = [{} if too_long else each.predict(text) for each in (served.first, served.second)]
        assert [row[name] for name in names] == [best(answer)[0] for answer in answers]
        confidence = row["confidence"]
        if too_long:
            assert confidence == "text_too_long"
        elif text:
            assert float(confidence) == best(answers[0])[1]
        differing += best(answers[0])[0] != best(answers[1])[0]
    assert f"differ on {differing} " in text_of(tab, "#table-status") and differing
    tab.run("document.getElementById('filter').value = 1;"
            "document.getElementById('filter').dispatchEvent(new Event('change'))")  # fmt: skip
    assert tab.run("document.querySelectorAll('.rows tbody tr').length") == differing


def test_any_table_is_read_as_python_reads_it(tab: Browser) -> None:
    """Quotes, line breaks, separators: what `csv` writes is what the page has; and back."""
    draw = random.Random(3)
    for mark in ",;\t":
        rows = [
            ["".join(draw.choices("ab \"'\n\r,;\t€=", k=draw.randint(0, 6))) for _ in range(3)]
            for _ in range(200)
        ]
        rows = [row for row in rows if any(row)]
        text = in_csv(rows, delimiter=mark).decode()
        script = f"import('/static/csv.js').then((m) => m.parsed({json.dumps(text)}, '{mark}'))"
        assert tab.run(script) == rows
        back = tab.run(f"import('/static/csv.js').then((m) => m.written({json.dumps(rows)}))")
        again = list(csv.reader(io.StringIO(back.removeprefix("\ufeff"), newline="")))
        assert [[one.removeprefix("'") for one in row] for row in again] == [
            [one.removeprefix("'") for one in row] for row in rows
        ]
    for line, mark in (("a;b,c;d", ";"), ('"a,b,c";d', ";"), ("a\tb", "\t"), ("one", ",")):
        script = f"import('/static/csv.js').then((m) => m.separator({json.dumps(line)}))"
        assert tab.run(script) == mark


def test_lines_of_a_text_file_need_no_header(tab: Browser, served: Served) -> None:
    """UTF-16 is read by its mark; a table that cannot be read says where."""
    drop(tab, "lines.txt", "the film\nwas good\n".encode("utf-16"))
    got = classified(tab)
    assert [row["text"] for row in got] == ["the film", "was good"]
    assert got[1]["predicted"] == best(served.first.predict("was good"))[0]
    drop(tab, "broken.csv", b'text\n"never closed')
    until(tab, "/row 2 has a quote/.test(document.getElementById('table-status').textContent)")


def test_a_table_can_be_stopped(tab: Browser, served: Served) -> None:
    """What has an answer by then is shown, and can be downloaded."""
    line = served.client.service.current.line
    inner = line._compute

    def slowly(text: Any) -> Any:
        time.sleep(0.02)
        return inner(text)

    line._compute = slowly
    try:
        drop(tab, "many.csv", in_csv([["text"], *([text] for text in TEXTS * 5)]))
        tab.run("document.getElementById('table-form').requestSubmit()")
        until(tab, "document.querySelector('progress')?.value > 20")
        tab.run("document.querySelector('.running button').click()")
        status = until(
            tab,
            "(/^Stopped.*/.exec(document.getElementById('table-status').textContent) ?? [''])[0]",
        )
    finally:
        line._compute = inner
    assert (
        "Stopped. " in status and tab.run("document.querySelectorAll('.rows tbody tr').length") > 7
    )


def test_what_is_served_is_described(tab: Browser, served: Served) -> None:
    """Scores with intervals, mistakes, digests; a card is text, whatever is in it."""
    release = served.client.service.current
    assert release.digest in text_of(tab, "#origin-shown")
    assert "80.0\u00a0% 40.0\u00a0% to 99.0\u00a0%" in text_of(tab, ".intervals")
    assert "a, labelled good, answered bad (90.0\u00a0%)" in text_of(tab, "#mistakes-shown")
    card = text_of(tab, "#card-shown")
    assert "<script>" in card and "<b> is text" in card and "a <b> c" in card
    links = tab.run("[...document.querySelectorAll('#card-shown a')].map((one) => one.href)")
    assert links == ["https://example.org/a"]
    assert tab.run("document.title") == "Good or bad"
    tab.run("document.querySelector('#mistakes-shown button').click()")
    until(tab, "document.querySelector('.answer') !== null")
    assert tab.run("document.getElementById('text').value") == "x"


def test_the_keyboard_is_enough(tab: Browser) -> None:
    """From the first link to the file, in this order, each with a visible focus."""
    assert tab.run("document.activeElement.id") == "text"
    tab.run("document.querySelector('.skip').focus()")
    seen: list[str] = []
    while "file" not in seen:
        tab.press("Tab", 9)
        seen.append(tab.run("((one) => one.id || one.getAttribute('href') || one.textContent)"
                            "(document.activeElement)"))  # fmt: skip
        assert tab.run("getComputedStyle(document.activeElement).outlineStyle") != "none", seen
        assert len(seen) < 20, seen
    order = ["#table", "text", "Classify", "another", "file"]
    places = [seen.index(one) for one in order]
    assert places == sorted(places)


def test_it_fits_a_phone_and_is_read_in_the_dark(tab: Browser) -> None:
    """With answers, words and a table; a paler grey and a wide box would be noticed."""
    ask(tab, TEXT)
    until(tab, "document.querySelectorAll('.words').length === 2")
    drop(tab, "t.csv", in_csv([["text"], ["the film"], ["x" * 300]]))
    classified(tab)
    tab.run("for (const fold of document.querySelectorAll('details')) fold.open = true")
    contrast = CONTRAST.replace("getElementById('filter')", "getElementById('text')")
    for width in (360, 1040):
        for scheme in ("light", "dark"):
            tab.look(width, 900, scheme)
            assert tab.run(f"{OVERFLOW.replace('.wide', '.scroll')}({width})") == []
            found = tab.run(contrast)
            assert found["low"] == [] and found["count"] > 60
    tab.run("document.documentElement.style.setProperty('--soft', '#777')")
    assert tab.run(contrast)["low"] != []


@pytest.mark.slow
def test_axe_finds_nothing_serious(tab: Browser) -> None:
    """In both colour schemes, on a phone and a screen; a field without a name would be found."""
    script = next((path for path in map(Path, AXE) if path.is_file()), None)
    if script is None:
        pytest.skip("no axe-core: `npm install --no-save axe-core@4.14.1`, or set AXE_CORE")
    ask(tab, TEXT)
    until(tab, "document.querySelectorAll('.words').length === 2")
    drop(tab, "t.csv", in_csv([["text", "b"], ["the film", "1"], ["x" * 300, "2"]]))
    tab.run(script.read_text(encoding="utf-8"))
    run = ("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa',"
           " 'best-practice']}).then((found) => found.violations.map((one) =>"
           " [one.id, one.impact, one.nodes.map((node) => node.html.slice(0, 200))]))")  # fmt: skip
    for full in (False, True):
        for width, scheme in ((360, "dark"), (1040, "light"), (1040, "dark")):
            tab.look(width, 900, scheme)
            assert tab.run(run) == []
        if not full:
            classified(tab)
            tab.run("for (const fold of document.querySelectorAll('details')) fold.open = true")
    tab.run("document.querySelector('label[for=text]').remove();"
            "document.getElementById('text').placeholder = ''")  # fmt: skip
    assert "label" in [one[0] for one in tab.run(run)]


def test_a_key_is_asked_for_and_kept_for_the_tab_alone(
    opened: Browser, folders: tuple[Path, Path]
) -> None:
    """A wrong one is asked for again; the right one opens the page, and opens it again."""
    tab, client = opened, Client(folders[0], keys=Keys(["a" * 16]))
    with listening(client) as url:
        load(tab, url)
        for key, opens in (("wrong" * 4, False), ("a" * 16, True)):
            until(tab, "document.querySelector('dialog').open")
            tab.do("Input.insertText", text=key)
            tab.press("Enter", 13, "\r")
            if not opens:
                until(tab, "/does not know/.test(document.querySelector('dialog').textContent)")
        until(tab, "!document.getElementById('ask').hidden")
        load(tab, url)
        until(tab, "!document.getElementById('ask').hidden")
        assert tab.run("[localStorage.length, document.cookie, sessionStorage.length]") == [
            0,
            "",
            1,
        ]
        assert "a" * 16 not in tab.run("document.documentElement.outerHTML")
