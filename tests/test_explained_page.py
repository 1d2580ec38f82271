"""The page of explanations in a browser: it fits, can be read by everyone, and loads nothing."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmspec.inspection.explanations import Token, answered
from lmspec.reports import explanations
from tests import showcase
from tests.browser import Browser
from tests.test_page import (
    CONTRAST,
    HEADINGS,
    OVERFLOW,
    SHOWN,
    WIDTHS,
    changed,
    opened,
    requests,
    tab,
)

__all__ = ["tab"]
CHOOSE = (
    "((field, value) => {{ field.value = value; field.dispatchEvent(new Event('input')); }})"
    "(document.querySelectorAll('.filter select')[{}], {!r})"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Usual explanations beside a baseline, the same without, and hostile ones."""
    folder = tmp_path_factory.mktemp("explained")
    made = {
        "usual": showcase.explanations(),
        "alone": showcase.explanations(None),
        "hostile": showcase.hostile_explanations(),
        "answers": showcase.explained_answers(),
    }
    for name, found in made.items():
        (folder / f"{name}.html").write_text(explanations.page(found), encoding="utf-8")
    yield {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["usual", "hostile", "answers"])
def test_nothing_sticks_out(tab: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    """On a phone, tablets and a screen, all folds open: wide tables scroll in their own box."""
    assert opened(tab, pages[name], width).run(f"{OVERFLOW}({width})") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(tab: Browser, pages: dict[str, Path], scheme: str) -> None:
    """Contrast of at least 4.5 to 1, on marked words too; a paler grey would be noticed."""
    for name in ("usual", "hostile", "answers"):
        contrast = opened(tab, pages[name], 1280, 900, scheme).run(CONTRAST)
        assert contrast["low"] == [] and contrast["count"] > (80 if name != "answers" else 40)
    colour = {"light": "--soft: #5c5f66", "dark": "--soft: #a8abb2"}[scheme]
    broken = changed(pages["usual"], colour, "--soft: #7f7f7f")
    assert opened(tab, broken, 1280, 900, scheme).run(CONTRAST)["low"]


def test_nothing_is_loaded(tab: Browser, pages: dict[str, Path]) -> None:
    """One script, by its hash; neither a text nor the policy lets another in."""
    assert requests(tab, pages["hostile"]) == []
    assert tab.run("document.querySelectorAll('script').length") == 1
    assert tab.run("document.querySelectorAll('img, iframe, link').length") == 0
    planted = changed(pages["usual"], "</h1>", '</h1><img src="http://127.0.0.1:9/x.png">')
    assert requests(tab, planted) == []
    assert requests(tab, changed(planted, "default-src 'none'", "default-src *")) != []


def test_errors_come_first_with_their_words_marked(tab: Browser, pages: dict[str, Path]) -> None:
    """By weight: thicker, and dotted against the answer; a word that adds nothing is not marked.
    The words without which the answer is another are named."""
    opened(tab, pages["usual"])
    ids = tab.run("[...document.querySelectorAll('section')].map((one) => one.id)")
    assert ids == ["errors", "right", "moved", "heaviest", "faithful"]
    first = "document.querySelector('#errors .example')"
    text = tab.run(f"{first}.innerText")
    assert "refund 0.81, and it is delivery" in " ".join(text.split())
    assert "another answer without" in text
    classes = tab.run(f"[...{first}.querySelector('blockquote').querySelectorAll('mark')]"
                      ".map((one) => [one.textContent, one.className, one.title])")  # fmt: skip
    assert classes[:3] == [
        ["Arrived", "for s4", "+0.410"],
        ["day", "for s3", "+0.120"],
        ["early,", "against s3", "-0.220"],
    ]
    assert tab.run(f"{first}.querySelector('blockquote').innerText") == (
        "Arrived a day early, but the driver left it in the rain."
    )


def test_what_it_looked_at_before_is_beside_it(tab: Browser, pages: dict[str, Path]) -> None:
    """Only if there is a baseline; texts whose words are ranked most differently have a section."""
    opened(tab, pages["usual"])
    assert tab.run("document.querySelectorAll('#errors .example:first-child blockquote').length")
    first, second = tab.run(
        "[...document.querySelectorAll('#errors .example:first-child blockquote')]"
        ".map((one) => one.querySelector('mark').title)"
    )
    assert (first, second) == ("+0.410", "+0.120")
    shown = tab.run(
        "[...document.querySelectorAll('#moved .example p')].map((one) =>"
        " parseFloat(one.innerText.match(/correlation ([-0-9.]+)/)[1]))"
    )
    assert shown == sorted(shown) and len(shown) > 3
    opened(tab, pages["alone"])
    assert tab.run("document.querySelectorAll('blockquote small').length") == 0
    assert not tab.run("Boolean(document.getElementById('moved'))")


def test_texts_can_be_filtered(tab: Browser, pages: dict[str, Path]) -> None:
    """By words, label, answer and table together; what is folded is found, too."""
    inside = SHOWN.replace(".example", "#texts .example")
    opened(tab, pages["alone"])
    everything = tab.run(inside)
    assert everything == 8
    tab.run(CHOOSE.format(0, "delivery"))
    assert tab.run(inside) == 3
    tab.run(CHOOSE.format(1, "delivery"))
    assert tab.run(inside) == 2
    assert tab.run("document.getElementById('count').innerText") == "2 of 8"
    tab.run("document.getElementById('filter').focus()")
    tab.do("Input.insertText", text="WAREHOUSE page")
    assert tab.run(inside) == 1
    tab.run(CHOOSE.format(2, "chat"))
    assert tab.run(inside) == 0
    for number in range(3):
        tab.run(CHOOSE.format(number, ""))
    tab.run("document.getElementById('filter').value = ''; filter()")
    assert tab.run(inside) == everything

    opened(tab, pages["hostile"], script="0")
    few = tab.run(inside)
    tab.run("document.getElementById('filter').value = 'text 58'; filter()")
    assert few == 40 and tab.run(inside) == 1


def test_the_essentials_need_no_script(tab: Browser, pages: dict[str, Path]) -> None:
    """Every text is there; the fields that would do nothing are not."""
    tab.do("Emulation.setScriptExecutionDisabled", value=True)
    try:
        opened(tab, pages["usual"])
        assert not tab.run("document.querySelector('.filter').checkVisibility()")
        assert tab.run(SHOWN.replace(".example", "#texts .example")) == 8
    finally:
        tab.do("Emulation.setScriptExecutionDisabled", value=False)


def test_the_page_has_a_skeleton(tab: Browser, pages: dict[str, Path]) -> None:
    """Landmarks, no heading level skipped, a name for each field, table and region."""
    opened(tab, pages["usual"], 360)
    levels = tab.run(HEADINGS)
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    nodes = tab.do("Accessibility.getFullAXTree")["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes]
    roles = {role for role, _ in named}
    assert {"banner", "main", "navigation", "contentinfo"} <= roles
    fields = ("table", "image", "region", "combobox", "searchbox")
    assert all(name for role, name in named if role in fields)


def test_an_answer_is_beside_its_prompt(tab: Browser, pages: dict[str, Path]) -> None:
    """Token by token with the words that each rests on; what it should be, if it is not. Weights
    are nats, which are marked from other values on than probabilities, and the page says which."""
    opened(tab, pages["answers"])
    assert tab.run("document.querySelector('h1').innerText") == "3 explained answers"
    ids = tab.run("[...document.querySelectorAll('section')].map((one) => one.id)")
    assert ids == ["right", "moved", "heaviest", "faithful"]
    first = "document.querySelector('#right .example')"
    assert tab.run(f"{first}.querySelector('.answer bdi').innerText") == "tar -t<|end|>"
    assert tab.run(f"{first}.querySelector('.answer span').title") == "tar: +2.31, list +0.40"
    marks = tab.run(f"[...{first}.querySelector('blockquote').querySelectorAll('mark')]"
                    ".map((one) => [one.textContent, one.className, one.title])")  # fmt: skip
    assert marks == [
        ["tar:", "for s2", "+0.410"],
        ["files", "for s1", "+0.120"],
        ["of", "against s2", "-0.220"],
        ["an", "for s1", "+0.050"],
    ]
    key = " ".join(tab.run("document.querySelector('.key').innerText").split())
    assert "from 0.05, 0.15, 0.5 and 1.5 nats on" in key
    text = " ".join(tab.run("document.querySelector('#right').innerText").split())
    assert "should be tar tf archive" in text and text.count("should be") == 1
    assert "another answer before" in text
    assert tab.run("document.querySelectorAll('.filter select').length") == 1
    tab.run(CHOOSE.format(0, "mail"))
    assert tab.run(SHOWN.replace(".example", "#texts .example")) == 3


def test_tokens_of_one_character_are_shown_as_one() -> None:
    """With the sum of what they lose; words that hardly matter to it are not named."""
    row = {
        "tokens": ["", "", "坚", " ok"],
        "lost": [[0.2, 0.0], [0.3, -0.4], [0.1, 0.1], [0.04, 0.0]],
    }
    assert answered(row, ["果", "有"]) == (
        Token("坚", (("果", pytest.approx(0.6)),)),
        Token(" ok", ()),
    )
    assert answered({"tokens": None, "lost": None}, ["film"]) == ()
