"""predict.py of a bundle: one answer for each text, aligned with its input, whatever that holds."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import deployed, documents, manifest, predict, shipping, wheels
from lmspec.methods import agreement, cleaning, evidence, folders, repairing
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.corpus import Clean
from lmspec.specs.numerics import Machine
from stages import bundle as stages_bundle
from tests import bundles, miniature
from tests.bundles import CLEAN, LABELS

ODD = (
    "plain",
    "caf\u00c3\u00a9 and \u00e2\u20ac\u0153quotes\u00e2\u20ac\u009d",  # UTF-8 read as cp1252
    "a &amp; b &lt;i&gt;",
    "twice &amp;amp; thrice &amp;amp;amp; &amp;eacute;",
    "next\u0085line, no\u00a0break, \u2028 separators \u2029, \x1c\x1d\x1e\x1f and \x0b\x0c",
    "o\u0308 and e\u0301 decomposed",
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627\u200f",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "\ufeffmark, \x00 null, \x1b[31mred\x1b[0m, \x7f",
    "\u1100\u1161\u11a8 \ufb01 \uff21\uff22 \u2160",
    "\u5f88\u597d\u3002\u3000full width",
    " \t\n\r\n ",
    "",
    "\u00c3\u0085\u00c2\u0085 \u00c3 \u00a0",
    "&nbsp;&#8203;&#x1F600;&bogus;&#128512;",
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a graph that looks up a row of logits for each token."""
    return bundles.make(tmp_path_factory.mktemp("bundle"))


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run predict.py with arguments, bytes on standard input, and the encoding of the console."""

    def call(*given: str, stdin: bytes = b"", console: str = "utf-8") -> tuple[int, str, str]:
        out, err = (io.TextIOWrapper(io.BytesIO(), console, newline="") for _ in range(2))
        stream = io.BufferedReader(io.BytesIO(stdin))  # type: ignore[arg-type]
        monkeypatch.setattr(predict, "__file__", str(bundle / "predict.py"))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        code = predict.main(given)
        out.flush()
        err.flush()
        texts = [stream.buffer.getvalue().decode(stream.encoding) for stream in (out, err)]
        return code, *texts

    yield call


# --- cleaning ---


@pytest.mark.parametrize("fix", [True, False])
@pytest.mark.parametrize("unescape", [True, False])
@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_a_bundle_cleans_as_the_corpus_did(
    bundle: Path, fix: bool, unescape: bool, text: str
) -> None:
    """One function, with the corpus's rule; it changes nothing that it has changed."""
    rule = Clean(fix_unicode=fix, unescape_html=unescape, min_chars=1, max_chars=1000)
    classifier = predict.Classifier(bundle)
    classifier._clean = cleaning.rule(rule)
    expected = cleaning.repair(text, rule)
    assert classifier.clean(text) == expected
    assert classifier.clean(expected) == expected


@given(st.text(), st.booleans(), st.booleans())
def test_repair_ends_and_is_repeatable(text: str, fix: bool, unescape: bool) -> None:
    """On any text that UTF-8 holds."""
    once = repairing.repair(text, fix_unicode=fix, unescape_html=unescape)
    assert repairing.repair(once, fix_unicode=fix, unescape_html=unescape) == once


def test_entities_and_mojibake_change_no_answer(bundle: Path) -> None:
    """As they arrive and as they were trained on. The control: without cleaning they do."""
    classifier = predict.Classifier(bundle)
    pairs = [
        ("the plot &amp;amp; her voice", "the plot & her voice"),
        ("caf\u00c3\u00a9", "caf\u00e9"),
    ]
    for raw, cleaned in pairs:
        assert classifier.predict(raw) == classifier.predict(cleaned)
    classifier._clean = dict.fromkeys(CLEAN, False)
    for raw, cleaned in pairs:
        assert classifier.predict(raw) != classifier.predict(cleaned)


# --- the class ---


def test_predict_many_is_predict_of_each(bundle: Path) -> None:
    """In order, in any batch size, with texts that have nothing to read among them."""
    classifier = predict.Classifier(str(bundle), threads=2)
    texts = ["the film was great", *ODD, "a sad mess " * 20]
    each = [classifier.predict(text) for text in texts]
    for size in (1, 3, 100):
        many = classifier.predict_many(iter(texts), size)
        assert [list(answer) for answer in many] == [list(answer) for answer in each]
        for one, other in zip(many, each, strict=True):
            assert one == pytest.approx(other, abs=1e-6)
    assert classifier.predict_many([]) == []
    for text, answer in zip(texts, each, strict=True):
        if not classifier.clean(text):
            assert answer == {}
            continue
        assert sum(answer.values()) == pytest.approx(1)
        assert list(answer.values()) == sorted(answer.values(), reverse=True)
        assert set(answer) == set(LABELS)


def test_half_a_surrogate_pair_is_answered(bundle: Path) -> None:
    """JSON can escape one; no UTF-8 holds it. Two halves are one character."""
    classifier = predict.Classifier(bundle)
    assert classifier.predict("a \ud83d b") == classifier.predict("a \ufffd b")
    assert classifier.predict("a \ud83d\ude00 b") == classifier.predict("a \U0001f600 b")


# --- lines ---


def test_each_line_has_its_answer(run: Run) -> None:
    """Whatever its end is; empty ones too; without mark and CR."""
    for content in (
        b"first\n\nsecond\n   \nthird",
        b"\xef\xbb\xbffirst\r\n\r\nsecond\r\n   \r\nthird\r\n",
        b"first\r\rsecond\r   \rthird\r",
        "first\n\nsecond\n   \nthird\n".encode("utf-16"),
    ):
        code, out, err = run(stdin=content)
        rows = [line.split("\t") for line in out.splitlines()]
        assert (code, err) == (0, "")
        assert [row[-1] for row in rows] == ["first", "", "second", "   ", "third"]
        assert [bool(row[0]) for row in rows] == [True, False, True, False, True]


def test_bytes_that_are_not_utf_8_are_named(run: Run) -> None:
    """The line is named, each has its answer, and the exit status says it."""
    code, out, err = run(stdin=b"good one\ncaf\xe9 was nice\nthird\n")
    assert code == 3 and len(out.splitlines()) == 3 and "caf\ufffd was nice" in out
    assert err == "predict.py: line 2 has bytes that are not UTF-8, read as U+FFFD\n"
    code, out, err = run(stdin=b"\xff\n" * 500)
    assert code == 3 and len(out.splitlines()) == 500 and len(err.splitlines()) == 11


@pytest.mark.parametrize("console", ["cp1252", "ascii", "utf-8"])
def test_a_console_that_lacks_a_letter_shows_its_number(run: Run, console: str) -> None:
    """And goes on."""
    code, out, _ = run("fine", "\u5f88\u597d \U0001f621", "last", console=console)
    assert code == 0 and len(out.splitlines()) == 3
    assert ("\u5f88" in out) == (console == "utf-8") and "last" in out


def test_a_text_with_line_breaks_is_one_line_of_output(run: Run) -> None:
    """And drives no terminal."""
    code, out, _ = run("one\ntwo\r\nthree\ttabs\u2028and \x1b[31mred", "next")
    assert code == 0 and len(out.splitlines()) == 2 and "\x1b" not in out
    assert out.splitlines()[0].count("\t") == 2


def test_top_and_probabilities(run: Run) -> None:
    """So many pairs of label and probability before the text."""
    for given_, pairs in (((), 1), (("--top", "2"), 2), (("--top", "9"), 3)):
        _, out, _ = run("the film", " ", *given_)
        first, empty = (line.split("\t") for line in out.splitlines())
        assert len(first) == len(empty) == 2 * pairs + 1
    _, out, _ = run("the film", "--probabilities")
    assert sorted(out.rstrip("\n").split("\t")[:-1:2]) == sorted(LABELS)


# --- tables and objects ---


def table(path: Path, rows: list[list[str]], encoding: str = "utf-8", **form: str) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, **form).writerows(rows)  # type: ignore[arg-type]
    return path


def test_a_table_comes_back_with_two_columns_more(run: Run, tmp_path: Path) -> None:
    """Every other cell as it was; one row for each, quotes and line breaks in texts included."""
    texts = ['a "no", twice', "two\nlines", "", "caf\u00e9 \U0001f600", "x, y", "\u2028"]
    rows = [["id", "review", "label"], *([f" {i}", text, "old"] for i, text in enumerate(texts))]
    for form in ({}, {"encoding": "utf-8-sig"}, {"encoding": "utf-16"}, {"lineterminator": "\n"}):
        file = table(tmp_path / "a.csv", rows, **form)  # type: ignore[arg-type]
        code, out, err = run("--csv", str(file), "--text", "review", console="cp1252")
        got = list(csv.reader(io.StringIO(out, newline="")))
        assert (code, err) == (0, "") and [row[:3] for row in got] == rows
        assert got[0][3:] == ["predicted", "confidence"]
        assert [row[3] != "" for row in got[1:]] == [bool(text.strip()) for text in texts]


def test_other_delimiters_and_further_columns(run: Run, tmp_path: Path) -> None:
    """A .tsv has tabs; `--probabilities` has a column for each label."""
    rows = [["text"], ["the film was great"], [""], ["a sad mess"]]
    file = table(tmp_path / "a.tsv", rows, delimiter="\t")
    target = tmp_path / "out.tsv"
    code, out, _ = run("--csv", str(file), "--top", "2", "--probabilities", "--output", str(target))
    assert (code, out) == (0, "")
    got = list(csv.reader(target.open(encoding="utf-8", newline=""), delimiter="\t"))
    best = ["predicted", "confidence", "predicted_2", "confidence_2"]
    assert got[0] == ["text", *best, *(f"probability_{label}" for label in LABELS)]
    assert len(got) == 4 and got[2] == [""] * 8
    assert sum(float(p) for p in got[1][-3:]) == pytest.approx(1, abs=1e-5)
    file = table(tmp_path / "b.csv", [["n", "text"], ["1", "a;b"]], delimiter=";")
    code, out, _ = run("--csv", str(file), "--delimiter", ";")
    assert code == 0 and out.splitlines()[0] == "n;text;predicted;confidence"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1,2\n", "it has no column 'text': its columns are ['a', 'b']"),
        (b"n;text\n1;x\n", "its columns are ['n;text']; see --text, --delimiter"),
        (b"", "it has no column 'text'"),
        (b"text,text\n1,2\n", "it has two columns 'text'"),
        (b"text,predicted\nx,y\n", "it has a column 'predicted' already"),
        (b"n,text\n1,one, two\n", "line 2 ends a row of 3 fields, and the header has 2"),
        (b'n,text\n1,"never closed\n2,x\n', "line 3: unexpected end of data"),
        (b'n,text\n1,"a "no" to it"\n', "line 2:"),
    ],
)
def test_a_table_that_would_be_misread_is_refused(
    run: Run, tmp_path: Path, content: bytes, words: str
) -> None:
    """With the line, and no traceback; what was answered before stays."""
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    code, _, err = run("--csv", str(file))
    assert code == 1 and words in err and str(file) in err


def test_objects_come_back_with_two_fields_more(run: Run) -> None:
    """In order; null and spaces have an answer of null, numbers are texts."""
    objects = [
        {"id": 1, "body": "the film\nwas great"},
        {"id": 2, "body": None},
        {"id": 3, "body": " "},
        {"id": 4, "body": 5},
        {"id": 5, "body": "half \ud83d of a pair"},
        {"id": 6, "body": "caf\u00e9", "more": {"a": [1]}},
    ]
    content = "\ufeff" + "\r\n".join(map(json.dumps, objects)) + "\r\n\r\n"
    code, out, err = run("--jsonl", "-", "--text", "body", stdin=content.encode(), console="cp1252")
    got = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "") and len(got) == len(objects)
    for one, other in zip(got, objects, strict=True):
        assert {name: one[name] for name in other} == other
    assert [one["predicted"] is None for one in got] == [False, True, True, False, False, False]
    _, out, _ = run("--jsonl", "-", "--top", "2", stdin=b'{"text": "x"}')
    assert len(json.loads(out)["probabilities"]) == 2
    _, out, _ = run("--jsonl", "-", "--probabilities", stdin=b'{"text": "x"}')
    assert set(json.loads(out)["probabilities"]) == set(LABELS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"text": "x"}\n{"text": ', "line 2 is not JSON"),
        (b'[{"text": "x"}]', "line 1 has no object, and no 'text'"),
        (b'{"body": "x"}', "line 1 has fields ['body'], and no 'text'"),
        (b'{"text": ["x"]}', "its 'text' is not a text"),
        (b'{"text": "x", "predicted": 1}', "a field 'predicted' already"),
    ],
)
def test_objects_without_a_text_are_refused(run: Run, content: bytes, words: str) -> None:
    """With the line."""
    code, _, err = run("--jsonl", "-", stdin=content)
    assert code == 1 and words in err


def test_the_file_that_is_read_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    """By whatever name it goes; another file is."""
    content = '{"text": "one"}\n'
    file, link = tmp_path / "a.jsonl", tmp_path / "link.jsonl"
    file.write_text(content)
    link.symlink_to(file)
    for name in (file, link):
        code, _, err = run("--jsonl", str(file), "--output", str(name))
        assert (code, file.read_text()) == (1, content)
        assert err == f"predict.py: {file}: --output is the file that is read: name another one\n"
    other = tmp_path / "b.jsonl"
    for _ in range(2):
        assert run("--jsonl", str(file), "--output", str(other))[0] == 0
        assert len(other.read_text().splitlines()) == 1


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5"])
def test_a_number_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], number: str) -> None:
    """With what it must be."""
    with pytest.raises(SystemExit) as stopped:
        predict.arguments([f"--batch-size={number}", "x"])
    assert stopped.value.code == 2
    assert f"it must be a whole number from 1, and is {number!r}" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_one_line(run: Run) -> None:
    """Not a traceback."""
    code, _, err = run("--csv", "nowhere.csv")
    assert code == 1 and err.startswith("predict.py: nowhere.csv: ") and err.count("\n") == 1


def test_the_folder_works_by_itself(bundle: Path, tmp_path: Path) -> None:
    """From anywhere, without lmspec in sight, as a script and as a module."""
    copy = shutil.copytree(bundle, tmp_path / "copy")
    script = [sys.executable, str(copy / "predict.py"), "--batch-size", "2"]
    code = (
        "import sys; from predict import Classifier; "
        "assert not [name for name in sys.modules if name.startswith('lmspec')]; "
        f"print(next(iter(Classifier({str(copy)!r}).predict('the film'))))"
    )
    packages = str(Path(np.__file__).parents[1])
    environment = {"PYTHONPATH": f"{copy}:{packages}", "PATH": "/usr/bin:/bin"}
    for command, lines in ((script, b"the film\nthe plot\n"), ([sys.executable, "-c", code], b"")):
        done = subprocess.run(
            command,
            input=lines,
            capture_output=True,
            env=environment,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode().partition("\t")[0].strip() in LABELS


# --- what to install ---


def test_requirements_have_the_hashes_of_the_pinned_versions() -> None:
    """Of requirements.lock, so that `make wheels` is not forgotten."""
    text, hashed = shipping.requirements(deployed.PACKAGES)
    pinned = dict(
        re.findall(r"^([\w.-]+)==(\S+)", (miniature.ROOT / "requirements.lock").read_text(), re.M)
    )
    locked = dict(shipping.LOCKED.findall(wheels.LOCK))
    names = {name.lower().replace("_", "-"): version for name, version in pinned.items()}
    assert set(deployed.PACKAGES) <= set(locked)
    assert {n: v for n, v in locked.items() if n in names and names[n] != v} == {}
    blocks = re.split(r"^(?=\S)", text, flags=re.M)[1:]
    assert hashed and len(blocks) == len(locked) - 1 and shipping.OPTIONAL in locked
    assert all("--hash=sha256:" in block for block in blocks)


def test_versions_without_known_hashes_are_pinned_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip takes hashes for all packages or for none."""
    monkeypatch.setattr(shipping, "_version", lambda name: "1.2" if name == "numpy" else "0.1")
    text, hashed = shipping.requirements(deployed.PACKAGES)
    assert not hashed and "numpy==1.2\n" in text and "--hash=" not in text


# --- the build's check ---


@pytest.fixture
def needs(bundle: Path, tmp_path: Path) -> stage.Needs:
    """The bundle's graph and scores of it."""
    for name in ("graph", "scores"):
        (tmp_path / name).mkdir()
    for name in ("model.onnx", "tokenizer.json", "lmspec.json"):
        shutil.copyfile(bundle / name, tmp_path / "graph" / name)
    classifier = predict.Classifier(bundle)
    texts = [text for _, text, _ in miniature.sentences("honestly ")]
    answers = [next(iter(answer.items())) for answer in classifier.predict_many(texts)]
    rows = [
        evidence.Row("new", "reviews", None, text, label, label, round(p, 6))
        for text, (label, p) in zip(texts, answers, strict=True)
    ]
    schema = {**dict.fromkeys(evidence.Row._fields, pl.String), "confidence": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    documents.write(frame, tmp_path / "scores/predictions.parquet")
    summary = {"of": "exported.a", "batch_size": 8, "metrics": {}, "accepted_overlap": []}
    (tmp_path / "scores/metrics.json").write_text(json.dumps(summary))
    folders = {"exported.a": tmp_path / "graph", "scores.a": tmp_path / "scores"}
    return stage.Needs(folders, None, Machine(device="cpu"), tmp_path)


def build(needs: stage.Needs, out: Path, **more: object) -> str:
    """Build the bundle; its card."""
    fields = {"of": "exported.a", "scores": "scores.a", "title": "t", "license": "MIT"}
    spec = BundleSpec.model_validate({**fields, "intended_use": "u", "limitations": "l", **more})
    out.mkdir()
    stages_bundle.build(spec, needs, out)
    return (out / "README.md").read_text()


def test_a_bundle_answers_as_it_was_scored(needs: stage.Needs, tmp_path: Path) -> None:
    """The card says what it reads."""
    card = build(needs, tmp_path / "out")
    assert "HTML entities" in card and "Unicode (mojibake" in card
    assert "reads 16 tokens, special ones included" in card and "overlap by an eighth" in card
    assert "pip install -r requirements.txt" in card and "predict_many" in card
    about = manifest.checked(tmp_path / "out", predict.DATA)
    assert set(about.files) == {path.name for path in (tmp_path / "out").iterdir()} - {
        "manifest.json"
    }
    made_from = {name: folders.sha256(needs[name]) for name in ("exported.a", "scores.a")}
    assert (about.title, about.made_from, about.serving) == ("t", made_from, None)


def test_one_text_has_the_bits_of_many(bundle: Path) -> None:
    """The shorter way of a single text gives the probabilities and the tokens of the longer one."""
    classifier = predict.Classifier(bundle)
    texts = [text for _, text, _ in miniature.sentences("honestly ")]
    for text in [*texts, *ODD, " ".join(texts[:9])]:
        cleaned = classifier.clean(text)
        if not cleaned:
            assert classifier.answer(text) == ({}, 0)
            continue
        windows = classifier.reader.read([cleaned])
        (answer,) = classifier.answers(windows)
        got, tokens = classifier.answer(text)
        assert [*got.items()] == [*answer.items()] and tokens == int(windows.tokens.sum())


def test_limits_of_the_service_are_in_manifest_and_card(needs: stage.Needs, tmp_path: Path) -> None:
    """As the spec has them."""
    limits = {"max_text_bytes": 77, "max_texts": 5, "max_body_bytes": 2000, "queue": 9}
    limits |= {"timeout_ms": 999, "drain_seconds": 4, "empty_text": "refused"}
    card = build(needs, tmp_path / "out", serving=limits)
    assert manifest.read(tmp_path / "out").serving == limits
    assert all(f"| `{name}` | `{value}` |" in card for name, value in limits.items())


def test_a_bundle_that_answers_otherwise_is_not_built(
    needs: stage.Needs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its labels are swapped, as a fault would. The control is the test above;
    a dataset that was cleaned by another rule is named, and not compared."""
    file = needs["exported.a"] / "lmspec.json"
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | {"labels": ["good", "bad", "so so"]}))
    with pytest.raises(LmspecError, match=r"does not answer as scores\.a has it"):
        build(needs, tmp_path / "other-labels")
    file.write_text(json.dumps(about))
    path = needs["scores.a"] / "predictions.parquet"
    frame = pl.read_parquet(path).with_columns(pl.col("text") + " &amp; more")
    documents.write(frame, path)
    build(needs, tmp_path / "other-rule")
    assert "a scored dataset has another `clean`" in capsys.readouterr().err


def test_int8_that_was_scored_in_batches_is_compared_on_average() -> None:
    """Texts of a batch move each other's scale; one text at a time they do not."""
    scored = [("a", "x", 0.9), ("b", "y", 0.6), ("c", "x", 0.7)]
    near = [{"x": 0.9, "y": 0.1}, {"y": 0.6, "x": 0.4}, {"y": 0.36, "x": 0.64}]
    assert agreement.difference(scored, near, together=True) is None
    assert "'x' has 0.6400 instead of 0.7000" in str(agreement.difference(scored, near, False))
    far = [{"x": 0.1, "y": 0.9}, *near[1:]]
    assert "instead of 0.9000" in str(agreement.difference(scored, far, together=True))
    assert agreement.difference(scored, [near[0], near[1], {"x": 0.701}], False) is None
    assert len(agreement.sample(scored * 100)) <= agreement.CHECKED
