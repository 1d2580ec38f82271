"""redacting: personal data in a text, found by form and checksum, and placeholders for it.

A bundle has a copy of this file, so it imports nothing of lmspec. What has no form that a pattern
could find stays: names, streets, dates of birth.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

KINDS = ("handles", "emails", "urls", "phones", "cards")
# No pattern below finds one, so a text that is redacted twice is redacted once. Without letters: a
# word such as "handle" or "phone" has a meaning in other texts, and models of words read it.
PLACEHOLDERS = {
    "handles": "[@]",
    "emails": "[@.]",
    "urls": "[://]",
    "phones": "[#]",
    "cards": "[####]",
}


class Found(NamedTuple):
    """Personal data in a text: text[start:end]. kind: one of KINDS."""

    kind: str
    start: int
    end: int


# Every repeat is bounded or starts at a word's beginning alone, so that the time is linear in the
# text, also in one that is made to take long.
# Chinese, Japanese and Korean have no space around what is found.
CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
W = rf"[^\W{CJK}]"
HOST = rf"(?:[\w-]{{1,63}}\.){{1,8}}[^\W\d_{CJK}]{{2,24}}"
URL = re.compile(
    rf"(?:(?<!{W})(?:https?|ftp)://(?=[\w\[])|(?<!{W})(?<![.@])www\.(?=\w))[^\s<>\"{CJK}，。！？]+"
    # without a scheme there is a path: bit.ly/2x
    rf"|(?<!{W})(?<![.@%+'-]){HOST}/[^\s<>\"{CJK}，。！？]*",
    re.IGNORECASE,
)
EMAIL = re.compile(rf"(?<![\w.%+-])(?:mailto:)?[\w%+-][\w.%+'-]{{0,63}}@{HOST}(?!\w)")
# @name, @first.last, @name@server.example; of digits alone it is a time or a price
HANDLE = re.compile(
    rf"(?<!{W})(?<!@)@(?={W}{{0,50}}[^\W\d{CJK}]){W}{{1,50}}(?:@{HOST}|(?:\.{W}{{1,50}}){{0,4}})"
)
ENDS = ".,;:!?'*_~…»”’"  # of a sentence, after a URL
OPENING = {")": "(", "]": "[", "}": "{"}

# Digits in groups, nothing of a longer word, decimal, time or path.
NUMBER = re.compile(
    rf"(?<!{W})(?<![.,/:#=-])[+(（]{{0,2}}\d(?:[ \u00a0().（）/–-]{{0,3}}\d){{6,31}}"
    rf"(?!{W}|:|[.,/-]\d)"
)
GROUP = re.compile(r"[^ \u00a0]+")
MOST_GROUPS = 7  # of a number

# First digits and lengths of payment cards. Source: ISO/IEC 7812-1, as issuers publish them.
CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|3(?:0[0-5]|[689]\d)\d{11}"  # Diners Club
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12}"  # Discover
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|62\d{14,17}"  # UnionPay
    r"|(?:50|5[6-8]|6[0379])\d{10,17}"  # Maestro
    r"|220[0-4]\d{12}"  # Mir
)
CARD_GROUPS = re.compile(r"\d+|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5}")

# A word before a number that makes it a phone's, in the languages that we found in real texts.
CUE = re.compile(
    r"(?<!\w)(?:tel|telephone|tél|téléphone|teléfono|tlf|telefono|telefone|telefon|telefoon|ph"
    r"|phone|fax|mob|mobile|cell|cellphone|call(?: me| us)?(?: at| on)?|dial|hotline|sms|whatsapp"
    r"|handy|celular|móvil|cellulare|portable|puh|puhelin|điện thoại|тел|телефон|моб|звоните|τηλ"
    r"|τηλέφωνο|κινητό|טלפון|هاتف|جوال|फोन|फ़ोन)[\s.:)№#-]{0,4}$"
    r"|(?:电话|電話|手机|手機|携帯|전화|휴대폰|연락처)[\s.:：)]{0,4}$",
    re.IGNORECASE,
)
CUE_CHARS, CUE_MARKS = 24, 5  # that a word and what follows it may have; from its last letter
NOT_BEFORE = re.compile(r"(?:isbn|issn|doi|ean|upc|[$€£¥₹₽])[\w\s:#-]{0,12}$", re.IGNORECASE)
NOT_AFTER = re.compile(
    r"\s?(?:[$€£¥₹₽%°]|(?:usd|eur|dollars?|euros?|km|kg|mb|gb|bytes)\b)", re.IGNORECASE
)
DATE = re.compile(
    r"\d{1,2}([./-])\d{1,2}\1(?:19|20)?\d\d(?!\d)|(?:19|20)\d\d([./-])\d{1,2}\2\d{1,2}(?!\d)"
)
YEARS = re.compile(r"(?:1[5-9]|20)\d\d\D{1,3}(?:1[5-9]|20)\d\d")
BY = r"[ .–-]"  # between groups of digits
# What needs no word before it.
PHONE = re.compile(
    rf"\+\d[^/]*|00[1-9]\d?[ ./-]?\d.*"  # with the code of a country
    rf"|(?:1{BY}?)?\(\d{{3}}\) ?\d{{3}}{BY}?\d{{4}}"  # North America: (212) 555-0123
    rf"|(?:1{BY})?\d{{3}}({BY})\d{{3}}\1\d{{4}}"  # 212-555-0123
    rf"|8 ?[( -]\d{{3,5}}[) -] ?\d{{1,3}}(?:{BY}?\d\d){{2}}"  # Russia: 8 (495) 123-45-67
    rf"|0\d(?:{BY}\d\d){{4}}"  # France: 01 23 45 67 89
    rf"|[69]\d\d(?:{BY}\d\d){{3}}"  # Spain: 612 34 56 78
    rf"|1[3-9]\d({BY}?)\d{{4}}\2\d{{4}}"  # China: 138 1234 5678
    rf"|[6-9]\d{{4}}[ -]\d{{5}}"  # India: 98765 43210
    rf"|\(\d{{2,5}}\) ?\d{{3,5}}{BY}?\d{{3,5}}(?:{BY}\d{{2,4}})?"  # (11) 91234-5678
    rf"|0\d{{1,5}}(?:[ /–-]{{1,3}}\d{{2,8}}){{1,4}}|0\d{{8,10}}"  # 030 1234567, 03-1234-5678
)
PHONE_DIGITS, BARE_DIGITS = range(7, 16), range(9, 12)  # with a sign of a phone; with a 0 alone


def found(text: str, kinds: Collection[str] = KINDS) -> list[Found]:
    """All personal data of these kinds, in order, none inside another.

    Of two that overlap the one counts that begins first; of those the longer one.
    """
    result: list[Found] = []
    for one in sorted(_candidates(text, kinds), key=lambda one: (one.start, -one.end)):
        if not result or one.start >= result[-1].end:
            result.append(one)
    return result


def redacted(text: str, kinds: Collection[str]) -> str:
    """The text with a placeholder for each of them."""
    parts, end = [], 0
    for one in found(text, kinds):
        parts += [text[end : one.start], PLACEHOLDERS[one.kind]]
        end = one.end
    return "".join([*parts, text[end:]])


def kinds_in(text: str) -> tuple[str, ...]:
    """The kinds of personal data that a text has, in the order of KINDS."""
    has = {one.kind for one in found(text)}
    return tuple(kind for kind in KINDS if kind in has)


def luhn(digits: str) -> bool:
    """Is the last digit the check digit of the others? Source: ISO/IEC 7812-1, annex B."""
    doubled = (int(digit) * (1 + i % 2) for i, digit in enumerate(reversed(digits)))
    return sum(n - 9 * (n > 9) for n in doubled) % 10 == 0


def _candidates(text: str, kinds: Collection[str]) -> Iterator[Found]:
    if "urls" in kinds and ("/" in text or "www." in text.lower()):
        for match in URL.finditer(text):
            if end := _url_end(match):
                yield Found("urls", match.start(), end)
    if "@" in text:
        for kind, pattern in (("emails", EMAIL), ("handles", HANDLE)):
            if kind in kinds:
                yield from (Found(kind, *match.span()) for match in pattern.finditer(text))
    if "cards" in kinds or "phones" in kinds:
        for match in NUMBER.finditer(text):
            yield from (one for one in _numbers(text, match) if one.kind in kinds)


def _url_end(match: re.Match[str]) -> int:
    """Where a URL ends, without the punctuation of its sentence; 0 if nothing is left of it."""
    url = match.group()
    end = len(url)
    surplus = {one: url.count(one) - url.count(other) for one, other in OPENING.items()}
    while end and (url[end - 1] in ENDS or surplus.get(url[end - 1], 0) > 0):
        if url[end - 1] in surplus:
            surplus[url[end - 1]] -= 1
        end -= 1
    return match.start() + end if end else 0


def _numbers(text: str, match: re.Match[str]) -> Iterator[Found]:
    """Cards and phone numbers in a run of groups of digits: the longest from each group on."""
    groups = [(one.start(), one.end()) for one in GROUP.finditer(match.group())]
    groups = [(match.start() + start, match.start() + end) for start, end in groups]
    first = 0
    while first < len(groups):
        for last in reversed(range(first, min(first + MOST_GROUPS, len(groups)))):
            start, end = groups[first][0], groups[last][1]
            if kind := _kind(text, start, end, _is_alone(text, groups, first, last)):
                yield Found(kind, start, end)
                first = last
                break
        first += 1


def _is_alone(text: str, groups: Sequence[tuple[int, int]], first: int, last: int) -> bool:
    """Are there no digits in the groups before and after?"""
    beside = [*groups[max(0, first - 1) : first], *groups[last + 1 : last + 2]]
    return not any(c.isdecimal() for start, end in beside for c in text[start:end])


def _kind(text: str, start: int, end: int, alone: bool) -> str:
    """`cards`, `phones`, or "" for any other number. alone: no other digits are beside it."""
    if end - start < PHONE_DIGITS[0]:
        return ""
    number = text[start:end].translate({0xA0: " ", 0x2013: "-", 0xFF08: "(", 0xFF09: ")"})
    digits = "".join(str(int(c)) for c in number if c.isdecimal())  # of any script
    if CARD.fullmatch(digits) and CARD_GROUPS.fullmatch(number) and luhn(digits):
        return "cards"
    if len(digits) not in PHONE_DIGITS or DATE.match(number) or YEARS.fullmatch(number):
        return ""
    has_form = PHONE.fullmatch(number) is not None
    if not has_form and not any(map(str.isalpha, text[max(0, start - CUE_MARKS) : start])):
        return ""
    before = text[max(0, start - CUE_CHARS) : start]
    if NOT_BEFORE.search(before) or NOT_AFTER.match(text, end):
        return ""
    if CUE.search(before):
        return "phones"
    bare = number[0] == "0" and not number.startswith("00")
    if bare and (len(digits) not in BARE_DIGITS or is_isbn_10(digits) or not alone):
        return ""
    return "phones" if has_form else ""


def is_isbn_10(digits: str) -> bool:
    """Ten digits of which the last checks the others; of phone numbers one in eleven."""
    return len(digits) == 10 and sum(i * int(d) for i, d in enumerate(digits, 1)) % 11 == 0
