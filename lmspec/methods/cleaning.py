"""cleaning: repair a text, derive its id, and reject it by length."""

import hashlib
import unicodedata

import ftfy

from lmspec.specs.corpus import Clean


def repair(text: str, clean: Clean) -> str:
    """Repair Unicode and HTML, and turn every run of white space into one space.

    Repeats until nothing changes: twice-escaped entities (`&amp;amp;`) occur in real data.
    """
    html: bool = clean.unescape_html
    config = ftfy.TextFixerConfig(unescape_html=html, explain=False)
    before = None
    while text != before:
        before = text
        if clean.fix_unicode:
            text = ftfy.fix_text(text, config)
        elif html:
            text = ftfy.fixes.unescape_html(text)
        # inside the loop: a space in place of a line break can complete a broken character
        text = " ".join(text.split())
    return text


def normalised(text: str) -> str:
    """The form in which texts are compared: NFKC, case folded, NFKC, single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()  # can decompose a letter
    return " ".join(unicodedata.normalize("NFKC", folded).split())


# What two corpora may repair differently.
REPAIRED = Clean(fix_unicode=True, unescape_html=True, min_chars=1, max_chars=10_000_000)


def common_id(text: str) -> str:
    """Id of a text as if it were fully repaired: one text has one in every corpus.

    text  as its table has it: to a repair U+0085 can be half of a character, and without one it is
          white space, which is gone
    """
    return document_id(repair(text, REPAIRED))


def document_id(text: str) -> str:
    """16 hex digits of the normalised text's SHA-256: equal texts have equal ids."""
    return hashlib.sha256(normalised(text).encode()).hexdigest()[:16]


def length_fault(text: str, clean: Clean) -> str | None:
    """Why a text is rejected for its length, or None."""
    if len(text) < clean.min_chars:
        return "too short"
    return "too long" if len(text) > clean.max_chars else None
