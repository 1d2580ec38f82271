"""test_card: whatever the fields of a bundle hold, its card has the front matter of one key."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lmspec.methods import card, redacting
from lmspec.methods.scalar import quoted
from lmspec.specs.bundle import BundleSpec

HOSTILE = (
    "CC-BY-4.0: see x",
    "[MIT",
    "no",
    "1e3",
    "MIT\ntags: [other]\nbase_model: other/model",
    "MIT\n---\n# Another card",
    "a\x85b\u2028c\x7f\ufeff",
    "`x` | <script>\n```\n",
)


SCORES = {"metrics": {}, "accepted_overlap": []}
READS = card.Reads({"fix_unicode": True, "unescape_html": False}, 64, "truncate", False)


def made(text: str) -> str:
    """The card of a bundle whose texts are all that one, even a license that no spec may have."""
    spec = BundleSpec.model_construct(
        of="quantized.r",
        scores="scores.r",
        title=text,
        license=text,
        intended_use="x",
        limitations="y",
    )
    return card.model_card(spec, [text, "b"], SCORES, {}, READS)


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_a_license_is_one_text_of_the_front_matter(text: str) -> None:
    """Readers of YAML 1.1 and 1.2 alike; the title is one heading, labels are code on one line."""
    _, front, *rest = made(text).split("---\n")
    assert yaml.safe_load(front) == {"license": text}
    assert YAML(typ="safe").load(front) == {"license": text}
    lines = "---\n".join(rest).splitlines()
    assert lines[1].startswith("# ") and lines[3].startswith("Labels: `")
    assert sum(line.startswith("# ") for line in lines) == 1 and "<script>" not in lines[1]
    fence = re.match(r"Labels: (`+)", lines[3])
    assert fence and lines[3].count(fence[1]) >= 2


def test_a_plain_license_has_no_quotes() -> None:
    """The bytes of a card stay as they were."""
    assert made("Apache-2.0").startswith("---\nlicense: Apache-2.0\n---\n\n# Apache-2.0\n")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_scalar_gives_back_any_text(text: str) -> None:
    """In a mapping of either style, to readers of YAML 1.1 and 1.2."""
    for document in (f"key: {quoted(text)}\n", f"{{key: {quoted(text)}}}\n"):
        assert yaml.safe_load(document) == {"key": text}
        assert YAML(typ="safe").load(document) == {"key": text}


SPEC = BundleSpec.model_validate(
    {
        "of": "quantized.r",
        "scores": "scores.r",
        "title": "t",
        "license": "MIT",
        "intended_use": "x",
        "limitations": "y",
    }
)


def test_a_card_says_what_makes_its_scores_worth_little() -> None:
    """Beside the share of the most frequent label; without a warning nothing is bold."""
    values = dict.fromkeys(card.COLUMNS, 0.5) | {"majority": {"accuracy": 0.75}, "overlap": 0}
    scores = {"metrics": {"x": values}, "accepted_overlap": [], "warnings": []}
    plain = card.model_card(SPEC, ["a", "b"], scores, {}, READS)
    assert "Always answering the most frequent label is right on 0.7500 of those of x." in plain
    assert "**" not in plain
    text = card.model_card(
        SPEC, ["a"], {**scores, "warnings": ["it answers 'a' <b>\nonly"]}, {}, READS
    )
    assert "**it answers 'a' &lt;b> only.**\n" in text


def test_a_card_says_what_was_left_out_of_the_data() -> None:
    """Per dataset, with the reasons; without numbers there is no section."""
    counts = {
        "documents": 7000,
        "rejected": {"exact duplicate": 2, "no label": 1500},
        "contradictions": {"texts": 3, "rows": 8, "near_duplicates": 0},
    }
    clean = {"documents": 5, "rejected": {}, "contradictions": {"texts": 0}}
    data = {"splits.x": counts, "splits.y": clean}
    text = card.model_card(SPEC, ["a"], {**SCORES, "data": data}, {}, READS)
    assert (
        "- splits.x: 7,000 of 8,502 rows; left out: 2 exact duplicate, 1,500 no label. "
        "3 texts had different labels.\n- splits.y: 5 of 5 rows.\n" in text
    )
    assert "## Data" not in card.model_card(SPEC, ["a"], SCORES, {}, READS)


def test_a_card_names_personal_data_in_what_was_learned() -> None:
    """Each kind that there is, with its number; where there is none, that."""
    counts = {"texts": 2_562, **dict.fromkeys(redacting.KINDS, 0)}
    seen = {"splits.tweets": counts | {"handles": 1_400}, "splits.reviews": counts}
    text = card.personal_data(seen)
    assert "- splits.tweets: of 2,562 texts 1,400 with handles\n" in text
    assert "- splits.reviews: of 2,562 texts none\n" in text
    assert card.personal_data({}) == ""
