"""Texts that are near to each other, and others that are not."""

import random

WORDS = [a + b + c for a in ("br", "k", "st", "m") for b in "aeiou" for c in ("n", "lt", "sk", "p")]


def sentences(count: int, seed: int) -> list[str]:
    """Texts of ten random words: any two have little in common."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=10)) for _ in range(count)]


def with_neighbours(seed: int) -> list[str]:
    """60 texts, and 40 more that are one of them with one or two words changed, in random order."""
    draw, texts = random.Random(seed), sentences(60, seed)
    for text in draw.choices(texts, k=40):
        words = text.split()
        for _ in range(draw.randint(1, 2)):
            words[draw.randrange(10)] = draw.choice(WORDS).upper()
        texts.append(" ".join(words))
    return draw.sample(texts, len(texts))


def jaccard(one: str, other: str, length: int) -> float:
    """Of the character shingles of two texts, lower-cased."""
    a, b = (
        {text.lower()[i : i + length] for i in range(len(text) - length + 1)}
        for text in (one, other)
    )
    return len(a & b) / len(a | b)
