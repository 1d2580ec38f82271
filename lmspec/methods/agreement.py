"""agreement: whether a bundle's answers are those that were scored."""

from collections.abc import Mapping, Sequence

Scored = tuple[str, str, float]  # text, predicted label, its probability
CHECKED = 64  # texts: a second for MiniLM in int8
# Another processor rounds otherwise, and in int8 a rounding can move a logit by a step.
EACH = 0.01
# In int8, texts that were scored in a batch moved each other's scale of activations.
MEAN_OF_BATCHES = 0.05


def sample(rows: Sequence[Scored]) -> list[Scored]:
    """Evenly spaced rows."""
    step = max(1, -(-len(rows) // CHECKED))
    return list(rows[::step])


def difference(
    scored: Sequence[Scored], answers: Sequence[Mapping[str, float]], together: bool
) -> str | None:
    """What differs, in words; None if nothing does.

    answers   label -> probability, for each scored text
    together  int8, scored in batches: only the mean difference is bounded
    """
    apart = [
        abs(answer.get(label, 0.0) - probability)
        for (_, label, probability), answer in zip(scored, answers, strict=True)
    ]
    if not apart:
        return None
    worst = max(range(len(apart)), key=apart.__getitem__)
    too_far = sum(apart) / len(apart) > MEAN_OF_BATCHES if together else apart[worst] > EACH
    if not too_far:
        return None
    text, label, probability = scored[worst]
    own = answers[worst].get(label, 0.0)
    return f"{label!r} has {own:.4f} instead of {probability:.4f} for {text[:60]!r}"
