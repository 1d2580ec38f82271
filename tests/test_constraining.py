"""constraining: every text matches, whatever the model writes; what cannot match is refused."""

import json
import re

import jsonschema
import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models

from lmspec.writing.constraining import ConstraintError, Constraints
from lmspec.writing.generating import Constraint, Request, Written, key_of, texts
from lmspec.writing.sampling import Sampling
from tests.decoders import Toy, byte_level, sentencepiece

PATTERN = r"(git|ls|tar)( -[a-z]{1,3})*( [a-zA-Z0-9./é🙂]{1,12})?"
SCHEMA = {
    "type": "object",
    "properties": {
        "command": {"enum": ["ls", "git log", "über"]},
        "flags": {
            "type": "array",
            "items": {"type": "string", "pattern": "^-[a-z]$"},
            "maxItems": 3,
        },
        "note": {"type": "string", "maxLength": 8},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["command", "count"],
    "additionalProperties": False,
}
VOCABULARY = 320  # more logits than tokens, as padded embeddings have


def made(tokenizer: Tokenizer, ends: tuple[int, ...] = (1,)) -> Constraints:
    """For the toy model."""
    return Constraints(tokenizer.to_str(), VOCABULARY, ends)


def samples(
    tokenizer: Tokenizer, constraint: Constraint | None, number: int = 200, slots: int = 8
) -> list[Written]:
    """Texts at temperature 2, by a model that knows nothing."""
    asked = [
        Request(np.array([2 + i % 100]), 120, Sampling(2.0), key=i, constraint=constraint)
        for i in range(number)
    ]
    return texts(Toy(VOCABULARY), asked, tokenizer, [1], slots)


def matches(text: str) -> bool:
    """By Python's own expressions."""
    return re.fullmatch(PATTERN, text) is not None


def conforms(text: str) -> bool:
    """By another library."""
    try:
        jsonschema.validate(json.loads(text), SCHEMA)
    except (ValueError, jsonschema.ValidationError):
        return False
    return True


@pytest.mark.parametrize("make", [byte_level, sentencepiece])
def test_every_text_matches(make: type) -> None:
    """200 of 200 of each, by a model that writes none of them by itself; and they differ."""
    tokenizer = make()
    for constraint, holds in (
        (made(tokenizer).regex(PATTERN), matches),
        (made(tokenizer).json_schema(SCHEMA), conforms),
    ):
        got = samples(tokenizer, constraint)
        assert [one.text for one in got if not holds(one.text)] == []
        assert {one.stopped for one in got} == {"end"}
        assert len({one.text for one in got}) > 60
        free = samples(tokenizer, None, 20)
        assert not any(holds(one.text) for one in free)


def test_json_is_laid_out_as_json_dump_does() -> None:
    """So that a model that learned it writes what it learned, and never white space without end."""
    tokenizer = byte_level()
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    schema["properties"]["b"] = {"type": "array", "items": {"type": "boolean"}, "maxItems": 4}
    schema["additionalProperties"] = False
    for one in samples(tokenizer, made(tokenizer).json_schema(schema), 40):
        assert one.text == json.dumps(json.loads(one.text))


def test_a_constraint_is_used_again() -> None:
    """Each text begins as the first one did, alone and among others."""
    tokenizer = byte_level()
    constraint = made(tokenizer).regex(PATTERN)
    first, again = (samples(tokenizer, constraint, 20) for _ in range(2))
    alone = samples(tokenizer, constraint, 20, slots=1)
    assert [one.text for one in first] == [one.text for one in again]
    assert [one.text for one in first] == [one.text for one in alone]


def test_where_a_text_may_end_every_end_token_may_come() -> None:
    """And nowhere else; a complete text needs none."""
    tokenizer = byte_level()
    begun = made(tokenizer, (1, 0)).regex("ab*c?").begin()
    (a, b, c) = (tokenizer.token_to_id(letter) for letter in "abc")
    assert np.flatnonzero(begun.mask()).tolist() == [a]
    begun.accept(a)
    assert set(np.flatnonzero(begun.mask())) == {0, 1, b, c}
    assert len(begun.mask()) == VOCABULARY and not begun.finished
    begun.accept(c)
    assert begun.finished
    with pytest.raises(ConstraintError, match="cannot be followed"):
        begun.accept(b)


def test_a_greedy_text_is_the_most_probable_that_is_allowed() -> None:
    """Token by token, without penalty or with one."""
    tokenizer, decoder, ids = byte_level(), Toy(VOCABULARY), np.array([7, 8])
    constraint = made(tokenizer).regex("[a-f]{20}")
    for penalty in (None, 1.5):
        request = Request(ids, 50, penalty=penalty, constraint=constraint)
        (got,) = texts(decoder, [request], tokenizer, [1], 1)
        assert re.fullmatch("[a-f]{20}", got.text)
    (got,) = texts(decoder, [Request(ids, 50, constraint=constraint)], tokenizer, [1], 1)
    begun = constraint.begin()
    (rows,) = decoder.logits([np.concatenate([ids, got.ids])])
    for place, token in enumerate(got.ids):
        allowed = np.flatnonzero(begun.mask())
        assert token == allowed[np.argmax(rows[1 + place][allowed])]
        begun.accept(int(token))


def test_a_text_that_a_limit_cuts_says_so() -> None:
    """It does not match."""
    tokenizer = byte_level()
    constraint = made(tokenizer).regex("a{30}")
    request = Request(np.array([5]), 10, constraint=constraint, key=key_of(np.array([5])))
    (got,) = texts(Toy(VOCABULARY), [request], tokenizer, [1], 1)
    assert (got.stopped, set(got.text)) == ("limit", {"a"})


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(ab", "unclosed group"),
        ("(?=a)b", "look-around"),
        (r"(a)\1", "backreferences"),
        (r"[^\s\S]", "matches no text"),
    ],
)
def test_a_pattern_that_cannot_be_held_to_is_refused(pattern: str, words: str) -> None:
    """It is named, and the message has one line."""
    with pytest.raises(ConstraintError) as caught:
        made(byte_level()).regex(pattern)
    assert words in caught.value.found and repr(pattern) in caught.value.found
    assert "\n" not in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "objet"}, "objet"),
        ({"not": {"type": "string"}}, "not"),
        ({"not": {"type": "string"}, "x-guidance": {"lenient": True}}, "not"),
        ({"enum": []}, "empty"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "minimum"),
        ({"type": "string", "pattern": "(?=a)"}, "look-around"),
        ({"$ref": "https://example.com/other.json"}, "example.com"),
        (True, "object"),
    ],
)
def test_a_schema_that_cannot_be_held_to_is_refused(schema: object, words: str) -> None:
    """Nothing of it is ignored, whatever it asks for."""
    with pytest.raises(ConstraintError) as caught:
        made(byte_level()).json_schema(schema)
    assert words in caught.value.found
    assert "\n" not in str(caught.value) and caught.value.remedy


def test_a_tokenizer_whose_bytes_are_unknown_is_refused() -> None:
    """As that of BERT is."""
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    tokenizer.decoder = decoders.WordPiece()
    with pytest.raises(ConstraintError, match="WordPiece"):
        made(tokenizer)
