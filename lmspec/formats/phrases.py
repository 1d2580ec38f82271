"""phrases: a file of words, templates and terms to swap: read and checked.

source: written for this project
license: Apache-2.0
words: {thing: [film, phone], bad: [bad, dull], good: [good, great]}
templates:
  - {text: 'The {thing} is not {bad}.', label: positive}
contexts: ['I have a {thing}.']
swaps: [[he, she]]
negation:
  after: [is, was]
  by: not
  adverbs: [very]
  polarity: {positive: good, negative: bad}
  becomes: {positive: negative, negative: positive}
"""

from collections.abc import Collection
from pathlib import Path

from ruamel.yaml.nodes import Node, SequenceNode

from lmspec.errors import LmspecError, some
from lmspec.formats import yamlfile
from lmspec.formats.yamlfile import YamlFile
from lmspec.specs.phrases import Phrases, Rule, Template, Words

FILE = ("source", "license", "words", "templates", "contexts", "swaps", "negation")
RULE = ("after", "by", "adverbs", "polarity", "becomes")
NULL = "tag:yaml.org,2002:null"
# kind of augmentation -> the part that it reads
PARTS = {
    "templates": "templates",
    "context": "contexts",
    "counterfactual": "swaps",
    "negation": "negation",
}


def read(root: Path, file: str, kind: str, labels: Collection[str]) -> Phrases:
    """What a kind of augmentation is given.

    labels  of the corpus: the file names no others
    Raises LmspecError, with the place in the file, if it is not right.
    """
    phrases = parsed(yamlfile.text(root / file, file, "file"), file, labels)
    part = PARTS[kind]
    if not getattr(phrases, part):
        raise LmspecError(file, f"it has no `{part}`, which `kind: {kind}` reads", "add them")
    return phrases


def parsed(text: str, file: str, labels: Collection[str]) -> Phrases:
    """All that a file has. Raises LmspecError with the line of a mistake."""
    return _File(file, text, labels).phrases()


class _File(YamlFile):
    """One file: each message has its line."""

    def __init__(self, file: str, text: str, labels: Collection[str]) -> None:
        super().__init__(file, text)
        self.labels = labels

    def phrases(self) -> Phrases:
        """All that is in it."""
        given = self.head(FILE)
        words = self.words(given.get("words"))
        templates = self.items(given.get("templates"), "templates")
        swaps = self.items(given.get("swaps"), "swaps")
        return Phrases(
            words,
            tuple(self.template(node, words) for node in templates),
            self.contexts(given.get("contexts"), words),
            tuple(self.terms(node) for node in swaps),
            self.rule(given["negation"], words) if "negation" in given else None,
        )

    def items(self, node: Node | None, what: str) -> list[Node]:
        """Of a list that may be left out; at least one."""
        if node is None:
            return []
        if not isinstance(node, SequenceNode) or not node.value:
            self.refuse(node, f"{what} is no list", f"write `{what}:`, and `- ...` below it")
        return list(node.value)

    def template(self, node: Node, words: dict[str, Words]) -> Template:
        """A sentence, and a label or null."""
        fields = self.fields(node, "a template", ("text", "label"))
        for name in ("text", "label"):
            if name not in fields:
                self.refuse(node, f"a template has no {name}", "write {text: ..., label: ...}")
        text, label = self.sentence(fields["text"], words), fields["label"]
        return Template(text, None if label.tag == NULL else self.label(label))

    def contexts(self, node: Node | None, words: dict[str, Words]) -> Words:
        """Sentences."""
        for sentence in self.texts(node, "contexts", ()):
            self.require_slots(node, sentence, words)
        return self.texts(node, "contexts", ())

    def terms(self, node: Node) -> Words:
        """What stands for each other: two at least."""
        terms = self.texts(node, "each of swaps")
        if len({term.casefold() for term in terms}) < 2:
            self.refuse(node, "it needs two different terms", "add another")
        return terms

    def rule(self, node: Node, words: dict[str, Words]) -> Rule:
        """How a sentence is negated."""
        fields = self.fields(node, "negation", RULE)
        for name in RULE:
            if name not in fields:
                self.refuse(node, f"negation has no {name}", f"it needs {', '.join(RULE)}")
        polarity = {}
        for label, slot in self.by_label(fields["polarity"], "polarity").items():
            polarity[label] = self.word(slot, "a slot")
            if polarity[label] not in words:
                found = f"there are no words {polarity[label]!r}"
                self.refuse(slot, found, "list them in `words`")
        becomes = self.by_label(fields["becomes"], "becomes")
        return Rule(
            self.texts(fields["after"], "after"),
            self.word(fields["by"], "by"),
            self.texts(fields["adverbs"], "adverbs"),
            polarity,
            {label: self.label(other) for label, other in becomes.items()},
        )

    def by_label(self, node: Node, what: str) -> dict[str, Node]:
        """Label of the corpus -> what is written of it."""
        found = self.mapping(node, what)
        for label in found:
            self.require_label(node, label)
        return found

    def label(self, node: Node) -> str:
        """One of the corpus's."""
        label = self.word(node, "a label")
        self.require_label(node, label)
        return label

    def require_label(self, node: Node, label: str) -> None:
        """Or refuse it."""
        if label not in self.labels:
            found = f"{label!r} is no label of the corpus"
            self.refuse(node, found, f"write one of {some(list(self.labels))}")

    def sentence(self, node: Node, words: dict[str, Words]) -> str:
        """A text with words for each of its slots."""
        text = self.word(node, "a sentence")
        self.require_slots(node, text, words)
        return text
