"""The page of a traced network in a browser: it fits, can be read, and loads nothing."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmspec.reports import traces
from tests import showcase
from tests.browser import Browser
from tests.test_page import CONTRAST, HEADINGS, OVERFLOW, WIDTHS, changed, opened, requests, tab

__all__ = ["tab"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A usual network, and a hostile one."""
    folder = tmp_path_factory.mktemp("traced")
    made = {"usual": showcase.traces(), "hostile": showcase.hostile_traces()}
    for name, found in made.items():
        (folder / f"{name}.html").write_text(traces.page(found), encoding="utf-8")
    yield {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["usual", "hostile"])
def test_nothing_sticks_out(tab: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    """On a phone, tablets and a screen, all folds open: wide maps scroll in their own box."""
    assert opened(tab, pages[name], width).run(f"{OVERFLOW}({width})") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(tab: Browser, pages: dict[str, Path], scheme: str) -> None:
    """Contrast of at least 4.5 to 1, in the darkest cell of a map, too; a stronger colour there
    would be noticed."""
    for name in ("usual", "hostile"):
        contrast = opened(tab, pages[name], 1280, 900, scheme).run(CONTRAST)
        assert contrast["low"] == [] and contrast["count"] > 80
    broken = changed(pages["usual"], "calc(var(--share) * .5)", "calc(var(--share) * .95)")
    if scheme == "light":
        assert opened(tab, broken, 1280, 900, scheme).run(CONTRAST)["low"]


def test_nothing_is_loaded(tab: Browser, pages: dict[str, Path]) -> None:
    """It has no script; neither a text nor the policy lets one in."""
    assert requests(tab, pages["hostile"]) == []
    assert tab.run("document.querySelectorAll('script, img, iframe, link').length") == 0
    planted = changed(pages["usual"], "</h1>", '</h1><img src="http://127.0.0.1:9/x.png">')
    assert requests(tab, planted) == []
    assert requests(tab, changed(planted, "default-src 'none'", "default-src *")) != []


def test_maps_and_plots_are_drawn(tab: Browser, pages: dict[str, Path]) -> None:
    """The top layer first; the stronger the colour, the more is restored."""
    opened(tab, pages["usual"])
    ids = tab.run("[...document.querySelectorAll('section')].map((one) => one.id)")
    assert ids == ["decides", "pairs", "concepts", "weights", "plots"]
    assert "left the word after layer 2" in tab.run("document.querySelector('h1').innerText")
    rows = "[...document.querySelectorAll('#decides tbody tr')]"
    assert tab.run(f"{rows}.map((row) => row.querySelector('th').innerText)") == [
        "layer 2",
        "layer 1",
        "layer 0",
        "embeddings",
    ]
    alphas = tab.run(
        f"{rows}.map((row) => getComputedStyle(row.querySelectorAll('td')[2]).backgroundColor)"
    )
    assert len(set(alphas)) == 4
    assert tab.run("document.querySelectorAll('#pairs .example').length") == 9
    assert tab.run("document.querySelectorAll('#pairs thead b').length") == 9
    titles = tab.run("[...document.querySelectorAll('#plots figcaption b')].map(o => o.innerText)")
    assert "source: a probe finds it" in titles
    assert "changed against student.small" in titles and "dead units" in titles
    assert tab.run("document.querySelectorAll('#plots svg [r]').length") > 20


def test_the_page_has_a_skeleton(tab: Browser, pages: dict[str, Path]) -> None:
    """Landmarks, no heading level skipped, a name for each table, image and region."""
    opened(tab, pages["usual"], 360)
    levels = tab.run(HEADINGS)
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    nodes = tab.do("Accessibility.getFullAXTree")["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes]
    roles = {role for role, _ in named}
    assert {"banner", "main", "navigation", "contentinfo"} <= roles
    assert all(name for role, name in named if role in ("table", "image", "region"))
