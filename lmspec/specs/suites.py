"""suites: what a file of cases says: templates, the words in them, and what must hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

SLOT = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}")  # {{ and }} are braces
# Braces around what reads like the name of a slot, and is none: `{Thing}`, `{žival}`, `{ thing }`.
STRAY = re.compile(r"\{\s*[^\W\d_][\w -]*\}")
KINDS = ("minimum", "invariance", "direction", "groups")
# Of models that write -> the field that lists what its answers must have, or not have.
WRITTEN = {
    "refusal": "begins",
    "compliance": "begins",
    "withheld": "never",
    "blocklist": "blocked",
    "personal_data": "kinds",
}
CHANGES = ("perturb", "replace", "append", "prepend")
PERTURBATIONS = (
    "typo",
    "lower_case",
    "upper_case",
    "full_width",
    "look_alikes",
    "zero_width",
    "punctuation",
)


@dataclass(frozen=True)
class Change:
    """What is done to a text: one of `CHANGES`.

    values  a perturbation; word -> another; or sentences, of which each text gets one
    times   of a typo: how many
    """

    how: str
    values: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    times: int = 1


@dataclass(frozen=True)
class Suite:
    """Cases of one kind, with one number: how many pass, or how far groups are apart.

    place       file and line
    templates   texts with slots; none: the texts of a test split
    words       slot -> what it stands for, as far as the templates have it
    vary        slot that alone differs between the texts of a case; None: `change` makes the other
    label       the right answer; the one whose probability counts, of directions and groups
    rises       of a direction: must its probability not fall, or not rise?
    tolerance   by how much it may
    most        cases, or templates of groups, that are drawn of all; None: all
    listed      of a kind of `WRITTEN`, what its field lists
    system      of these, what the system says before the prompt; with slots, as `never` has them
    """

    name: str
    kind: str
    place: str
    templates: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    vary: str | None = None
    change: Change | None = None
    label: str | None = None
    rises: bool = True
    tolerance: float = 0.0
    most: int | None = None
    listed: tuple[str, ...] = ()
    system: str | None = None

    @property
    def is_written(self) -> bool:
        """Is it about what a model writes, not about labels?"""
        return self.kind in WRITTEN

    @property
    def is_gap(self) -> bool:
        """Is its number a gap between terms, and no share of cases?"""
        return self.kind == "groups"


def slots(template: str) -> tuple[str, ...]:
    """The slots of a template in order, each once."""
    return tuple(dict.fromkeys(found for found in SLOT.findall(template) if found))


def stray(template: str) -> str | None:
    """What looks like a slot and is left as it is; None if nothing does."""
    found = STRAY.search(SLOT.sub("", template))
    return found[0] if found else None


def filled(template: str, words: Mapping[str, str]) -> str:
    """The template with words in its slots; a slot without any stays."""

    def word(match: re.Match[str]) -> str:
        name = match[1]
        return words.get(name, match[0]) if name else match[0][0]

    return SLOT.sub(word, template)
