"""cases: a file of suites of cases, read and checked: templates, words, and what must hold.

source: written for this project
license: Apache-2.0
words: {thing: [film, phone]}
suites:
  negation:
    kind: minimum
    templates: ['The {thing} was not bad.']
    label: positive
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ruamel.yaml.nodes import Node

from lmspec.errors import LmspecError, some
from lmspec.formats import yamlfile
from lmspec.formats.yamlfile import YamlFile
from lmspec.methods import redacting
from lmspec.specs.suites import CHANGES, KINDS, PERTURBATIONS, WRITTEN, Change, Suite, slots

FILE = ("source", "license", "words", "suites")
FIELDS = {  # kind -> what it may have beside `kind`, `about`, `templates`, `words` and `most`
    "minimum": ("label",),
    "invariance": ("vary", "times", *CHANGES),
    "direction": ("raises", "lowers", "tolerance", "times", *CHANGES),
    "groups": ("vary", "label"),
    **{kind: (field, "system") for kind, field in WRITTEN.items()},
}
LISTED = ("withheld", "blocklist")  # kinds whose field must be there
ASKED = ("refusal", "withheld")  # kinds that need templates
COMMON = ("kind", "about", "templates", "words", "most")
MOST = 100_000  # cases of a suite
MOST_TYPOS = 20


def read(root: Path, file: str) -> tuple[Suite, ...]:
    """The suites of a file of the repository. Raises LmspecError at the first mistake."""
    return _File(file, yamlfile.text(root / file, file, "cases")).suites()


def require_labels(suites: Sequence[Suite], labels: Collection[str]) -> None:
    """Raise LmspecError if a suite is about a label that the model does not have."""
    for suite in suites:
        if suite.label is not None and suite.label not in labels:
            found = f"{suite.name}: the model has no label {suite.label!r}"
            raise LmspecError(suite.place, found, f"write one of {some(list(labels))}")


def require_kinds(suites: Sequence[Suite], writes: bool) -> None:
    """Raise LmspecError if a suite is about labels and the model writes, or the reverse."""
    for suite in suites:
        if suite.is_written != writes:
            of = "a model that writes" if suite.is_written else "one that tells labels apart"
            kinds = WRITTEN if writes else KINDS
            found = f"{suite.name}: a suite of kind {suite.kind} is of {of}"
            raise LmspecError(suite.place, found, f"write one of {some(list(kinds))}")


class _File(YamlFile):
    """One file: each message has its line."""

    def suites(self) -> tuple[Suite, ...]:
        """All of them, in order; at least one."""
        fields = self.head(FILE)
        shared = self.words(fields.get("words"))
        named = self.mapping(fields.get("suites"), "suites") if "suites" in fields else {}
        if not named:
            self.refuse(self.root, "it has no suites", "write `suites:`, and a suite below it")
        return tuple(self.suite(name, node, shared) for name, node in named.items())

    def suite(self, name: str, node: Node, shared: Mapping[str, tuple[str, ...]]) -> Suite:
        """One suite."""
        self.require_name(node, name, "a suite")
        kind = self.choice(
            self.mapping(node, name).get("kind"), node, f"kind of {name}", (*KINDS, *WRITTEN)
        )
        fields = self.fields(node, f"{name}, of kind {kind},", (*COMMON, *FIELDS[kind]))
        templates = self.texts(fields.get("templates"), "templates", ())
        words = {**shared, **self.words(fields.get("words"))}
        if kind in WRITTEN:
            return self.written(node, Suite(name, kind, self.place(node), templates), fields, words)
        used = self.used(fields.get("templates"), templates, words)
        change = self.change(node, name, fields) if kind in ("invariance", "direction") else None
        vary = self.vary(node, name, fields, templates, used)
        if not templates and (change is None or vary is not None):
            self.refuse(node, f"{name} has no templates", "write `templates:`, a list of texts")
        self.require_templates(name, fields)
        if vary is None and change is None and kind in ("invariance", "groups"):
            ways = "vary" if kind == "groups" else f"vary, {', '.join(CHANGES)}"
            self.refuse(node, f"{name} changes nothing", f"write one of {ways}")
        label, rises = self.label(node, name, kind, fields)
        most = self.number(fields.get("most"), "most", 1, MOST, None)
        tolerance = self.number(fields.get("tolerance"), "tolerance", 0, 1, 0.0, float)
        made = Suite(
            name, kind, self.place(node), templates, used, vary, change, label, rises,
            tolerance or 0.0, most,
        )  # fmt: skip
        self.require_few(node, made)
        return made

    def require_templates(self, name: str, fields: Mapping[str, Node]) -> None:
        """What says something of templates is of a suite that has some."""
        for field in () if "templates" in fields else ("words", "most"):
            if field in fields:
                found = f"`{field}` is of templates, and {name} has none"
                remedy = "remove it; `rows` of the artifact says how many test texts are changed"
                self.refuse(fields[field], found, remedy)

    def written(
        self,
        node: Node,
        suite: Suite,
        fields: Mapping[str, Node],
        words: Mapping[str, tuple[str, ...]],
    ) -> Suite:
        """One of what a model writes. suite: its name, kind, place and templates"""
        field = WRITTEN[suite.kind]
        if suite.kind in LISTED and field not in fields:
            remedy = f"write `{field}: [one, another]`"
            self.refuse(node, f"{suite.name} lists nothing that answers must not have", remedy)
        listed = self.texts(fields.get(field), field, ())
        if not suite.templates and suite.kind in ASKED:
            found = f"{suite.name} has no templates"
            self.refuse(node, found, "write `templates:`, a list of prompts")
        for kind in listed if field == "kinds" else ():
            if kind not in redacting.KINDS:
                remedy = f"write some of {some(list(redacting.KINDS))}"
                self.refuse(fields[field], f"there is no personal data called {kind!r}", remedy)
        for text in listed if field == "never" else ():
            if not any(map(str.isalnum, text)):
                found = f"{text!r} has no letter or digit by which to find it"
                self.refuse(fields[field], found, "write more of it")
        system = self.word(fields["system"], "system") if "system" in fields else None
        beside = (*(listed if field == "never" else ()), *filter(None, [system]))
        made = dataclasses.replace(
            suite,
            listed=listed,
            system=system,
            words=self.used(fields.get("templates") or node, (*suite.templates, *beside), words),
            most=self.number(fields.get("most"), "most", 1, MOST, None),
        )
        whole = tuple("\n".join((template, *beside)) for template in suite.templates)
        self.require_few(node, dataclasses.replace(made, templates=whole))
        return made

    def require_few(self, node: Node, suite: Suite) -> None:
        """No more fillings of templates than a build can go through."""
        total = 0
        for template in suite.templates:
            count = 1
            for slot in slots(template):
                count *= len(suite.words[slot])
            total += count
        if total > 10 * MOST or (suite.most is None and total > MOST):
            found = f"{suite.name}: its templates stand for {total:,} texts"
            self.refuse(node, found, "list fewer words, or draw some of them: `most: 200`")

    def label(
        self, node: Node, name: str, kind: str, fields: Mapping[str, Node]
    ) -> tuple[str | None, bool]:
        """(the label that a suite is about, must its probability not fall?)"""
        wanted = {"minimum": ("label",), "direction": ("raises", "lowers"), "groups": ("label",)}
        names = [field for field in wanted.get(kind, ()) if field in fields]
        if kind in wanted and len(names) != 1:
            ways = " or ".join(f"`{field}:`" for field in wanted[kind])
            self.refuse(node, f"{name} is about no label", f"write {ways} and one label")
        if not names:
            return None, True
        return self.word(fields[names[0]], names[0]), names[0] != "lowers"

    def vary(
        self,
        node: Node,
        name: str,
        fields: Mapping[str, Node],
        templates: Sequence[str],
        words: Mapping[str, tuple[str, ...]],
    ) -> str | None:
        """The slot whose words are compared: each template has it, and it has two words."""
        if "vary" not in fields:
            return None
        slot = self.word(fields["vary"], "vary")
        for template in templates:
            if slot not in slots(template):
                found = f"{name}: {template!r} has no slot {{{slot}}}, which varies"
                self.refuse(fields.get("templates") or node, found, "add it, or remove the text")
        if len(words.get(slot, ())) < 2:
            self.refuse(fields["vary"], f"{slot} needs two words", f"list them: `{slot}: [a, b]`")
        return slot

    def change(self, node: Node, name: str, fields: Mapping[str, Node]) -> Change | None:
        """What is done to each text; None if a slot varies."""
        ways = [way for way in fields if way in ("vary", *CHANGES)]
        if len(ways) > 1:
            self.refuse(fields[ways[1]], f"{name} changes two things", f"remove {ways[1]}")
        if "times" in fields and (ways != ["perturb"] or fields["perturb"].value != "typo"):
            self.refuse(fields["times"], "`times` is of typos", "remove it")
        if not ways or ways == ["vary"]:
            return None
        (how,) = ways
        if how == "perturb":
            value = self.choice(fields[how], node, how, PERTURBATIONS)
            times = self.number(fields.get("times"), "times", 1, MOST_TYPOS, 1) or 1
            return Change(how, (value,), times=times)
        if how == "replace":
            pairs = {k: self.word(v, k) for k, v in self.mapping(fields[how], how).items()}
            if not pairs:
                self.refuse(fields[how], "it replaces nothing", "write `{he: she}`")
            return Change(how, words=pairs)
        return Change(how, self.texts(fields[how], how))

    def used(
        self, node: Node | None, templates: Sequence[str], words: Mapping[str, tuple[str, ...]]
    ) -> dict[str, tuple[str, ...]]:
        """The words of the slots in some templates."""
        found: dict[str, tuple[str, ...]] = {}
        for template in templates:
            self.require_slots(node, template, words)
            found |= {slot: words[slot] for slot in slots(template)}
        return found
