"""majority: the most frequent label, and what a model is worth beside always answering it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from lmspec.errors import some

NEARLY = 0.05  # of the texts that have another label: answers beyond a single one, at most


def most_frequent(labels: Iterable[str]) -> tuple[str, int]:
    """(the most frequent label, how many have it); of several the first in the alphabet.

    Raises ValueError if there is no label.
    """
    count = Counter(labels)
    if not count:
        raise ValueError("there is no label")
    return min(count.items(), key=lambda item: (-item[1], item[0]))


def empty(labels: Iterable[str], truth: Iterable[str]) -> list[str]:
    """The labels that no text has, in their order."""
    there = set(truth)
    return [label for label in labels if label not in there]


def remarks(
    names: tuple[str, str], labels: Sequence[str], truth: Sequence[str], predicted: Sequence[str]
) -> Iterator[str]:
    """What makes the scores of one test split worth little, a sentence each.

    names             of what answered, and of the dataset
    labels            all that it can answer
    truth, predicted  (n,) of each test text; n > 0
    """
    who = " on ".join(names)
    answer, count = most_frequent(predicted)
    size, others = len(truth), [i for i, label in enumerate(truth) if label != answer]
    spared = sum(predicted[i] != answer for i in others)
    if lacking := empty(labels, truth):
        missing = some([repr(label) for label in lacking])
        yield f"{names[1]} has no test text of {missing}: how well any is found is not known"
    if others and spared <= NEARLY * len(others):
        yield f"{who} answers {answer!r} to {100 * count / size:.3g} % of the test texts"
    elif never := [label for label in labels if label in truth and label not in predicted]:
        texts = sum(label in never for label in truth)
        unused = some([repr(label) for label in never])
        yield f"{who} never answers {unused}, the label of {texts:,} of the {size:,} test texts"
    right = sum(own == other for own, other in zip(truth, predicted, strict=True))
    constant = most_frequent(truth)
    if others and right <= constant[1]:
        yield (
            f"{who} is right on {right / size:.3f} of the test texts, and always answering "
            f"{constant[0]!r} would be on {constant[1] / size:.3f}"
        )
