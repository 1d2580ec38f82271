"""plots: matplotlib settings and colours of figures that are written as SVG."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# Text stays text: it can be searched and read aloud, in any script.
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lmspec",
    "font.size": 9,
    "text.parse_math": False,
}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
BLUE, RED, GREY = "#0072b2", "#d55e00", "#6b6b6b"  # Okabe & Ito: safe for colour-blind readers
COLOURS = {"good": BLUE, "bad": RED, "unsure": GREY, "plain": GREY}
MARKERS = {"good": "^", "bad": "v", "unsure": "s", "plain": "o"}


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """matplotlib's defaults and these, not the user's, so that a figure has the same bytes."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def drawn(figure: Figure) -> str:
    """The figure as SVG."""
    out = io.StringIO()
    with warnings.catch_warnings():
        # the reader's fonts will have the glyph
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(out, format="svg", metadata=NO_METADATA)
    return out.getvalue()
