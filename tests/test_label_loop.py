"""The loop of labels: what is asked is answered, a build takes the answers up, and asks others.

Once by the stages alone, and once as a user has it: DVC, `lmspec label`, and each mistake that a
file of annotations may have.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from lmspec.annotation.opening import opened
from lmspec.cli.main import main
from lmspec.errors import LmspecError
from lmspec.formats import documents, worklist
from lmspec.formats.annotations import HEADER, Appending
from lmspec.language import validate
from lmspec.methods import cleaning
from lmspec.methods.annotating import Annotation
from lmspec.methods.folders import sha256
from lmspec.specs.corpus import CorpusSpec
from lmspec.specs.names import ArtifactName
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.queue import QueueSpec
from lmspec.specs.splits import SplitsSpec
from lmspec.stage import Needs, Report
from stages import corpus, queue, splits
from tests import miniature
from tests.miniature import BAD, ENDS, GOOD, ROOT, SUBJECTS, dvc, lmspec, ran

TRUTH = {
    f"{subject} {words}{end}": label
    for label, sentences in (("bad", BAD), ("good", GOOD))
    for subject in SUBJECTS
    for words in sentences
    for end in ENDS
}
TEXTS = sorted(TRUTH, key=cleaning.document_id)  # in no order that a classifier knows
GIVEN, POOL = TEXTS[:120], TEXTS[120:240]
WRONG = GIVEN[::30]  # their table has the other label
TIME = "2026-11-30T09:30:00Z"
ASKED = 12
NUMERICS = Numerics(seed=1, threads=1, precision="fp32", instructions="avx2")
PARAMS = (ROOT / "tests/labelling.yaml").read_text()


def other(label: str) -> str:
    return "good" if label == "bad" else "bad"


def hashes_of(folder: Path) -> dict[str, str]:
    """Of the sources."""
    return {name: sha256(folder / f"raw/{name}.csv") for name in ("given", "pool")}


def make(folder: Path) -> Path:
    """The project, without any annotation yet."""
    miniature.copy_code(folder)
    (folder / "raw").mkdir()
    given = {text: other(TRUTH[text]) if text in WRONG else TRUTH[text] for text in GIVEN}
    table = pl.DataFrame({"text": [*given], "label": [*given.values()]})
    table.write_csv(folder / "raw/given.csv")
    pl.DataFrame({"text": POOL}).write_csv(folder / "raw/pool.csv")
    (folder / "params.yaml").write_text(PARAMS.format(**hashes_of(folder)))
    for command in (["git", "init", "-q"], ["git", "config", "user.name", "ann"]):
        miniature.run(folder, *command)
    dvc(folder, "init", "-q")
    dvc(folder, "config", "core.analytics", "false")
    lmspec(folder, "sync")
    return folder


def corrected(folder: Path, *files: str, more: str = "") -> None:
    """params.yaml reads these files, and the pool as a table whose labels they are.

    more  a field of the splits
    """
    yaml = YAML()
    params = yaml.load(PARAMS.format(**hashes_of(folder)))
    pool = params["corpus"]["archive"]["tables"][0]
    params["corpus"]["reviews"]["tables"].append(pool)
    params["corpus"]["reviews"]["corrections"] = [*files]
    params["splits"]["reviews"]["sides"] = "sides.csv"
    if more:
        params["splits"]["reviews"]["accepted_test_corrections"] = {"at_most": 1, "reason": more}
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    lmspec(folder, "sync")


def rows(folder: Path, noun: str, name: str) -> list[worklist.Row]:
    return worklist.read(folder / "data" / noun / name)


def metrics(folder: Path, stage: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(
        (folder / f"data/metrics/{stage}.json").read_text()
    )
    return found


def answered(folder: Path, name: str, keys: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """`lmspec label`, with these keys as lines of its input; what it printed."""
    monkeypatch.chdir(folder)
    given = "".join(f"{key}\n" for key in keys)
    result = CliRunner().invoke(main, ["label", name, "--annotator", "ann"], input=given)
    assert result.exit_code == 0, result.output
    return str(result.output)


def keys_for(listed: Sequence[worklist.Row]) -> list[str]:
    """1 is bad, 2 is good: what a person who knows would press."""
    return ["12"[TRUTH[row.text] == "good"] for row in listed]


def line_of(text: str, label: str | None = None, who: str = "bob") -> str:
    return f"{cleaning.document_id(text)},{label or TRUTH[text]},{who},{TIME},,label\n"


def corpus_of(folder: Path, name: str, texts: Sequence[str], **changes: Any) -> Report:
    """A corpus of texts by the stage alone; with `labels: []`, or with its table's labels."""
    labelled = changes.get("labels", True)
    column = {"kind": "column", "column": "label", "values": "text", "rename": None}
    label = column if labelled else None
    table = {
        "name": "t", "of": "sources.raw", "file": f"{name}.parquet", "format": {"kind": "parquet"},
        "missing": ["", "none"], "text": "text", "label": label, "group": None,
    }  # fmt: skip
    frame = {"text": texts, "label": [TRUTH[t] if t in GIVEN else "none" for t in texts]}
    pl.DataFrame(frame).write_parquet(folder / f"{name}.parquet")
    clean = {"fix_unicode": True, "unescape_html": True, "min_chars": 1, "max_chars": 99}
    spec = {
        "tables": [table], "labels": ["bad", "good"], "clean": clean, "contradictions": "drop",
        "near_duplicates": None, "without": [], **changes,
    }  # fmt: skip
    shutil.rmtree(folder / name, ignore_errors=True)
    (folder / name).mkdir()
    needs = Needs({"sources.raw": folder}, NUMERICS, Machine(device="cpu"), root=folder)
    return corpus.build(CorpusSpec.model_validate(spec), needs, folder / name)


def queued(folder: Path) -> list[worklist.Row]:
    """What is asked next, of the splits that the corpus is cut into."""
    folders = {"corpus.reviews": folder / "reviews", "corpus.archive": folder / "archive"}
    needs = Needs(folders | {"splits.reviews": folder / "splits"}, NUMERICS, Machine(device="cpu"))
    for name in ("splits", "data/queue/next"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    cut = {"of": "corpus.reviews", "train": 0.8, "dev": 0.2, "test": 0.0, "seed": 1}
    splits.build(SplitsSpec.model_validate(cut | {"keep_together": None}), needs, folder / "splits")
    features = {"kind": "linear", "word_ngrams": [1, 1], "char_ngrams": None, "min_documents": 1}
    features |= {"max_features": 9000, "inverse_regularization": 10.0}
    asked = {"pool": "corpus.archive", "of": "splits.reviews", "strategy": "margin", "n": ASKED}
    spec = QueueSpec.model_validate(asked | {"features": features, "seed": 1})
    queue.build(spec, needs, folder / "data/queue/next")
    return rows(folder, "queue", "next")


def test_what_is_answered_is_taken_up_and_not_asked_again(tmp_path: Path) -> None:
    """By the stages alone, three times around; the labels that are there are those given."""
    corpus_of(tmp_path, "archive", POOL, labels=[])
    corpus_of(tmp_path, "reviews", GIVEN)
    known: set[str] = set()
    for turn in range(3):
        asked = queued(tmp_path)
        assert len(asked) == ASKED and not {row.text for row in asked} & known
        session = opened(tmp_path, ArtifactName("queue", "next"), "labels/queue-next.csv")
        while (row := session.next("ann")) is not None:
            session.label("ann", row.id, TRUTH[row.text])
            known.add(row.text)
        made = corpus_of(
            tmp_path, "reviews", [*GIVEN, *POOL], corrections=["labels/queue-next.csv"]
        )
        assert made.metrics["corrections"]["added"] == ASKED * (turn + 1)
        held = documents.read(tmp_path / "reviews/documents.parquet", ["text", "label"])
        assert dict(held.iter_rows()) == {text: TRUTH[text] for text in (*GIVEN, *known)}


def test_answers_of_deleted_rows_alone_are_refused(tmp_path: Path) -> None:
    """With what to do: there is nothing to list. The control: another answer beside them."""
    file = Appending(tmp_path / "a.csv", "a.csv")
    ids = [cleaning.document_id(text) for text in GIVEN[:2]]
    file.add(Annotation(ids[0], TRUTH[GIVEN[0]], "ann", TIME, "", "label"))
    (tmp_path / "deleted.txt").write_text(f"{ids[0]}\n")
    changes = {"corrections": ["a.csv"], "deleted": "deleted.txt"}
    with pytest.raises(LmspecError, match="all rows that have a label in it are deleted"):
        corpus_of(tmp_path, "reviews", GIVEN, **changes)
    file.add(Annotation(ids[1], TRUTH[GIVEN[1]], "ann", TIME, "", "label"))
    assert len(corpus_of(tmp_path, "reviews", GIVEN, **changes).tables["corrected"]) == 1


@pytest.mark.slow
def test_a_build_takes_answers_up_and_asks_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue and suspects are answered in the terminal, `dvc repro` takes them up; each mistake in
    a file of annotations is one message, after which the files are as they were."""
    project = make(tmp_path)
    dvc(project, "repro")
    asked, suspects = rows(project, "queue", "next"), rows(project, "suspects", "reviews")
    assert len(asked) == ASKED and {row.text for row in asked} <= {*POOL}
    assert {row.text for row in suspects} & {*WRONG}
    before = documents.read_split(project / "data/splits/reviews", "test", ["id"])["id"].to_list()

    lmspec(project, "data", "splits.reviews", "--sides", "sides.csv")  # no row is to move
    printed = answered(project, "queue.next", [*keys_for(asked[:10]), "q"], monkeypatch)
    assert "10 of 12 rows of queue.next have a label" in printed
    answered(project, "suspects.reviews", [*keys_for(suspects), "q"], monkeypatch)
    files = ("labels/queue-next.csv", "labels/suspects-reviews.csv")
    corrected(project, *files)
    built = ran(dvc(project, "repro"))
    assert built == [
        "corpus-reviews", "splits-reviews", "suspects-reviews", "queue-next"
    ], built  # fmt: skip
    counts = metrics(project, "corpus-reviews")["corrections"]
    found = len({row.text for row in suspects} & {*WRONG})
    assert counts == {
        "changed": found, "confirmed": len(suspects) - found, "added": 10, "left_out": 0
    }  # fmt: skip
    held = documents.read(project / "data/corpus/reviews/documents.parquet", ["text", "label"])
    labels = dict(held.iter_rows())
    assert all(labels[row.text] == TRUTH[row.text] for row in (*asked[:10], *suspects))
    again = rows(project, "queue", "next")
    assert not {row.text for row in again} & {row.text for row in asked[:10]}
    kept = documents.read_split(project / "data/splits/reviews", "test", ["id"])["id"].to_list()
    assert {*before} <= {*kept}  # rows that are new may be in any split
    assert ran(dvc(project, "repro")) == []

    # what changes nothing has its table, too
    confirmed = next(text for text in GIVEN if text not in WRONG)
    same = project / "labels/same.csv"
    same.write_text(f"{','.join(HEADER)}\n{line_of(confirmed)}")
    corrected(project, "labels/same.csv")
    assert "corpus-reviews" in ran(dvc(project, "repro"))
    table = pl.read_csv(project / "data/metrics/corpus-reviews/corrected.csv")
    assert table.select("was", "label").rows() == [(TRUTH[confirmed], TRUTH[confirmed])]

    # test rows are not corrected in silence
    tested = next(text for text in GIVEN if cleaning.document_id(text) in before)
    now = labels[tested]
    same.write_text(f"{','.join(HEADER)}\n{line_of(tested, other(now))}")
    output = dvc(project, "repro", code=255)
    listed = f"{cleaning.document_id(tested)} '{now}' -> '{other(now)}' (labels/same.csv:2)"
    assert f"annotations change the labels of 1 test rows: {listed}" in output
    corrected(project, "labels/same.csv", more="read by two people")
    dvc(project, "repro")
    assert metrics(project, "splits-reviews")["test"]["corrected"] == 1

    # each mistake is one message, and what was answered and built is not lost
    whole, built_before = same.read_bytes(), miniature.fingerprints(project)
    for content, message in MISTAKES.values():
        same.write_bytes(content)
        (problem,) = validate.file(project / "params.yaml").problems
        assert problem.rule == "corrections-can-be-read" and message in problem.found
        assert problem.hint and same.read_bytes() == content
    gone = "0123456789abcdef"
    absent = f"{','.join(HEADER)}\n{gone},good,bob,{TIME},,label\n".encode()
    for content, message in (
        MISTAKES["cut off"],
        (absent, f"no row of the tables has the id {gone}"),
    ):
        same.write_bytes(content)
        output = dvc(project, "repro", "corpus-reviews", code=255)
        assert message in output and "  -> " in output and "Traceback" not in output
        assert same.read_bytes() == content
    same.write_bytes(whole)
    dvc(project, "repro")
    assert miniature.fingerprints(project) == built_before


HEAD = ",".join(HEADER).encode() + b"\n"
WHOLE = line_of(GIVEN[0]).encode()
MISTAKES = {
    "two annotators": (
        HEAD + WHOLE + line_of(GIVEN[0], other(TRUTH[GIVEN[0]]), "eve").encode(),
        "by eve (labels/same.csv:3)",
    ),
    "no label": (HEAD + line_of(GIVEN[0], "fine").encode(), "same.csv:2: 'fine' is none of the"),
    "cut off": (HEAD + WHOLE[:-9], "labels/same.csv:2: its last line is cut off"),
    "NUL": (HEAD + WHOLE + b"\0" + WHOLE, "line 3 has a NUL byte"),
    "another header": (b"id,label\n" + WHOLE, "the first line is not id,label,annotator"),
    "no UTF-8": (HEAD + WHOLE.replace(b"bob", b"b\xf6b"), "line 2 is not UTF-8"),
    "UTF-16": ((HEAD + WHOLE).decode().encode("utf-16"), "it is UTF-16, not UTF-8"),
    "a conflict": (HEAD + b"<<<<<<< HEAD\n" + WHOLE, "git left a conflict"),
    "nothing in it": (b"", "it is empty"),
}
