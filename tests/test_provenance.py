"""Provenance agrees with itself and with what is here, or `lmspec verify` says where not."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmspec.methods import folders
from lmspec.run import provenance
from tests import miniature


@pytest.fixture
def project(built: Path) -> Iterator[Path]:
    """The built project; what a test does to its files is undone."""
    yield built
    miniature.run(built, "git", "reset", "-q", "--hard", "main")
    miniature.dvc(built, "checkout", "-q", "--force")


def verify(project: Path, code: int = 0) -> str:
    return miniature.lmspec(project, "verify", "--provenance", code=code)


def test_the_provenance_of_a_build_agrees(built: Path) -> None:
    """One for each stage; all run in a sandbox but the sources, which are fetched."""
    output = verify(built)
    assert "provenance of 21 stages: it agrees" in output
    assert "18 sandboxed by the kernel; 3 fetched, checked against a declared hash" in output


def test_provenance_is_an_attestation(built: Path) -> None:
    """An in-toto statement with SLSA provenance: subjects with digests, dependencies that name
    data, code and packages."""
    text = (built / "data/provenance/model-cnn.json").read_text()
    ((document,),) = json.loads(text)
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://slsa.dev/provenance/v1"
    names = [subject["name"] for subject in document["subject"]]
    assert names == [
        "data/model/cnn",
        "data/metrics/model-cnn/curve.csv",
        "data/metrics/model-cnn.json",
    ]
    build = document["predicate"]["buildDefinition"]
    entries = build["resolvedDependencies"]
    by_name = {
        entry.get("name", entry.get("uri", "").partition("@")[0]): entry for entry in entries
    }
    assert {
        "data/splits/old",
        "lmspec/architectures/cnn.py",
        "pkg:pypi/torch",
        "pkg:pypi/numpy",
    } <= set(by_name)
    assert by_name["data/splits/old"]["digest"] == {
        "dirHash": folders.sha256(built / "data/splits/old")
    }
    assert build["externalParameters"]["params"]["numerics"]["seed"] == 3
    assert str(built) not in text and "time" not in build["internalParameters"]


def test_provenance_says_which_processors_give_the_same_bits(built: Path) -> None:
    """By what the build imported: tables anywhere, torch by maker, onnxruntime by instructions."""
    by_stage = {
        "splits-old": "x86-64 processors with AVX2",
        "model-cnn": "x86-64 processors of the same maker with AVX2",
        "quantized-release": "processors with the same instructions",
    }
    for stage, processors in by_stage.items():
        ((document,),) = json.loads((built / f"data/provenance/{stage}.json").read_text())
        how = document["predicate"]["buildDefinition"]["internalParameters"]
        assert how["sameBitsOn"] == processors


def test_the_digest_of_a_folder_is_that_of_the_specification(tmp_path: Path) -> None:
    """Hash1 of Go's dirhash: SHA-256 over sorted lines of SHA-256, two spaces, name (as `sha256sum`
    prints them)."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b/c").write_text("2")
    (tmp_path / "a").write_text("1")
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    assert (
        folders.sha256(tmp_path) == hashlib.sha256(f"{one}  a\n{two}  b/c\n".encode()).hexdigest()
    )


@pytest.mark.parametrize(
    ("path", "old", "new", "output"),
    [
        ("data/splits/old/labels.json", "bad", "ill", "splits-old: data/splits/old differs from its provenance"),
        ("data/metrics/model-cnn.json", "steps", "step", "model-cnn: data/metrics/model-cnn.json differs from its provenance"),
        ("params.yaml", "filters: 16", "filters: 17", "model-cnn: model.cnn of params.yaml changed since it was built"),
        ("lmspec/methods/card.py", "def ", "X = 1\n\n\ndef ", "bundle-release: lmspec/methods/card.py changed since"),
        ("toolchain.yaml", "ftfy: ", "ftfy: 9", "corpus-old, corpus-new, splits-old, splits-new, bundle-release: it was built with ftfy "),
        ("data/provenance/model-cnn.json", "[", "", "model-cnn: data/provenance/model-cnn.json is missing or malformed"),
        ("data/provenance/splits-new.json", '{"dirHash": "', '{"dirHash": "0',
         "updated-first, scores-release, speed-release: it was made from another data/splits/new"),
    ],
)  # fmt: skip
def test_what_does_not_agree_is_named(
    project: Path, path: str, old: str, new: str, output: str
) -> None:
    """An output, a metric, a parameter, code, a version, a file of provenance, what it says of
    another's output."""
    text = (project / path).read_text()
    assert old in text
    (project / path).write_text(text.replace(old, new, 1))
    assert output in verify(project, 1)


def test_layout_and_absent_outputs_are_no_disagreement(project: Path) -> None:
    """A comment is not code, and what was not pulled cannot be compared, which is reported."""
    path = project / "lmspec/methods/card.py"
    path.write_text("# a comment\n" + path.read_text())
    shutil.rmtree(project / "data/model/cnn")
    output = verify(project)
    assert (
        "model-cnn: data/model/cnn is not here, so it was not compared: `dvc pull`" in output
        and "it agrees" in output
    )


WHOLE = provenance.statement("a.b", {}, [], [{"name": "x", "digest": {}}], {"sandbox": "kernel"})


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[",
        "{}",
        "[]",
        "[1]",
        WHOLE.replace('{"name": "x", "digest": {}}', "1"),
        WHOLE.replace('{"name": "x", "digest": {}}', '{"name": {}}'),
        WHOLE.replace('"params"', '"p"'),
        "[" * 100_000,
    ],
)
def test_malformed_provenance_is_none(text: str | None) -> None:
    """A reader of old commits meets everything; the text as written is read."""
    assert provenance.read(WHOLE.encode()) is not None
    assert provenance.read(None if text is None else text.encode()) is None


def test_what_is_written_is_read() -> None:
    """Parameters, inputs, packages in the cache key, outputs with directions, the sandbox."""
    outputs: list[provenance.Entry] = [{"name": "data/metrics/a-b.json", "digest": {"sha256": "0"}}]
    provenance.annotate(outputs, "data/metrics/a-b.json", {"loss": "lower"})
    inputs = [
        {"name": "data/x", "digest": {"dirHash": "1"}},
        provenance.of_package("torch", "2.13.0+cpu", True),
        provenance.of_package("scipy", "1.16.0", False),
    ]
    how = {"sandbox": "kernel", "python": "3.11.7"}
    text = provenance.statement("a.b", {"a.b": {"c": 1}}, inputs, outputs, how)
    stated = provenance.read(text.encode())
    assert stated is not None and stated.params == {"a.b": {"c": 1}}
    assert list(stated.inputs) == ["data/x"] and list(stated.outputs) == ["data/metrics/a-b.json"]
    assert stated.packages == {"torch": "2.13.0+cpu"} and stated.sandbox == "kernel"
    assert stated.directions("data/metrics/a-b.json") == {"loss": "lower"}
