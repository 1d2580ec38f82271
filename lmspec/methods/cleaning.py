"""cleaning: repair a text, derive its id, and reject it by length."""

import hashlib
import unicodedata
from collections.abc import Collection

from lmspec.methods import repairing
from lmspec.specs.corpus import Clean


def rule(clean: Clean, keep_lines: bool = False, redact: Collection[str] = ()) -> dict[str, bool]:
    """The part of a spec that changes texts: what `repairing.repair` is given.

    keep_lines  of conversations, whose white space stays
    redact      kinds of personal data that placeholders stand for
    """
    given = {"fix_unicode": clean.fix_unicode, "unescape_html": clean.unescape_html}
    given |= {"keep_lines": True} if keep_lines else {}
    given |= {"fold_look_alikes": True} if clean.look_alikes else {}
    return given | dict.fromkeys(redact, True)


def repair(text: str, clean: Clean, keep_lines: bool = False, redact: Collection[str] = ()) -> str:
    """The text as the corpus has it."""
    return repairing.repair(text, **rule(clean, keep_lines, redact))


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
