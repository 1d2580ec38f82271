"""Leaks: a test text that a model has learned from fails the build, and git knows it.

Learned from: trained, stopped early or calibrated on, by the model or by what it was made from.
"""

import json
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from ruamel.yaml import YAML

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.language import validate
from lmspec.methods import bytepair, card, cleaning, overlap
from lmspec.methods.reading import Reader
from lmspec.methods.sources.digest import sha256
from lmspec.pipeline import compiler
from lmspec.run import seen
from lmspec.specs.base import references
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.corpus import CorpusSpec
from lmspec.specs.names import PARTS, ArtifactName
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.project import Project
from lmspec.specs.scores import AcceptedOverlap, ScoresSpec
from lmspec.specs.splits import SplitsSpec
from stages import bundle, corpus, scores, splits
from tests import history, miniature
from tests.specs import GOOD, written

CPU = Machine(device="cpu")
NUMERICS = Numerics(seed=1, threads=1, precision="fp32", instructions="avx2")
LABELS = ("bad", "good")
FULL = {"fix_unicode": True, "unescape_html": True, "min_chars": 1, "max_chars": 200}
RAW = {**FULL, "fix_unicode": False, "unescape_html": False}


# --- a model's ancestry ---


def project(**changes: Mapping[str, Mapping[str, Any]]) -> Project:
    """The miniature project; changes: noun -> name -> fields, new or replaced."""
    values = YAML(typ="safe").load(GOOD)
    for noun, named in changes.items():
        for name, fields in named.items():
            entries = values.setdefault(noun, {})
            entries[name] = {**entries.get(name, {}), **fields}
    return Project.model_validate(values)


def has_seen(whole: Project, name: str, root: Path) -> seen.Seen:
    """What an artifact has seen once all before it are built: their folders hold only that."""
    for other, spec in whole.artifacts():
        if not spec.final and spec.noun not in (*PARTS, "sources"):
            refs = [ref for _, ref in references(spec)]
            folders = {str(ref): root / ArtifactName.parse(ref).folder for ref in refs}
            folder = root / ArtifactName.parse(other).folder
            folder.mkdir(parents=True)
            seen.write(seen.of(refs, folders), folder)
    return seen.read(root / ArtifactName.parse(name).folder)


BOTH = ("dev", "train")


TYPOS = {"kind": "typos", "share": 1.0, "copies": 1, "edits": 1}
MORE = {"more": {"of": "splits.other", "seed": 1, "add": [TYPOS]}}


def other(**changes: Mapping[str, Mapping[str, Any]]) -> Project:
    """The same with `splits.other`, of the new corpus."""
    fields = {"of": "corpus.new", "train": 0.6, "dev": 0.2, "test": 0.2, "seed": 2}
    return project(splits={"other": {**fields, "keep_together": None}}, **changes)


@pytest.mark.parametrize(
    ("whole", "name", "parts"),
    [
        (other(), "model.gru", {"splits.old": BOTH}),
        (other(), "quantized.release", {"splits.old": BOTH, "splits.new": BOTH}),
        (other(model={"gru": {"on": "splits.other"}}), "model.gru", {"splits.other": BOTH}),
        (
            other(model={"bert": {"on": "splits.other"}}),
            "quantized.release",
            {"splits.old": BOTH, "splits.new": BOTH, "splits.other": BOTH},
        ),
        (
            other(student={"small": {"on": "splits.other"}}),
            "exported.release",
            {"splits.old": BOTH, "splits.new": BOTH, "splits.other": BOTH},
        ),
        (
            other(augmented=MORE, model={"gru": {"on": "augmented.more"}}),
            "model.gru",
            {"splits.other": BOTH},
        ),
        (
            other(quantized={"cnn": {"calibrate": "splits.other"}}),
            "quantized.cnn",
            {"splits.old": BOTH, "splits.other": ("dev",)},
        ),
    ],
    ids=[
        "model",
        "update",
        "another split",
        "teacher",
        "distilled on",
        "augmented",
        "calibrated on",
    ],
)
def test_an_artifact_says_what_it_and_its_ancestry_learned_from(
    whole: Project, name: str, parts: Mapping[str, tuple[str, ...]], tmp_path: Path
) -> None:
    """By the references of the specs, so no stage can forget one; of calibration the dev split."""
    assert dict(has_seen(whole, name, tmp_path)) == parts


def test_scores_depend_on_all_data_that_the_model_has_seen() -> None:
    """Not only on what they test: the ids of the rest are in their cache key."""
    whole = other(
        quantized={"release": {"calibrate": "splits.other"}},
        scores={"release": {"on": ["splits.new"]}},
    )
    needs = compiler.needs_of(whole, whole.find("scores.release"))
    assert needs == ["quantized.release", "splits.new", "splits.old", "splits.other"]


def test_scores_of_a_model_of_augmented_texts_depend_on_the_splits_that_they_are_of() -> None:
    """Its test texts are looked for in all rows that those were made from."""
    whole = other(
        augmented=MORE,
        model={"gru": {"on": "augmented.more"}},
        scores={"gru": {"on": ["splits.other"]}},
    )
    needs = compiler.needs_of(whole, whole.find("scores.gru"))
    assert needs == ["model.gru", "splits.other"]


def test_a_model_without_that_record_is_refused(tmp_path: Path) -> None:
    """Nothing known is not nothing seen."""
    with pytest.raises(LmspecError, match=r"has no seen\.json"):
        seen.read(tmp_path)


# --- scores ---


@dataclass(frozen=True)
class Toy:
    """A model that calls every text good."""

    reader: Reader
    labels: tuple[str, ...] = LABELS
    pad_id: int = 0

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        """(b, t) -> (b, 2)."""
        return np.tile(np.array([[0.0, 1.0]], np.float32), (len(input_ids), 1))


TOY = types.SimpleNamespace(
    predictor=lambda folder, bits, machine: Toy(
        Reader(bytepair.train(["a text", "another"], 300, 8), "truncate")
    )
)


def split(folder: Path, part: str, texts: Iterable[str], clean: Mapping[str, Any] = FULL) -> None:
    """One part of a splits artifact."""
    rows = [
        (cleaning.document_id(text), text, LABELS[i % 2], None, "t") for i, text in enumerate(texts)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    documents.write_labels(LABELS, folder)
    documents.write_corpus(f"corpus.{folder.name}", folder)
    documents.write_counts(
        {"documents": len(rows), "rejected": {}, "contradictions": {"texts": 0}}, folder
    )
    documents.write(
        pl.DataFrame(rows, schema=documents.DOCUMENT, orient="row"), folder / f"{part}.parquet"
    )
    documents.write_ids([cleaning.common_id(row[1]) for row in rows], folder, part)


def score(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    learned: Mapping[str, tuple[str, ...]],
    on: tuple[str, ...] = ("splits.old",),
    **fields: Any,
) -> stage.Report:
    """Run the stage on a model that has learned from those parts."""
    fixed = {"of": "model.toy", "on": on, "batch_size": 4, "calibration_bins": 2}
    spec = ScoresSpec.model_validate({**fixed, "accepted_overlap": (), **fields})
    folders = {name: root / name.partition(".")[2] for name in (*on, *learned, "model.toy")}
    toy = types.SimpleNamespace(import_module=lambda name: TOY)
    monkeypatch.setattr(scores, "importlib", toy)
    (root / "out").mkdir()
    return scores.build(spec, stage.Needs(folders, NUMERICS, CPU, seen=learned), root / "out")


OLD = ["it was bad", "it was good", "never again", "lovely", "so so"]


def test_scores_of_a_model_that_has_seen_no_test_text_say_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each dataset, beside its accuracy."""
    split(tmp_path / "old", "test", OLD)
    split(tmp_path / "new", "train", ["quite another", "IT WAS  bad!"])
    report = score(tmp_path, monkeypatch, {"splits.new": ("train",)})
    assert report.metrics["old"]["overlap"] == 0 and report.metrics["old"]["accuracy"] == 0.4


@pytest.mark.parametrize("part", ["train", "dev"])
def test_a_test_text_that_was_learned_from_fails_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """In training or early stopping, in other case and spacing, with another label. The message
    counts, quotes, and names what to change; without the check it passes."""
    split(tmp_path / "old", "test", OLD)
    split(tmp_path / "new", part, ["fresh", "IT WAS  bad", "Never again"])
    with pytest.raises(LmspecError) as caught:
        score(tmp_path, monkeypatch, {"splits.new": (part,)})
    error = caught.value
    assert error.found == (
        f"the model has seen test texts: 2 of the 5 test texts of splits.old are in the {part} "
        "split of splits.new: 'it was bad', 'never again'"
    )
    assert error.remedy == (
        "add corpus.old to `without` of corpus.new, and run `dvc repro`; or accept it, and the "
        "model card will say so: "
        "`accepted_overlap: [{of: splits.new, at_most: 2, reason: ...}]`"
    )
    monkeypatch.setattr(overlap, "refused", lambda overlaps, accepted: [])
    (tmp_path / "out").rmdir()
    report = score(tmp_path, monkeypatch, {"splits.new": (part,)})
    assert report.metrics["old"]["overlap"] == 2


def test_what_the_model_has_not_seen_may_share_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two datasets that are only tested, a split that calibration did not read: no leak."""
    split(tmp_path / "old", "test", OLD)
    split(tmp_path / "new", "test", OLD[:2])
    split(tmp_path / "new", "train", OLD[:2])
    split(tmp_path / "new", "dev", ["fresh"])
    report = score(tmp_path, monkeypatch, {"splits.new": ("dev",)}, on=("splits.old", "splits.new"))
    assert [report.metrics[name]["overlap"] for name in ("old", "new")] == [0, 0]


def test_a_text_that_two_corpora_clean_differently_is_the_same_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mojibake and HTML of one side are no way around; the control: by their own ids they are."""
    raw, clean = "it’s a cafÃ© &amp; more", "it's a café & more"
    split(tmp_path / "old", "test", [clean])
    split(tmp_path / "new", "train", [raw], RAW)
    assert cleaning.document_id(raw) != cleaning.document_id(clean)
    with pytest.raises(LmspecError, match="1 of the 1 test texts"):
        score(tmp_path, monkeypatch, {"splits.new": ("train",)})


def test_rows_that_come_again_are_to_be_left_out_of_the_later_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are train rows of one and test rows of the other, both ways: one remedy for both, and
    the earlier test set stays."""
    for name, texts in (("old", OLD), ("new", OLD[::-1])):
        split(tmp_path / name, "test", texts[:3])
        split(tmp_path / name, "train", texts[3:])
    with pytest.raises(LmspecError) as caught:
        score(
            tmp_path,
            monkeypatch,
            {"splits.new": ("train",), "splits.old": ("train",)},
            on=("splits.old", "splits.new"),
        )
    assert caught.value.found.count("test texts of splits") == 2
    assert caught.value.remedy.startswith(
        "add corpus.old to `without` of corpus.new, and run `dvc repro`; or accept it"
    )


@pytest.mark.parametrize(
    ("accepted", "refusal"),
    [
        ({"of": "splits.new", "at_most": 2, "reason": "r"}, None),
        ({"of": "splits.new", "at_most": 1, "reason": "r"}, "has seen test texts"),
        ({"of": "splits.old", "at_most": 2, "reason": "r"}, "has not seen splits.old"),
    ],
    ids=["enough", "too few", "of others"],
)
def test_an_overlap_passes_only_as_far_as_the_spec_accepts_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    accepted: Mapping[str, Any],
    refusal: str | None,
) -> None:
    """With that data, up to that many texts; the metric still counts them."""
    split(tmp_path / "old", "test", OLD)
    split(tmp_path / "new", "train", OLD[:2])
    split(tmp_path / "new", "dev", OLD[1:2])
    learned = {"splits.new": ("train", "dev")}
    if refusal is None:
        report = score(tmp_path, monkeypatch, learned, accepted_overlap=[accepted])
        assert report.metrics["old"]["overlap"] == 2
        summary = json.loads((tmp_path / "out/metrics.json").read_text())
        assert summary["accepted_overlap"] == [accepted]
    else:
        with pytest.raises(LmspecError, match=refusal):
            score(tmp_path, monkeypatch, learned, accepted_overlap=[accepted])


def test_the_card_states_the_overlap_and_why_it_is_accepted() -> None:
    """And that there is none, where there is none."""
    fields = {"of": "exported.a", "scores": "scores.a", "title": "t", "license": "MIT"}
    spec = BundleSpec.model_validate({**fields, "intended_use": "u", "limitations": "l"})
    values = {**dict.fromkeys(card.COLUMNS, 0.5), "examples": 1714}
    accepted = {"of": "splits.new", "at_most": 121, "reason": "Old\nrows."}
    summary = {"metrics": {"old": {**values, "overlap": 121}}, "accepted_overlap": [accepted]}
    reads = card.Reads({"fix_unicode": True, "unescape_html": True}, None, None, False)
    text = card.model_card(spec, ["a", "b"], summary, {}, reads)
    assert "**The model has seen 121 of the 1714 test texts of old**" in text
    assert "- with `splits.new`: Old rows.\n" in text
    summary = {"metrics": {"old": {**values, "overlap": 0}}, "accepted_overlap": []}
    text = card.model_card(spec, ["a", "b"], summary, {}, reads)
    assert "has seen" not in text and "was not trained, stopped early or calibrated on any" in text


def test_no_bundle_of_scores_that_do_not_say_what_the_model_has_seen(tmp_path: Path) -> None:
    """As those of a stage script from before lmspec compared texts."""
    (tmp_path / "metrics.json").write_text('{"of": "exported.a", "metrics": {}}')
    fields = {"of": "exported.a", "scores": "scores.a", "title": "t", "license": "MIT"}
    spec = BundleSpec.model_validate({**fields, "intended_use": "u", "limitations": "l"})
    with pytest.raises(LmspecError, match=r"scores\.a does not say how many test texts"):
        bundle.build(spec, stage.Needs({"scores.a": tmp_path}, None, CPU), tmp_path)


# --- corpus and splits ---


def build_corpus(
    root: Path,
    name: str,
    texts: Iterable[str],
    clean: Mapping[str, Any] = FULL,
    without: tuple[str, ...] = (),
) -> stage.Report:
    """A corpus of one table, beside others in the same folder."""
    (root / f"raw-{name}").mkdir()
    lines = "".join(f"{text}\t{LABELS[i % 2]}\n" for i, text in enumerate(texts))
    (root / f"raw-{name}/a.tsv").write_text(lines, encoding="utf-8")
    table = {
        "name": name,
        "of": "sources.raw",
        "file": "a.tsv",
        "format": {"kind": "tsv", "quoting": "none", "columns": ["text", "label"]},
        "missing": [""],
        "text": "text",
        "label": {"kind": "column", "column": "label", "values": "text", "rename": None},
        "group": None,
    }
    spec = {
        "tables": [table],
        "labels": LABELS,
        "clean": clean,
        "contradictions": "keep_first",
        "near_duplicates": None,
    }
    folders = {other: root / other.partition(".")[2] for other in without}
    needs = stage.Needs({"sources.raw": root / f"raw-{name}", **folders}, None, CPU)
    (root / name).mkdir()
    return corpus.build(CorpusSpec.model_validate({**spec, "without": without}), needs, root / name)


def test_a_corpus_does_without_the_texts_of_others(tmp_path: Path) -> None:
    """Whatever their label, case and cleaning; each is listed, counted, and says which corpus has
    it. What an earlier corpus rejected it may have."""
    build_corpus(tmp_path, "may", ["it's a café & more", "it was bad", "it was good"])
    build_corpus(tmp_path, "june", ["quite fresh", "it was good"])
    texts = ["new one", "It was GOOD", "it’s a cafÃ© &amp; more", "quite fresh", "new two"]
    report = build_corpus(tmp_path, "july", texts, RAW, without=("corpus.may", "corpus.june"))
    kept = documents.read(tmp_path / "july/documents.parquet")
    rejected = pl.read_parquet(tmp_path / "july/rejected.parquet")
    assert sorted(kept["text"]) == ["new one", "new two"]
    assert rejected.select("row", "reason", "detail").rows() == [
        (2, "in another corpus", "corpus.may"),
        (3, "in another corpus", "corpus.may"),
        (4, "in another corpus", "corpus.june"),
    ]
    assert report.metrics["rejected"] == {"in another corpus": 3}


def test_splits_keep_the_id_that_all_corpora_share(tmp_path: Path) -> None:
    """In the order of their rows; texts that repair would make equal are never in two splits."""
    twins = [f"the caf{e} was number {i}" for i in range(20) for e in ("é", "Ã©")]
    build_corpus(tmp_path, "may", twins, RAW)
    fields = {"train": 0.4, "dev": 0.3, "test": 0.3, "seed": 1, "keep_together": None}
    (tmp_path / "out").mkdir()
    splits.build(
        SplitsSpec.model_validate({"of": "corpus.may", **fields}),
        stage.Needs({"corpus.may": tmp_path / "may"}, None, CPU),
        tmp_path / "out",
    )
    ids = {part: documents.read_ids(tmp_path / "out", part) for part in PARTS["splits"]}
    for part, names in ids.items():
        texts = documents.read_split(tmp_path / "out", part)["text"]
        assert names == [cleaning.common_id(text) for text in texts]
    assert sum(len(set(names)) for names in ids.values()) == len(set().union(*ids.values())) == 20


def test_the_same_text_has_one_common_id_and_others_their_own() -> None:
    """Full repair is what it is compared by; the id itself follows the corpus's own cleaning."""
    assert cleaning.common_id("a &amp; b") == cleaning.common_id("a & b")
    assert cleaning.common_id("a & b") == cleaning.document_id("a & b")
    assert cleaning.common_id("a & c") != cleaning.common_id("a & b")


# What a repair reads as (half of) a character, and the rest of cleaning takes for white space
SWALLOWED = (
    "wait\x85 what",
    "\xc3\x85ngstr\xf6m",
    "one \xe2\x80\xa0 two",
    "six\x1cty",
    "a â\x80\x85 b",
)


@pytest.mark.parametrize("cleaned", ["fix_unicode", "unescape_html", "neither"])
def test_a_text_keeps_its_common_id_where_white_space_swallows_a_character(
    tmp_path: Path, cleaned: str
) -> None:
    """The corpus that does not repair has lost the character; the id is of what its table has."""
    build_corpus(tmp_path, "old", SWALLOWED)
    build_corpus(tmp_path, "new", SWALLOWED, {**RAW, cleaned: True} if cleaned in RAW else RAW)
    old, new = (documents.read_ids(tmp_path / name, "documents") for name in ("old", "new"))
    assert sorted(old) == sorted(new)
    texts = documents.read(tmp_path / "new/documents.parquet")["text"]
    afterwards = [cleaning.common_id(text) for text in texts]
    assert (sorted(afterwards) == sorted(old)) == (cleaned == "fix_unicode")


def test_overlaps_count_each_test_example_once() -> None:
    """One that is in two parts is one example; each part is named."""
    found = overlap.of_dataset(
        "d", ["a", "b", "c"], {("s", "train"): {"a", "b"}, ("s", "dev"): {"b"}}
    )
    assert [each.examples for each in found] == [(0, 1), (1,)] and overlap.count(found) == 2
    accepted = AcceptedOverlap.model_validate({"of": "splits.s", "at_most": 2, "reason": "r"})
    assert overlap.refused(found, [accepted]) == found  # of another name
    named = [overlap.Overlap("d", 3, "splits.s", "train", (0, 1))]
    assert overlap.refused(named, [accepted]) == []


# --- what git knows ---


def edited(
    tmp_path: Path, seen_examples: int | None, accepted: int | None = None
) -> history.Project:
    """A built project whose model has seen so many test examples; None: it is not known."""
    built = history.make(tmp_path / "p")
    waiver = "waiver: {reason: It is known., signed_off_by: Ada Example, until: '2099-12-31'}"
    gate = f"{{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.5, {waiver}}}"
    built.gate("good", gate)
    values = built.metrics("scores.cnn")
    values["reviews"]["overlap"] = seen_examples
    if seen_examples is None:
        del values["reviews"]["overlap"]
    built.measure("scores.cnn", values)
    if accepted is not None:
        overlaps = f"[{{of: splits.reviews, at_most: {accepted}, reason: Greetings.}}]"
        built.edit("params.yaml", "accepted_overlap: []", f"accepted_overlap: {overlaps}")
    built.lock()
    built.commit()
    return built


@pytest.mark.parametrize(
    ("count", "accepted", "verdict", "words"),
    [
        (0, None, "pass", ""),
        (3, None, "out of date", "has seen 3 of its test examples, and its spec accepts none"),
        (3, 2, "out of date", "has seen 3 of its test examples, and its spec accepts 2"),
        (3, 3, "pass", ""),
        (None, None, "out of date", "which says how many test examples its model has seen"),
        (-3, None, "out of date", "which says how many test examples its model has seen"),
    ],
    ids=["none", "not accepted", "too many", "accepted", "unknown", "negative"],
)
def test_no_gate_passes_on_scores_with_an_overlap_that_is_not_accepted(
    tmp_path: Path, count: int | None, accepted: int | None, verdict: str, words: str
) -> None:
    """From git alone, whatever built them: such metrics are no result of the spec, and no waiver
    covers that."""
    report = edited(tmp_path, count, accepted).report("HEAD~1", "HEAD")
    (gate,) = report["gates"]
    assert gate["verdict"] == verdict and words in gate["observed"]
    noted = any("Greetings." in note and "3 of the 200" in note for note in report["notes"])
    assert noted == (accepted is not None)


def test_a_growing_overlap_is_worse_without_a_test(tmp_path: Path) -> None:
    """It is a count: exact, not sampled."""
    report = edited(tmp_path, 3, 3).report("HEAD~1", "HEAD")
    (row,) = (row for row in report["metrics"] if row["name"] == "scores.cnn.reviews.overlap")
    assert (row["verdict"], row["difference"], row["method"]) == ("worse", 3, "exact")


# --- params.yaml, and the way out ---


def test_an_accepted_overlap_allows_two_cuts_of_one_corpus(tmp_path: Path) -> None:
    """The control is in broken_specs.txt: without it they are refused."""
    cut = "{of: corpus.old, train: 0.6, dev: 0.2, test: 0.2, seed: 2, keep_together: null}"
    gru = "gru: {of: model.gru, on: [splits.old], batch_size: 16, calibration_bins: 5,"
    text = GOOD.replace("model:\n", f"  other: {cut}\nmodel:\n", 1)
    text = text.replace(
        f"{gru} accepted_overlap: []",
        f"{gru.replace('old', 'other')} accepted_overlap: "
        "[{of: splits.old, at_most: 9, reason: r}]",
    )
    text = text.replace("scores.gru.old.accuracy", "scores.gru.other.accuracy")
    assert validate.file(written(text.encode(), tmp_path)).problems == ()


@pytest.mark.slow
def test_rows_that_come_a_second_time_fail_the_build_and_the_remedy_leads_out(
    built: Path, tmp_path: Path
) -> None:
    """The story, with DVC: new data repeat test rows, an update trains on them, its scores fail;
    the user does what the message says, and nothing is in the way."""
    project = tmp_path / "p"
    miniature.run(tmp_path, "cp", "-a", str(built), str(project))
    tested = documents.read_split(project / "data/splits/old", "test").head(12)
    rows = [("x", row["text"], 5 if row["label"] == "good" else 1) for row in tested.to_dicts()]
    new = project / "raw/new.csv"
    new.write_text(new.read_text() + "".join(f'{d},"{t}",{s}\n' for d, t, s in rows))
    params = project / "params.yaml"
    old = sha256(built / "raw/new.csv")
    params.write_text(params.read_text().replace(old, sha256(new)))
    failed = miniature.dvc(project, "repro", code=255)
    assert "scores, of quantized.release: the model has seen test texts" in failed
    assert "add corpus.old to `without` of corpus.new, and run `dvc repro`" in failed

    warned = miniature.lmspec(project, "validate")
    assert "splits.old shares" in warned and "is valid" in warned
    head, tail = params.read_text().split("near_duplicates: null\n    without: []")
    params.write_text(f"{head}near_duplicates: null\n    without: [corpus.old]{tail}")
    assert "splits.old shares" not in miniature.lmspec(project, "validate")
    miniature.lmspec(project, "sync")
    miniature.lmspec(project, "sync", "--check")
    assert "scores-release" in miniature.lmspec(project, "plan")
    miniature.lmspec(project, "build", "-j", "2")
    metrics = json.loads((project / "data/metrics/scores-release.json").read_text())
    assert [metrics[dataset]["overlap"] for dataset in ("old", "new")] == [0, 0]
    rejected = json.loads((project / "data/metrics/corpus-new.json").read_text())["rejected"]
    assert rejected["in another corpus"] == len(rows)
    assert "has seen" not in (project / "data/bundle/release/README.md").read_text()

    # what the model has seen is in the cache key, and may be read, where it is not tested on
    params.write_text(params.read_text().replace("[splits.old, splits.new], b", "[splits.old], b"))
    miniature.lmspec(project, "sync")
    miniature.dvc(project, "repro", "--single-item", "scores-release")
    record = (project / "data/provenance/scores-release.json").read_text()
    assert record.count('"name": "data/splits/new"') == 1
