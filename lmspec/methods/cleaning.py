"""cleaning: mend a text, name it by its content, and say why it is rejected."""

import hashlib
import re
import unicodedata

import ftfy

from lmspec.specs.corpus import Clean

SPACE = re.compile(r"\s+")


def mend(text: str, clean: Clean) -> str:
    """The text with Unicode and HTML repaired and every run of white space as one blank.

    Twice-escaped entities (`&amp;amp;`) occur in real data, so unescaping goes on until nothing changes.
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
        text = SPACE.sub(
            " ", text
        ).strip()  # inside: a blank in the place of a line break can complete mojibake
    return text


def normalised(text: str) -> str:
    """The form in which two texts count as the same: NFKC, case folded, NFKC again, white space as one blank."""
    folded = unicodedata.normalize("NFKC", text).casefold()  # folding can take a letter apart
    return SPACE.sub(" ", unicodedata.normalize("NFKC", folded)).strip()


def document_id(text: str) -> str:
    """16 hexadecimal digits of the SHA-256 of the normalised text: the same text has the same id in every corpus."""
    return hashlib.sha256(normalised(text).encode()).hexdigest()[:16]


def length_fault(text: str, clean: Clean) -> str | None:
    """The reason to turn a text away for its length, or None."""
    if len(text) < clean.min_chars:
        return "too short"
    return "too long" if len(text) > clean.max_chars else None
