"""The page of a corpus in a browser: it fits, can be read by everyone, loads and runs nothing."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmspec.reports import corpora
from tests import showcase
from tests.browser import Browser
from tests.test_page import (
    CONTRAST,
    HEADINGS,
    OVERFLOW,
    WIDTHS,
    changed,
    opened,
    requests,
    tab,
)

__all__ = ["tab"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A usual corpus, and one whose names and texts are hostile."""
    folder = tmp_path_factory.mktemp("corpora")
    for name, corpus in (("usual", showcase.corpus()), ("hostile", showcase.hostile())):
        (folder / f"{name}.html").write_text(corpora.page(corpus), encoding="utf-8")
    yield {name: folder / f"{name}.html" for name in ("usual", "hostile")}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["usual", "hostile"])
def test_nothing_sticks_out(tab: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    """On a phone, tablets and a screen, all folds open: wide tables scroll in their own box."""
    script = f"{OVERFLOW}({width})"
    assert opened(tab, pages[name], width).run(script) == []
    if width == WIDTHS[0]:
        broken = changed(pages[name], ".wide { overflow-x: auto;", ".wide { overflow-x: visible;")
        assert "page" in opened(tab, broken, width).run(script)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(tab: Browser, pages: dict[str, Path], scheme: str) -> None:
    """Contrast of at least 4.5 to 1 in both colour schemes; a paler grey would be noticed."""
    for page in pages.values():
        contrast = opened(tab, page, 1280, 900, scheme).run(CONTRAST)
        assert contrast["low"] == [] and contrast["count"] > 100
    colour = {"light": "--soft: #5c5f66", "dark": "--soft: #a8abb2"}[scheme]
    broken = changed(pages["usual"], colour, "--soft: #7f7f7f")
    assert opened(tab, broken, 1280, 900, scheme).run(CONTRAST)["low"]


def test_nothing_is_loaded_or_run(tab: Browser, pages: dict[str, Path]) -> None:
    """No script is in it, and neither a text nor the policy lets one in."""
    assert requests(tab, pages["hostile"]) == []
    assert tab.run("document.querySelectorAll('script, img, iframe, link').length") == 0
    planted = changed(pages["usual"], "</h1>", '</h1><img src="http://127.0.0.1:9/x.png">')
    assert requests(tab, planted) == []
    assert requests(tab, changed(planted, "default-src 'none'", "default-src *")) != []


def test_texts_stay_in_their_place(tab: Browser, pages: dict[str, Path]) -> None:
    """Markup of a text is text, and Arabic runs from the right without turning what is beside."""
    opened(tab, pages["hostile"])
    first = tab.run("document.querySelector('#samples blockquote').innerText")
    assert first.startswith("</bdi></li><script>alert(1)</script>") and "\x1b" not in first
    assert tab.run("document.querySelectorAll('#samples .example').length") == 51
    assert tab.run("getComputedStyle(document.querySelector('bdi')).unicodeBidi") == "isolate"


def test_the_page_has_a_skeleton(tab: Browser, pages: dict[str, Path]) -> None:
    """Landmarks, no heading level skipped, a name for each figure, table and region."""
    opened(tab, pages["usual"], 360)
    levels = tab.run(HEADINGS)
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    nodes = tab.do("Accessibility.getFullAXTree")["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes]
    assert all(name for role, name in named if role in ("table", "image", "region"))
    roles = {role for role, _ in named}
    assert {"banner", "main", "navigation", "contentinfo"} <= roles
    assert [role for role, _ in named].count("image") == 3


def test_print_shows_what_is_folded(tab: Browser, pages: dict[str, Path]) -> None:
    """All of it, on white."""
    shown = "[...document.querySelectorAll('details li')].map((one) => one.checkVisibility())"
    opened(tab, pages["usual"], 720, 1000, "dark", "print", script="0")
    assert set(tab.run(shown)) == {True}
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.run("document.documentElement.scrollWidth") <= 720
    opened(tab, pages["usual"], 800, 1000, script="0")
    assert set(tab.run(shown)) == {False}
