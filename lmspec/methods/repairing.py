"""repairing: repair a text: Unicode, HTML entities, white space.

A bundle has a copy of this file, so it imports nothing of lmspec.
"""

import ftfy


def repair(text: str, *, fix_unicode: bool, unescape_html: bool) -> str:
    """Repair Unicode and HTML, and turn every run of white space into one space.

    fix_unicode    mojibake, quotes and control characters; NFC (ftfy)
    unescape_html  `&amp;` -> `&`
    Repeats until nothing changes: twice-escaped entities (`&amp;amp;`) occur in real data.
    """
    config = ftfy.TextFixerConfig(unescape_html=unescape_html, explain=False)
    before = None
    while text != before:
        before = text
        if fix_unicode:
            text = ftfy.fix_text(text, config)
        elif unescape_html:
            text = ftfy.fixes.unescape_html(text)
        # inside the loop: a space in place of a line break can complete a broken character
        text = " ".join(text.split())
    return text
