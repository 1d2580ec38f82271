"""Metrics of generated texts: BLEU and chrF against sacrebleu, ROUGE-L against its definition."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from lmspec.writing import answers, measuring
from lmspec.writing.answers import Answer

ALPHABETS = {
    "English": "abcde     ABC’“”…",
    "commands": "lsgit  --//{}[]|<>&$\"'`~#@.,:;=+*%!?\\",
    "numbers": "0123456789  ..,,--%",
    "German": "aeiouäöüß nrst  ",
    "Russian": "абвгде жз  ",
    "Greek": "αβγδε  ζ",
    "Arabic": "ابتثج   ح",
    "Hebrew": "אבגדה  ו",
    "Hindi": "कखगघ  ािी",
    "Korean": "가나다라  마바",
}
ODD = ("&quot;", "&amp;", "&lt;b&gt;", "<skipped>", "-\n", "\n", "...", "1.5", "2,000", "3-4", "\t")
CHINESE = "我喜欢学习编程和语言模型。，、！？："


def text(rng: random.Random, alphabet: str, odd: Sequence[str] = ODD) -> str:
    """Of 0 to 80 characters, some of them in pieces that 13a treats by themselves."""
    size = rng.choice((0, 1, 2, 3, 8, 20, 40, 80))
    pieces = (
        rng.choice(odd) if odd and rng.random() < 0.04 else rng.choice(alphabet)
        for _ in range(size)
    )
    return "".join(pieces)


def like(rng: random.Random, reference: str, alphabet: str, odd: Sequence[str] = ODD) -> str:
    """The same, with some characters lost or others in their place, or another text."""
    chance = rng.random()
    if chance < 0.15:
        return reference
    if chance < 0.3:
        return text(rng, alphabet, odd)
    kept = (c if rng.random() < 0.9 else rng.choice(alphabet) for c in reference)
    return "".join(c for c in kept if rng.random() < 0.95)


def pairs(count: int) -> list[tuple[str, str]]:
    """(text, reference), of all alphabets in turn."""
    rng = random.Random(16)
    found = []
    for i in range(count):
        alphabet = list(ALPHABETS.values())[i % len(ALPHABETS)]
        reference = text(rng, alphabet)
        found.append((like(rng, reference, alphabet), reference))
    return found


PAIRS = pairs(2000)


def bleu(some: Sequence[tuple[str, str]]) -> float:
    counts = np.array([measuring.bleu_counts(*pair) for pair in some])
    return float(measuring.corpus_bleu(measuring.bleu_sums(counts).sum(0)))


def chrf(some: Sequence[tuple[str, str]]) -> float:
    counts = np.array([measuring.chrf_counts(*pair) for pair in some])
    return float(measuring.corpus_chrf(measuring.chrf_sums(counts).sum(0)))


def corpora() -> list[list[tuple[str, str]]]:
    """All, single pairs, and corpora of some."""
    ordered = [PAIRS[i::40] for i in range(40)]
    return [PAIRS, *([pair] for pair in PAIRS[:400]), *ordered, [("", "")], [("", "a"), ("a", "")]]


def test_bleu_and_chrf_are_sacrebleus() -> None:
    """To 1e-9, over scripts that write spaces, with its defaults, whatever is odd in a text."""
    for corpus in corpora():
        texts, references = zip(*corpus, strict=True)
        assert abs(bleu(corpus) - BLEU().corpus_score(texts, [references]).score) < 1e-9
        assert abs(chrf(corpus) - CHRF().corpus_score(texts, [references]).score) < 1e-9


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        ("_ENTITIES", ()),
        ("_13A", measuring._13A[:3]),
        ("RECALL_WEIGHT", 1),
        ("_ngrams", lambda length, longest: np.maximum(length[:, None] - np.zeros(longest), 0)),
    ],
)
def test_the_comparison_with_sacrebleu_sees_a_fault(
    monkeypatch: pytest.MonkeyPatch, part: str, fault: object
) -> None:
    """Control: without entities, without a rule of 13a, with another beta, it fails."""
    monkeypatch.setattr(measuring, part, fault)
    with pytest.raises(AssertionError):
        test_bleu_and_chrf_are_sacrebleus()


def test_chinese_is_sacrebleus_zh() -> None:
    """Each character is a word. sacrebleu's default takes a sentence for one: the control."""
    rng = random.Random(3)
    letters = CHINESE + "ab "
    some = []
    for _ in range(200):
        reference = "学" + text(rng, letters, ())
        some.append((like(rng, reference, letters, ()), reference))
    texts, references = zip(*some, strict=True)
    zh = BLEU(tokenize="zh").corpus_score(texts, [references]).score
    assert abs(bleu(some) - zh) < 1e-9
    assert abs(chrf(some) - CHRF().corpus_score(texts, [references]).score) < 1e-9
    assert zh - BLEU().corpus_score(texts, [references]).score > 10


@pytest.mark.parametrize("sentence", ["今日はとても良い天気ですね", "วันนี้อากาศดีมากจริงๆ", "ဒီနေ့ရာသီဥတု"])
def test_a_script_without_spaces_has_many_words(sentence: str) -> None:
    """Japanese, Thai, Burmese: as in sacrebleu's `char`, and a remark says so."""
    other = sentence[:-4] + sentence[-4:][::-1]
    expected = BLEU(tokenize="char").corpus_score([other], [[sentence]]).score
    assert bleu([(other, sentence)]) == pytest.approx(expected, abs=1e-9)
    assert 0 < expected < 100
    assert any("100%" in remark for remark in measuring.remarks([sentence]))


def test_remarks_are_about_the_references() -> None:
    """None on ordinary ones; of short ones, that BLEU says nothing."""
    assert list(measuring.remarks(["list all files of a folder", "don’t"])) == []
    assert list(measuring.remarks([])) == []
    (remark,) = measuring.remarks(["ls", "git status"])
    assert "BLEU is 0" in remark


def plain_rouge_l(text: str, reference: str) -> float:
    """By the table of the textbook."""
    own, other = measuring.words(text), measuring.words(reference)
    table = [[0] * (len(other) + 1) for _ in range(len(own) + 1)]
    for i, one in enumerate(own):
        for j, two in enumerate(other):
            table[i + 1][j + 1] = (
                table[i][j] + 1 if one == two else max(table[i][j + 1], table[i + 1][j])
            )
    common = table[-1][-1]
    if not common:
        return 0.0
    precision, recall = common / len(own), common / len(other)
    return 2 * precision * recall / (precision + recall)


def test_rouge_l_is_its_definition() -> None:
    """The bit-parallel row gives the length of the plain table."""
    values = [(measuring.rouge_l(*pair), plain_rouge_l(*pair)) for pair in PAIRS[:600]]
    assert all(abs(one - other) < 1e-12 for one, other in values)
    assert len({round(one, 3) for one, _ in values}) > 50
    assert measuring.rouge_l("the cat sat", "the cat sat") == 1


def test_an_exact_match_may_differ_in_spaces_alone() -> None:
    """Not in case: `ls -a` is not `ls -A`."""
    assert measuring.digest(" ls  -a\n") == measuring.digest("ls -a")
    assert len({measuring.digest(each) for each in ("ls -a", "ls -A", "ls-a", "", "é", "e")}) == 6


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I’m sorry, but no.", True),
        ("  As an AI language model, I have no shell", True),
        ("I cannot  do this", True),
        ("Unfortunately, I am not able to", True),
        ("sorry -n file.txt", False),
        ("I am the owner", False),
        ("echo 'I cannot'", False),
        ("", False),
    ],
)
def test_a_refusal_begins_as_one(text: str, refusal: bool) -> None:
    """By how a text begins, in English; one that has such words elsewhere is none."""
    assert measuring.is_refusal(text) is refusal


@pytest.mark.parametrize(
    ("text", "repetitive"),
    [
        ("a b a b a b a b", True),
        ("first the cat sat, the cat sat, the cat sat, the cat sat,", True),
        ("我我我我", True),
        ("a b a b a b", False),
        ("a b c d a b c d", False),
        ("| ---- | ---- | ---- | ---- |", False),
        ("....................", False),
        ("", False),
    ],
)
def test_a_repetition_ends_in_a_loop(text: str, repetitive: bool) -> None:
    """The same few words four times at the end; rules of a table are none."""
    assert measuring.is_repetitive(text) is repetitive


def columns(rows: Sequence[dict[str, object]]) -> dict[str, list[str]]:
    """A table as git has it."""
    return {name: ["" if row[name] is None else str(row[name]) for row in rows] for name in rows[0]}


def written() -> list[Answer]:
    """Answers of two tables, with a loss and a metric of a project."""
    rng = random.Random(1)
    return [
        Answer(
            f"a{i}",
            ("linux", "osx")[i % 2],
            f"page{i // 3}",
            text,
            reference,
            round(9 * rng.random(), 3),
            1 + len(reference.split()),
            len(text.split()) + 1,
            rng.choice(["end", "limit", "stop", "positions"]),
            {"parses": float(i % 3 == 0)},
        )
        for i, (text, reference) in enumerate(PAIRS[:60])
    ]


def test_metrics_follow_from_the_table() -> None:
    """What the stage reports is what a reader of the table computes, of the texts as they are."""
    some = written()
    rows = answers.rows("d", some)
    found = answers.metrics(some, rows)
    table = answers.read(columns(rows))
    assert table is not None and list(rows[0])[:14] == list(answers.COLUMNS)
    assert found["table"]["osx"] == answers.measured(table, np.arange(1, 60, 2))
    corpus = [(each.text, each.reference) for each in some]
    assert found["bleu"] == pytest.approx(bleu(corpus)) and found["bleu"] > 0
    assert found["chrf"] == pytest.approx(chrf(corpus))
    same = [one.split() == other.split() for one, other in corpus]
    assert found["exact_match"] == np.mean(same) and 0 < sum(same) < 60
    nats, tokens = sum(each.nll or 0 for each in some), sum(each.tokens or 0 for each in some)
    assert found["log_loss"] == pytest.approx(nats / tokens)
    assert found["perplexity"] == pytest.approx(np.exp(nats / tokens))
    size = sum(len(each.reference.encode()) for each in some)
    assert found["bits_per_byte"] == pytest.approx(nats / np.log(2) / size)
    assert found["own"] == {"parses": pytest.approx(1 / 3)}
    assert sum(found["stopped"].values()) == pytest.approx(1)
    assert found["rouge_l"] == pytest.approx(
        np.mean([plain_rouge_l(*each) for each in corpus]), abs=1e-6
    )


def test_a_model_without_probabilities_has_no_loss() -> None:
    """One that looks answers up: nothing of tokens is claimed."""
    some = [Answer("1", "t", None, "ls", "ls"), Answer("2", "t", None, "", "cd")]
    found = answers.metrics(some, answers.rows("d", some))
    assert found["exact_match"] == found["empty"] == 0.5
    assert not {"log_loss", "tokens", "stopped", "table"} & found.keys()
    with pytest.raises(ValueError, match="no answers"):
        answers.metrics([], [])


def test_a_wrong_text_is_no_better_than_any() -> None:
    """What counts for an answer that is gone: nothing in common, at the reference's length."""
    table = answers.read(columns(answers.rows("d", written())))
    assert table is not None
    for name, sums in table.items():
        worst, own = (sums.of(numbers.sum(0)) for numbers in (sums.worst, sums.numbers))
        assert worst > own if name in ("log_loss", "bits_per_byte") else worst == 0 < own


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("bleu", "1 1 1 1 2 2"),  # four words in common of two
        ("bleu", "1 0 0 0 5"),
        ("chrf", "0 0 0 0 0 0 -1 3"),
        ("chrf", ""),
        ("nll", ""),
        ("nll", "nan"),
        ("rouge_l", "high"),
        ("bytes", "-1"),
    ],
)
def test_a_damaged_table_is_no_table(column: str, cell: str) -> None:
    """Its numbers would be wrong ones."""
    table = columns(answers.rows("d", written()))
    assert answers.read(table) is not None
    assert answers.read(table | {column: [cell, *table[column][1:]]}) is None
    del table[column]
    assert answers.read(table) is None
