"""examined: cases of files, what is done to texts, what passes, and what commits say of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lmspec import stage
from lmspec.compare import revision
from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import Evidence
from lmspec.compare.revision import Revision
from lmspec.errors import LmspecError
from lmspec.formats import cases, documents, graph
from lmspec.inspection import details
from lmspec.inspection.overview import Inspection
from lmspec.language import document, validate
from lmspec.language.metric_names import paths
from lmspec.language.problems import Problem
from lmspec.language.resolved import Specs
from lmspec.methods import examining, perturbing
from lmspec.methods.examining import Case, Judged, Row
from lmspec.methods.predicting import Predictor
from lmspec.methods.reading import Ids, Windows
from lmspec.reports import suites as suites_shown
from lmspec.specs.examined import ExaminedSpec
from lmspec.specs.names import ArtifactName
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.project import Project as Project_
from lmspec.specs.suites import PERTURBATIONS, Change, Suite, filled, slots
from lmspec.statistics import cases as statistics_of
from stages import examined
from tests import specs
from tests.history import Project
from tests.specs import ROOT
from tests.test_gate import held, written

HEAD = "source: ours\nlicense: MIT\n"
TEXT = "The first half of this film is quite good, but no one will remember it later."
OWN = ROOT / "cases/sentiment.yaml"
LABELS = ("negative", "positive")


def suites(text: str, folder: Path) -> tuple[Suite, ...]:
    """Those of a file with that text."""
    (folder / "cases.yaml").write_text(text)
    return cases.read(folder, "cases.yaml")


# --- the file


def test_a_file_says_templates_words_and_what_must_hold(tmp_path: Path) -> None:
    """Shared words and own ones; braces; only the words that are used."""
    (one,) = suites(
        HEAD
        + "words: {thing: [film, no], other: [x]}\n"
        + "suites:\n  a-b:\n    kind: minimum\n    templates: ['{{{thing}}} is {how}']\n"
        + "    words: {how: [good, 7]}\n    label: positive\n    most: 3\n",
        tmp_path,
    )
    assert (one.name, one.kind, one.label, one.most) == ("a-b", "minimum", "positive", 3)
    assert one.words == {"thing": ("film", "no"), "how": ("good", "7")}
    assert one.place == "cases.yaml:6:5"
    assert slots(one.templates[0]) == ("thing", "how")
    assert filled(one.templates[0], {"thing": "film", "how": "good"}) == "{film} is good"


MANY_WORDS = f"[{', '.join(f'a{i}' for i in range(400))}]"
SUITE = "suites:\n  a:\n"
BROKEN = {
    "no list": (f"{HEAD}{SUITE}    kind: minimum\n    templates: x\n", ":6:16", "no list of texts"),
    "another kind": (f"{HEAD}{SUITE}    kind: maximum\n", ":5:11", "kind of a is 'maximum'"),
    "another field": (f"{HEAD}{SUITE}    kind: minimum\n    on: b\n", ":6:5", "no field 'on'"),
    "a slot without words": (
        f"{HEAD}{SUITE}    kind: minimum\n    templates: ['{{x}} is']\n",
        ":6:16",
        "a slot {x}, of which there are no words",
    ),
    "a slot of other letters": (
        f"{HEAD}{SUITE}    kind: minimum\n    templates: ['a {{Žival}} is']\n    label: c\n",
        ":6:16",
        "{Žival} in 'a {Žival} is' cannot be the name of a slot",
    ),
    "a number of no templates": (
        f"{HEAD}{SUITE}    kind: invariance\n    perturb: typo\n    most: 3\n",
        ":7:11",
        "`most` is of templates, and a has none",
    ),
    "no label": (f"{HEAD}{SUITE}    kind: minimum\n    templates: [b]\n", ":5:5", "about no label"),
    "two labels": (
        f"{HEAD}{SUITE}    kind: direction\n    append: [b]\n    raises: c\n    lowers: d\n",
        ":5:5",
        "about no label",
    ),
    "no change": (f"{HEAD}{SUITE}    kind: invariance\n    templates: [b]\n", ":5:5", "nothing"),
    "two changes": (
        f"{HEAD}{SUITE}    kind: invariance\n    append: [b]\n    perturb: typo\n",
        ":7:14",
        "changes two things",
    ),
    "another perturbation": (
        f"{HEAD}{SUITE}    kind: invariance\n    perturb: shuffle\n",
        ":6:14",
        "perturb is 'shuffle'",
    ),
    "a slot that is not everywhere": (
        f"{HEAD}{SUITE}    kind: groups\n    vary: x\n    words: {{x: [b, c]}}\n"
        "    templates: ['{x}', d]\n    label: e\n",
        ":8:16",
        "has no slot {x}",
    ),
    "one word": (
        f"{HEAD}{SUITE}    kind: groups\n    vary: x\n    words: {{x: [b]}}\n"
        "    templates: ['{x}']\n    label: e\n",
        ":6:11",
        "needs two words",
    ),
    "a word twice": (f"{HEAD}words: {{x: [a, a]}}\n{SUITE}", ":3:16", "'a' twice"),
    "a suite twice": (f"{HEAD}{SUITE}    kind: x\n  a:\n    kind: y\n", ":6:3", "'a' twice"),
    "a name with a space": (f"{HEAD}suites:\n  a b: {{kind: minimum}}\n", ":4:8", "called 'a b'"),
    "no licence": ("source: ours\nsuites: {}\n", ":1:1", "no license"),
    "no suites": (f"{HEAD}suites: {{}}\n", ":1:1", "no suites"),
    "no mapping": ("- a\n", ":1:1", "no mapping"),
    "nothing": ("", "", "no mapping"),
    "no YAML": (f"{HEAD}suites: [\n", ":4:1", "not YAML"),
    "typos of another change": (
        f"{HEAD}{SUITE}    kind: invariance\n    append: [b]\n    times: 2\n",
        ":7:12",
        "of typos",
    ),
    "a number that is none": (
        f"{HEAD}{SUITE}    kind: direction\n    append: [b]\n    raises: c\n    tolerance: 2\n",
        ":8:16",
        "no number from 0 to 1",
    ),
    "too many": (
        f"{HEAD}words: {{x: {MANY_WORDS}, y: {MANY_WORDS}}}\n{SUITE}    kind: minimum\n"
        "    templates: ['{x} {y}']\n    label: c\n",
        ":6:5",
        "160,000 texts",
    ),
    "billions": (
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{n}: &{n} [{', '.join([f'*{m}'] * 9)}]\n" for m, n in pairwise("abcdefg")),
        "",
        "200,000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_mistake_in_a_file_has_one_error_with_its_place(case: str, tmp_path: Path) -> None:
    """File, line and column, what is wrong, what to do."""
    text, place, found = BROKEN[case]
    with pytest.raises(LmspecError) as caught:
        suites(text, tmp_path)
    assert caught.value.place == f"cases.yaml{place}"
    assert found in caught.value.found and caught.value.remedy


def test_a_file_that_is_not_there_or_is_no_text(tmp_path: Path) -> None:
    """One error each."""
    with pytest.raises(LmspecError, match="no such file"):
        cases.read(tmp_path, "cases.yaml")
    (tmp_path / "cases.yaml").write_bytes(b"source: a\nlicense: \xff\n")
    with pytest.raises(LmspecError, match="UTF-8") as caught:
        cases.read(tmp_path, "cases.yaml")
    assert caught.value.place == "cases.yaml:2"


DECLARED = "{of: quantized.release, cases: cases.yaml, on: splits.old, rows: 8, seed: 1}"
GOOD = specs.GOOD.replace("speed:\n", f"examined:\n  release: {DECLARED}\n\nspeed:\n", 1)
CASES = (
    HEAD
    + """\
words: {thing: [film, phone]}
suites:
  praise: {kind: minimum, templates: ['the {thing} was wonderful'], label: good}
  punctuation: {kind: invariance, perturb: punctuation}
  voices:
    {kind: groups, templates: ['{voice}: {thing}'], words: {voice: [a, b]}, vary: voice, label: bad}
"""
)


def declared(folder: Path, gate: str = "") -> Path:
    """A params.yaml in which the file of cases is examined, beside that file."""
    (folder / "cases.yaml").write_text(CASES)
    gates = f"gates:\n  e: {gate}\n" if gate else "gates:\n"
    return specs.written(GOOD.replace("gates:\n", gates, 1), folder)


def errors(path: Path) -> list[Problem]:
    """Those of a params.yaml."""
    return [problem for problem in validate.file(path).problems if not problem.warning]


def test_validate_finds_a_mistake_in_the_file_and_a_label_that_no_one_has(tmp_path: Path) -> None:
    """At the field that names the file; a gate on a suite that is there is no further problem."""
    gate = "{kind: floor, metric: examined.release.praise.pass_rate, at_least: 0.9}"
    path = declared(tmp_path, gate)
    assert not errors(path)
    for old, new, found in (
        ("label: good", "label: fine", "has no label 'fine'"),
        ("kind: minimum", "kind: most", "kind of praise is 'most'"),
    ):
        (tmp_path / "cases.yaml").write_text(CASES.replace(old, new, 1))
        (problem,) = errors(path)
        assert problem.rule == "cases-are-sound" and found in problem.found
        assert "cases.yaml:5:" in problem.found


def test_a_gate_on_a_suite_that_is_not_there_is_found_before_any_build(tmp_path: Path) -> None:
    """With the one that was probably meant."""
    path = declared(
        tmp_path, "{kind: floor, metric: examined.release.prise.pass_rate, at_least: 0.9}"
    )
    (problem,) = errors(path)
    assert "examined.release.praise.pass_rate" in str(problem)


def test_the_cases_of_the_project_are_sound() -> None:
    """All kinds, labels of the project, and 24 negated negatives."""
    found = {suite.name: suite for suite in cases.read(ROOT, "cases/sentiment.yaml")}
    cases.require_labels(list(found.values()), LABELS)
    assert {suite.kind for suite in found.values()} == {
        "minimum",
        "invariance",
        "direction",
        "groups",
    }
    assert len(examining.cases(found["negated-blame"], [], 1)) == 24
    changed = {s.change.values[0] for s in found.values() if s.change and s.change.how == "perturb"}
    assert changed == set(PERTURBATIONS)


# --- what is done to texts


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_typos_swap_neighbouring_letters_within_words() -> None:
    """The same letters in other places, each word with its first letter; so many as are asked for,
    the same for the same seed."""
    for times in (1, 3):
        changed = perturbing.typo(TEXT, rng(), times)
        assert changed == perturbing.typo(TEXT, rng(), times)
        off = [i for i, (a, b) in enumerate(zip(TEXT, changed, strict=True)) if a != b]
        assert len(off) == 2 * times and Counter(changed) == Counter(TEXT)
        pairs = zip(TEXT.split(), changed.split(), strict=True)
        assert all(a[0] == b[0] and Counter(a) == Counter(b) for a, b in pairs)
    assert perturbing.typo("so it is", rng(), 1) == "so it is"
    assert perturbing.typo("abcd", rng(), 20) in ("acbd", "abdc")


def test_perturbations_change_what_they_say() -> None:
    """And keep the rest."""
    change = {
        name: perturbing.changed("Not bad, MIX.", Change("perturb", (name,)), rng())
        for name in PERTURBATIONS
    }
    assert change["lower_case"] == "not bad, mix."
    assert change["upper_case"] == "NOT BAD, MIX."
    assert change["punctuation"] == "Not bad, MIX"
    assert perturbing.punctuation("Not bad") == "Not bad."
    wide = change["full_width"]
    assert len(wide) == len("Not bad, MIX.") and wide.isascii() is False and " " in wide
    alike = change["look_alikes"]
    assert len(alike) == len("Not bad, MIX.") and alike.startswith("N") and "o" not in alike
    assert change["zero_width"].replace("\u200b", "") == "Not bad, MIX."
    assert {*perturbing.PERTURBATIONS} == {*PERTURBATIONS}
    russian = perturbing.changed("Суп", Change("perturb", ("look_alikes",)), rng())
    assert russian == "Cyп"  # Latin letters in a Cyrillic word


def test_words_are_replaced_whole_once_and_in_their_case() -> None:
    """A swap does not undo itself, and a part of a word is none."""
    words = {"he": "she", "she": "he", "is not": "isn't"}
    assert perturbing.replaced("He is not there; she is.", words) == "She isn't there; he is."
    assert perturbing.replaced("The other", words) == "The other"
    turkish = {"ali": "veli", "kizi": "oğlu"}  # whose lower case is another than of an English i
    assert perturbing.replaced("ALİ geldi, Ali'nin kızı.", turkish) == "Veli geldi, Veli'nin oğlu."


def test_a_sentence_is_added_at_an_end() -> None:
    """One of several."""
    added = perturbing.changed("a", Change("append", ("b", "c")), rng())
    assert added in ("a b", "a c")
    assert perturbing.changed("a", Change("prepend", ("b",)), rng()) == "b a"


# --- cases


ROWS = [Row(f"r{i}", f"a longer text with the number {i}, and its ending", "") for i in range(40)]
TYPO = Suite("typo", "invariance", "f:1:1", change=Change("perturb", ("typo",)))


def test_another_row_changes_no_case_of_the_others() -> None:
    """What is drawn and what is changed follows from the seed, the suite and the row alone."""
    few = examining.drawn(ROWS[:-1], 100, 1)
    texts = {case.id: case.text for case in examining.cases(TYPO, few, 1)}
    more = {case.id: case.text for case in examining.cases(TYPO, examining.drawn(ROWS, 100, 1), 1)}
    assert texts.items() < more.items() and len(more) == 40
    assert {row.id for row in examining.drawn(ROWS, 10, 1)} < {
        row.id for row in examining.drawn(ROWS, 11, 1)
    }
    assert examining.drawn(ROWS, 10, 1) != examining.drawn(ROWS, 10, 2)
    other = [case.text for case in examining.cases(TYPO, few, 2)]
    assert sorted(other) != sorted(texts.values())


def test_a_case_is_there_once_and_differs_from_what_it_was() -> None:
    """A template that gives a text twice, a change that changes nothing, a text of marks alone."""
    twice = Suite("a", "minimum", "f", ("{x} b", "{x} b"), {"x": ("c", "d")}, label="positive")
    assert [case.text for case in examining.cases(twice, [], 1)] == ["c b", "d b"]
    rows = [Row("1", "so it is", ""), Row("2", "!!!", ""), Row("3", "ending.", "")]
    assert examining.cases(TYPO, rows[:2], 1) == []
    marks = replace(TYPO, change=Change("perturb", ("punctuation",)))
    assert [case.text for case in examining.cases(marks, rows[1:], 1)] == ["ending"]


def test_a_part_of_many_fillings_is_drawn() -> None:
    """The same ones for the same seed; a further word leaves most of them."""
    words = {"x": tuple(f"w{i}" for i in range(50))}
    suite = Suite("a", "minimum", "f", ("{x} b",), words, label="positive", most=10)
    texts = {case.text for case in examining.cases(suite, [], 1)}
    more = replace(suite, words={"x": (*words["x"], "w50")})
    assert len(texts) == 10 and len(texts & {c.text for c in examining.cases(more, [], 1)}) >= 9


def test_words_of_a_slot_are_held_against_the_first_or_against_each_other() -> None:
    """One case for each further word; of groups, the same id for all terms of a template."""
    words = {"n": ("Ann", "Bob", "Cem"), "v": ("ran", "sat")}
    one = Suite("a", "invariance", "f", ("{n} {v}",), words, vary="n")
    found = examining.cases(one, [], 1)
    assert [(case.before, case.text) for case in found] == [
        ("Ann ran", "Bob ran"),
        ("Ann ran", "Cem ran"),
        ("Ann sat", "Bob sat"),
        ("Ann sat", "Cem sat"),
    ]
    groups = examining.cases(replace(one, kind="groups", label="positive"), [], 1)
    assert len(groups) == 6 and len({case.id for case in groups}) == 2
    other = replace(one, kind="groups", label="positive", words={**words, "n": ("Ann", "Bob")})
    assert not {case.id for case in groups} & {case.id for case in examining.cases(other, [], 1)}


def judged(suite: Suite, text: float, before: float | None = None) -> Judged:
    """By the probability of `positive`."""
    case = Case(suite, "i", "t", None if before is None else "b")
    answers = {"t": np.array([1 - text, text]), "b": np.array([1 - (before or 0), before or 0])}
    return examining.judged(case, answers, LABELS)


def test_what_passes() -> None:
    """A minimum by its label, an invariance by the label before, a direction by its tolerance."""
    least = Suite("a", "minimum", "f", label="positive")
    assert judged(least, 0.6).passed and not judged(least, 0.3).passed
    assert judged(least, 0.3).severity == pytest.approx(0.7)
    assert judged(TYPO, 0.9, 0.6).passed and not judged(TYPO, 0.4, 0.9).passed
    failed = judged(TYPO, 0.8, 0.1)
    assert (failed.expected, failed.predicted) == ("negative", "positive")
    assert failed.severity == pytest.approx(0.7)
    up = Suite("a", "direction", "f", label="positive", tolerance=0.1)
    assert judged(up, 0.45, 0.5).passed and not judged(up, 0.3, 0.5).passed
    down = replace(up, rises=False)
    assert judged(down, 0.55, 0.5).passed and not judged(down, 0.7, 0.5).passed


# --- the stage


WEIGHTS = {"good": 2.0, "bad": -2.0, "lovely": 2.0, "awful": -2.0}


class Words:
    """A reader whose ids are places of words in a list."""

    def __init__(self, known: Sequence[str]) -> None:
        self.known = list(known)

    def read(self, texts: Iterable[str]) -> Windows:
        """One window a text."""
        ids = [
            np.array(
                [self.known.index(w) for w in text.lower().split() if w in self.known], np.int64
            )
            for text in (t.replace(".", "") for t in texts)
        ]
        zero = np.zeros(len(ids), np.int64)
        return Windows(ids, np.arange(len(ids)), zero, zero, zero)


def lexicon(weights: Mapping[str, float]) -> Predictor:
    """Sums the weights of words it knows; a bias of its own for each."""
    known = ["[PAD]", *weights]
    table = np.array([0.0, *weights.values()])

    def forward(input_ids: Ids, attention_mask: Ids) -> Any:
        score = (table[input_ids] * attention_mask).sum(1) + 0.1
        return np.stack([-score, score], axis=1).astype(np.float32)

    return Predictor(forward, Words(known), LABELS, 0)  # type: ignore[arg-type]


def examine(
    folder: Path, text: str, weights: Mapping[str, float], monkeypatch: pytest.MonkeyPatch
) -> stage.Report:
    """What the stage reports of a lexicon, on two test texts of which one is in a group."""
    for name in ("splits", "model", "out"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "cases.yaml").write_text(text)
    (folder / "model/lmspec.json").write_text(
        '{"labels": ["bad"], "clean": {"fix_unicode": true, "unescape_html": true}}'
    )
    rows = {"id": ["1", "2"], "text": ["It was good.", "It was awful."], "group": [None, "g"]}
    frame = pl.DataFrame(rows | {"table": ["t", "t"], "label": ["positive", "negative"]})
    documents.write(frame, folder / "splits/test.parquet")
    monkeypatch.setattr(graph, "predictor", lambda *given: lexicon(weights))
    spec = ExaminedSpec.model_validate(
        {"of": "quantized.a", "cases": "cases.yaml", "on": "splits.b", "rows": 9, "seed": 1}
    )
    numerics = Numerics(seed=1, threads=1, precision="fp32", instructions="avx2")
    needs = stage.Needs(
        {"quantized.a": folder / "model", "splits.b": folder / "splits"},
        numerics,
        Machine(device="cpu"),
        root=folder,
    )
    return examined.build(spec, needs, folder / "out")


FOUR = (
    HEAD
    + """\
words: {thing: [film, book], term: [he, she, they]}
suites:
  negation: {kind: minimum, templates: ['The {thing} was not bad'], label: positive}
  praise: {kind: minimum, templates: ['The {thing} was good'], label: positive}
  wide: {kind: invariance, perturb: full_width}
  alike: {kind: invariance, perturb: look_alikes}
  added: {kind: direction, append: [lovely], raises: positive, tolerance: 0.0}
  groups:
    kind: groups
    templates: ['{term} saw the {thing}', 'it is {term}']
    vary: term
    label: positive
"""
)


def test_the_stage_measures_each_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lexicon does not know negations; texts are repaired as a bundle repairs them, so letters of
    full width are read, and look-alikes are not."""
    report = examine(tmp_path, FOUR, WEIGHTS, monkeypatch)
    assert report.metrics == {
        "negation": {"pass_rate": 0.0, "cases": 2},
        "praise": {"pass_rate": 1.0, "cases": 2},
        "wide": {"pass_rate": 1.0, "cases": 2},
        "alike": {"pass_rate": 0.5, "cases": 2},
        "added": {"pass_rate": 1.0, "cases": 2},
        "groups": {"gap": 0.0, "templates": 3},
    }
    rows = report.tables["cases"]
    assert {row["text"] for row in rows if row["suite"] == "negation"} == {
        "The film was not bad",
        "The book was not bad",
    }
    assert {row["text"] for row in rows if row["suite"] == "wide"} == {""}
    kept = pl.read_parquet(tmp_path / "out/cases.parquet")
    assert (
        kept.filter(pl.col("suite") == "wide")["text_before"].to_list().count("It was good.") == 1
    )
    assert {row["group"] for row in rows if row["suite"] == "wide"} == {"", "t/g"}


def test_the_same_build_twice_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables, and what DVC keeps."""
    one = examine(tmp_path, FOUR, WEIGHTS, monkeypatch)
    before = (tmp_path / "out/cases.parquet").read_bytes()
    assert examine(tmp_path, FOUR, WEIGHTS, monkeypatch) == one
    assert (tmp_path / "out/cases.parquet").read_bytes() == before


def test_a_biased_model_has_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: a word for a person is worth half an opinion."""
    report = examine(tmp_path, FOUR, {**WEIGHTS, "they": -0.5}, monkeypatch)
    means = [1 / (1 + np.exp(-2 * score)) for score in (0.1, -0.4)]
    assert report.metrics["groups"]["gap"] == pytest.approx(means[0] - means[1], abs=2e-6)


def test_a_suite_that_asks_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rate would be of no case."""
    text = HEAD + "suites: {a: {kind: invariance, replace: {zebra: horse}}}\n"
    with pytest.raises(LmspecError, match="changes none of the 2 test texts"):
        examine(tmp_path, text, WEIGHTS, monkeypatch)
    text = text.replace("horse}", "horse}, templates: [A mule.]")
    with pytest.raises(LmspecError, match="a changes none of its templates"):
        examine(tmp_path, text, WEIGHTS, monkeypatch)


# --- two commits


def reported(
    folder: Path,
    text: str,
    weights: Mapping[str, float],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> Revision:
    """A revision in which a lexicon was examined."""
    root = folder / name
    root.mkdir()
    report = examine(root, text, weights, monkeypatch)
    project = Project(root)
    project.write("params.yaml", '{"examined": {"a": {"cases": "cases.yaml"}}}')
    project.measure("examined.a", report.metrics)
    project.table("examined.a", "cases", report.tables["cases"])
    return written(root, name)


MANY = (
    HEAD
    + """\
words:
  thing: [film, book, phone, hotel, song, play, game, meal]
  word: [bad, awful]
  term: [he, she, they]
suites:
  negation: {kind: minimum, templates: ['The {thing} was not {word}'], label: positive}
  groups:
    kind: groups
    templates: ['{term} saw the {thing}', 'it is {term}']
    vary: term
    label: positive
"""
)
THINGS = {"film": 0.2, "book": 0.4, "phone": -0.3, "hotel": 0.1, "song": -0.1, "she": 0.02}
WEIGHTS_OF_MANY = {**WEIGHTS, **THINGS}
NEGATES = {**WEIGHTS_OF_MANY, "not": 5.0}  # a word that outweighs what follows
BIASED = {**WEIGHTS_OF_MANY, "they": -0.5}


def test_commits_are_compared_on_the_cases_that_both_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """McNemar's test on the cases of a suite; the gap of groups by templates."""
    old = reported(tmp_path, MANY, WEIGHTS_OF_MANY, monkeypatch, "old")
    new = reported(tmp_path, MANY, {**NEGATES, "they": -0.5}, monkeypatch, "new")
    from lmspec.compare import metrics, verdicts

    pair = Evidence(old, new).pair("examined.a")
    found = {m.name: m for m in verdicts.judged(list(metrics.rows(pair)))}
    rate, gap = found["examined.a.negation.pass_rate"], found["examined.a.groups.gap"]
    assert (rate.baseline, rate.candidate, rate.difference) == (0.0, 1.0, 1.0)
    assert (rate.verdict, rate.method, rate.family) == ("better", "McNemar, exact", "cases")
    assert rate.p == pytest.approx(2**-15) and rate.examples == 16
    assert gap.verdict == "worse" and gap.difference and gap.difference > 0.1
    assert gap.examples == 9
    same = {
        m.verdict
        for m in verdicts.judged(list(metrics.rows(Evidence(old, old).pair("examined.a"))))
    }
    assert same == {"same"}


def test_flips_name_the_cases_that_fail_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their text, which git has of templates."""
    from lmspec.compare import flips

    old = reported(tmp_path, MANY, NEGATES, monkeypatch, "old")
    new = reported(tmp_path, MANY, WEIGHTS_OF_MANY, monkeypatch, "new")
    (found,) = flips.flips([Evidence(old, new).pair("examined.a")], tmp_path)
    assert (found.dataset, found.negative_flips, found.positive_flips) == ("negation", 16, 0)
    first = found.worst[0]
    assert (first.label, first.baseline, first.candidate) == ("positive", "positive", "negative")
    assert first.text is not None and first.text.startswith("The ")
    assert first.candidate_probability < 0.5 < first.baseline_probability


def gate(kind: str, metric: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "metric": f"examined.a.{metric}", **fields}


def test_gates_hold_rates_and_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By value and by exact bounds, against the baseline and in the commit; a biased copy fails."""
    old = reported(tmp_path, MANY, NEGATES, monkeypatch, "old")
    new = reported(tmp_path, MANY, BIASED, monkeypatch, "new")
    rate, gap = "negation.pass_rate", "groups.gap"
    for demanded, verdicts_ in (
        (gate("floor", rate, at_least=0.8), ("pass", "fail")),
        (gate("floor", rate, at_least=0.8, confidence=0.95), ("pass", "fail")),
        (gate("floor", rate, at_least=0.9, confidence=0.95), ("undecided", "fail")),
        (gate("ceiling", gap, at_most=0.05), ("pass", "fail")),
        (gate("ceiling", gap, at_most=0.05, confidence=0.95), ("pass", "fail")),
        (gate("non_inferiority", rate, margin=0.1, confidence=0.95), ("pass", "fail")),
        (gate("non_inferiority", gap, margin=0.05, confidence=0.95), ("pass", "fail")),
        (gate("negative_flip_rate", "negation", at_most=0.2, confidence=0.95), ("pass", "fail")),
    ):
        assert tuple(held(old, side, **demanded).verdict for side in (old, new)) == verdicts_, (
            demanded
        )
    assert held(old, new, **gate("floor", "gone.pass_rate", at_least=0.1)).verdict == "missing"


def test_a_suite_that_was_removed_is_no_missing_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of cases no longer has it; its gate would still fail. Another suite is new."""
    from lmspec.compare import metrics

    old = reported(tmp_path, MANY, WEIGHTS_OF_MANY, monkeypatch, "old")
    new = reported(
        tmp_path, MANY.replace("negation:", "denial:"), WEIGHTS_OF_MANY, monkeypatch, "new"
    )
    found = {
        row.metric.name: row.metric.verdict
        for row in metrics.rows(Evidence(old, new).pair("examined.a"))
    }
    assert found["examined.a.negation.pass_rate"] == "removed"
    assert found["examined.a.denial.pass_rate"] == "new"


def test_other_terms_are_not_comparable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More or other words: another gap. The candidate's own bounds are still known."""
    old = reported(tmp_path, MANY, WEIGHTS_OF_MANY, monkeypatch, "old")
    for name, terms in (("more", "he, she, they, we"), ("others", "he, she, we")):
        text = MANY.replace("term: [he, she, they]", f"term: [{terms}]")
        new = reported(tmp_path, text, BIASED, monkeypatch, name)
        held_ = held(
            old, new, **gate("non_inferiority", "groups.gap", margin=0.05, confidence=0.95)
        )
        assert held_.verdict == "not comparable" and "other answers" in held_.observed
        alone = gate("ceiling", "groups.gap", at_most=0.4, confidence=0.95)
        assert held(old, new, **alone).verdict == "pass"


def test_fewer_cases_count_the_lost_ones_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with fewer words must not make a gate pass."""
    old = reported(tmp_path, MANY, NEGATES, monkeypatch, "old")
    new = reported(tmp_path, MANY.replace("bad, awful", "bad"), NEGATES, monkeypatch, "new")
    found = held(old, new, **gate("floor", "negation.pass_rate", at_least=0.8, confidence=0.95))
    assert found.verdict == "undecided" and "8 of the baseline's 16" in found.observed


def test_a_table_that_is_damaged_has_no_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word that is no pass, a number that is none, a term that is missing, no table at all."""
    old = reported(tmp_path, MANY, WEIGHTS_OF_MANY, monkeypatch, "old")
    path = old.tree.root / "data/metrics/examined-a/cases.csv"
    text = path.read_text()
    artifact = Artifact(old, "examined.a")
    assert not isinstance(artifact.sample("negation"), revision.Unavailable)
    lines = text.splitlines(keepends=True)
    damaged = (
        ("negation", text.replace(",fail,", ",perhaps,", 1)),
        ("groups", text.replace(",they,positive,positive,,", ",they,positive,positive,,x", 1)),
        ("groups", "".join(lines[:-1])),
        ("groups", ""),
    )
    for suite, content in damaged:
        path.write_text(content)
        sample = Artifact(written(old.tree.root, "x"), "examined.a").sample(suite)
        assert isinstance(sample, revision.Unavailable), content[-200:]


# --- what is shown, and what is known before a build


def test_show_has_rates_with_exact_intervals_and_the_worst_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the table in git has them."""
    from scipy import stats

    made = reported(tmp_path, MANY, {**BIASED, "not": 1.9}, monkeypatch, "a")
    rate, groups = details.detail(Inspection(made), "examined.a").suites
    hits = round(16 * rate.found.value)
    assert 0 < hits < 16 and rate.cases == 16 and rate.found.interval is not None
    low, high = stats.beta.ppf(0.025, hits, 17 - hits), stats.beta.ppf(0.975, hits + 1, 16 - hits)
    assert rate.found.interval == pytest.approx((low, high), abs=1e-9)
    worst = [one.probability or 0.0 for one in rate.worst]
    assert worst == sorted(worst) and rate.worst[0].text is not None
    assert list(groups.means) == ["they", "he", "she"] and groups.found.interval is not None
    shown = "\n".join(
        str(section.table) for section in suites_shown.sections([rate, groups]) if section.table
    )
    assert "negation" in shown and "they" in shown and "was not" in shown


@pytest.mark.filterwarnings("error")
def test_a_suite_of_one_case_is_shown_without_a_warning() -> None:
    """Nothing is left where it is left out, so nothing can be shown."""
    one = statistics_of.of_cases(["a"], [""], [statistics_of.PASS])
    gap = statistics_of.of_terms(["a"], ["he", "she"], np.array([[0.2, 0.9]]))
    for side, metric in ((one, "pass_rate"), (gap, "gap")):
        scale = statistics_of.scale(side)
        assert np.isnan(scale.metric(metric, np.zeros(scale.width - 1)))


def test_metrics_and_inputs_are_known_before_a_build(tmp_path: Path) -> None:
    """Those of the suites in the file, which is in the stage's key, and in that of no other."""
    path = declared(tmp_path)
    values = document.read(path).values
    names = (ArtifactName("examined", "release"),)
    known = paths(Specs(values, values, names, (), {}, tmp_path), names[0])
    assert known == [
        ("praise", "pass_rate"),
        ("praise", "cases"),
        ("punctuation", "pass_rate"),
        ("punctuation", "cases"),
        ("voices", "gap"),
        ("voices", "templates"),
    ]
    project = Project_.model_validate(values)
    reading = [name for name, spec in project.artifacts() if "cases.yaml" in spec.files()]
    assert reading == ["examined.release"]
