"""The HTML report in a browser: it fits, can be read by everyone, and loads nothing."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmspec.reports import html
from tests import browser, reports
from tests.browser import Browser

WIDTHS = (360, 768, 960, 1280)
SECTIONS = ["gates", "changes", "metrics", "flips", "ratios", "rest", "models", "figures", "notes"]
OPEN_ALL = "for (const fold of document.querySelectorAll('details')) fold.open = true"
# Elements that stick out of the page, except within a box that scrolls.
OVERFLOW = """((width) => [
  ...document.documentElement.scrollWidth > width ? ['page'] : [],
  ...[...document.querySelectorAll('body *')].filter((element) => {
    const box = element.closest('.wide, .unseen, thead, .skip');
    return (!box || box === element && box.matches('.wide'))
      && element.getBoundingClientRect().right > width + 1;
  }).map((element) => element.tagName + '.' + element.className),
  ...[...document.querySelectorAll('.forest :is(tbody, thead) :is(th, td), .gates .verdict')]
    .filter((cell) => cell.checkVisibility() && cell.scrollWidth > cell.clientWidth + 1)
    .map((cell) => 'covered by the next: ' + cell.textContent),
])"""
# WCAG 2: contrast of each visible text with what is behind it; [text, ratio] of those below 4.5.
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) =>
    [r, g, b].map((part, i) => part * a + below[i] * (1 - a)).concat(1);
  const behind = (element) => element === null ? [255, 255, 255, 1]
    : over(rgba(getComputedStyle(element).backgroundColor), behind(element.parentElement));
  const luminance = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (element, colour) => {
    const below = behind(element);
    const [dark, bright] = [over(rgba(colour), below), below].map(luminance).sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  const texts = [...document.querySelectorAll('body *')].filter((element) =>
    !element.matches('script, .unseen') && element.checkVisibility()
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  const ratios = texts.map((element) => {
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    return [element.textContent.trim().slice(0, 60), ratio(element, colour)];
  });
  const field = document.getElementById('filter');
  if (field)
    ratios.push(['placeholder', ratio(field, getComputedStyle(field, '::placeholder').color)]);
  return {count: ratios.length, low: ratios.filter(([, value]) => value < 4.5)};
})()"""
HEADINGS = "[...document.querySelectorAll('h1, h2, h3')].map((heading) => +heading.tagName[1])"
SHOWN = "[...document.querySelectorAll('.example')].filter((one) => one.checkVisibility()).length"
FOCUS = """(() => { const one = document.activeElement, style = getComputedStyle(one);
  return [one.tagName, one.textContent.trim().slice(0, 40), style.outlineStyle,
          parseFloat(style.outlineWidth)]; })()"""


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser.opened() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A usual report, one with hostile texts, and a long one."""
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "usual": reports.realistic(),
        "hostile": reports.full(),
        "long": reports.huge(metrics=200, flips=20),
    }
    for name, report in made.items():
        (folder / f"{name}.html").write_text(html.render(report), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


def changed(page: Path, old: str, new: str) -> Path:
    """The same page with one thing broken."""
    text = page.read_text(encoding="utf-8")
    assert old in text
    broken = page.with_name(f"broken-{page.name}")
    broken.write_text(text.replace(old, new), encoding="utf-8")
    return broken


def opened(tab: Browser, page: Path, *look: Any, script: str = OPEN_ALL) -> Browser:
    tab.look(*(look or (1280,)))
    tab.open(page)
    tab.run(script)
    return tab


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["usual", "hostile", "long"])
def test_nothing_sticks_out(tab: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    """On a phone, tablets and a screen, all folds open: wide tables scroll in their own box."""
    script = f"{OVERFLOW}({width})"
    assert opened(tab, pages[name], width).run(script) == []
    if width == WIDTHS[0]:
        broken = changed(pages[name], ".wide { overflow-x: auto;", ".wide { overflow-x: visible;")
        assert "page" in opened(tab, broken, width).run(script)


def test_columns_that_overlap_are_noticed(tab: Browser, pages: dict[str, Path]) -> None:
    """The negative control of the widths between a phone and a screen."""
    broken = changed(pages["usual"], "(max-width: 58rem)", "(max-width: 46rem)")
    assert any("covered" in part for part in opened(tab, broken, 768).run(f"{OVERFLOW}(768)"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(tab: Browser, pages: dict[str, Path], scheme: str) -> None:
    """Contrast of at least 4.5 to 1 in both colour schemes; a paler grey would be noticed."""
    for page in (pages["usual"], pages["hostile"]):
        contrast = opened(tab, page, 1280, 900, scheme).run(CONTRAST)
        assert contrast["low"] == [] and contrast["count"] > 200
    colour = {"light": "--soft: #5c5f66", "dark": "--soft: #a8abb2"}[scheme]
    broken = changed(pages["usual"], colour, "--soft: #7f7f7f")
    assert opened(tab, broken, 1280, 900, scheme).run(CONTRAST)["low"]


def test_the_two_schemes_differ(tab: Browser, pages: dict[str, Path]) -> None:
    """Dark is dark, so that the test before looks at both."""
    script = "getComputedStyle(document.body).backgroundColor"
    colours = [
        opened(tab, pages["usual"], 1280, 900, scheme).run(script) for scheme in ("light", "dark")
    ]
    assert colours == ["rgb(247, 247, 245)", "rgb(18, 19, 21)"]


def test_the_decision_comes_first(tab: Browser, pages: dict[str, Path]) -> None:
    """Then gates, changes, metrics, flips, and what is folded: in the text and on the screen."""
    opened(tab, pages["usual"], script="0")
    title, bottom = tab.run(
        "(() => { const one = document.querySelector('h1');"
        "return [one.innerText, one.getBoundingClientRect().bottom] })()"
    )
    assert title.startswith("Fails: 2 of 8 gates do not pass (release-size: fail")
    assert bottom < 250
    assert tab.run("[...document.querySelectorAll('section')].map((one) => one.id)") == SECTIONS
    tops = tab.run(
        "[...document.querySelectorAll('section')].map((one) => one.getBoundingClientRect().top)"
    )
    assert tops == sorted(tops)
    verdicts = tab.run(
        "[...document.querySelectorAll('#gates .verdict')].map((one) => one.innerText)"
    )
    shown = [verdict.strip("✗! ") for verdict in verdicts[:3]]
    assert shown == ["fail", "undecided, fails", "waived, passes"]
    first = tab.run("document.querySelector('#metrics .forest .verdict').innerText")
    assert first == "worse"
    folds = tab.run("[...document.querySelectorAll('#rest summary')].map((one) => one.innerText)")
    assert [fold.split()[0] for fold in folds][:3] == ["Inconclusive", "Untested", "Unchanged"]
    assert all(fold.split()[-1].isdigit() for fold in folds)


def test_the_page_has_a_skeleton(tab: Browser, pages: dict[str, Path]) -> None:
    """Landmarks, no heading level skipped; tables stay tables where a phone restacks them."""
    opened(tab, pages["usual"], 360)
    assert tab.run(
        "['header', 'nav', 'main', 'footer'].every((one) => document.querySelector(one))"
    )
    levels = tab.run(HEADINGS)
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    nodes = tab.do("Accessibility.getFullAXTree")["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes]
    roles = [role for role, _ in named]
    assert all(name for role, name in named if role in ("table", "image", "searchbox", "region"))
    assert {"banner", "main", "navigation", "contentinfo"} <= set(roles)
    forests = tab.run("document.querySelectorAll('.forest').length")
    assert forests and roles.count("table") >= forests + 3 and "rowheader" in roles


def test_the_essentials_need_no_script(tab: Browser, pages: dict[str, Path]) -> None:
    """Every negative flip is there; the field that would do nothing is not."""
    tab.do("Emulation.setScriptExecutionDisabled", value=True)
    try:
        opened(tab, pages["usual"])
        assert not tab.run("document.querySelector('.filter').checkVisibility()")
        assert tab.run(SHOWN) == 10
        text = tab.run("document.body.innerText")
        assert all(part in text for part in ("Fails:", "release-size", "hidden_size", "worse"))
    finally:
        tab.do("Emulation.setScriptExecutionDisabled", value=False)


def requests(tab: Browser, page: Path) -> list[str]:
    """URLs that a page asked for, its own and those that its policy stopped aside."""
    opened(tab, page)
    urls, stopped = {}, set()
    for event in tab.events:
        if event["method"] == "Network.requestWillBeSent":
            urls[event["params"]["requestId"]] = event["params"]["request"]["url"]
        elif event["params"].get("blockedReason") == "csp":
            stopped.add(event["params"]["requestId"])
    assert page.as_uri() in urls.values()
    return [url for key, url in urls.items() if key not in stopped and url != page.as_uri()]


def test_nothing_is_loaded(tab: Browser, pages: dict[str, Path]) -> None:
    """Nor would an image be, were one in a text; without the policy it would."""
    assert requests(tab, pages["hostile"]) == []
    image = '</h1><img src="http://127.0.0.1:9/x.png">'
    planted = changed(pages["usual"], "</h1>", image)
    assert requests(tab, planted) == []
    assert requests(tab, changed(planted, "default-src 'none'", "default-src *")) != []


def test_flips_can_be_filtered(tab: Browser, pages: dict[str, Path]) -> None:
    """By words, in any order; what is folded is found too; an empty field shows all."""
    opened(tab, pages["usual"], script="document.getElementById('filter').focus()")
    tab.do("Input.insertText", text="Positive MOVIES charm")
    assert tab.run(SHOWN) == 1
    assert tab.run("document.getElementById('count').innerText") == "1 of 10"
    tab.run("field.value = ''; field.dispatchEvent(new Event('input'))")
    assert tab.run(SHOWN) == 10

    opened(tab, pages["long"], script="document.getElementById('filter').focus()")
    few = tab.run(SHOWN)
    tab.do("Input.insertText", text="id-5")
    assert few == 20 and tab.run("document.querySelector('details.more').open")
    assert tab.run("examples.filter((one) => !one.hidden).length") == tab.run(SHOWN) == 20


def test_folds_are_reached_by_keyboard(tab: Browser, pages: dict[str, Path]) -> None:
    """Tab comes to each summary, shows where it is, and Enter opens it."""
    opened(tab, pages["usual"], script="0")
    summaries = tab.run("document.querySelectorAll('summary').length")
    reached = set()
    for _ in range(80):
        tab.press("Tab", 9)
        tag, text, style, width = tab.run(FOCUS)
        if tag == "SUMMARY":
            assert style == "solid" and width >= 2, text
            reached.add(text)
            tab.press("Enter", 13, "\r")
            assert tab.run("document.activeElement.parentElement.open"), text
            tab.press("Enter", 13, "\r")
    assert len(reached) == summaries > 5


def test_print_shows_what_is_folded(tab: Browser, pages: dict[str, Path]) -> None:
    """All of it, on white, without the field."""
    shown = "[...document.querySelectorAll('#rest table')].map((one) => one.checkVisibility())"
    opened(tab, pages["usual"], 720, 1000, "dark", "print", script="0")
    assert set(tab.run(shown)) == {True}
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not tab.run("document.querySelector('.filter').checkVisibility()")
    assert tab.run("document.documentElement.scrollWidth") <= 720
    assert tab.do("Page.printToPDF")["data"]
    opened(tab, pages["usual"], 800, 1000, script="0")
    assert set(tab.run(shown)) == {False}
