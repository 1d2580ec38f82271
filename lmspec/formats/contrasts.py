"""contrasts: a file of pairs of texts that differ in one word, read and checked.

source: written for this project
license: Apache-2.0
words: {thing: [film, phone]}
contrasts:
  quality:
    templates: ['The {thing} was {swap}.']
    swap: [[good, bad], [great, awful]]
    answers: [positive, negative]
"""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from ruamel.yaml.nodes import Node, SequenceNode

from lmspec.errors import LmspecError, some
from lmspec.formats import yamlfile
from lmspec.formats.yamlfile import YamlFile
from lmspec.specs.contrasts import SWAP, Contrast
from lmspec.specs.suites import filled, slots

FILE = ("source", "license", "words", "contrasts")
FIELDS = ("about", "templates", "words", SWAP, "answers")
MOST = 2_000  # pairs of a file: each is asked some hundred times


def read(root: Path, file: str) -> tuple[Contrast, ...]:
    """The contrasts of a file of the repository. Raises LmspecError at the first mistake."""
    return _File(file, yamlfile.text(root / file, file, "pairs")).contrasts()


def require_labels(contrasts: Sequence[Contrast], labels: Collection[str]) -> None:
    """Raise LmspecError if an answer is no label of the model."""
    for contrast in contrasts:
        for answer in contrast.answers:
            if answer not in labels:
                found = f"{contrast.name}: the model has no label {answer!r}"
                raise LmspecError(contrast.place, found, f"write two of {some(list(labels))}")


class _File(YamlFile):
    """One file: each message has its line."""

    def contrasts(self) -> tuple[Contrast, ...]:
        """All of them, in order; at least one."""
        fields = self.head(FILE)
        shared = self.words(fields.get("words"))
        named = self.mapping(fields["contrasts"], "contrasts") if "contrasts" in fields else {}
        if not named:
            self.refuse(self.root, "it has no contrasts", "write `contrasts:`, and one below it")
        found = tuple(self.contrast(name, node, shared) for name, node in named.items())
        if sum(len(each.pairs) for each in found) > MOST:
            count = sum(len(each.pairs) for each in found)
            remedy = f"list fewer words: {MOST:,} are traced at most"
            self.refuse(fields["contrasts"], f"they make {count:,} pairs", remedy)
        return found

    def contrast(self, name: str, node: Node, shared: Mapping[str, tuple[str, ...]]) -> Contrast:
        """One of them."""
        self.require_name(node, name, "a contrast")
        fields = self.fields(node, name, FIELDS)
        swaps = self.swaps(fields.get(SWAP) or node, SWAP in fields)
        answers = self.two(fields.get("answers") or node, "answers")
        words = {**shared, **self.words(fields.get("words"))}
        texts = fields.get("templates")
        pairs: list[tuple[str, str, str]] = []
        for template in self.texts(texts, "templates"):
            self.require_swap(texts or node, template, words)
            pairs += made(template, words, swaps)
        return Contrast(name, self.place(node), tuple(pairs), answers)

    def require_swap(self, node: Node, template: str, words: Mapping[str, tuple[str, ...]]) -> None:
        """It has the slot that is swapped, once, and words for each other one."""
        if template.count(f"{{{SWAP}}}") != 1:
            found = f"{template!r} has not one slot {{{SWAP}}}, in which its texts differ"
            self.refuse(node, found, "write it once")
        self.require_slots(node, template, words, (SWAP,))

    def swaps(self, node: Node, is_there: bool) -> list[tuple[str, str]]:
        """Pairs of words; each once."""
        if not is_there or not isinstance(node, SequenceNode) or not node.value:
            self.refuse(node, "it swaps no words", f"write `{SWAP}: [[good, bad]]`")
        return [self.two(item, "each pair of words") for item in node.value]

    def two(self, node: Node, what: str) -> tuple[str, str]:
        """Two different texts."""
        if not isinstance(node, SequenceNode) or len(node.value) != 2:
            self.refuse(node, f"{what} must be two texts", "write `[one, other]`")
        one, other = (self.word(item, what) for item in node.value)
        if one == other:
            self.refuse(node, f"{what} must differ, and both are {one!r}", "correct one")
        return one, other


def made(
    template: str, words: Mapping[str, tuple[str, ...]], swaps: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, str, str]]:
    """(template, one text, the other) of each choice of words."""
    others = [slot for slot in slots(template) if slot != SWAP]
    for choice in itertools.product(*(words[slot] for slot in others)):
        chosen = dict(zip(others, choice, strict=True))
        for swap in swaps:
            one, other = (filled(template, {**chosen, SWAP: word}) for word in swap)
            yield template, one, other
