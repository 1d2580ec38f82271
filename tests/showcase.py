"""showcase: results and a corpus as values, for tests of the forms and for the screenshots."""

from dataclasses import replace

from lmspec.compare.report import Gate
from lmspec.inspection.corpora import Corpus, Label, Left, Reason, Shown
from lmspec.inspection.explanations import Explanations, Text, Token, Word
from lmspec.inspection.lengths import Lengths
from lmspec.inspection.reading import Reads
from lmspec.inspection.results import (
    Estimate,
    Known,
    Overview,
    Problem,
    Score,
    TracedLayer,
    TracedPair,
    TracedPart,
    Traces,
)
from lmspec.specs.contrasts import POSITIONS

HOSTILE = (
    '</bdi></li><script>alert(1)</script><img src="http://127.0.0.1:9/x.png"> \x1b[31m\u202e'
    + "unbroken" * 60
)
SENTENCES = {
    "delivery": (
        "The parcel has been on its way for nine days.",
        "Arrived a day early, but the driver left it in the rain.",
        "Your tracking page has shown the same warehouse since Monday.",
    ),
    "refund": (
        "I sent the shoes back three weeks ago and still wait for my money.",
        "Please refund the second jacket only; the first one fits.",
    ),
    "account": (
        "The link to reset my password opens an empty page.",
        "How do I change the address of my account?",
    ),
    "praise": ("Thank you, the new pump works and was easy to fit.",),
}
COUNTS = {"delivery": 4112, "refund": 2380, "account": 1466, "praise": 37}


def score(name: str, of: str, values: str, linear: str = "", **rest: object) -> Score:
    """values, linear: `value low high` of accuracy; macro F1 is a little lower."""
    value, low, high = map(float, values.split())
    over = Estimate(*_with_interval(linear)) if linear else None
    fixed = Score(
        f"scores.{name}",
        of,
        "tickets",
        1599,
        Estimate(value, (low, high)),
        Estimate(value - 0.021, (low - 0.026, high - 0.017)),
        Estimate(value - 0.171, (low - 0.178, high - 0.165)),
        over,
        None,
        None,
        None,
        False,
    )
    return replace(fixed, **rest)  # type: ignore[arg-type]


def _with_interval(text: str) -> tuple[float, tuple[float, float]]:
    value, low, high = map(float, text.split())
    return value, (low, high)


def overview() -> Overview:
    """A project of a linear baseline, a frozen encoder and a fine-tuned one, which is shipped."""
    gate = Gate(
        "not-worse-than-linear",
        "non_inferiority",
        "scores.release.tickets.macro_f1",
        "not worse than scores.linear by more than 0.02, at 95 %",
        "pass",
        True,
        "tickets.macro_f1 is 0.914, +0.032 against scores.linear",
    )
    floor = replace(
        gate,
        gate="praise-is-found",
        kind="floor",
        metric="scores.release.tickets.f1.praise",
        demand="at least 0.6, at 95 %",
        verdict="undecided",
        passed=False,
        observed="tickets.f1.praise is 0.667, at least 0.31",
    )
    scores = [
        score("linear", "model.linear", "0.903 0.887 0.917", bytes=1_400_000),
        score(
            "embedding", "model.embedding", "0.911 0.896 0.924", "0.008 -0.006 0.022",
            bytes=90_870_000,
        ),
        score(
            "release", "quantized.release", "0.935 0.922 0.946", "0.032 0.018 0.046",
            bytes=23_100_000, latency_ms=1.9, shipped=True,
        ),
    ]  # fmt: skip
    problem = Problem(
        "model.embedding",
        "out of date: model.embedding of params.yaml is not what it was built with",
        "run `dvc repro`",
    )
    return Overview(scores, [], [], {"tickets": "scores.linear"}, [gate, floor], [problem])


def lengths(unit: str, scale: int) -> Lengths:
    """A skewed histogram."""
    bars = [(scale * (i + 1), int(134 * (i + 1) ** 1.4 / 2 ** (i / 3.2))) for i in range(32)]
    most = {"least": scale // 4 + 1, "median": 9 * scale, "95 %": 22 * scale, "99 %": 32 * scale}
    return Lengths(unit, sum(n for _, n in bars), 10.3 * scale, most | {"most": 71 * scale}, bars)


def corpus() -> Corpus:
    """Support tickets: four labels, one of them rare."""
    total = sum(COUNTS.values())
    labels = [
        Label(
            name,
            count,
            count / total,
            {"mail": count - count // 3, "chat": count // 3},
            {
                "tickets: train": int(count * 0.7),
                "tickets: dev": int(count * 0.1),
                "tickets: test": int(count * 0.2),
            },
        )
        for name, count in COUNTS.items()
    ]
    repeated = Left("mail", 1204, "Where is my parcel?", "", "delivery: Where is my parcel")
    other = Left("chat", 87, "cancel it", "'refund'; row 401 of mail is 'account'", None)
    empty = Left("mail", 33, "", "n/a", None)
    samples = [
        Shown(label, "mail", label, f"{place:016x}", len(text), text)
        for label, texts in SENTENCES.items()
        for place, text in enumerate(texts)
    ]
    return Corpus(
        "corpus.tickets",
        None,
        total,
        total + 611,
        {"mail": 5331, "chat": 2664},
        labels,
        {"texts": 14, "rows": 29},
        {"tickets: dev: praise": 3, "tickets: test: praise": 7},
        [lengths("characters", 18), lengths("words", 3), lengths("tokens of model.encoder", 4)],
        [Reads("model.encoder", 64, "truncate", 0.083, 0.041, lengths("tokens", 4))],
        {"Latin": 7893, "Cyrillic": 81, "Arabic": 21},
        7995,
        [
            Reason("near-duplicate", 388, 388 / (total + 611), [repeated]),
            Reason("no text", 194, 194 / (total + 611), [empty]),
            Reason("contradictory label", 29, 29 / (total + 611), [other]),
        ],
        samples,
        [replace(samples[0], why="longest"), replace(samples[-1], why="shortest")],
    )


def hostile() -> Corpus:
    """Names, labels and texts that would break a page, or act in it; many labels and splits."""
    usual = corpus()
    names = [HOSTILE, "شكرا جزيلا", *(f"label {i}" for i in range(48))]
    splits = {f"a-very-long-name-of-splits-{i}: {HOSTILE[:40]}": i for i in range(6)}
    labels = [Label(name, 10, 0.02, {"t": 10, HOSTILE: 0}, splits) for name in names]
    texts = [Shown(name, HOSTILE, name, "f" * 16, len(HOSTILE), HOSTILE) for name in names]
    left = Left(HOSTILE, 10**9, HOSTILE, HOSTILE, HOSTILE)
    return replace(
        usual,
        name=f"corpus.{HOSTILE[:50]}",
        state=HOSTILE,
        labels=labels,
        tables={"t": 1, HOSTILE: 2},
        small={f"s: dev: {HOSTILE}": 0},
        scripts={HOSTILE: 1},
        reasons=[Reason(HOSTILE, 1, 0.1, [left])],
        samples=texts,
        extremes=[replace(texts[0], why="longest")],
    )


WEIGHTS = (0.41, -0.004, 0.12, -0.22, 0.05, 0.015)


def explanations(against: str | None = "main") -> Explanations:
    """Of support tickets, some answered wrongly; with a baseline, if it is named."""
    texts = []
    for place, (label, sentences) in enumerate(SENTENCES.items()):
        for number, sentence in enumerate(sentences):
            answer = "refund" if number == 1 else label
            texts.append(_explained(f"{place}{number:015x}", sentence, label, answer, against))
    texts.sort(key=lambda text: (text.right, -text.probability))
    return Explanations(
        "explained.release",
        "quantized.release",
        "splits.tickets, test",
        "occlusion",
        None,
        list(SENTENCES),
        texts,
        {
            "lost without the words of most weight (comprehensiveness)": Estimate(
                0.47, (0.44, 0.5)
            ),
            "rank correlation with a model of shuffled weights": Estimate(0.05, (-0.02, 0.12)),
        },
        0.0042,
        {label: [("parcel", 41, 0.31), ("way", 12, 0.08)] for label in SENTENCES},
        against,
        ["chat", "mail"],
    )


def _explained(name: str, text: str, label: str, answer: str, against: str | None) -> Text:
    words = [
        Word(
            " " if place else "",
            word,
            WEIGHTS[place % len(WEIGHTS)],
            place in (0, 3),
            WEIGHTS[(place + 2) % len(WEIGHTS)] if against else None,
        )
        for place, word in enumerate(text.split())
    ]
    correlation = round(len(text) / 100, 2) if against else None
    return Text(name, "mail", label, answer, 0.81, words, "", correlation, "account")


def explained_answers(against: str | None = "main") -> Explanations:
    """Prompts with answers that a model writes, one of them wrong."""
    texts = []
    for i, prompt in enumerate(("tar: list files of an archive", f"zip: {HOSTILE}", "ls: all")):
        usual = _explained(f"{i:016x}", prompt, "answer", "answer", against)
        tokens = [
            Token("tar", (("tar:", 2.31), ("list", 0.4))),
            Token(" -t", ()),
            Token("<|end|>", ()),
        ]
        wanted = "tar tf archive" if i == 1 else ""
        former = "another answer" if against and i == 2 else None
        texts.append(replace(usual, answer=tokens, reference=wanted, former=former))
    weights = {"answer": [("tar:", 3, 1.2)]}
    own = {"labels": ["answer"], "texts": texts, "heaviest": weights, "tables": ["mail"]}
    return replace(explanations(against), **own)


def hostile_explanations() -> Explanations:
    """Words, names and labels that would break a page, or act in it; many texts."""
    usual = explanations()
    texts = [
        replace(
            _explained(f"{i:016x}", HOSTILE if i % 2 else f"text {i}", HOSTILE, "refund", "main"),
            table=HOSTILE,
        )
        for i in range(60)
    ]
    return replace(
        usual,
        name=f"explained.{HOSTILE[:50]}",
        of=HOSTILE,
        state=HOSTILE,
        labels=[HOSTILE, "refund"],
        texts=texts,
        measures={HOSTILE: Estimate(0.1, None)},
        heaviest={HOSTILE: [(HOSTILE, 1, -0.2)]},
        against=HOSTILE[:30],
        tables=[HOSTILE],
    )


def traces() -> Traces:
    """A network of three layers: maps, two concepts, weights beside those of another."""
    layers = [
        TracedLayer(
            name,
            {
                position: Estimate(share, (share - 0.08, share + 0.07))
                for position, share in zip(POSITIONS, shares, strict=True)
            },
        )
        for name, shares in (
            ("embeddings", (0.0, 0.0, 1.0, 0.0, 0.0)),
            ("layer_0", (0.0, 0.01, 0.96, 0.02, -0.01)),
            ("layer_1", (0.12, 0.03, 0.71, 0.2, 0.04)),
            ("layer_2", (1.0, 0.0, 0.0, 0.0, 0.0)),
        )
    ]
    concepts = [
        Known(
            concept,
            f"layer_{layer}",
            300,
            0.79,
            Estimate(0.95 + layer / 100, (0.92, 0.99)),
            Estimate(0.79, (0.75, 0.83)),
            Estimate(0.87, (0.84, 0.9)),
            Estimate(0.865, (0.83, 0.9)),
            Estimate(0.005, (-0.01, 0.02)),
        )
        for concept in ("source", "gender")
        for layer in range(3)
    ]
    parts = [
        TracedPart("embeddings", 11_800_000, 0.048, 0, 0.0, 21.3, None, None),
        *(TracedPart(f"layer_{i}", 1_774_464, 0.05, 7 * i, 0.01, 9.5, 1536, i) for i in range(3)),
        TracedPart("head", 148_000, 0.041, 0, 0.2, None, None, None),
    ]
    pairs = [_traced_pair(i, "The parcel was lost", "The parcel was found") for i in range(9)]
    fixed = ("traced.minilm", "model.minilm", "splits.tickets", None, "student.small", 36, 3)
    return Traces(*fixed, Estimate(5.1, (4.2, 6.0)), layers, concepts, parts, pairs)


def _traced_pair(number: int, one: str, other: str) -> TracedPair:
    tokens = ["[CLS]", *other.split(), "[SEP]"]
    restored = [
        [round((place + depth) % 5 / 4, 2) for place in range(len(tokens))] for depth in range(4)
    ]
    layers = ["embeddings", "layer_0", "layer_1", "layer_2"]
    answers = ["delivery", "account"]
    return TracedPair(
        f"state/{number}", one, other, answers, [3.1, -2.4], tokens, [4], layers, restored
    )


def hostile_traces() -> Traces:
    """Names, texts and tokens that would break a page, or act in it."""
    pair = _traced_pair(1, HOSTILE, f"{HOSTILE} {HOSTILE}")
    return replace(
        traces(),
        name=f"traced.{HOSTILE[:50]}",
        of=HOSTILE,
        on=HOSTILE,
        state=HOSTILE,
        against=HOSTILE,
        pairs=[replace(pair, id=HOSTILE, answers=[HOSTILE, HOSTILE])] * 3,
        concepts=[replace(one, concept=HOSTILE) for one in traces().concepts[:3]],
    )
