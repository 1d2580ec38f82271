"""screenshots: the HTML report of an example change, for the documentation.

    python -m docs.screenshots      (needs Chromium: `apt-get install chromium`)

Writes report-desktop.png, report-dark.png and report-phone.png to docs/images/. The report is
`tests/reports.py`'s `realistic()`, so that the pictures change only with the page.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from lmspec.reports import html
from tests import browser, reports

IMAGES = Path(__file__).parent / "images"
# name -> width and height in CSS pixels, colour scheme, element at the top, pixels per CSS pixel
SHOTS = {
    "desktop": (1040, 1330, "light", ".decision", 1.5),
    "dark": (1040, 1130, "dark", "#metrics", 1.5),
    "phone": (360, 760, "light", ".decision", 2.0),
}
COLOURS = 96  # of a palette; enough for text on flat colours, at a third of the size


def main() -> None:
    """Raises SystemExit if there is no browser."""
    executable = browser.find()
    if executable is None:
        sys.exit("screenshots: no Chromium: `apt-get install chromium`, or set CHROMIUM to it")
    with tempfile.TemporaryDirectory() as folder, browser.Browser(executable) as tab:
        page = Path(folder, "report.html")
        page.write_text(html.render(reports.realistic()), encoding="utf-8")
        for name, (width, height, scheme, top, scale) in SHOTS.items():
            tab.look(width, height, scheme, scale=scale)
            tab.open(page)
            tab.run(
                "document.documentElement.style.scrollBehavior = 'auto';"
                f"scrollTo(0, document.querySelector('{top}').getBoundingClientRect().top - 14)"
            )
            picture = IMAGES / f"report-{name}.png"
            colours = Image.open(io.BytesIO(tab.picture())).convert("RGB").quantize(COLOURS)
            colours.save(picture, optimize=True)
            print(f"wrote {picture.name}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
