"""The cases that the release is examined with are not what it was trained on."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from lmspec.formats import cases, phrases
from lmspec.methods import augmenting, examining
from lmspec.specs.phrases import Phrases
from lmspec.specs.suites import Suite
from tests.specs import ROOT

CASES, FILES = "cases/sentiment.yaml", ("phrases/sentiment.yaml", "phrases/further.yaml")
LABELS = ("negative", "positive")
PLAIN = ("praise", "blame")  # suites
OF_EACH = 60  # texts that are made of a template


@pytest.fixture(scope="module")
def suites() -> tuple[Suite, ...]:
    return cases.read(ROOT, CASES)


@pytest.fixture(scope="module", params=FILES)
def given(request: pytest.FixtureRequest) -> Phrases:
    return phrases.read(ROOT, request.param, "templates", LABELS)


def plain(text: str) -> str:
    """Its words in lower case, a space around each; what is in a slot does not count."""
    words = re.findall(r"[\w']+", re.sub(r"\{\w+\}", "_", text).casefold())
    return f" {' '.join(words)} "


def made(given: Phrases) -> Iterator[str]:
    """Texts of all templates and contexts."""
    rows = OF_EACH * len(given.templates)
    yield from (one.text for one in augmenting.of_templates([1], given, rows, LABELS))
    draw = np.random.default_rng(1)
    for sentence in given.contexts:
        for _ in range(OF_EACH):
            yield augmenting.in_context("", draw, [sentence], given.words)


def test_no_template_is_both(suites: tuple[Suite, ...], given: Phrases) -> None:
    """Case, punctuation and the names of slots aside."""
    examined = {plain(template) for suite in suites for template in suite.templates}
    trained = {plain(template.text) for template in given.templates}
    assert len(examined) > 20 and len(trained) > 20
    assert not examined & trained


def test_no_case_is_within_a_text_that_is_made(suites: tuple[Suite, ...], given: Phrases) -> None:
    """Nor any sentence that a case adds to a text. Plain praise and blame may be: whole texts are
    other ones all the same."""
    texts = {suite.name: [case.text for case in examining.cases(suite, [], 1)] for suite in suites}
    whole = {one for name in PLAIN for one in texts.pop(name)}
    assert not {plain(text) for text in whole} & {plain(text) for text in made(given)}
    asked = {text for each in texts.values() for text in each}
    asked |= {sentence for suite in suites for sentence in added(suite)}
    everything = "\n".join(map(plain, made(given)))
    assert len(asked) > 1_000 and everything.count("\n") > 1_000
    assert [text for text in asked if plain(text) in everything] == []
    some_text = next(made(given))  # the negative control
    assert plain(some_text) in everything


def added(suite: Suite) -> tuple[str, ...]:
    """The sentences that a suite puts after a text."""
    return suite.change.values if suite.change and suite.change.how == "append" else ()
