"""prompt checks: each template has its place for the text, once."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def template_has_the_prompt(prompt: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Without its place, the prompt would be left out."""
    yield from _once(prompt, "template", "{prompt}")


def turns_have_their_content(chat: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Without its place, the turn's text would be left out."""
    for role in ("system", "user"):
        if chat[role] is not None:
            yield from _once(chat, role, "{content}")
    for field in ("before", "assistant", "between"):
        if "{content}" in chat[field]:
            yield Disagreement((field,), "{content} is of turns alone", "remove it")


def _once(prompt: Mapping[str, Any], field: str, place: str) -> Iterator[Disagreement]:
    if (count := prompt[field].count(place)) != 1:
        found = f"{place} is {f'{count} times in it' if count else 'not in it'}"
        yield Disagreement((field,), found, f"write {place} once, where the text belongs")
