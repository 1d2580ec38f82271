"""Augmented training texts: what each kind makes, from its text and the seed alone; no test row of
the splits is among them, and their models have seen the splits."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lmspec.errors import LmspecError
from lmspec.formats import documents, phrases
from lmspec.methods import augmenting, cleaning
from lmspec.specs.augmented import FURTHER, KINDS, AugmentedSpec
from lmspec.specs.numerics import Machine
from lmspec.specs.updated import UpdatedSpec
from lmspec.stage import Needs, Report
from lmspec.training import updating
from stages import augmented
from tests.specs import GOOD, ROOT, complaints

PAGE = (ROOT / "docs/augmenting.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
(FILE,) = (block for block in BLOCKS if block.startswith("source:"))
PHRASES = phrases.parsed(FILE, "phrases.yaml", ["negative", "positive"])
FILES = {"file": "phrases.yaml"}
EVERY: dict[str, dict[str, Any]] = {
    "typos": {"share": 1.0, "copies": 2, "edits": 2},
    "word_dropout": {"share": 1.0, "copies": 2, "rate": 0.3},
    "word_swap": {"share": 1.0, "copies": 2, "swaps": 1},
    "counterfactual": {"share": 1.0, "copies": 1, **FILES},
    "negation": {"share": 1.0, "copies": 1, "max_words": 8, **FILES},
    "context": {"share": 0.5, "copies": 1, **FILES},
    "templates": {"rows": 40, **FILES},
}
TEXTS = [
    ("The film was very bad.", "negative"),
    ("he says it is good", "positive"),
    ("She likes it, Emily wrote", "positive"),
    ("It is not bad", "positive"),
    ("bad and dull it was", "negative"),
    ("a long and winding tale of two cities that never quite ends", "negative"),
    ("HE was good", "positive"),
    ("Wei's phone [@] broke", "negative"),
]


def draw(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def spec(*kinds: str, seed: int = 1, **changes: Any) -> AugmentedSpec:
    """Of those kinds, in order. changes: of their fields."""
    add = [{"kind": kind, **EVERY[kind], **changes} for kind in kinds]
    return AugmentedSpec.model_validate({"of": "splits.a", "seed": seed, "add": add})


def split(folder: Path, texts: Sequence[tuple[str, str]] = TEXTS, test: Sequence[str] = ()) -> Path:
    """A splits folder, whose dev split is one text."""
    folder.mkdir(parents=True)
    (folder.parent / "phrases.yaml").write_text(FILE, encoding="utf-8")
    parts = {"train": texts, "dev": [("it was fine", "positive")]}
    parts["test"] = [(text, "negative") for text in test]
    for name, rows in parts.items():
        ids = [cleaning.document_id(text) for text, _ in rows]
        frame = pl.DataFrame(
            [(i, *row, None, "t") for i, row in zip(ids, rows, strict=True)],
            documents.DOCUMENT,
            orient="row",
        )
        documents.write(frame, folder / f"{name}.parquet")
        documents.write_ids(map(cleaning.common_id, (text for text, _ in rows)), folder, name)
    documents.write_labels(("negative", "positive"), folder)
    documents.write_clean({"fix_unicode": True, "unescape_html": True}, folder)
    documents.write_counts({}, folder)
    documents.write_corpus("corpus.a", folder)
    return folder


def build(
    folder: Path, made: AugmentedSpec, texts: Sequence[tuple[str, str]] = TEXTS, **parts: Any
) -> tuple[Report, pl.DataFrame]:
    """The stage's report, and what it made with what it is made from."""
    splits = split(folder / "splits", texts, **parts)
    needs = Needs({"splits.a": splits}, None, Machine(device="cpu"), root=folder)
    out = folder / "out"
    out.mkdir()
    report = augmented.build(made, needs, out)
    train = documents.read_split(out, "train").with_columns(
        common=pl.Series(documents.read_ids(out, "train"))
    )
    return report, train.join(pl.read_parquet(out / "made.parquet"), ["id", "label"], how="left")


# --- each kind ---


@given(st.text(), st.integers(1, 5), st.integers(0, 9))
def test_typos_change_letters_of_as_many_words_at_most(text: str, edits: int, seed: int) -> None:
    """Nothing outside of words of three letters and more; the length by one each."""
    changed = augmenting.with_typos(text, draw(seed), edits)
    assert abs(len(changed) - len(text)) <= edits
    words = list(augmenting.WORD.finditer(text))
    assert changed != text or not words
    outside = re.sub(augmenting.WORD, "", text)
    assert re.sub(augmenting.WORD, "", changed).startswith(outside[:2]) or words


def test_a_placeholder_has_no_typo() -> None:
    """It is no word that somebody typed."""
    assert augmenting.with_typos("[@] [://]", draw(), 5) == "[@] [://]"


@given(st.lists(st.text("abcä", min_size=1), max_size=9), st.integers(0, 9))
def test_words_are_left_out_or_swapped_whole(words: list[str], seed: int) -> None:
    """What is left is in its order; what is swapped is all there."""
    text = " ".join(words)
    left = iter(words)
    kept = augmenting.without_words(text, draw(seed), 0.5).split()
    assert all(word in left for word in kept) and bool(kept) == bool(words)
    assert sorted(augmenting.with_words_swapped(text, draw(seed), 2).split()) == sorted(words)


def test_terms_are_swapped_together_and_keep_their_capitals() -> None:
    """Each occurrence of a term becomes the same other one; parts of words stay."""
    lists = [("he", "she"), ("Emily", "Jamal", "Wei")]
    text = "He saw the SHE that Emily is; emily's he-man"
    changed = augmenting.with_terms_swapped(text, draw(), lists)
    name = re.search("that (Jamal|Wei) is", changed)
    assert name and changed == f"She saw the HE that {name[1]} is; {name[1]}'s she-man"
    turkish = [("ali", "veli")]  # the lower case of İ is no i
    assert augmenting.with_terms_swapped("ALİ ile Ali", draw(), turkish) == "VELI ile Veli"


@pytest.mark.parametrize(
    ("text", "label", "expected"),
    [
        ("The film was very bad.", "negative", ("The film was not very bad.", "positive")),
        ("it is good", "positive", ("it is not good", "negative")),
        ("it is good", "negative", None),  # its word speaks for the other label
        ("it is not good", "negative", None),  # negated already
        ("it isn't bad", "positive", None),
        ("it was bad, and dull", "negative", None),  # two reasons
        ("bad it was", "negative", None),
        ("it is good as far as long texts go, and more", "positive", None),  # more than max_words
    ],
)
def test_a_negation_turns_the_label_where_it_is_safe(
    text: str, label: str, expected: tuple[str, str] | None
) -> None:
    """Of a short text whose one word of polarity speaks for its label."""
    assert PHRASES.negation
    found = augmenting.negated(text, label, PHRASES.negation, PHRASES.words, 8)
    assert found == (expected or (None, label))


def test_templates_are_filled_evenly_and_differently() -> None:
    """As many of each as it allows, none twice; a neutral one once with each label."""
    labels = ["negative", "positive"]
    made = list(augmenting.of_templates([1], PHRASES, 12, labels))
    assert len({(one.text, one.label) for one in made}) == len(made)
    assert sum(one.text.startswith("My neighbour") for one in made) == 3 * len(labels)
    assert sum("bad at all" in one.text or "dull" in one.text for one in made) <= 4
    assert all("{" not in one.text for one in made)
    everything = list(augmenting.of_templates([1], PHRASES, 10**6, labels))
    assert len(everything) == 2 * 3 + 2 * 2 + 3 * len(labels)
    assert {one.text for one in made} <= {one.text for one in everything}


# --- the artifact ---


def test_what_is_made_depends_on_its_text_the_seed_and_the_copy_alone(tmp_path: Path) -> None:
    """A row less, another kind before it, other rows first: the same of each text. The control:
    another seed makes others."""

    def of(name: str, *kinds: str, texts: Sequence[tuple[str, str]] = TEXTS, seed: int = 1) -> Any:
        _, frame = build(tmp_path / name, spec(*kinds, seed=seed), texts)
        typos = frame.filter(pl.col("kind") == "typos")
        return {(row["made_from"], row["copy"]): row["text"] for row in typos.rows(named=True)}

    whole = of("whole", "typos")
    fewer = of("fewer", "context", "typos", texts=TEXTS[:0:-1])
    assert len(fewer) == len(whole) - 2
    assert {key: whole[key] for key in fewer} == fewer
    other = of("other", "typos", seed=2)
    assert other.keys() == whole.keys() and other != whole


def test_all_kinds_are_made_and_counted(tmp_path: Path) -> None:
    """The rows of the splits are there as they were; the metrics count all others. Those that
    need more than a file have tests/test_augmented_kinds.py."""
    report, frame = build(tmp_path, spec(*EVERY))
    added = report.metrics["added"]
    assert all(added[kind] for kind in EVERY) and {*KINDS} == {*EVERY, *FURTHER}
    assert sum(added.values()) + len(TEXTS) == frame.height == report.metrics["train"]["documents"]
    before = frame.filter(pl.col("kind").is_null()).select("text", "label").rows()
    assert sorted(before) == sorted(TEXTS)
    assert sum(report.metrics["train"]["label"].values()) == frame.height
    assert frame.select("id", "label").is_unique().all()
    assert [cleaning.common_id(text) for text in frame["text"]] == frame["common"].to_list()
    of = {cleaning.document_id(text): label for text, label in TEXTS}
    for row in frame.filter(pl.col("made_from").is_not_null()).rows(named=True):
        assert (row["label"] == of[row["made_from"]]) == (row["kind"] != "negation")


def test_dev_is_handed_on_and_there_is_no_test_split(tmp_path: Path) -> None:
    """Only training sides are augmented."""
    build(tmp_path, spec("typos"))
    for name in augmented.HANDED_ON:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "splits" / name).read_bytes()
    assert not [*(tmp_path / "out").glob("test*")]


def test_no_text_of_dev_or_test_is_made(tmp_path: Path) -> None:
    """Whatever its case. The control: without that test text it is made."""
    wanted = "The film was NOT very bad."
    report, frame = build(tmp_path / "a", spec("negation", "typos"), test=[wanted])
    assert report.metrics["left_out"]["held_out"] == 1
    assert cleaning.common_id(wanted) not in frame["common"]
    _, frame = build(tmp_path / "b", spec("negation", "typos"))
    assert cleaning.common_id(wanted) in frame["common"]


def test_a_build_gives_the_same_bytes_again(tmp_path: Path) -> None:
    """Of every file."""
    for name in ("a", "b"):
        build(tmp_path / name, spec(*EVERY))
    for path in (tmp_path / "a/out").iterdir():
        assert path.read_bytes() == (tmp_path / "b/out" / path.name).read_bytes()


def test_nothing_to_make_is_refused(tmp_path: Path) -> None:
    """An artifact that adds nothing is a mistake."""
    with pytest.raises(LmspecError, match="nothing was made of 1 texts: 1 unchanged"):
        build(tmp_path, spec("counterfactual"), [("none of them", "negative")])


# --- the file of phrases ---

MISTAKES = {
    "there is no such file": None,
    "it is not YAML": "source: [",
    "it is not UTF-8": "\xff",
    "it has no license": FILE.replace("license: Apache-2.0\n", ""),
    "of which there are no words": FILE.replace("  thing: [film, phone]\n", ""),
    "it needs two different terms": FILE.replace("[he, she]", "[he, He]"),
    "it has no `swaps`": FILE.partition("swaps:")[0],
    "'positive' is no label of the corpus": FILE,
}


@pytest.mark.parametrize(("message", "text"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_in_the_file_has_its_place(
    message: str, text: str | None, tmp_path: Path
) -> None:
    """Before any build, and in it."""
    if text is not None:
        (tmp_path / "phrases.yaml").write_bytes(text.encode("latin-1"))
    labels = ["negative"] if text == FILE else ["negative", "positive"]
    with pytest.raises(LmspecError) as error:
        phrases.read(tmp_path, "phrases.yaml", "counterfactual", labels)
    assert message in f"{error.value.place}: {error.value.found}"
    assert "phrases.yaml" in error.value.place


# --- in a project ---


def on_augmented(**changes: str) -> str:
    """The valid spec, with a model that learns from augmented splits."""
    entry = "augmented:\n  old:\n    of: splits.old\n    seed: 1\n    add:\n"
    entry += "      - {kind: typos, share: 0.5, copies: 1, edits: 1}\n\n"
    text = GOOD if "augmented:" in GOOD else GOOD.replace("model:\n", f"{entry}model:\n", 1)
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def test_a_model_learns_from_augmented_splits(tmp_path: Path) -> None:
    """No rule objects; replay of the splits themselves is of rows that it was trained on."""
    text = on_augmented().replace("    on: splits.old", "    on: augmented.old")
    assert text.count("on: augmented.old") > 2
    assert complaints(text, tmp_path) == complaints(GOOD, tmp_path)


def test_what_was_augmented_may_be_replayed(tmp_path: Path) -> None:
    """If the earlier model was trained on the splits behind it, augmented or not."""
    text = on_augmented().replace("    on: splits.old", "    on: augmented.old")
    replayed = text.replace("replay: [{of: splits.old", "replay: [{of: augmented.old")
    assert replayed != text and complaints(replayed, tmp_path) == complaints(GOOD, tmp_path)
    other = on_augmented(**{"augmented:\n": f"augmented:\n{NEW}"})
    other = other.replace("replay: [{of: splits.old", "replay: [{of: augmented.new")
    assert any("was not trained on augmented.new" in line for line in complaints(other, tmp_path))


def test_a_stage_looks_behind_what_is_replayed() -> None:
    """At the splits that were augmented: those are what models have seen."""
    seen = {"splits.old": ("dev", "train")}
    fields = YAML(typ="safe").load(GOOD)["updated"]["first"]
    fields["replay"] = [{"of": "augmented.old", "per_new_row": 1.0}]
    given = UpdatedSpec.model_validate(fields)
    updating.require_trained_on(seen, given, {"augmented.old": "splits.old"})
    with pytest.raises(LmspecError, match=r"was not trained on augmented\.old"):
        updating.require_trained_on(seen, given, {"augmented.old": "splits.new"})


NEW = (
    "  new: {of: splits.new, seed: 1, add: [{kind: word_swap, share: 1.0, copies: 1, swaps: 1}]}\n"
)
EXPLAINED = """explained:
  bert: {of: model.bert, on: splits.old, rows: {split: test, texts: 10}, masking: mask,
    method: {kind: occlusion}, fractions: [0.1], batch_size: 4, control: {seed: 1, texts: 5},
    beside: []}

"""
BROWSER = """    targets:
      - {kind: browser, of: quantized.release, scores: null, runtime: sources.old,
         tokenizers: sources.new}
"""


def test_a_model_of_augmented_texts_is_explained_and_shown_on_a_page(tmp_path: Path) -> None:
    """Its labels and repairs are those of the corpus behind its splits."""
    text = on_augmented(
        **{"augmented:\n": f"augmented:\n{NEW}", "speed:\n": f"{EXPLAINED}speed:\n"}
    )
    text = text.replace("    scores: scores.release\n", f"    scores: scores.release\n{BROWSER}")
    assert all("nothing refers to it" in line for line in complaints(text, tmp_path))
    for name in ("old", "new"):
        assert f"    on: splits.{name}" in text
        text = text.replace(f"    on: splits.{name}", f"    on: augmented.{name}")
    assert complaints(text, tmp_path) == []
    folded = text.replace("max_chars: 200}", "max_chars: 200, look_alikes: fold}")
    assert any("no browser repairs them" in line for line in complaints(folded, tmp_path))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("on: [splits.old]", "on: [augmented.old]"),
        ("calibrate: splits.old", "calibrate: augmented.old"),
        ("against: model.bert, on: splits.new", "against: model.bert, on: augmented.old"),
    ],
)
def test_only_training_sides_are_augmented(old: str, new: str, tmp_path: Path) -> None:
    """Scores, calibration and timing are of texts as they come."""
    assert any("augmented.old" in line for line in complaints(on_augmented(**{old: new}), tmp_path))


def test_the_page_is_an_example_that_works(tmp_path: Path) -> None:
    """Its specs are, and its file is read by every kind that reads one."""
    shown = [YAML(typ="safe").load(block) for block in BLOCKS if "augmented:" in block]
    entries = [entry for block in shown for entry in block["augmented"].values()]
    made = [AugmentedSpec.model_validate(entry) for entry in entries]
    assert {kind.kind for one in made for kind in one.add} > {*FURTHER}
    (tmp_path / "phrases.yaml").write_text(FILE, encoding="utf-8")
    for kind in phrases.PARTS:
        phrases.read(tmp_path, "phrases.yaml", kind, ["negative", "positive"])
    for kind in KINDS:
        assert f"| `{kind}` |" in PAGE
