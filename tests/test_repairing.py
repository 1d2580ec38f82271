"""The repair of a text is ftfy's, and faster."""

import random
import re
import time

import ftfy
import pytest
from ftfy.badness import BADNESS_RE

from lmspec.methods import repairing

PIECES = [
    "Ã©", "â€™", "Ã\xa0", "â€œ", "Â ", "&amp;", "&lt;", "&#x2019;", "&nbsp;", "&#xD800;", "\x85",
    "\r\n", "\r", "\n", "\u2028", "ﬁ", "ｆ", "，", "“", "’", "\x1b[1m", "\x07", "\ud83d", "\udc00",
    "e\u0301",
    "é", "ö", "ß", "Ñ", "œ", "Œ", "°", "×", "²", "а", "ВГ", "Г", "€", "Â", "Ã", "à", "a", "b", " ",
    "x", "\ufffd", "✔", "词", "€™", "s Ã ", "A°", "\x00", "\x80", "\x9d", "\ufeff", "1", "½", "─",
    "ñ", "Ð", "Ø", "Ù", "ø", "β€", "ā€", "вЂ", "plain words ", "…", "–", "\t", "\u200b",
    "が", "\u3099",
]  # fmt: skip
CODES = ["cp1252", "latin-1", "cp1251", "mac_roman", "cp437", "cp1250"]


def odd(seed: int, count: int) -> list[str]:
    """Texts of such pieces, and texts that were decoded wrongly."""
    draw = random.Random(seed)
    texts = ["".join(draw.choices(PIECES, k=draw.randrange(25))) for _ in range(count)]
    return [
        text.encode("utf-8", "ignore").decode(draw.choice(CODES), "ignore") if i % 4 == 0 else text
        for i, text in enumerate(texts)
    ]


@pytest.mark.parametrize("unescape_html", [True, False])
def test_a_text_is_repaired_as_by_ftfy(unescape_html: bool) -> None:
    """Odd texts, of which ftfy changes nearly all; and long ones, which it takes in parts."""
    config = ftfy.TextFixerConfig(unescape_html=unescape_html, explain=False)
    texts = [*odd(1, 1000), "", *([] if unescape_html else ["é" * 999_999 + "Ã©\nÃ©"])]
    expected = [ftfy.fix_text(text, config) for text in texts]
    assert [repairing.fix_text(text, unescape_html) for text in texts] == expected
    assert sum(text != other for text, other in zip(texts, expected, strict=True)) > 900


def test_every_sign_of_mojibake_has_a_suspect_character_and_is_short() -> None:
    """What lets the repair look only around these: of each character that ftfy takes for a sign
    alone, and of random strings; the control forgets some."""
    longest = re._parser.parse(BADNESS_RE.pattern, re.VERBOSE).getwidth()[1]  # type: ignore[attr-defined]
    assert longest <= repairing.SIGN_CHARS
    signs = [chr(i) for i in range(0x3000) if BADNESS_RE.search(chr(i))]
    assert signs and all(map(repairing._may_be_mojibake, signs))
    bad = [text for text in odd(2, 2000) if BADNESS_RE.search(text)]
    assert len(bad) > 500 and all(map(repairing._may_be_mojibake, bad))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repairing, "SUSPECT", re.compile("[\x80-\x9f]"))
        assert not all(map(repairing._may_be_mojibake, bad))


def test_repair_is_faster_than_ftfy() -> None:
    """On mails: many lines, some with a quote, an accent or an entity."""
    draw = random.Random(3)
    words = [
        "meeting",
        "today",
        "please",
        "it’s",
        "café",
        "&lt;b&gt;",
        *["word", "text", "line"] * 9,
    ]
    mails = ["\n".join(" ".join(draw.choices(words, k=12)) for _ in range(40)) for _ in range(20)]
    config = ftfy.TextFixerConfig(unescape_html=True, explain=False)

    def seconds(repair: object) -> float:
        start = time.process_time()
        for mail in mails:
            repair(mail)  # type: ignore[operator]
        return time.process_time() - start

    ours = min(seconds(lambda mail: repairing.fix_text(mail, True)) for _ in range(3))
    theirs = min(seconds(lambda mail: ftfy.fix_text(mail, config)) for _ in range(3))
    assert 1.5 * ours < theirs
