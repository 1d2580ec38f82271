"""coverage: how much of the texts a model reads: what is cut, and what its vocabulary lacks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmspec.methods.reading import Reader, Windows


def metrics(windows: Windows) -> dict[str, Any]:
    """cut_texts: how many texts have tokens that are not read; shares of all tokens.

    Of a hybrid model the tokens are those of its encoder. A model of n-grams alone reads no tokens,
    so it has no unknown ones.
    """
    tokens = max(1, int(windows.tokens.sum()))
    found = {
        "cut_texts": int((windows.unread > 0).sum()),
        "unread_tokens": round(int(windows.unread.sum()) / tokens, 6),
    }
    if windows.unknown is not None:
        found["unknown_tokens"] = round(int(windows.unknown.sum()) / tokens, 6)
    return found


def described(windows: Windows, reader: Reader, names: Sequence[str]) -> str:
    """One line for people: `30 of 60 texts are longer than 64 tokens (truncate): 83 % of ...`.

    names  of the texts: that of the one of which most is not read is in the line
    """
    texts = len(windows.tokens)
    parts = []
    if reader.max_length is not None:
        in_several = np.bincount(windows.of_text, minlength=texts) > 1
        longer = int((in_several | (windows.unread > 0)).sum())
        parts.append(f"{longer:,} of {texts:,} texts are longer than {reader.max_length} tokens")
        if windows.unread.any():
            share = windows.unread.sum() / windows.tokens.sum()
            parts[0] += f" ({reader.long_texts}): {percent(share)} of all tokens are never read"
            parts[0] += " by the encoder, n-grams are of the whole text" * reader.beside_ngrams
            worst = int(windows.unread.argmax())
            parts[0] += f", most of {names[worst]}: {windows.unread[worst]:,}"
            parts[0] += f" of {windows.tokens[worst]:,}"
        elif longer:
            parts[0] += f", and are read in {len(windows.ids) - texts + longer:,} windows"
    if windows.unknown is not None and windows.unknown.any():
        share = windows.unknown.sum() / windows.tokens.sum()
        parts.append(f"{percent(share)} of the tokens are unknown")
    return "; ".join(parts) or f"{texts:,} texts are read whole"


def percent(share: float) -> str:
    """`83 %`, `0.4 %`, `0 %`; never a 0 that is not one."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")
