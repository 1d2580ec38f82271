"""bench/weak_functions: the labelling functions of bench/weak.py, as a table of a corpus has them.

Written from a few minutes' thought and a look at texts without their labels.
"""

from typing import Any

from lmspec.specs.votes import VotesLabel


def _patterns(found: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    return [
        {"kind": "pattern", "name": name, "pattern": f"(?i){pattern}", "label": label}
        for label, named in found.items()
        for name, pattern in named.items()
    ]


def _rule(functions: list[dict[str, Any]]) -> VotesLabel:
    return VotesLabel.model_validate(
        {"kind": "votes", "functions": functions, "model": "majority", "min_votes": 1}
    )


def _words(name: str, least: float) -> dict[str, Any]:
    bands = [
        {"label": "negative", "at_least": None, "at_most": -least},
        {"label": "positive", "at_least": least, "at_most": None},
    ]
    file = "vader_sentiment_lexicon.txt"
    return {"kind": "lexicon", "name": name, "of": None, "file": file, "bands": bands}


SENTIMENT = _rule(
    [
        _words("words", 0.5),
        *_patterns(
            {
                "negative": {
                    "negated-praise": r"\b(?:not|isn'?t|wasn'?t|never|hardly|no)\b(?: \w+)? "
                    r"(?:good|great|funny|fun|best|worth|enough|interesting|original|clever"
                    r"|work)",
                    "too-much": r"\b(?:too|lacks?|lacking|without|fails?|failed|unfortunately)\b",
                    "could-be": r"\b(?:should have|could have|would have|supposed to"
                    r"|rather than)\b",
                },
                "positive": {
                    "superlative": r"\b(?:one of the (?:best|most)|the best|most \w+ful"
                    r"|must.see)\b",
                    "thanks": r"\b(?:thanks|thank you|enjoy\w*|love[ds]?|congrat\w*|yay|haha+)\b",
                    "smile": r"[:;=]-?[)dp]|<3",
                    "both": r"\b(?:both|always|wonderful\w*|beautiful\w*|powerful|moving)\b",
                },
            }
        ),
        *_patterns({"negative": {"frown": r"[:;=]'?-?[(/]|\b(?:ugh+|sucks?|wtf|sigh)\b"}}),
    ]
)
SPAM = _rule(
    _patterns(
        {
            "spam": {
                "prize": r"\b(?:prize|won|winner|award(?:ed)?|guaranteed|claim|cash|voucher)\b",
                "long-number": r"\b0[789]\d{8,9}\b|\b0800|\b08\d{2}",
                "short-code": r"\b(?:txt|text|send|reply)\b.*\b\d{4,5}\b|\bstop\b.*\b\d{4,5}\b",
                "money": r"£|\b\d+p\b|ppm|per (?:min|msg|week)|\b\d+/(?:min|msg|wk)",
                "free": r"\bfree\b|\boffer\b|ringtone|\btones?\b|subscri|unsubscribe",
                "urgent": r"\burgent\b|please call|\bt&?c'?s\b|www\.|http",
            },
            "ham": {
                "me": r"\b(?:i'?m|i'?ll|im|ill|my|me|i)\b",
                "talk": r"\b(?:ok|lol|haha|yeah|yup|hey|hi|dear|love|sorry|home|later|da|ü|wat)\b",
                "short": r"^.{0,60}$",
                "lower": r"^(?-i:[^A-Z]*)$",
                "dots": r"\.\.\.? ?\w|:\)|:-\)|;\)",
            },
        }
    )
)
QUESTIONS = _rule(
    _patterns(
        {
            "ABBR": {
                "abbreviation": r"abbreviat|acronym|stand for|full form|\binitials?\b",
            },
            "NUM": {
                "how-many": r"\bhow (?:many|much|long|old|far|tall|big|fast|often|large|high|deep"
                r"|hot)\b",
                "when": r"^when\b|\b(?:what|which) (?:year|date|day|month|time)\b|\bin what year\b",
                "amount": r"\b(?:population|average|number|percentage|cost|price|salary|temperature"
                r"|speed|weight|age|distance|birthday|zip code|area code)\b",
            },
            "LOC": {
                "where": r"^where\b|\bwhere (?:is|are|was|did|does|can|do)\b",
                "place": r"\b(?:what|which|name (?:a|the|an))\b(?: \S+){0,3} (?:city|cities"
                r"|country|countries|state|states|river|mountain|continent|island|capital|lake|town|ocean|"
                r"province|county|planet)\b",
                "located": r"\b(?:located|capital of|largest (?:city|country|state))\b",
            },
            "HUM": {
                "who": r"^who\b|\bwhose\b",
                "person": r"\b(?:what|which|name)\b(?: \S+){0,3} (?:actor|actress|president|author|"
                r"singer|man|woman|person|team|company|inventor|king|queen|leader|star|composer|"
                r"artist|player|group|band|wife|character|detective|writer|director|explorer)\b",
            },
            "DESC": {
                "why": r"^why\b|^how (?:do|does|did|can|is|are|was|to|would|could)\b",
                "define": r"^what (?:is|are|was|were)(?: an?| the)? (?:\S+ ){1,2}\?$",
                "meaning": r"\b(?:mean|means|meaning|definition|defined|origin|difference between|"
                r"purpose|cause[ds]?|function|describe|history of|reason)\b",
                "what-does": r"^what (?:does|do|did|happen\w*)\b",
            },
            "ENTY": {
                "thing": r"\b(?:what|which|name)\b(?: \S+){0,3} (?:color|colour|animal|book"
                r"|film|movie|song|game|sport|product|food|drink|language|disease|instrument|car|ship|word|"
                r"term|fear|religion|play|show|novel|plant|flower|bird|dog|letter|currency|body|"
                r"substance|metal|vitamin|magazine|newspaper|kind|type|sort|breed)\b",
                "kind-of": r"\b(?:kind|type|sort|name) of\b|\bwhat .{0,40} (?:made of|called)\b",
            },
        }
    )
)
