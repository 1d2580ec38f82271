"""paraphrasing: what a model is asked, and which of its texts may stand for the text."""

from collections.abc import Mapping

from lmspec.methods import cleaning

UNCHANGED, UNSUITABLE = "unchanged", "unsuitable"
TEXT, LABEL = "{text}", "{label}"
QUOTES: Mapping[str, str] = {'"': '"', "“": "”", "«": "»", "'": "'"}


def asked(prompt: str, text: str, label: str) -> str:
    """The prompt with a text in its place; what looks like a place in the text stays."""
    before, after = (part.replace(LABEL, label) for part in prompt.split(TEXT))
    return before + text + after


def fault(text: str, written: str, shortest: float, longest: float) -> str | None:
    """Why a paraphrase is left out: it is the text, empty, or of another length; None if it stays.

    shortest, longest  words, as a share of those of the text
    """
    if not written:
        return UNSUITABLE
    if cleaning.common_id(written) == cleaning.common_id(text):
        return UNCHANGED
    share = len(written.split()) / max(1, len(text.split()))
    return None if shortest <= share <= longest else UNSUITABLE


def unquoted(written: str) -> str:
    """In one line, without the quotes around it that models add."""
    text = " ".join(written.split())
    for opening, closing in QUOTES.items():
        if len(text) > 1 and text[0] == opening and text[-1] == closing:
            return text[1:-1].strip()
    return text
