"""rough: any values as YAML that is badly laid out: widths, comments, empty lines, styles and line ends by chance."""

import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z][A-Za-z0-9_./-]*)*\Z")
WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}  # they would be read as something else


@dataclass
class Rough:
    """Writes a mapping of sections. Every comment holds a number of its own.

    ends     what the lines end in
    final    does the last line end?
    anchors  equal collections of one section are written once, and named
    """

    rng: random.Random
    ends: str = "\n"
    final: bool = True
    anchors: bool = False
    lines: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    anchored: int = 0
    deepest: int = 12  # column of a comment; below a block string, one that is further right would belong to it

    def text(self, sections: dict[str, Any]) -> str:
        """All of it."""
        self.between(0)
        for name, value in sections.items():
            self.named.clear()
            self.between(0)
            self.put(f"{name}:", value, 0)
        self.between(0)
        return self.ends.join(self.lines) + (self.ends if self.final else "")

    def chance(self, share: float) -> bool:
        """True that often."""
        return self.rng.random() < share

    def comment(self) -> str:
        """A new one."""
        self.comments.append(f"# {len(self.comments)}{self.rng.choice(['', ' word', ' a: {b', ' # - x:', ' é“'])}")
        return self.comments[-1]

    def between(self, column: int) -> None:
        """Empty lines and comments, above an entry at that column."""
        while self.chance(0.25):
            if self.chance(0.5):
                self.lines.append(" " * self.rng.choice([0, 0, min(3, self.deepest)]))
            else:
                where = column if self.chance(0.6) else self.rng.randrange(self.deepest)
                self.lines.append(" " * where + self.comment() + self.rng.choice(["", "  "]))
                self.deepest = 12

    def behind(self) -> str:
        """Blanks or a comment behind a value."""
        if self.chance(0.15):
            return " " * self.rng.randint(1, 4) + self.comment()
        return " " * self.rng.choice([0, 0, 0, 2])

    def put(self, start: str, value: Any, column: int) -> None:
        """A value behind what begins its line."""
        self.deepest = 12
        name = self.name_of(value)
        if name.startswith("*"):
            self.lines.append(f"{start} {name}{self.behind()}")
        elif isinstance(value, dict | list) and value and self.chance(0.65):
            self.block(start, value, column, name)
        elif isinstance(value, str) and "\n" in value and self.blockable(value) and self.chance(0.8):
            self.string(start, value, column)
        else:
            prefix = f"{start}{' ' * self.rng.choice([1, 1, 1, 3])}{name + ' ' if name else ''}"
            if self.chance(0.1):
                self.lines.append(prefix + self.behind())
                prefix = " " * (column + self.rng.randint(1, 6))
            text = self.flow(value, column + 1)
            self.lines += f"{prefix}{text}{self.behind()}".split("\n")

    def name_of(self, value: Any) -> str:
        """An anchor, the alias of one that has the same value, or nothing."""
        if not self.anchors or not isinstance(value, dict | list) or not value:
            return ""
        key = json.dumps(value)
        if key in self.named:
            return f"*{self.named[key]}" if self.chance(0.7) else ""
        if self.chance(0.5):
            self.anchored += 1
            self.named[key] = f"a{self.anchored}"
            return f"&{self.named[key]}"
        return ""

    def block(self, start: str, value: Any, column: int, name: str) -> None:
        """A collection of a line for each entry, perhaps the first one behind its dash."""
        mapping, dash = isinstance(value, dict), start.endswith("-")
        if dash and not name and self.chance(0.7):
            start += " " * self.rng.randint(1, 4)
            self.mapping(value, len(start), start) if mapping else self.sequence(value, len(start), start)
            return
        self.lines.append(f"{start}{' ' + name if name else ''}{self.behind()}")
        width = self.rng.randint(1, 8)
        if mapping:
            self.mapping(value, column + width)
        else:
            self.sequence(value, column + (0 if not dash and self.chance(0.4) else width))

    def mapping(self, value: dict[str, Any], column: int, start: str = "") -> None:
        """Entries at a column; start: the first one goes on a line that is begun."""
        for key, item in value.items():
            if not start:
                self.between(column)
            lead = self.key(key)
            if self.chance(0.03):
                self.lines.append(f"{start or ' ' * column}?{' ' * self.rng.randint(1, 3)}{lead[:-1]}{self.behind()}")
                start, lead = "", ":"
            self.put((start or " " * column) + lead, item, column)
            start = ""

    def sequence(self, value: list[Any], column: int, start: str = "") -> None:
        """Items at a column."""
        for item in value:
            if not start:
                self.between(column)
            self.put((start or " " * column) + "-", item, column)
            start = ""

    def key(self, key: str) -> str:
        """A key with its colon, perhaps in quotes."""
        plain = PLAIN.match(key) and key not in WORDS and " " not in key and self.chance(0.9)
        return f"{key if plain else json.dumps(key, ensure_ascii=False)}:"

    def blockable(self, value: str) -> bool:
        """Can it stand as a block string?"""
        return value[:1] not in ("\n", "") and all(c == "\n" or c.isprintable() for c in value)

    def string(self, start: str, value: str, column: int) -> None:
        """A literal string; its mark says how it ends, and how deep it is where it begins with a blank."""
        body = value.rstrip("\n")
        ends = len(value) - len(body)
        width = self.rng.randint(1, 9)
        digit = str(width) if body[0] == " " or self.chance(0.2) else ""
        keep = {0: "-", 1: ""}.get(ends, "+")
        self.lines.append(f"{start} |{digit}{keep}{self.behind()}")
        self.lines += [" " * (column + width) + line if line else "" for line in body.split("\n")] + [""] * max(0, ends - 1)
        self.deepest = column + width

    def flow(self, value: Any, column: int) -> str:
        """On one line, or on several that are deeper than the entry."""
        if isinstance(value, dict | list):
            brackets = "{}" if isinstance(value, dict) else "[]"
            pad = self.rng.choice(["", "", " ", "  "])
            if isinstance(value, dict):
                parts = [f"{self.key(key)} {self.flow(item, column)}" for key, item in value.items()]
            else:
                parts = [self.flow(item, column) for item in value]
            glue = ", " if self.chance(0.7) or not parts[1:] else f",{self.behind()}\n{' ' * (column + self.rng.randrange(8))}"
            return brackets[0] + pad + glue.join(parts) + pad + brackets[1]
        if isinstance(value, str):
            return self.scalar(value, column)
        return "null" if value is None else json.dumps(value)

    def scalar(self, value: str, column: int) -> str:
        """Plain where that is possible, perhaps on two lines; else in quotes."""
        if PLAIN.match(value) and not WORDS & set(value.lower().split()) and self.chance(0.7):
            words = value.split(" ")
            at = self.rng.randrange(len(words))
            glue = "\n" + " " * (column + self.rng.randrange(6))
            return " ".join(words[:at]) + glue + " ".join(words[at:]) if at and self.chance(0.5) else value
        if "'" not in value and value.isprintable() and self.chance(0.5):
            return f"'{value}'"
        text = json.dumps(
            value, ensure_ascii=all(c < "\uffff" for c in value) and self.chance(0.5)
        )  # JSON writes others as pairs
        return text.replace("\x7f", "\\x7f").replace("\x85", "\\x85")
