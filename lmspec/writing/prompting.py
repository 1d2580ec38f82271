"""prompting: conversations -> token ids: the same ones in training, in scores and in service.

A bundle has a copy of this file, so it imports nothing of lmspec.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Ids = NDArray[np.int64]
Bools = NDArray[np.bool_]
Turn = tuple[str, str]  # role and content

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
PLAIN, PAIR, CHAT = "none", "pair", "chat"
# What looks like a special token and like no prose: a tokenizer without it reads it as letters.
MARK = re.compile(r"<\|[^|<>\s]+\|>|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos)>")
# Of max_length, what a prompt may have when long ones are cut. It must not depend on the answer:
# the prompt of a training example is then the one that generation begins with.
PROMPT_SHARE = 0.75


class PromptError(ValueError):
    """A template that does not suit the tokenizer, or turns that do not suit the template.

    found, remedy  what is wrong, and what to write instead
    """

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found}; {remedy}")
        self.found, self.remedy = found, remedy


class Part(NamedTuple):
    """A piece of a rendered conversation.

    is_content  of the conversation, not of the template: no special token is read in it
    learned     the model is to write it
    may_be_cut  of a user, and not the answer's or the system's
    """

    text: str
    is_content: bool
    learned: bool
    may_be_cut: bool = False


@dataclass(frozen=True)
class TooLong:
    """A conversation of more tokens than the model reads."""

    tokens: int


class Writer:
    """Encodes conversations as the model was trained on them.

    Each part of the template and each content is encoded alone, and the ids are joined: so the ids
    of a prompt begin those of its example, and a content cannot contain the end of its turn.

    tokenizer   its own way to add special tokens is not used: a template has them all
    prompt      `kind` and its fields: `pair` (template, end), `chat` (before, system, user,
                assistant, end, between, learn), or `none` for plain text (end)
    max_length  tokens of an example
    long_texts  of a longer one: `leave_out`, or `cut_prompt`, which leaves out the beginning of the
                first prompts; `windows` of plain text
    end_id      ends an answer, and is learned once in each
    bos_id      what the tokenizer has before each text, if anything
    Raises PromptError if the template does not suit the tokenizer.
    """

    def __init__(
        self, tokenizer: Tokenizer, prompt: Mapping[str, Any], max_length: int, long_texts: str
    ) -> None:
        self.prompt, self.max_length, self.long_texts = prompt, max_length, long_texts
        self.kind, self.end = str(prompt["kind"]), str(prompt["end"])
        values = json.loads(tokenizer.to_str())
        self.tokenizer = _bare(values)
        self.bos_id = _bos(tokenizer)
        self._known: dict[str, Ids] = {}  # parts of the template
        for text in self._literals():
            for mark in MARK.findall(text):
                if self.tokenizer.token_to_id(mark) is None:
                    found = f"the template has {mark}, which is no token of the tokenizer"
                    raise PromptError(found, "write the tokens that the tokenizer has")
        ends = self._literal(self.end)
        if len(ends) != 1:
            found = f"the end {self.end!r} is {len(ends)} tokens of the tokenizer"
            raise PromptError(found, "write one of its special tokens, such as its eos_token")
        self.end_id = int(ends[0])
        marks = {int(i) for text in self._literals() for i in self._literal(text)}
        for token in values["added_tokens"]:
            token["special"] = token["special"] or token["id"] in marks
        self._contents = _bare(values)
        self._contents.encode_special_tokens = True  # that is: as plain text
        self._require_safe(values["added_tokens"], marks)
        self._require_one_bos()

    def prompt_ids(self, turns: Sequence[Turn]) -> Ids:
        """(t,) what the model goes on from: everything before the last answer.

        turns  up to a prompt, or with the answer to it, which is not read
        """
        before = turns[:-1] if turns and turns[-1][0] == ASSISTANT else turns
        if self.kind == PLAIN:
            ids = self._content("".join(content for _, content in before))
            return ids if self.bos_id is None else np.concatenate([[self.bos_id], ids])
        return np.concatenate(self._cut(list(self._parts(before))))

    def example(self, turns: Sequence[Turn]) -> tuple[Ids, Bools] | TooLong:
        """(t,) ids of a conversation that ends with an answer, and (t,) which are learned.

        Raises PromptError if the turns do not suit the template, which is not that of plain text.
        """
        if self.kind == PLAIN:
            raise PromptError("plain text has no answers", "write how a prompt is shown: `prompt`")
        if not turns or turns[-1][0] != ASSISTANT:
            raise PromptError("it does not end with an answer", "let the assistant have the last")
        parts = list(self._parts(turns))
        before = len(list(self._parts(turns[:-1])))
        pieces = [*self._cut(parts[:before]), *map(self._ids, parts[before:])]
        learned = np.repeat([part.learned for part in parts], [len(ids) for ids in pieces])
        ids = np.concatenate(pieces)
        if len(ids) > self.max_length:
            return TooLong(len(ids))
        if learned[:1].any():
            found = "nothing comes before its answer, whose first token cannot be guessed then"
            raise PromptError(found, "write a template with more than the prompt")
        return ids, learned

    def is_cut(self, turns: Sequence[Turn]) -> bool:
        """Is the prompt of an example longer than what is read of it?"""
        if self.long_texts != "cut_prompt":
            return False
        return sum(len(self._ids(part)) for part in self._parts(turns[:-1])) > self._room

    def windows(self, text: str) -> Iterator[tuple[Ids, Bools]]:
        """Of plain text: ids in windows of max_length, and which are learned: each token once.

        A window begins with the last token of the one before, from which its second is guessed.
        """
        before = [] if self.bos_id is None else [self.bos_id]
        ids = np.concatenate([before, self._content(text), [self.end_id]]).astype(np.int64)
        for start in range(0, max(1, len(ids) - 1), self.max_length - 1):
            window = ids[start : start + self.max_length]
            yield window, np.arange(len(window)) > 0

    def shown(self, turns: Sequence[Turn]) -> list[tuple[str, bool]]:
        """Pieces of text as the model sees them, and whether they are learned; for people."""
        pieces: list[tuple[str, bool]] = []
        for part in self._parts(turns):
            if pieces and pieces[-1][1] == part.learned:
                pieces[-1] = (pieces[-1][0] + part.text, part.learned)
            elif part.text:
                pieces.append((part.text, part.learned))
        return pieces

    def text(self, ids: Ids | Sequence[int]) -> str:
        """What the ids say, without special tokens."""
        return str(self.tokenizer.decode([int(i) for i in ids], skip_special_tokens=True))

    def _parts(self, turns: Sequence[Turn]) -> Iterator[Part]:
        """In order; of turns that end with a prompt, up to where the answer begins."""
        if self.kind == PLAIN:
            yield Part("".join(content for _, content in turns), True, True)
            yield Part(self.end, False, True)
        elif self.kind == PAIR:
            yield from self._pair(turns)
        else:
            yield from self._chat(turns)

    def _pair(self, turns: Sequence[Turn]) -> Iterator[Part]:
        roles = [role for role, _ in turns]
        if roles not in ([USER], [USER, ASSISTANT]):
            found = f"it has the turns {', '.join(roles) or 'of no one'}, and a pair is one prompt"
            raise PromptError(found, "write `prompt: {kind: chat, ...}`")
        yield from self._around(self.prompt["template"], "{prompt}", turns[0])
        if len(turns) > 1:
            yield Part(turns[1][1], True, True)
            yield Part(self.end, False, True)

    def _chat(self, turns: Sequence[Turn]) -> Iterator[Part]:
        yield Part(self.prompt["before"], False, False)
        last = len(turns) - 1
        for place, (role, content) in enumerate(turns):
            if role == ASSISTANT:
                learned = self.prompt["learn"] == "every_answer" or place == last
                yield Part(self.prompt["assistant"], False, False)
                yield Part(content, True, learned)
                yield Part(self.end, False, learned)
                if place < last:
                    yield Part(self.prompt["between"], False, False)
            else:
                template = self.prompt.get(role) if role in (SYSTEM, USER) else None
                if template is None:
                    remedy = f"write how it is shown: `prompt.{role}`"
                    raise PromptError(f"the template has no place for a turn of {role!r}", remedy)
                yield from self._around(template, "{content}", (role, content))
        if turns and turns[-1][0] == USER:
            yield Part(self.prompt["assistant"], False, False)

    def _around(self, template: str, field: str, turn: Turn) -> Iterator[Part]:
        before, after = template.split(field)
        yield Part(before, False, False)
        yield Part(turn[1], True, False, turn[0] == USER)
        yield Part(after, False, False)

    def _literals(self) -> list[str]:
        """All parts of the template."""
        if self.kind == PLAIN:
            return [self.end]
        if self.kind == PAIR:
            return [*self.prompt["template"].split("{prompt}"), self.end]
        own = [self.prompt["before"], self.prompt["assistant"], self.prompt["between"], self.end]
        roles = [self.prompt[role] for role in (SYSTEM, USER) if self.prompt[role] is not None]
        return [*own, *(part for text in roles for part in text.split("{content}"))]

    def _cut(self, parts: Sequence[Part]) -> list[Ids]:
        """Ids of what is before an answer; if it is too long and may be cut, without the beginning
        of what the user wrote: the last of that is kept."""
        pieces = [self._ids(part) for part in parts]
        over = sum(map(len, pieces)) - self._room
        for place, part in enumerate(parts if self.long_texts == "cut_prompt" else ()):
            if part.may_be_cut and over > 0:
                cut = min(over, len(pieces[place]))
                pieces[place], over = pieces[place][cut:], over - cut
        return pieces

    @property
    def _room(self) -> int:
        return int(PROMPT_SHARE * self.max_length)

    def _ids(self, part: Part) -> Ids:
        return self._content(part.text) if part.is_content else self._literal(part.text)

    def _content(self, text: str) -> Ids:
        return np.asarray(self._contents.encode(text, add_special_tokens=False).ids, np.int64)

    def _literal(self, text: str) -> Ids:
        if text not in self._known:
            encoding = self.tokenizer.encode(text, add_special_tokens=False)
            self._known[text] = np.asarray(encoding.ids, np.int64)
        return self._known[text]

    def _require_safe(self, added: Sequence[Mapping[str, Any]], marks: set[int]) -> None:
        """Raise PromptError if a content could contain a special token of the template."""
        for token in added:
            if token["id"] in marks and token["id"] in self._content(token["content"]):
                found = f"the tokenizer reads {token['content']} in every text as the template's"
                raise PromptError(found, "write another token in the template")

    def _require_one_bos(self) -> None:
        """Raise PromptError if a conversation begins with two special tokens for it, or none."""
        if self.kind == PLAIN:
            return
        first = self.prompt_ids([(USER, "a")])[:2].tolist()
        token = None if self.bos_id is None else self.tokenizer.id_to_token(self.bos_id)
        if self.bos_id is not None and first[:1] != [self.bos_id]:
            found = f"the tokenizer begins each text with {token}, and the template does not"
            raise PromptError(found, f"write {token} at its beginning")
        special = self.tokenizer.get_added_tokens_decoder()
        if len(set(first)) < len(first) and first[0] in special and special[first[0]].special:
            found = f"the template begins with {special[first[0]].content} twice"
            raise PromptError(found, "write it once")


def prompt_of(turns: Sequence[Turn]) -> str:
    """What a conversation asks last, without any template: its last turn of the user."""
    return next((content for role, content in reversed(turns) if role == USER), "")


def read(folder: Path) -> Writer:
    """The writer of a model or of a graph: of its tokenizer.json and lmspec.json."""
    about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return Writer(tokenizer, about["prompt"], about["max_length"], about["long_texts"])


def _bare(values: Mapping[str, Any]) -> Tokenizer:
    """A tokenizer that neither cuts nor pads."""
    tokenizer = Tokenizer.from_str(json.dumps(values))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _bos(tokenizer: Tokenizer) -> int | None:
    """Id of the special token that it puts before a text, if it does."""
    encoding = tokenizer.encode("a")
    return int(encoding.ids[0]) if encoding.special_tokens_mask[:1] == [1] else None
