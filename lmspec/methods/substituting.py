"""substituting: words of a text become synonyms; what says how a text is meant stays."""

import re
from collections.abc import Collection, Mapping, Sequence

from lmspec.methods.augmenting import Draw, cased

# Words of letters; none in brackets, and no part of don't or of well-made.
WORD = re.compile(r"(?<![\[\w])(?<!\w['’-])[^\W\d_]+(?!['’-]?[\]\w])")
NEGATIONS = frozenset(
    re.findall(
        r"\w+",
        """
no not never none nothing nobody nowhere neither nor without cannot hardly barely scarcely rarely
seldom
""",
    )
)


def substituted(
    text: str,
    synonyms: Mapping[str, Sequence[str]],
    kept: Collection[str],
    rate: float,
    draw: Draw,
) -> str:
    """Each word that has synonyms as one of them, with that chance; one word at least.

    synonyms  word in lower case -> what may be in its place
    kept      words in lower case that stay, beside NEGATIONS
    """
    words = [
        match
        for match in WORD.finditer(text)
        if (word := match.group().casefold()) in synonyms
        and word not in kept
        and word not in NEGATIONS
    ]
    if not words:
        return text
    chosen = draw.random(len(words)) < rate
    chosen[draw.integers(len(words))] |= not chosen.any()
    for match, is_chosen in reversed(list(zip(words, chosen.tolist(), strict=True))):
        if is_chosen:  # from the end: places before it stay
            others = synonyms[match.group().casefold()]
            other = cased(others[int(draw.integers(len(others)))], match.group())
            text = text[: match.start()] + other + text[match.end() :]
    return text
