"""lmspec explain: every path leads somewhere, and its description agrees with the schema."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from lmspec.cli.main import main
from lmspec.errors import LmspecError
from lmspec.formats.annotations import HEADER
from lmspec.language import document, examples, explain, schema, validate
from tests import light
from tests.specs import GOOD, ROOT, written

VALUES = examples.load().values


def paths(part: schema.Schema, steps: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every section, kind and field that the schema has, as a path."""
    yield steps
    part = schema.inner(part)
    for kind, chosen in schema.kinds(part).items():
        yield (*steps, kind)
        for name, field in chosen["properties"].items():
            if name != "kind":
                yield from paths(field, (*steps, kind, name))
    for name, field in part.get("properties", {}).items():
        yield from paths(field, (*steps, name))


GATES = ("ceiling", "floor", "gap", "improvement", "negative_flip_rate", "non_inferiority", "ratio")
EVERY = [path for name, section in schema.sections().items() for path in paths(section, (name,))]


def explained(path: str, monkeypatch: pytest.MonkeyPatch, folder: Path = ROOT) -> str:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")  # not those of the terminal that runs the tests
    result = CliRunner().invoke(
        main, ["explain", *([path] if path else [])], catch_exceptions=False
    )
    return result.output


def shown(values: object, steps: tuple[str, ...]) -> Iterator[object]:
    """What the values hold at a path; a kind is a step."""
    if isinstance(values, list):
        for item in values:
            yield from shown(item, steps)
    elif not steps:
        yield values
    elif isinstance(values, dict) and steps[0] == values.get("kind"):
        yield from shown(
            {name: value for name, value in values.items() if name != "kind"}, steps[1:]
        )
    elif isinstance(values, dict) and "kind" not in values and steps[0] in values:
        yield from shown(values[steps[0]], steps[1:])


def exemplified(path: tuple[str, ...], nouns: Iterable[str]) -> bool:
    """Do the examples hold it, in an artifact of one of those nouns?"""
    free = {noun: bool(schema.entries(schema.sections()[noun])) for noun in nouns}
    items = (
        item for noun in nouns for item in (VALUES[noun].values() if free[noun] else [VALUES[noun]])
    )
    return any(True for item in items for _ in shown(item, path[1:]))


def test_the_examples_are_complete() -> None:
    """Every noun, kind and field; one noun shows each way to train, another each way to decode, one
    gate what all may have."""
    assert len(EVERY) > 150
    lacking = [path for path in EVERY if not exemplified(path, schema.sections())]
    assert {path[2] for path in lacking} == {"undecided", "waiver"} and {
        path[0] for path in lacking
    } == {"gates"}
    assert all(
        any(exemplified(("gates", kind, *path[2:]), ["gates"]) for kind in GATES)
        for path in lacking
    )
    missing = [path for path in EVERY if not exemplified(path, path[:1]) and path not in lacking]
    for path in missing:
        shown = "scores" if path[:2] == ("examined", "generation") else "model"
        assert shown == "scores" or path[1] == "training"
        assert shown == "scores" or path[0] in ("student", "updated", "pretrained")
        assert exemplified((shown, *path[1:]), [shown])
    assert not exemplified(("model", "architecture", "cnn", "cell"), ["model"])


def test_the_examples_are_valid(tmp_path: Path) -> None:
    """Without a warning, beside the files that they name, whose hashes are made up; a private model
    has no `numerics.world`, which the others show."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/reviews.csv").touch()
    (tmp_path / "raw/synonyms.tsv").write_text("film\tmovie\n")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/shell.py").write_text("def parses(answer, reference):\n    return 1.0\n")
    (tmp_path / "phrases").mkdir()
    phrases = (ROOT / "phrases/sentiment.yaml").read_text()
    (tmp_path / "phrases/reviews.yaml").write_text(phrases)
    (tmp_path / "sides").mkdir()
    (tmp_path / "sides/posts.csv").write_text("id,split\n")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/suspects-reviews.csv").write_text(f"{','.join(HEADER)}\n")
    for name in ("cases", "pairs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "labels/deleted.txt").write_text("0123456789abcdef\n")
    path = tmp_path / "examples.yaml"
    path.write_text(examples.PATH.read_text())
    *made_up, alone = validate.file(path).problems
    assert [one.rule for one in made_up] == ["file-sources-have-their-hash"] * 2
    assert alone.rule == "private-models-train-alone"
    jsonschema.validate(VALUES, schema.load())


@pytest.mark.parametrize("noun", schema.sections())
def test_every_path_is_explained(noun: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its rule or fields, its description, and an example that parses."""
    for path in (path for path in EVERY if path[0] == noun):
        (meaning,) = explain.meanings(".".join(path), {})
        text = explained(".".join(path), monkeypatch)
        assert meaning.steps == path and text.startswith(".".join(path)) and "\nexample\n" in text
        rule, description = schema.rule(meaning.schema), meaning.schema.get("description", "")
        flat = " ".join(text.split())
        assert " ".join(description.split()) in flat and (
            explain.fields(meaning.schema) or f"It is {rule}." in flat
        )
        example = document.parsed("\n".join(examples.lines(path)), Path("example")).values
        assert list(example) == [
            path[-1] if len(path) == 1 or path[-1] in example else next(iter(example))
        ]


def test_the_example_shows_the_requested_kind() -> None:
    """The kind that was asked for, in its own place."""
    assert examples.lines(("model", "architecture", "rnn", "cell")) == ["cell: lstm"]
    assert examples.lines(("model", "architecture", "cnn", "widths")) == ["widths: [2, 3, 4]"]
    assert examples.lines(("quantized", "contract", "max_disagreement_rate")) == [
        "max_disagreement_rate: 0.03"
    ]
    assert examples.lines(("corpus", "tables", "format", "tsv", "columns")) == [
        "columns: [id, rating, text]"
    ]
    assert examples.lines(("corpus", "tables", "label", "column", "column")) == ["column: stars"]
    assert examples.lines(("model", "architecture", "cnn"))[:2] == ["architecture:", "  kind: cnn"]
    assert examples.lines(("splits",))[:3] == ["splits:", "  reviews:", "    of: corpus.reviews"]


def test_without_a_path_the_sections_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the flow."""
    lines = explained("", monkeypatch).splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(schema.sections())


def test_kinds_need_not_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field of one kind is found; one of several is described once per meaning."""
    assert explained("model.architecture.cell", monkeypatch) == explained(
        "model.architecture.rnn.cell", monkeypatch
    )
    assert [m.kinds for m in explain.meanings("model.architecture.dropout", {})] == [
        ("causal",),
        ("cnn",),
        ("rnn",),
        ("transformer",),
    ]
    assert [m.kinds for m in explain.meanings("sources.sha256", {})] == [
        ("file", "huggingface"),
        ("npm",),
        ("pypi",),
        ("url",),
    ]
    assert [m.kinds for m in explain.meanings("gates.metric", {})] == [GATES]
    assert explained("model.architecture.kind", monkeypatch) == explained(
        "model.architecture", monkeypatch
    )


def test_a_path_of_a_message_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the name of an artifact, and indices of lists."""
    asked = explained("corpus.reviews.tables[0].label", monkeypatch)
    assert asked == explained("corpus.tables.label", monkeypatch)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "modle",
            "params.yaml has no section 'modle'\n  -> did you mean 'model'? there is sources,",
        ),
        (
            "model.architecture.celll",
            "model.architecture has no field or kind 'celll'\n  -> did you mean 'cell'?",
        ),
        (
            "splits.seed.x",
            "splits.seed has no field or kind 'x'\n  -> it is a value, without fields",
        ),
        (
            "model.unknown.training",
            "model has no field or kind 'unknown'\n"
            "  -> there is on, rows, architecture, training and self_training",
        ),
        ("", "params.yaml has no section ''\n  -> there is sources"),
        ("model..on", "model has no field or kind ''"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_error(path: str, words: str) -> None:
    """With the nearest name, and what there is."""
    with pytest.raises(LmspecError) as error:
        explain.meanings(path, {"model": ["bilstm"]})
    assert words in str(error.value)


def test_checks_are_shown_with_their_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line of the docstring, with the part that they are about."""
    rows = list(explain.checks(schema.sections()["corpus"]))
    assert ("", "tables-have-their-own-names", "Metrics are broken down by them.") in rows
    assert ("clean", "bounds-are-in-order", "Some length is accepted.") in rows
    assert "tables.label.threshold" in explained(
        "corpus", monkeypatch
    ) and "Some length is accepted." in explained("corpus", monkeypatch)


def test_users_of_an_artifact_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields that may, by the schema; and in the folder's params.yaml the artifacts that do."""
    assert list(explain.referring("sources")) == [
        "corpus.tables.of",
        "corpus.tables.label.votes.functions.lexicon.of",
        "augmented.add.synonyms.words.table.of",
        "augmented.add.synonyms.words.wordnet.of",
        "pretrained.of",
        "suspects.features.embedding.weights",
        "queue.features.embedding.weights",
        "model.architecture.causal.weights",
        "model.architecture.embedding.weights",
        "model.architecture.hybrid.weights",
        "model.architecture.prompted.weights",
        "model.architecture.transformer.weights",
        "bundle.targets.browser.runtime",
        "bundle.targets.browser.tokenizers",
    ]
    assert list(explain.referring("exported")) == [
        "augmented.add.paraphrase.agrees",
        "quantized.of",
        "calibrated.of",
        "scores.of",
        "explained.of",
        "examined.of",
        "attacked.of",
        "attacked.reference",
        "speed.of",
        "speed.against",
        "bundle.of",
        "bundle.targets.browser.of",
        "bundle.targets.cpu.of",
        "bundle.targets.cuda.of",
        "load.against",
    ]
    path = written(GOOD, tmp_path)
    line = GOOD.splitlines().index("  cnn:") + 1
    assert f"model.cnn (line {line}), named by exported.cnn.of" in explained(
        "model", monkeypatch, tmp_path
    )
    assert "\n  exported.cnn (line" in explained("bundle.of", monkeypatch, tmp_path)
    for broken in ("sources: [1\n", "sources: [1]\nmodel: {a: 1}\n1: {}\n"):
        path.write_text(broken)
        assert explained("sources", monkeypatch, tmp_path).startswith("sources\n")
    path.unlink()
    assert "in params.yaml" not in explained("sources", monkeypatch, tmp_path)


def test_it_is_quick_and_plain_when_piped() -> None:
    """No library that validates or computes is imported; only a terminal gets bold headings."""
    assert (
        "\x1b[1mmodel\x1b[0m\n" in CliRunner().invoke(main, ["explain", "model"], color=True).output
    )
    assert "\x1b" not in light.output("explain", "model")
