"""footprints: the memory that trainings need of a device, as lines."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lmspec.reports import aligned

if TYPE_CHECKING:  # its import takes as long as that of torch
    from lmspec.inspection.footprints import Needed, Unknown

GIB, MILLION = 2**30, 1e6
HEADS = ["training", "weights", "trained", "GiB", "weights", "gradients ...", "activations", "of"]
NOTE = (
    "GiB of one device at most, for texts of max_length tokens; `gradients ...` has states of the"
    " optimizer, the best weights, and bf16 copies, too"
)


def lines(needed: "Sequence[Needed]", unknown: "Sequence[Unknown]") -> Iterator[str]:
    """A row for each training, then those whose memory is not known."""
    rows = [
        [
            one.name,
            f"{one.weights / MILLION:,.1f} M",
            f"{one.learned / MILLION:,.1f} M",
            *(
                f"{size / GIB:.2f}"
                for size in (
                    one.total,
                    one.network // one.divided,
                    one.held,
                    one.activations,
                )
            ),
            f"{one.rows:,} x {one.tokens:,} tokens"
            + (f", weights divided by {one.divided}" if one.divided > 1 else ""),
        ]
        for one in needed
    ]
    if rows:
        yield from aligned.grid([HEADS, *rows], [False, *[True] * 6, False])
        yield NOTE
    for each in unknown:
        yield f"{each.name}: {each.why}"
    if not (rows or unknown):
        yield "no network is trained by gradient descent"
