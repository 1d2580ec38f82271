"""The JSON Schema, lmspec's walk and the pydantic specs agree on every single value."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validators
from pydantic import ValidationError

from lmspec.language import conformance, document, schema
from lmspec.specs import blocks
from lmspec.specs.base import NAME_PATTERN
from lmspec.specs.project import Project
from tests import mutations
from tests.nested import children

ROOT = Path(__file__).parent.parent
WRITTEN: dict[str, Any] = json.loads(
    (ROOT / "lmspec/language/params.schema.json").read_text(encoding="utf-8")
)
UPPER, LOWER = {"maximum", "exclusiveMaximum"}, {"minimum", "exclusiveMinimum"}
SAYS = {"type", "$ref", "anyOf", "oneOf", "enum", "const"}
CLOSED = {"maxLength", "enum", "const", "pattern"}
BY_RULES = {"/$defs/Groups/properties/positive"}  # a label of its corpus: positive-is-a-label


def test_the_schema_in_the_repository_is_the_generated_one() -> None:
    """Editors complete what `lmspec validate` accepts."""
    written = dict(WRITTEN)
    written.pop("$schema")
    assert written == Project.model_json_schema()


def parts(value: Any, at: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(path, schema) of every schema inside a schema."""
    if isinstance(value, dict):
        if SAYS & value.keys() and not isinstance(value.get("type"), dict):
            yield at, value
        for key, part in value.items():
            yield from parts(part, f"{at}/{key}")
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from parts(part, f"{at}/{i}")


def gaps(whole: Mapping[str, Any]) -> Iterator[str]:
    """What a schema does not say."""
    for at, part in parts(whole):
        kind = part.get("type")
        yield from (
            f"{at} lets {name} be anything"
            for name, field in part.get("properties", {}).items()
            if not SAYS & field.keys()
        )
        if at.rsplit("/", 2)[-2:-1] == ["properties"] and not part.get("description"):
            yield f"{at} has no description"
        is_chosen = "enum" in part
        is_bounded = UPPER & part.keys() and LOWER & part.keys()
        if kind in ("integer", "number") and not (is_bounded or is_chosen):
            yield f"{at} is not bounded"
        if kind == "string" and not CLOSED & part.keys() and at not in BY_RULES:
            yield f"{at} may be any text"
        if (
            kind == "object"
            and "properties" in part
            and part.get("additionalProperties") is not False
        ):
            yield f"{at} takes fields that do not exist"
        if (
            kind == "object"
            and "properties" not in part
            and not isinstance(part.get("additionalProperties"), dict)
        ):
            yield f"{at} takes anything"
        if kind == "array" and not isinstance(part.get("items"), dict):
            yield f"{at} takes anything"
        if "oneOf" in part:
            kinds = part.get("discriminator", {}).get("mapping", {})
            if {option["$ref"] for option in part["oneOf"]} != set(kinds.values()):
                yield f"{at} does not name its kinds"
            for kind, reference in kinds.items():
                field = whole["$defs"][reference.rpartition("/")[2]]["properties"]["kind"]
                if kind not in schema.choices(field):
                    yield f"{at} leads {kind} elsewhere"


def test_the_schema_is_complete() -> None:
    """Every field is described and bounded, every mapping closed, every choice complete."""
    assert list(gaps(WRITTEN)) == []
    assert len(list(parts(WRITTEN))) > 250


@pytest.mark.parametrize(
    ("at", "key"),
    [
        ("$defs/GradientDescent/properties/epochs", "description"),
        ("properties/gates", "description"),
        ("$defs/GradientDescent/properties/epochs", "maximum"),
        ("$defs/Adamw/properties/epsilon", "exclusiveMinimum"),
        ("$defs/BundleSpec/properties/title", "maxLength"),
        ("$defs/FileSource/properties/sha256", "pattern"),
        ("$defs/GradientDescent", "additionalProperties"),
        ("$defs/GradientDescent/properties/early_stopping", "anyOf"),
        ("properties/model", "additionalProperties"),
        ("$defs/CorpusSpec/properties/labels", "items"),
        ("$defs/GradientDescent/properties/optimizer/anyOf/0/discriminator/mapping", "sgd"),
    ],
)
def test_a_gap_in_the_schema_is_seen(at: str, key: str) -> None:
    """The negative control: without that word it is not complete."""
    broken = copy.deepcopy(WRITTEN)
    part = broken
    for step in at.split("/"):
        part = part[int(step) if isinstance(part, list) else step]
    part.pop(key)
    if key == "pattern":
        part.pop("maxLength")
    assert list(gaps(broken))


def test_every_reference_in_the_schema_leads_somewhere() -> None:
    """And every definition is used."""
    named = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(WRITTEN)))
    assert named == set(WRITTEN["$defs"])


def test_the_schema_is_a_json_schema() -> None:
    """Of draft 2020-12."""
    Draft202012Validator.check_schema(WRITTEN)


def _matches(_: Any, pattern: str, value: Any, __: Any) -> Iterator[Exception]:
    if isinstance(value, str) and not schema.matches(pattern, value):
        yield jsonschema.ValidationError("")


STANDARD = Draft202012Validator(WRITTEN)
# JSON Schema accepts 16.0 as an integer; `$` in its regular expressions is the end of the text
TYPES = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
STRICT = validators.extend(Draft202012Validator, {"pattern": _matches}, type_checker=TYPES)(WRITTEN)


def accepted_by_specs(values: Mapping[str, Any]) -> bool:
    try:
        Project.model_validate(values)
    except ValidationError:
        return False
    return True


def held(value: Any) -> set[str]:
    """Checks among fields: what no JSON Schema can say."""
    if isinstance(value, dict):
        own = {name.rpartition(":")[2].replace("_", "-") for name in value.get("x-holds", ())}
        return own.union(*map(held, value.values()))
    return set().union(*map(held, value)) if isinstance(value, list) else set()


CHECKS = held(WRITTEN)


def result_of_walk(text: str, folder: Path) -> tuple[bool, bool, Mapping[str, Any]]:
    """(is each value right alone, do those of each part agree as well, the values)"""
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    read = document.read(path)
    found = conformance.check(read)
    formed = all(
        re.fullmatch(rf"(?:{'|'.join(r.nouns)})\.{NAME_PATTERN}", r.target)
        for r in found.references
    )
    alone = formed and {problem.rule for problem in found.problems} <= CHECKS | NO_SCHEMA_SAYS
    return (
        alone,
        alone and not found.problems,
        {section: value for section, value in read.values.items() if value is not None},
    )


NO_SCHEMA_SAYS = {"no-such-block", "cycle"}


def in_place(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """With blocks in place of the references to them, since a JSON Schema follows none."""
    section = values.get(blocks.SECTION)
    names = section if isinstance(section, dict) else {}
    well_formed = section is names and all(
        isinstance(block, dict) and re.fullmatch(NAME_PATTERN, str(name)) and len(name) <= 60
        for name, block in names.items()
    )
    kept = {blocks.SECTION: section} if blocks.SECTION in values and not well_formed else {}
    return blocks.without(values) | kept


def agree(text: str, folder: Path) -> bool:
    """The one answer of all three."""
    alone, together, values = result_of_walk(text, folder)
    assert STRICT.is_valid(in_place(values)) == alone
    assert accepted_by_specs(values) == together
    return together


def steps_to(at: str, values: Any) -> list[str | int]:
    """The keys and positions of a path; keys of a sweep's `over` hold dots."""
    steps: list[str | int] = []
    while at:
        keys = values if isinstance(values, dict) else map(str, range(len(values)))
        fits = [key for key in keys if f"{at}.".startswith(f"{key}.")]
        if not fits:  # what is to be added
            return [*steps, at]
        key = max(fits, key=len)
        steps.append(key if isinstance(values, dict) else int(key))
        values, at = values[steps[-1]], at[len(key) + 1 :]
    return steps


def found(at: str, values: Any) -> Any:
    """The value at a path."""
    for step in steps_to(at, values):
        values = values[step]
    return values


def changed(at: str, value: object) -> str:
    """The miniature with another value at `section.key.0.field`; MISSING takes it away."""
    values = copy.deepcopy(mutations.VALUES[0])
    *steps, step = steps_to(at, values)
    part: Any = values
    for each in steps:
        part = part[each]
    if value is MISSING:
        del part[step]
    else:
        part[step] = value
    return mutations.written(mutations.tree(values))


MISSING = object()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("schema")


GOOD: list[tuple[str, object]] = [
    ("model.bert.architecture.dropout", 0),
    ("model.bert.training.epochs", 1000),
    ("model.bert.training.epochs", 1),
    ("model.bert.training.optimizer.peak_learning_rate", 1),
    ("model.bert.training.optimizer.peak_learning_rate", 5e-324),
    ("model.gru", MISSING),
    ("gates", MISSING),
    ("gates.gru.at_least", -1),
    ("gates.gru.metric", "scores.gru.old.table.a b.accuracy"),
    ("numerics.seed", 2**31 - 1),
    ("bundle.release.title", "\U0001f600" * 200),
    ("bundle.release.limitations", "\n"),
    ("sources.old.path", "a/b c/.d/e.."),
    ("sources.old", {"kind": "url", "url": "s3://bucket/key", "sha256": "0" * 64, "members": []}),
    ("corpus.old.tables.0.label.rename", None),
    ("corpus.old.tables.0.label.rename", {}),
    ("corpus.old.tables.0.label.rename", {"": "bad"}),
    ("corpus.old.tables.0.group", None),
    ("corpus.old.tables.0.format", {"kind": "jsonl"}),
    ("corpus.old.tables.0.of", "sources.not-there"),
    ("splits.old.train", 0.6000000000001),
]
BAD: list[tuple[str, object]] = [
    ("model.bert.architecture.dropout", 1),
    ("model.bert.architecture.dropout", -1e-9),
    ("model.bert.architecture.dropout", True),
    ("model.bert.architecture.dropout", "0.1"),
    ("model.bert.architecture.dropout", float("inf")),
    ("model.bert.architecture.kind", "Transformer"),
    ("model.bert.architecture.kind", MISSING),
    ("model.bert.architecture", {"kind": "cnn"}),
    ("model.bert.architecture", []),
    ("model.bert.training.epochs", 1001),
    ("model.bert.training.epochs", 0),
    ("model.bert.training.epochs", 8.0),
    ("model.bert.training.epochs", True),
    ("model.bert.training.epochs", None),
    ("model.bert.training.epochs", 10**400),
    ("model.bert.training.epochs", MISSING),
    ("model.bert.training.epoch", 8),
    ("model.bert.training.decay", "Linear"),
    ("model.bert.training.optimizer.peak_learning_rate", 0),
    ("model.bert.on", "model.gru"),
    ("model.bert.on", "splits.old\n"),
    ("model.bert.on", "splits.Old"),
    ("model.bert.on", "splits.old.train"),
    ("model.Bert", None),
    ("models", {}),
    ("numerics", MISSING),
    ("machine", []),
    ("numerics.seed", 2**31),
    ("bundle.release.title", ""),
    ("bundle.release.title", "x" * 201),
    ("sources.old.path", "../x"),
    ("sources.old.path", "/x"),
    ("sources.old.path", "a//b"),
    ("sources.old.path", "a\nb"),
    ("sources.old.sha256", "0" * 63),
    ("sources.old.sha256", "A" * 64),
    ("sources.old.sha256", "0" * 64 + "\n"),
    ("gates.gru.metric", "scores.gru"),
    ("gates.gru.metric", "scores.gru.old."),
    ("gates.gru.at_least", 1e16),
    ("corpus.old.labels", ["bad", 1]),
    ("corpus.old.labels", "bad"),
    ("corpus.old.tables", {}),
    ("corpus.old.tables.0.label.rename", {"1": ""}),
    ("corpus.old.tables.0.group", {}),
    ("splits.old", None),
    ("splits.old.keep_together", False),
    ("student.small.layers.1", 1000),
]
APART: list[tuple[str, object]] = [
    ("splits.old.train", 0.7),
    ("corpus.old.clean.min_chars", 201),
    ("corpus.old.near_duplicates.threshold", 0.01),
    ("corpus.old.labels", []),
    ("corpus.old.labels", ["bad"]),
    ("corpus.old.labels", ["bad", "bad"]),
    ("corpus.old.tables.0.label", None),
    ("corpus.old.tables.0.group.pattern", "a"),
    ("corpus.old.tables.0.group.pattern", "("),
    ("corpus.old.tables.0.format.columns", ["a", "b"]),
    ("model.gru.training.optimizer.momentum", 0),
    ("student.small.layers", [2, 0]),
    ("student.small.frozen_layers", 3),
    ("updated.first.replay.0.of", "splits.new"),
    ("scores.gru.on", ["splits.old", "splits.old"]),
]


def test_both_documents_are_valid_for_all_three(folder: Path) -> None:
    """What every edit below begins with."""
    assert all(agree(text, folder) for text in mutations.TEXTS)


@pytest.mark.parametrize(("at", "value"), GOOD)
def test_good_values_are_good_for_all_three(at: str, value: object, folder: Path) -> None:
    """At the bounds, and what is odd but right."""
    assert agree(changed(at, value), folder)


@pytest.mark.parametrize(("at", "value"), BAD)
def test_bad_values_are_bad_for_all_three(at: str, value: object, folder: Path) -> None:
    """Beyond the bounds, of another type, of another form, missing, too many."""
    text = changed(at, value)
    assert not agree(text, folder)
    assert not result_of_walk(text, folder)[0]


@pytest.mark.parametrize(("at", "value"), APART)
def test_fields_that_disagree_are_bad_for_specs_and_walk(
    at: str, value: object, folder: Path
) -> None:
    """What JSON Schema cannot say: each value is right, but not beside another."""
    text = changed(at, value)
    assert not agree(text, folder)
    alone, together, values = result_of_walk(text, folder)
    assert alone and not together and STANDARD.is_valid(values)


def test_a_whole_number_with_a_point_is_one_to_json_schema_alone(folder: Path) -> None:
    """The one value that an editor accepts and lmspec rejects: 16.0, which is not 16 to DVC."""
    text = changed("model.bert.training.batch_size", 16.0)
    assert not agree(text, folder)
    assert STANDARD.is_valid(result_of_walk(text, folder)[2])


def all_paths(value: Any, at: str = "") -> Iterator[str]:
    for key, item in children(value):
        yield f"{at}{key}"
        yield from all_paths(item, f"{at}{key}.")


NUMBERS = (
    st.integers(-2, 70_000)
    | st.sampled_from([2**31, 10**15, 10**400, -(10**400)])
    | st.floats(allow_nan=False)
)
KINDS = ["adamw", "sgd", "cnn", "linear", "gru", "static", "tsv", "column", "file", "cpu"]
WORDS = st.sampled_from([*mutations.NAMES, *KINDS, "", "a\n", "x" * 201])
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=8)
ANYTHING = st.recursive(
    SCALARS,
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=4), part, max_size=3)
    ),
)
ELSEWHERE = st.sampled_from(sorted(all_paths(mutations.VALUES[0]))).map(
    lambda at: found(at, mutations.VALUES[0])
)


@settings(max_examples=600, derandomize=True, database=None, deadline=2000)
@given(
    at=st.sampled_from(sorted(all_paths(mutations.VALUES[0]))),
    value=ANYTHING | ELSEWHERE | st.just(MISSING),
)
def test_any_other_value_gets_one_answer_of_all_three(folder: Path, at: str, value: object) -> None:
    """One value of the miniature replaced by anything, by another of its values, or taken away."""
    agree(changed(at, value), folder)
