"""conversing: the turns of a row, or why it has none; the ids that prompts and answers have."""

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lmspec.methods import cleaning
from lmspec.specs.corpus import Clean, Table
from lmspec.specs.turns import Messages, Pair, Replacement

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
NO_PROMPT, NO_ANSWER = "no prompt", "no answer"
NO_TURNS, EMPTY_TURN = "no conversation", "empty turn"
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
    given: Mapping[str, str | None], table: Table, clean: Clean
) -> tuple[Turn, ...] | NoTurns:
    """The turns of a row: a system prompt or none, then user and assistant in turn.

    The last one is the assistant's. White space inside of a turn stays, as code needs it.
    given  cell by column, None if it stands for none (labelling.present)
    """
    if isinstance(table.turns, Pair):
        turns = _pair(given, table.turns)
    elif isinstance(table.turns, Messages):
        turns = _messages(given[table.turns.column], table.turns)
    else:
        raise TypeError(f"{table.name} has no turns")
    if isinstance(turns, NoTurns):
        return turns
    repaired = [Turn(role, repair(content, clean)) for role, content in turns]
    for i, (role, content) in enumerate(repaired):
        if not content:
            reason = {USER: NO_PROMPT, ASSISTANT: NO_ANSWER}.get(role, EMPTY_TURN)
            single = len(repaired) - (repaired[0].role == SYSTEM) == 2
            return NoTurns(reason if single else EMPTY_TURN, f"turn {i + 1}, {role}")
    return tuple(repaired)


def repair(text: str, clean: Clean) -> str:
    """The text of a turn as the corpus has it, its lines kept."""
    return cleaning.repair(text, clean, keep_lines=True)


def _pair(given: Mapping[str, str | None], rule: Pair) -> list[Turn] | NoTurns:
    parts = [given[name] for name in rule.prompt]
    prompt = rule.joined_by.join(part for part in parts if part is not None)
    answer = given[rule.answer]
    if not prompt.strip():
        return NoTurns(NO_PROMPT, ", ".join(rule.prompt))
    if answer is None:
        return NoTurns(NO_ANSWER, rule.answer)
    system = given[rule.system] if rule.system else None
    before = [Turn(SYSTEM, system)] if system is not None else []
    return [*before, Turn(USER, prompt), Turn(ASSISTANT, _replaced(answer, rule.replace))]


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


def row_id(turns: Sequence[Turn]) -> str:
    """16 hex digits: equal for the same roles and texts, to the letter (`-a` is not `-A`)."""
    return _hashed(json.dumps([list(turn) for turn in turns]))


def prompt_id(turns: Sequence[Turn]) -> str:
    """The id that everything before the last answer has in every corpus."""
    return cleaning.common_id(text_of(turns[:-1]))


def answer_id(turns: Sequence[Turn]) -> str:
    """16 hex digits: equal for the same last answer, white space aside."""
    return _hashed(" ".join(turns[-1].content.split()))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
