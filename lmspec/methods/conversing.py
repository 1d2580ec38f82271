"""conversing: the turns of a row, or why it has none; the ids that prompts and answers have."""

import functools
import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from lmspec.methods import cleaning
from lmspec.specs.corpus import Clean, Table
from lmspec.specs.turns import Messages, MultipleChoice, Pair, Replacement

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
NO_PROMPT, NO_ANSWER = "no prompt", "no answer"
NO_TURNS, EMPTY_TURN = "no conversation", "empty turn"
NO_CHOICES, EQUAL_CHOICES = "too few choices", "equal choices"
NO_ROLE, OUT_OF_ORDER = "unknown role", "roles out of order"
BETWEEN = "\n\n"  # the turns of a conversation as one text


class Turn(NamedTuple):
    """What one side says. role: system, user or assistant."""

    role: str
    content: str


class NoTurns(NamedTuple):
    """Why a row has no turns. reason: counted in the metrics; detail: what caused it."""

    reason: str
    detail: str


def turns_of(
    given: Mapping[str, str | None], table: Table, clean: Clean, redact: Collection[str] = ()
) -> tuple[Turn, ...] | NoTurns:
    """The turns of a row: a system prompt or none, then user and assistant in turn.

    The last one is the assistant's. White space inside of a turn stays, as code needs it.
    given   cell by column, None if it stands for none (labelling.present)
    redact  kinds of personal data that placeholders stand for
    """
    if isinstance(table.turns, Pair):
        turns = _pair(given, table.turns)
    elif isinstance(table.turns, Messages):
        turns = _messages(given[table.turns.column], table.turns)
    elif isinstance(table.turns, MultipleChoice):
        turns = _right(given, table.turns)
    else:
        raise TypeError(f"{table.name} has no turns")
    if isinstance(turns, NoTurns):
        return turns
    repaired = [Turn(role, repair(content, clean, redact)) for role, content in turns]
    for i, (role, content) in enumerate(repaired):
        if not content:
            reason = {USER: NO_PROMPT, ASSISTANT: NO_ANSWER}.get(role, EMPTY_TURN)
            single = len(repaired) - (repaired[0].role == SYSTEM) == 2
            return NoTurns(reason if single else EMPTY_TURN, f"turn {i + 1}, {role}")
    return tuple(repaired)


def repair(text: str, clean: Clean, redact: Collection[str] = ()) -> str:
    """The text of a turn as the corpus has it, its lines kept."""
    return cleaning.repair(text, clean, keep_lines=True, redact=redact)


def choices_of(
    given: Mapping[str, str | None], table: Table, clean: Clean, redact: Collection[str] = ()
) -> tuple[str, ...] | NoTurns:
    """The answers to choose from in a row that has turns, the right one among them; else ()."""
    if not isinstance(table.turns, MultipleChoice):
        return ()
    listed = _listed(given, table.turns)
    repaired = tuple(repair(text, clean, redact) for text in listed if text is not None)
    choices = tuple(text for text in repaired if text)
    if len(choices) < 2:
        return NoTurns(NO_CHOICES, str(len(choices)))
    for text, count in Counter(" ".join(text.split()) for text in choices).items():
        if count > 1:
            return NoTurns(EQUAL_CHOICES, text[:80])
    return choices


def _right(given: Mapping[str, str | None], rule: MultipleChoice) -> list[Turn] | NoTurns:
    """The turns with the right choice as the answer."""
    listed, right = _listed(given, rule), given[rule.right]
    if right is None:
        return NoTurns(NO_ANSWER, rule.right)
    if rule.right_is == "text":
        answer = next((text for text in listed if text and text.strip() == right.strip()), None)
    else:
        place = _place(right.strip(), rule.right_is)
        answer = listed[place] if place is not None and 0 <= place < len(listed) else None
    if answer is None:
        return NoTurns(NO_ANSWER, f"{rule.right}: {right[:80]}")
    return _asked(given, rule, answer)


def _place(right: str, written: str) -> int | None:
    """Position of the right choice; None if it is no such letter or number."""
    if written == "letter":
        return ord(right.upper()) - ord("A") if len(right) == 1 and right.isascii() else None
    whole = right.removesuffix(".0")  # as a file of floating-point numbers has it
    return int(whole) - (written == "number_from_1") if whole.isdecimal() else None


def _listed(given: Mapping[str, str | None], rule: MultipleChoice) -> list[str | None]:
    """The choices as the file has them; none if a cell holds no list of texts."""
    if len(rule.choices) > 1:
        return [given[name] for name in rule.choices]
    try:
        listed = json.loads(given[rule.choices[0]] or "[]")
    except ValueError:
        return []
    is_list = isinstance(listed, list) and all(isinstance(text, str | None) for text in listed)
    return listed if is_list else []


def _pair(given: Mapping[str, str | None], rule: Pair) -> list[Turn] | NoTurns:
    answer = given[rule.answer]
    if answer is None and _prompt(given, rule).strip():
        return NoTurns(NO_ANSWER, rule.answer)
    return _asked(given, rule, _replaced(answer or "", rule.replace))


def _prompt(given: Mapping[str, str | None], rule: Pair | MultipleChoice) -> str:
    parts = [given[name] for name in rule.prompt]
    return rule.joined_by.join(part for part in parts if part is not None)


def _asked(
    given: Mapping[str, str | None], rule: Pair | MultipleChoice, answer: str
) -> list[Turn] | NoTurns:
    prompt = _prompt(given, rule)
    if not prompt.strip():
        return NoTurns(NO_PROMPT, ", ".join(rule.prompt))
    system = given[rule.system] if rule.system else None
    before = [Turn(SYSTEM, system)] if system is not None else []
    return [*before, Turn(USER, prompt), Turn(ASSISTANT, answer)]


def _replaced(answer: str, replacements: Iterable[Replacement]) -> str:
    for replacement in replacements:
        answer = _compiled(replacement.pattern).sub(replacement.by, answer)
    return answer


_compiled = functools.lru_cache(maxsize=128)(re.compile)


def _messages(cell: str | None, rule: Messages) -> list[Turn] | NoTurns:
    if cell is None:
        return NoTurns(NO_TURNS, "null")
    try:
        listed = json.loads(cell)
    except ValueError:
        return NoTurns(NO_TURNS, cell[:80])
    if not isinstance(listed, list) or not all(isinstance(turn, dict) for turn in listed):
        return NoTurns(NO_TURNS, cell[:80])
    names = {word: role for role, word in rule.roles.model_dump().items() if word is not None}
    turns = []
    for i, turn in enumerate(listed):
        role, content = turn.get(rule.role), turn.get(rule.content)
        if not isinstance(role, str) or role not in names:
            return NoTurns(NO_ROLE, f"turn {i + 1}: {str(role)[:80]}")
        if not isinstance(content, str):
            return NoTurns(EMPTY_TURN, f"turn {i + 1}, {role}")
        turns.append(Turn(names[role], content))
    return _in_order(turns)


def _in_order(turns: list[Turn]) -> list[Turn] | NoTurns:
    first = 1 if turns and turns[0].role == SYSTEM else 0
    for i, turn in enumerate(turns[first:]):
        if turn.role != (USER, ASSISTANT)[i % 2]:
            return NoTurns(OUT_OF_ORDER, f"turn {first + i + 1}, {turn.role}")
    if not turns[first:]:
        return NoTurns(NO_PROMPT, "no turn")
    if turns[-1].role != ASSISTANT:
        return NoTurns(NO_ANSWER, f"turn {len(turns)}, {turns[-1].role}")
    return turns


def text_of(turns: Sequence[Turn]) -> str:
    """A conversation as one text: what is compared and shown."""
    return BETWEEN.join(turn.content for turn in turns)


def row_id(turns: Sequence[Turn], choices: Sequence[str] = ()) -> str:
    """16 hex digits: equal for the same roles and texts, to the letter (`-a` is not `-A`).

    And for the same choices, in whatever order.
    """
    texts: list[list[str]] = [list(turn) for turn in turns]
    return _hashed(json.dumps([*texts, sorted(choices)] if choices else texts))


def prompt_id(turns: Sequence[Turn]) -> str:
    """The id that everything before the last answer has in every corpus."""
    return cleaning.common_id(text_of(turns[:-1]))


def answer_id(turns: Sequence[Turn]) -> str:
    """16 hex digits: equal for the same last answer, white space aside."""
    return _hashed(" ".join(turns[-1].content.split()))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
