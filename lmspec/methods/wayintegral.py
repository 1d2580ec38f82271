"""wayintegral: the integral of slopes along a way, its points closest where the value changes.

Most of the change of a probability is on a short part of the way from a masked text to the text.
17 points suffice where Gauss and Legendre's rule on the whole way takes 48, and single words are no
further off (docs/log.md).
"""

from collections.abc import Callable, Sequence

import numpy as np

from lmspec.methods.reading import Floats

HALVINGS = 10  # of a part of the way, at most
SHARE = 2  # a part may be off by the limit of the whole way over this
# (m,) places on the way, in 0..1 -> (m, t) slopes there, and (m,) the value
Ask = Callable[[Sequence[float]], tuple[Floats, Floats]]
Part = tuple[float, float]


def integrated(ask: Ask, parts: int, limit: float) -> Floats:
    """(t,) what each slope adds on the whole way, by Simpson's rule on parts of it.

    A part is halved where its sum is not what the value changes on it.

    parts  equal ones at first
    limit  how far the sum may be from the change of the value on the whole way
    """
    known: dict[float, tuple[Floats, float]] = {}
    ways = [(i / parts, (i + 1) / parts) for i in range(parts)]
    while True:
        places = {at for low, high in ways for at in (low, (low + high) / 2, high)}
        if new := sorted(places - set(known)):
            known |= dict(zip(new, zip(*ask(new), strict=True), strict=True))
        found = [_sum(known, part) for part in ways]
        off = np.array([far for _, far in found])
        halved = np.abs(off) > limit / SHARE
        if abs(off.sum()) > limit:
            halved[np.abs(off).argmax()] = True
        halved &= [high - low > 2**-HALVINGS / parts for low, high in ways]
        if not halved.any():
            sums: Floats = np.sum([added for added, _ in found], 0)
            return sums
        ways = [
            half
            for way, is_halved in zip(ways, halved, strict=True)
            for half in _cut(way, is_halved)
        ]


def _sum(known: dict[float, tuple[Floats, float]], part: Part) -> tuple[Floats, float]:
    """(t,) what each slope adds on a part, and how far that is from summing to the change."""
    low, high = part
    (first, before), (middle, _), (last, after) = (
        known[at] for at in (low, (low + high) / 2, high)
    )
    added = (high - low) / 6 * (first + 4 * middle + last)
    return added, float(added.sum() - (after - before))


def _cut(part: Part, is_halved: bool) -> list[Part]:
    low, high = part
    middle = (low + high) / 2
    return [(low, middle), (middle, high)] if is_halved else [part]
