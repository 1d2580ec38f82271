"""minhash: sketches of texts; the share of equal entries estimates the similarity of two texts.

A sketch has `size` entries. Each shingle goes to one entry a round, and rounds go on until every
entry holds something: a long text needs one round where the classical MinHash needs `size`.
Source: Dahlgaard, Knudsen and Thorup 2017, "Fast similarity sketching", arXiv:1704.04370.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmspec.methods import workers
from lmspec.methods.cleaning import normalised

Integers = NDArray[Any]

EMPTY = np.uint32(0xFFFFFFFF)
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd; any other does, since shingles are compared exactly
PAD = "\uffff"  # no character; makes a text that is shorter than a shingle one shingle
CACHED_CHARS = 1 << 17  # whose arrays fit a processor's cache


def sketches(
    texts: Sequence[str], shingle_chars: int, size: int, say: Callable[[str], None]
) -> NDArray[np.uint32]:
    """(texts, size) entries; two texts agree in each with the probability of their similarity."""
    lengths = [len(text) for text in texts]
    made = np.empty((len(texts), size), np.uint32)
    done = 0
    sketch = partial(_sketches, shingle_chars=shingle_chars, size=size)
    parts = (texts[part] for part in workers.slices(lengths, 16 * CACHED_CHARS))
    for part in workers.over(sketch, parts, sum(lengths)):
        made[done : done + len(part)] = part
        done += len(part)
        say(f"sketched {done:,} of {len(texts):,} texts")
    return made


def shingles(text: str, length: int) -> set[str]:
    """Runs of `length` characters of the normalised text; a shorter text is one shingle."""
    text = normalised(text)
    return {text[i : i + length] for i in range(max(1, len(text) - length + 1))}


def _sketches(texts: Sequence[str], shingle_chars: int, size: int) -> NDArray[np.uint32]:
    plain = [normalised(text).ljust(shingle_chars, PAD) for text in texts]
    made = [
        _sketched(*_hashes(plain[part], shingle_chars), len(plain[part]), size)
        for part in workers.slices([len(text) for text in plain], CACHED_CHARS)
    ]
    return np.concatenate(made)


def _hashes(texts: Sequence[str], length: int) -> tuple[Integers, Integers]:
    """Hash of every shingle of the texts, and the position of its text."""
    code = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    sizes = np.array([len(text) for text in texts])
    owner = np.repeat(np.arange(len(texts)), sizes)
    count = len(code) - length + 1
    hashes = np.zeros(count, np.uint64)
    for j in range(length):
        hashes *= BASE
        hashes += code[j : j + count]
    whole = np.ones(len(code), bool)  # false where a shingle would reach into the next text
    for j in range(1, length):
        whole[np.cumsum(sizes) - j] = False
    whole = whole[:count]
    return hashes[whole], owner[:count][whole]


def _sketched(hashes: Integers, owner: Integers, count: int, size: int) -> NDArray[np.uint32]:
    entries = np.full(count * size, EMPTY)
    for turn in range(2 * size):  # the second half fills what chance has left empty
        mixed = _mix(hashes + np.uint64((turn + 1) * int(BASE) % 2**64))
        place = (mixed >> np.uint64(32)) * np.uint64(size) >> np.uint64(32)
        entry = place.astype(np.int64) if turn < size else np.full(len(mixed), turn - size)
        entry += owner * size
        value = np.minimum(mixed.astype(np.uint32), EMPTY - np.uint32(1))
        if turn:
            still = entries[entry] == EMPTY
            entry, value = entry[still], value[still]
        np.minimum.at(entries, entry, value)
        lacking = (entries.reshape(count, size) == EMPTY).any(axis=1)
        if not lacking.any():
            break
        if not (needed := lacking[owner]).all():
            hashes, owner = hashes[needed], owner[needed]
    return entries.reshape(count, size)


def _mix(x: Integers) -> Integers:
    """A bijection of 64-bit integers, all of whose bits depend on all (splitmix64)."""
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x
