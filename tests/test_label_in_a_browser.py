"""The page of lmspec label in a browser: fifty texts, a reload, two annotators, and the build."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import uvicorn

from lmspec.annotation import page
from lmspec.annotation.session import Session
from lmspec.formats import annotations, documents
from lmspec.formats.annotations import Appending
from lmspec.formats.worklist import Row
from lmspec.methods import cleaning
from lmspec.serving import running
from tests import browser
from tests.browser import Browser
from tests.test_annotations import LABELS as TRUTH
from tests.test_annotations import TEXTS, build
from tests.test_page_in_a_browser import AXE, require_quiet
from tests.visiting import text_of, until

LABELS = ("neg", "pos")
TOKEN = "secret"
HOSTILE = "<script>document.title = 'broken'</script> <b>&amp; text</b>"
MORE = [f"another text, number {i}" for i in range(9)]
ALL = [*TEXTS, *MORE, HOSTILE]
KEY_CODES = {"1": 49, "2": 50, "n": 78, "u": 85}


@contextlib.contextmanager
def listening(session: Session) -> Iterator[str]:
    """The page behind a socket, in a thread; its address."""
    listener = running.bound("127.0.0.1", 0)
    config = uvicorn.Config(
        page.app(session, TOKEN), lifespan="off", log_config=None, log_level="critical"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True
    )
    thread.start()
    yield running.address(listener)
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser.opened() as tab:
        yield tab


def session(folder: Path, rows: Sequence[Row]) -> Session:
    return Session("queue.next", rows, LABELS, Appending(folder / "labels/a.csv", "labels/a.csv"))


def row_of(text: str) -> Row:
    return Row(cleaning.document_id(text), text, "t", None, None)


def begin(tab: Browser, url: str, who: str) -> None:
    """Open the page, and give a name."""
    tab.look(1040)
    tab.open("data:text/html,")
    tab.open(f"{url}/#{TOKEN}")
    until(tab, "!document.getElementById('who').hidden || !document.getElementById('texts').hidden")
    tab.run("document.getElementById('change').hidden || document.getElementById('change').click()")
    until(tab, "!document.getElementById('who').hidden")
    tab.run(f"document.getElementById('annotator').value = {who!r}")
    tab.run("document.getElementById('who').requestSubmit()")
    until(tab, "!document.getElementById('texts').hidden")


def press(tab: Browser, key: str) -> None:
    """A key, and the answer of the server."""
    tab.run("void (window.before = document.getElementById('count').textContent"
            " + document.getElementById('text').textContent)")  # fmt: skip
    tab.press(key, KEY_CODES[key], key)
    until(tab, "window.before !== document.getElementById('count').textContent"
               " + document.getElementById('text').textContent"
               " || document.getElementById('labels').children.length === 0")  # fmt: skip


def given(i: int) -> str:
    """The key of the label of a text: some of those of the table are wrong."""
    return "12"[(i % 2) ^ (i in (4, 9))]


def test_fifty_texts_are_labelled_and_the_build_takes_them_up(tab: Browser, tmp_path: Path) -> None:
    """By keys, with an undo and a reload; then the corpus has the labels that were given."""
    here = session(tmp_path, [row_of(text) for text in ALL])
    with listening(here) as url:
        begin(tab, url, "ann")
        for i in range(30):
            assert text_of(tab, "#text") == ALL[i]
            press(tab, given(i))
        press(tab, "u")
        assert text_of(tab, "#text") == ALL[29]
        press(tab, given(29))
        tab.do("Page.reload")
        until(tab, "document.getElementById('count')?.textContent === '30 of 50'")
        for i in range(30, 50):
            assert text_of(tab, "#text") == ALL[i]
            press(tab, given(i))
        assert "All texts have an answer" in text_of(tab, "#status")
        assert tab.run("document.title") == "queue.next"
        require_quiet(tab, url)
    settled = {
        one.id: one.label
        for one in annotations.read(tmp_path / "labels/a.csv", "a.csv")
        if one.label
    }
    assert len(settled) == 50
    # the corpus has 40 of the texts
    lines = (tmp_path / "labels/a.csv").read_text().splitlines(keepends=True)
    ids = {cleaning.document_id(text) for text in TEXTS}
    kept = [line for line in lines if line.split(",")[0] in {*ids, "id"}]
    (tmp_path / "labels/b.csv").write_text("".join(kept))
    report = build(tmp_path, ["labels/b.csv"])
    assert report.metrics["corrections"] == {
        "changed": 2, "confirmed": 38, "added": 0, "left_out": 0
    }  # fmt: skip
    frame = documents.read(tmp_path / "out/documents.parquet", ["text", "label"])
    built = dict(frame.iter_rows())
    assert {i for i, text in enumerate(TEXTS) if built[text] != TRUTH[i]} == {4, 9}


def test_two_annotators_disagree_and_one_decides(tab: Browser, tmp_path: Path) -> None:
    """The view names who gave what; what is decided is written, and the row is gone from it."""
    here = session(tmp_path, [row_of(text) for text in ALL[:4]])
    with listening(here) as url:
        begin(tab, url, "ann")
        for key in "1212":
            press(tab, key)
        begin(tab, url, "bob")
        for key in "1122":
            press(tab, key)
        tab.run("document.getElementById('to-disagreements').click()")
        until(tab, "document.querySelectorAll('#disagreements-shown li').length === 2")
        shown = tab.run("[...document.querySelectorAll('#disagreements-shown li')]"
                        ".map((one) => one.querySelector('p').textContent)")  # fmt: skip
        assert shown == ["ann: pos, bob: neg", "ann: neg, bob: pos"]
        tab.run("document.querySelector('#disagreements-shown button').click()")
        until(tab, "document.querySelectorAll('#disagreements-shown li').length === 1")
        assert text_of(tab, "#to-disagreements") == "Disagreements (1)"
        require_quiet(tab, url)
    last = annotations.read(tmp_path / "labels/a.csv", "a.csv")[-1]
    assert (last.action, last.label, last.annotator) == ("decide", "neg", "bob")
    assert last.id == row_of(ALL[1]).id


def test_a_suspect_shows_the_label_that_it_has(tab: Browser, tmp_path: Path) -> None:
    """And the more probable one; a text is shown as text."""
    rows = [Row("0" * 16, HOSTILE, "t", "pos", "neg")]
    with listening(session(tmp_path, rows)) as url:
        begin(tab, url, "ann")
        assert text_of(tab, "#text") == HOSTILE
        assert text_of(tab, "#about") == "It has the label pos; neg is more probable."
        assert tab.run("document.querySelector('[aria-current=true]').textContent") == "pos 2"
        require_quiet(tab, url)


def test_without_the_token_the_page_says_what_to_do(tab: Browser, tmp_path: Path) -> None:
    """As when a bookmark of another run is opened."""
    with listening(session(tmp_path, [row_of(ALL[0])])) as url:
        begin_without = f"{url}/#other"
        tab.open("data:text/html,")
        tab.open(begin_without)
        tab.run("sessionStorage.setItem('lmspec annotator', 'ann')")
        tab.do("Page.reload")
        until(tab, "document.getElementById('fault')?.hidden === false")
        assert "open the address that `lmspec label` printed" in text_of(tab, "#fault")
        assert tab.run("document.getElementById('texts').hidden")
        tab.run("sessionStorage.clear()")


@pytest.mark.slow
def test_axe_finds_nothing_serious(tab: Browser, tmp_path: Path) -> None:
    """In both views."""
    script = next((path for path in map(Path, AXE) if path.is_file()), None)
    if script is None:
        pytest.skip("no axe-core: `npm install --no-save axe-core@4.14.1`, or set AXE_CORE")
    here = session(tmp_path, [row_of(text) for text in ALL[:2]])
    here.label("eve", here.next("eve").id, "neg")  # type: ignore[union-attr]
    here.label("bob", here.next("bob").id, "pos")  # type: ignore[union-attr]
    with listening(here) as url:
        begin(tab, url, "ann")
        tab.run(script.read_text(encoding="utf-8") + "; 1")
        for view in ("to-texts", "to-disagreements"):
            tab.run(f"document.getElementById('{view}').click()")
            until(tab, f"document.getElementById('{view}').getAttribute('aria-pressed') === 'true'")
            run = ("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})"
                   ".then((found) => found.violations.map((one) => one.id + ': '"
                   " + one.nodes[0].html))")  # fmt: skip
            assert tab.run(run) == []
