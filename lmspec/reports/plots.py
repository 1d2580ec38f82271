"""plots: figures of a report as SVG: intervals, calibration, curves of training, the front of size against accuracy."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from lmspec.reports import words

# Real text, in whichever sans-serif the reader has: it can be searched and read aloud, and holds every script.
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lmspec",
    "font.size": 9,
    "text.parse_math": False,
}
NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
BLUE, RED, GREY, BLACK = (
    "#0072b2",
    "#d55e00",
    "#6b6b6b",
    "#1a1a1a",
)  # Okabe & Ito: told apart by colour-blind readers
OLD: dict[str, Any] = {
    "color": GREY,
    "marker": "o",
    "linestyle": "--",
    "markerfacecolor": "white",
    "label": "old",
}
NEW: dict[str, Any] = {"color": BLUE, "marker": "s", "linestyle": "-", "label": "new"}
COLOURS: dict[words.Tone, str] = {"good": BLUE, "bad": RED, "unsure": GREY, "plain": GREY}
MARKERS: dict[words.Tone, str] = {"good": "^", "bad": "v", "unsure": "s", "plain": "o"}
KINDS = ("accuracy", "macro_f1", "f1", "log_loss", "expected_calibration_error")
MOST_ROWS = 40  # of one figure of intervals
LONGEST = 48  # characters of a name in a figure
TAG = re.compile("<[^>]*>")
ID = re.compile(r'(\bid="|href="#|url\(#)')
NAMESPACE = re.compile(r' xmlns(?::\w+)?="[^"]*"')  # a page in HTML needs none


@dataclass(frozen=True)
class Drawing:
    """svg: without what stands before its root element; about: what it shows, in words."""

    svg: str
    about: str


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """matplotlib's own settings and these, whatever the user's are: the same report gives the same bytes everywhere."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def drawn(figure: Figure) -> str:
    """The figure as a file."""
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph .* missing", UserWarning
        )  # the reader's fonts will have it
        figure.savefig(out, format="svg", metadata=NO_METADATA)
    return out.getvalue()
