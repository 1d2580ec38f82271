"""screenshots: the HTML report of two commits as a browser shows it, for the documentation.

    python docs/screenshots.py [A] [B]      (needs Chromium: `apt install chromium`, or CHROMIUM=/path/to/it)

Writes docs/images/report-light.png, the whole page, and report-dark.png, its head: headless, with no network.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
WIDTH = 1500
HEIGHTS = {"light": 6800, "dark": 1600}


def main(sides: list[str]) -> None:
    """Raises SystemExit if there is no browser, or it makes no picture."""
    browser = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if browser is None:
        sys.exit(
            "screenshots: there is no Chromium: `apt install chromium`, or set CHROMIUM to its path"
        )
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch, "report.html")
        diff = [
            sys.executable,
            "-m",
            "lmspec",
            "diff",
            *sides,
            "--format",
            "html",
            "--output",
            str(page),
        ]
        if subprocess.run(diff, check=False).returncode > 1:
            sys.exit("screenshots: the two commits cannot be compared")
        IMAGES.mkdir(exist_ok=True)
        for look in HEIGHTS:
            take(browser, page, IMAGES / f"report-{look}.png", look)


def take(browser: str, page: Path, picture: Path, look: str) -> None:
    """One picture of a page."""
    dark = (
        ["--blink-settings=preferredColorScheme=0"]
        if look == "dark"
        else ["--blink-settings=preferredColorScheme=1"]
    )
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
        ]
        command += [
            *dark,
            f"--window-size={WIDTH},{HEIGHTS[look]}",
            f"--screenshot={picture}",
            page.as_uri(),
        ]
        picture.unlink(missing_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if not picture.exists():
        sys.exit(f"screenshots: {browser} made no picture: {done.stderr.strip()[-500:]}")
    print(f"wrote {picture.name}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
