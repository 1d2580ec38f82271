"""screenshots: the HTML report of an example change, results in a terminal, a corpus, a service.

    python -m docs.screenshots      (needs Chromium: `apt-get install chromium`)

Writes report-*.png, show.png, data-*.png and serve-*.png to docs/images/. What they show is
`tests/reports.py`'s `realistic()`, `tests/showcase.py` and `tests/praise.py`, so that the pictures
change only with the forms.
"""

import io
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from lmspec.reports import corpora, html, results, terminal
from tests import browser, praise, reports, serving, showcase, visiting

IMAGES = Path(__file__).parent / "images"


class Shot(NamedTuple):
    """Width and height in CSS pixels, colour scheme, element at the top, pixels per CSS pixel."""

    page: str
    width: int
    height: int
    scheme: str
    top: str
    scale: float


SHOTS = {
    "report-desktop": Shot("report", 1040, 1330, "light", ".decision", 1.5),
    "report-dark": Shot("report", 1040, 1130, "dark", "#metrics", 1.5),
    "report-phone": Shot("report", 360, 760, "light", ".decision", 2.0),
    "show": Shot("show", 1030, 560, "light", "pre", 1.3),
    "data-desktop": Shot("data", 1040, 1180, "light", ".decision", 1.2),
    "data-phone": Shot("data", 360, 760, "dark", "#lengths", 1.5),
}
SERVED = {
    "serve-desktop": Shot("one", 1040, 1010, "light", "body", 1.2),
    "serve-compared": Shot("two", 1040, 1000, "light", "#table", 1.2),
    "serve-phone": Shot("one", 360, 760, "dark", "#ask", 1.5),
}
COLOURS = 96  # of a palette; enough for text on flat colours, at a third of the size
COLUMNS = 122  # of the terminal
TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #fff; color: #1c1d1f; }}
pre {{ margin: 14px; font: 13.5px/1.35 "DejaVu Sans Mono", ui-monospace, monospace; }}
{stylesheet}
</style><pre>$ lmspec show
{code}</pre>"""


def main() -> None:
    """Raises SystemExit if there is no browser."""
    executable = browser.find()
    if executable is None:
        sys.exit("screenshots: no Chromium: `apt-get install chromium`, or set CHROMIUM to it")
    with tempfile.TemporaryDirectory() as folder, browser.Browser(executable) as tab:
        for page, text in pages().items():
            Path(folder, f"{page}.html").write_text(text, encoding="utf-8")
        for name, shot in SHOTS.items():
            tab.look(shot.width, shot.height, shot.scheme, scale=shot.scale)
            tab.open(Path(folder, f"{shot.page}.html"))
            take(tab, name, shot)
        first, second = (Path(folder, name) for name in ("release", "candidate"))
        for place, number in ((first, 0), (second, 1)):
            place.mkdir()
            praise.bundle_in(place, bool(number))
        for name, shot in SERVED.items():
            client = serving.Client(first, compared=second if shot.page == "two" else None)
            with serving.listening(client) as url:
                visit(tab, url, 1 + (shot.page == "two"))
                tab.look(shot.width, shot.height, shot.scheme, scale=shot.scale)
                take(tab, name, shot)


def take(tab: browser.Browser, name: str, shot: Shot) -> None:
    """Scroll to the element, and write what the tab shows."""
    tab.run(
        "document.documentElement.style.scrollBehavior = 'auto';"
        f"scrollTo(0, document.querySelector('{shot.top}')"
        ".getBoundingClientRect().top + scrollY - 14)"
    )
    picture = IMAGES / f"{name}.png"
    colours = Image.open(io.BytesIO(tab.picture())).convert("RGB").quantize(COLOURS)
    colours.save(picture, optimize=True)
    print(f"wrote {picture.name}: {picture.stat().st_size:,} bytes")


def visit(tab: browser.Browser, url: str, bundles: int) -> None:
    """Ask for a text, and for a table of them."""
    visiting.load(tab, url)
    tab.run("document.documentElement.style.scrollBehavior = 'auto'")
    visiting.ask(tab, praise.TEXT)
    visiting.until(tab, f"document.querySelectorAll('.words').length === {bundles}")
    table = [["id", "text"], *([f"r-{i}", text] for i, text in enumerate(praise.REVIEWS))]
    visiting.drop(tab, "reviews.csv", visiting.in_csv(table))
    tab.run("document.getElementById('table-form').requestSubmit(); document.activeElement.blur()")
    visiting.until(tab, "document.querySelector('#table-answers .rows') !== null")


def pages() -> dict[str, str]:
    """What is photographed."""
    return {
        "report": html.render(reports.realistic()),
        "show": shown(),
        "data": corpora.page(showcase.corpus()),
    }


def shown() -> str:
    """`lmspec show` as a terminal has it, as a page."""
    from rich.console import Console

    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    console.print(terminal.drawn(results.overview(showcase.overview())))
    return console.export_html(code_format=TERMINAL)


if __name__ == "__main__":
    main()
