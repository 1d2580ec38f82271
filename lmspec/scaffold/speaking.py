"""speaking: who speaks in the conversations of a file, and what the file calls them."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError, some
from lmspec.formats import plaintext
from lmspec.methods.conversing import ASSISTANT, SYSTEM, USER, Turn

KEYS = (("role", "content"), ("from", "value"), ("role", "value"), ("role", "text"))
WORDS = {
    SYSTEM: ("system", "developer"),
    USER: ("user", "human", "prompter", "question"),
    ASSISTANT: ("assistant", "gpt", "chatgpt", "bot", "model", "answer"),
}
USUAL: dict[str, Any] = {
    "role": "role",
    "content": "content",
    "roles": {"system": SYSTEM, "user": USER, "assistant": ASSISTANT},
}
EXAMPLE = '[{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]'
EDGE = ".,:;!?"


class Roles:
    """Keys and words for roles, counted over the cells of a column."""

    def __init__(self) -> None:
        self.keys: Counter[tuple[str, str]] = Counter()
        self.words: Counter[str] = Counter()
        self.first: str | None = None

    def add(self, cell: str | None) -> None:
        """A cell: a list of turns as JSON; anything else counts as no conversation later."""
        self.first = self.first or cell
        try:
            turns = json.loads(cell or "")
        except ValueError:
            return
        for turn in turns if isinstance(turns, list) else ():
            keys = (
                next((pair for pair in KEYS if {*pair} <= {*turn}), None)
                if (isinstance(turn, dict))
                else None
            )
            if keys is not None:
                self.keys[keys] += 1
                self.words[str(turn[keys[0]])] += 1

    def rule(self, path: Path, column: str) -> dict[str, Any]:
        """role, content and roles of `turns` in params.yaml.

        Raises LmspecError if there is no conversation.
        """
        if not self.keys:
            first = plaintext.shown(self.first) if self.first else "nothing"
            found = f"'{column}' holds no conversations: its first cell is {first}"
            raise LmspecError(str(path), found, f"it needs a list such as {EXAMPLE}")
        role, content = self.keys.most_common(1)[0][0]
        roles = {name: self._word(name) for name in WORDS}
        for name in (USER, ASSISTANT):
            if roles[name] is None:
                found = f"no turn of '{column}' is that of the {name}: '{role}' is "
                remedy = f"known are {some([*WORDS[name]])}; change the words in the file"
                raise LmspecError(str(path), found + some(self._counted()), remedy)
        return {"role": role, "content": content, "roles": roles}

    def notes(self) -> Iterator[str]:
        """Who speaks how often, for people."""
        if self.words:
            yield f"turns: {some(self._counted())} (`roles` in params.yaml)"

    def _word(self, role: str) -> str | None:
        """The most frequent word for it."""
        found = [word for word in WORDS[role] if self.words[word]]
        return max(found, key=lambda word: self.words[word], default=None)

    def _counted(self) -> list[str]:
        return [f"{word[:40]!r} {count:,}" for word, count in self.words.most_common()]


def answer_has_the_first_word(turns: Sequence[Turn]) -> bool:
    """Does the answer have the first word of its prompt, as commands do?

    `tar: Extract an archive` has the answer `tar xf archive`.
    """
    prompt = next(turn.content for turn in turns if turn.role == USER)
    word = (prompt.split(maxsplit=1) or [""])[0].rstrip(EDGE)
    either = "[ -]".join(map(re.escape, word.split("-")))  # `git-log` is the command `git log`
    pattern = rf"(?<![\w./-]){either}(?![\w-])"
    return bool(word) and re.search(pattern, turns[-1].content) is not None
