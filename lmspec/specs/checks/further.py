"""further checks: an update or a student is trained as the kind of model it begins from can be.

That kind is in another artifact: `lmspec validate` finds it there, a stage in what it reads.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.checks import model as checks
from lmspec.specs.disagreement import Disagreement, Steps

ABOUT = ("architecture", "kind")
ALIKE = (
    checks.method_suits_the_network,
    checks.writers_have_their_own_fields,
    checks.tokens_are_learned_as_they_can_be,
)


def suits(architecture: Mapping[str, Any], section: Mapping[str, Any]) -> Iterator[Disagreement]:
    """What does not suit the kind. Places in `architecture` are of the model at the beginning.

    section  of an update or a student
    """
    for check in ALIKE:
        yield from check({**section, "architecture": architecture})
    kind, field = architecture["kind"], "retention" if "retention" in section else "distillation"
    yield from _soft_targets(kind, field, section)
    if section[field].get("teacher_answers") and kind == "causal" and not architecture["prompt"]:
        found = "plain texts have no prompts that the teacher could answer"
        others = ((("architecture", "prompt"), "no prompt"),)
        yield Disagreement((field, "teacher_answers"), found, "remove it", others)


def _soft_targets(kind: str, field: str, section: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Of a model that writes, a few of many logits are kept; of any other all, and its states."""
    writes, others = kind == "causal", ((ABOUT, "the kind of model"),)
    if writes and section[field].get("top_logits") is None:
        found = f"it does not say how many logits are kept of a model of kind {kind}"
        yield Disagreement((field,), found, "add `top_logits`, such as 32", others)
    for place in _of_others(field) if writes else _of_writers(field):
        value = _at(section, place)
        if value:
            found = f"a model of kind {kind} has no {place[-1]}"
            yield Disagreement(place, found, "set it to 0.0" if writes else "remove it", others)


def _of_writers(field: str) -> tuple[Steps, ...]:
    return tuple((field, name) for name in ("top_logits", "teacher_answers"))


def _of_others(field: str) -> tuple[Steps, ...]:
    return ((field, "hidden_weight"), ("classifier_dropout",))


def _at(section: Mapping[str, Any], place: Steps) -> Any:
    value: Any = section
    for step in place:
        value = value.get(step) if value else None
    return value
