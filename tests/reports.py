"""reports: reports to render: realistic, with everything and hostile texts, very long, empty."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

from lmspec.compare.report import (
    Better,
    Calibration,
    Change,
    Changes,
    Code,
    Confusion,
    Curve,
    Distance,
    Drift,
    Example,
    Flips,
    Gate,
    GateVerdict,
    Metric,
    Moved,
    Point,
    Ratio,
    Report,
    RevisionId,
    Rows,
    Seeds,
    Slice,
    Standing,
    Verdict,
    WordWeight,
)

HOSTILE = (
    "| a | b |",
    "</details></td></tr></table><h1>owned</h1>",
    "@everyone, see #1 and https://evil.example/x",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "`code` ``more`` \\` [link](javascript:alert(1)) ![image](https://evil.example/x.png)"
    " **bold** $x^2$",
    "two\nlines\r\n::error::planted\n##[error]planted",
    "bell \x07 escape \x1b[31mred\x1b[0m null \x00 half \ud83d turned \u202eright",
    "emoji 👩‍👩‍👧 漢字 naïve",
    "100% of 5%0A",
    "<!-- lmspec diff --> ]]> &amp; '\"",
)
EVERYTHING = " ".join(HOSTILE)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
GATE_VERDICTS: tuple[GateVerdict, ...] = get_args(GateVerdict)
OLD = RevisionId("main", "1a2b3c4d5e6f" + "0" * 28)
NEW = RevisionId("worktree", None)


def metric(verdict: Verdict, name: str = "scores.release.tweets.accuracy") -> Metric:
    """A metric with that verdict and the fields that go with it."""
    if verdict in ("missing", "removed"):
        return Metric(name, 0.84, None, None, "higher", verdict, reason="the stage wrote none")
    if verdict == "new":
        return Metric(name, None, 0.84, None, "higher", verdict)
    if verdict == "changed":
        return Metric("corpus.tweets.documents", 11613, 11620, 7, None, verdict)
    if verdict in ("untested", "not comparable"):
        return Metric(name, 0.84, 0.85, 0.01, "higher", verdict, reason="other test sets")
    difference = {"better": 0.02, "worse": -0.02, "same": 0.0, "inconclusive": -0.00001}[verdict]
    tested = Metric(
        name,
        0.84,
        0.84 + difference,
        difference,
        "higher",
        verdict,
        (difference - 0.01, difference + 0.01),
    )
    return replace(
        tested,
        p=0.004,
        p_holm=0.012,
        family="test sets",
        mde=0.0213,
        method="McNemar, exact",
        examples=512,
    )


def example(number: int, text: str | None) -> Example:
    return Example(f"id-{number}", "movies", "negative", "negative", "positive", 0.91, 0.12, text)


def gate(verdict: GateVerdict, text: str = "of what was measured") -> Gate:
    passed = verdict in ("pass", "waived")
    needed = 4200 if verdict == "undecided" else None
    name = f"{verdict.replace(' ', '_')}_gate"
    return Gate(
        name,
        "floor",
        "scores.release.tweets.accuracy",
        "at least 0.84",
        verdict,
        passed,
        "0.8401",
        needed,
        text,
    )


def full() -> Report:
    """Every verdict, change and figure, and every hostile text wherever a text may be."""
    seeds = Seeds("model.minilm", (0.861, 0.872, 0.866), (0.858, 0.871, 0.869), (-0.011, 0.012))
    loss = Metric(
        "scores.release.tweets.log_loss",
        0.31,
        0.29,
        -0.02,
        "lower",
        "better",
        (-0.03, -0.01),
        0.001,
        0.003,
        "slices",
    )
    odd = [
        Metric(f"scores.release.{text}.accuracy", text, None, None, None, "changed", reason=text)
        for text in HOSTILE
    ]
    metrics = [
        metric(verdict, f"scores.release.split_{i}.accuracy") for i, verdict in enumerate(VERDICTS)
    ]
    metrics[0] = replace(metrics[0], seeds=seeds)
    slices = tuple(Slice("class", text, 100, 3, 2) for text in HOSTILE)
    worst = (*(example(i, text) for i, text in enumerate(HOSTILE)), example(99, None))
    gates = [gate(verdict, text) for verdict, text in zip(GATE_VERDICTS, HOSTILE, strict=False)]
    ratios = (
        Ratio(
            "speed.release.latency_ms.p50",
            2.152,
            2.001,
            0.93,
            "lower",
            "better",
            (0.90, 0.97),
            0.001,
            "paired in rounds",
        ),
        Ratio("bundle.release.bytes", 17528029, 17528029, 1.0, "lower", "same"),
    )
    return Report(
        OLD,
        NEW,
        changes(),
        (*metrics, loss, *odd),
        (Flips("scores.release", "tweets", 512, 30, 20, 0.0586, 0.0791, slices, worst),),
        ratios,
        tuple(gates),
        ("no cache at hand: texts are left out", EVERYTHING),
        *figures(),
        standings=standings(),
        drifts=drifts(),
    )


def drifts() -> tuple[Drift, ...]:
    """Explanations of texts, and words, that are hostile; of one no text is at hand."""
    moved = tuple(
        Moved(f"id-{i}", "movies", "negative", text, "positive", -0.2, (text,), (text, "b"), text)
        for i, text in enumerate(HOSTILE)
    )
    unknown = Moved("id-99", "movies", "negative", "negative", "negative", 0.1)
    weights = tuple(WordWeight("negative", text, 12, 0.02, 0.31) for text in HOSTILE)
    drift = Drift("explained.release", 290, 10, 0.55, (0.49, 0.61), (*moved, unknown), weights)
    return (drift,)


def standings() -> tuple[Standing, ...]:
    """Of scores beside a constant answer whose label is hostile, and beside others."""
    distances = (
        Distance("majority", EVERYTHING, "accuracy", 0.52, 0.5, 0.02, (-0.01, 0.05)),
        Distance("majority", EVERYTHING, "balanced_accuracy", 0.5, 0.5, 0.0, None),
        Distance("scores.linear", None, "accuracy", 0.52, 0.8, -0.28, (-0.31, -0.25)),
        Distance("scores.linear", None, "balanced_accuracy", 0.5, 0.8, -0.3, (-0.33, -0.27)),
    )
    return (Standing("scores.release", "tweets", 512, distances, (EVERYTHING,)),)


def changes() -> Changes:
    return Changes(
        (
            Change("student.small.peak_learning_rate", 2e-05, 3e-05),
            *(Change(f"p.{i}", t, None) for i, t in enumerate(HOSTILE)),
        ),
        tuple(Rows("corpus.tweets", text, text, 12, 3, 1) for text in HOSTILE),
        (
            Code("lmspec/training/loop.py", ("fit", "Run.step"), ("model.minilm",)),
            Code("stages/model.py", (), ("model.x",)),
        ),
        (Change("numpy", "2.4.5", "2.4.6"),),
        ("model.minilm", "scores.release"),
        ("scores.candidate",),
        ("scores.gone",),
        {"model.baseline": "model.candidate"},
    )


def figures() -> tuple[
    tuple[Confusion, ...], tuple[Calibration, ...], tuple[Curve, ...], tuple[Point, ...]
]:
    labels = (HOSTILE[3], "positive")
    confusion = Confusion(
        "scores.release", HOSTILE[1], labels, ((200, 10), (20, 282)), ((190, 20), (18, 284))
    )
    fresh = Confusion("scores.candidate", "tweets", labels, None, ((0, 0), (1, 2)))
    bins = ((0.55, 0.6, 40), (0.75, 0.7, 100), (0.95, 0.97, 300))
    calibration = Calibration("scores.release", HOSTILE[4], bins, bins[1:])
    columns = {
        "step": (100.0, 200.0, 300.0),
        "train_loss": (0.6, 0.4, float("nan")),
        "dev_accuracy": (0.7, 0.8, 0.82),
    }
    curve = Curve(
        f"model.{HOSTILE[4]}", columns, {name: values[:2] for name, values in columns.items()}
    )
    front = [
        Point(f"quantized.{t}", "tweets", "baseline", 17_528_029 + i, 0.84 + i / 100)
        for i, t in enumerate(HOSTILE)
    ]
    front += [
        replace(point, revision="candidate", bytes=point.bytes // 2, accuracy=point.accuracy - 0.01)
        for point in front[:5]
    ]
    return (confusion, fresh), (calibration,), (curve,), tuple(front)


def huge(metrics: int = 5000, flips: int = 200) -> Report:
    """So many metrics, verdicts in turn, and so many datasets with negative flips."""
    worst = tuple(example(i, EVERYTHING) for i in range(6))
    return replace(
        full(),
        metrics=tuple(
            metric(VERDICTS[i % len(VERDICTS)], f"scores.release.split_{i}.accuracy")
            for i in range(metrics)
        ),
        flips=tuple(
            Flips("scores.release", f"split_{i}", 512, 30, 20, 0.0586, 0.0791, (), worst)
            for i in range(flips)
        ),
    )


def quiet() -> Report:
    """Two revisions that are the same."""
    return Report(OLD, NEW, Changes())


TEXTS = (
    ("movies", "negative", "positive", "A beautiful mess that never finds its reason to exist."),
    ("movies", "positive", "negative", "Nothing about it should work, and all of it does."),
    ("editorials", "negative", "positive", "The council calls it reform; residents call it a cut."),
    ("movies", "negative", "positive", "Two hours of charm in search of a script."),
    (
        "editorials",
        "positive",
        "negative",
        "Late, costly and unloved, the new bridge is a triumph.",
    ),
    ("movies", "negative", "positive", "It's so nearly good that you want to send it back."),
    ("products", "positive", "negative", "I wanted to hate this kettle. I cannot."),
    ("products", "negative", "positive", "Great box, shame about what was in it."),
)


def realistic() -> Report:
    """As of a project's own pull request: a wider student, some new tweets, one gate that fails."""
    gate_rows: list[tuple[str, str, str, str, GateVerdict, str]] = [
        ("release-size", "ratio", "quantized.release.bytes", "not worse by more than 0.05", "fail",
         "x1.18: 20683074 bytes instead of 17528029"),
        ("release-no-worse", "non_inferiority", "scores.release.reviews.accuracy",
         "not worse by more than 0.015, at 95 %", "undecided", "-0.0078, at least -0.0196"),
        ("release-each-table", "floor", "scores.release.reviews.table.*.accuracy",
         "at least 0.82, at 95 %", "waived", "0.8289, at least 0.8091 (the worst of 3)"),
        ("release-tweets", "floor", "scores.release.tweets.accuracy", "at least 0.9", "pass",
         "0.9253"),
        ("release-flips", "negative_flip_rate", "scores.release.reviews",
         "at most 0.05 of all examples, at 95 %", "pass", "0.0289, at most 0.0388"),
        ("release-calibration", "ceiling", "scores.release.reviews.expected_calibration_error",
         "at most 0.1", "pass", "0.0412"),
        ("faster", "floor", "speed.release.ratio.latency_p50.p5", "at least 3", "pass", "4.21"),
        ("student", "floor", "scores.student.reviews.table.movies.accuracy", "at least 0.84",
         "pass", "0.8711"),
    ]  # fmt: skip
    why = {
        "release-size": None,
        "release-each-table": "editorials are relabelled in the next corpus "
        "(signed off by Ada Example until 2027-01-31; without the waiver: undecided)",
    }
    gates = tuple(
        Gate(
            name,
            kind,
            of,
            demand,
            verdict,
            verdict in ("pass", "waived"),
            found,
            5200 if verdict == "undecided" else None,
            why.get(name),
            margin=0.015 if kind == "non_inferiority" else None,
        )
        for name, kind, of, demand, verdict, found in gate_rows
    )
    changes = Changes(
        parameters=(
            Change("student.small.architecture.hidden_size", 192, 256),
            Change("student.small.training.peak_learning_rate", 3e-4, 2e-4),
            Change("updated.tweets.replay_share", 0.25, 0.4),
        ),
        data=(
            Rows("corpus.tweets", "tweets", "negative", 214, 9, 3),
            Rows("corpus.tweets", "tweets", "positive", 187, 4, 5),
        ),
        code=(
            Code("lmspec/training/distilling.py", ("distil", "softened"), ("student.small",)),
            Code("lmspec/training/updating.py", (), ("updated.tweets",)),
        ),
        toolchain=(Change("onnxruntime", "1.31.0", "1.32.0"),),
        rebuilt=("corpus.tweets", "splits.tweets", "student.small", "updated.tweets",
                 "exported.release", "quantized.release", "scores.release", "speed.release",
                 "bundle.release"),
    )  # fmt: skip
    worst = tuple(
        Example(f"{table}-{1000 + 37 * i}", table, label, label, wrong, 0.93 - i / 25,
                0.08 + i / 30, text)
        for i, (table, label, wrong, text) in enumerate(TEXTS)
    )  # fmt: skip
    slices = (
        Slice("class", "negative", 1040, 34, 19),
        Slice("class", "positive", 1033, 26, 25),
        Slice("table", "movies", 1402, 31, 33),
        Slice("table", "editorials", 671, 29, 11),
    )
    tweets = tuple(
        Example(f"tweets-{410 + i}", "tweets", "positive", "positive", "negative", 0.71, 0.44, text)
        for i, text in enumerate(("not me crying at the bus stop over this song",
                                  "ok who let this goal be THAT good"))
    )  # fmt: skip
    bins = ((0.55, 0.51, 120), (0.65, 0.63, 160), (0.75, 0.73, 240), (0.85, 0.84, 420),
            (0.96, 0.955, 1133))  # fmt: skip
    names = ("scores.release", "scores.student", "scores.updated")
    steps = tuple(float(step) for step in range(100, 1300, 100))
    curve = {
        "step": steps,
        "train_loss": tuple(0.2 + 60 / step for step in steps),
        "dev_accuracy": tuple(0.885 - 12 / step for step in steps),
    }
    return Report(
        RevisionId("main", "7c1f09be52aa" + "0" * 28),
        RevisionId("wider-student", "e41d20c6b9f3" + "0" * 28),
        changes,
        tuple(_realistic_metrics(names)),
        (
            Flips("scores.release", "reviews", 2073, 60, 44, 0.0289, 0.0361, slices, worst),
            Flips("scores.release", "tweets", 1188, 11, 25, 0.0093, 0.0152, (), tweets),
        ),
        (
            Ratio("quantized.release.bytes", 17528029, 20683074, 1.18, "lower", "worse"),
            Ratio("speed.release.of.latency_ms.p50", 2.152, 2.411, 1.12, "lower", "worse",
                  (1.05, 1.19), 0.001, "paired in rounds"),
            Ratio("speed.release.of.texts_per_second", 464.1, 431.8, 0.93, "higher",
                  "inconclusive", (0.84, 1.02), 0.13, "paired in rounds"),
        ),
        gates,
        ("main has no cached texts of corpus.editorials: they are left out",),
        tuple(
            Confusion(name, dataset, ("negative", "positive"),
                      ((921, 119), (102, 931)), ((902, 138), (96, 937)))
            for name in names for dataset in ("reviews", "tweets")
        ),
        tuple(
            Calibration(name, dataset, bins, tuple((c + 0.01, a - 0.015, n) for c, a, n in bins))
            for name in names for dataset in ("reviews", "tweets")
        ),
        (Curve("student.small", curve,
               {name: tuple(v * 0.99 for v in values) for name, values in curve.items()}),),
        tuple(
            Point(f"{noun}.release", "reviews", side, int(size * more), accuracy - loss)
            for noun, size, accuracy in (("exported", 67e6, 0.886), ("quantized", 17.5e6, 0.8871))
            for side, more, loss in (("baseline", 1.0, 0.0), ("candidate", 1.18, 0.008))
        ),
        ("scores.release",),
    )  # fmt: skip


def _realistic_metrics(names: tuple[str, ...]) -> Iterator[Metric]:
    """Eight per scores artifact and dataset, judged by fixed intervals; then others."""
    better: dict[str, Better] = {"log_loss": "lower", "expected_calibration_error": "lower"}
    paths = ("accuracy", "macro_f1", "log_loss", "expected_calibration_error", "f1.negative",
             "f1.positive", "table.movies.accuracy", "table.editorials.accuracy")  # fmt: skip
    shifts = {
        ("scores.release", "tweets", "accuracy"): 0.0168,
        ("scores.release", "tweets", "macro_f1"): 0.0171,
        ("scores.release", "tweets", "log_loss"): -0.0312,
        ("scores.updated", "tweets", "accuracy"): 0.0143,
        ("scores.release", "reviews", "table.editorials.accuracy"): -0.0268,
        ("scores.release", "reviews", "expected_calibration_error"): 0.0141,
    }
    draw = random.Random(3)
    for name in names:
        for dataset in ("reviews", "tweets"):
            for path in paths:
                key = (name, dataset, path)
                way = better.get(path, "higher")
                half = 0.0105 if key in shifts else draw.uniform(0.006, 0.014)
                shift = shifts.get(key, draw.uniform(-0.7, 0.7) * half)
                verdict: Verdict = "inconclusive"
                if key in shifts:
                    verdict = "better" if (shift > 0) == (way == "higher") else "worse"
                base = {"log_loss": 0.2874, "expected_calibration_error": 0.0271}.get(path, 0.8949)
                p = 0.002 if key in shifts else 0.31
                yield Metric(f"{name}.{dataset}.{path}", base, base + shift, shift, way, verdict,
                             (shift - half, shift + half), p, p * 3,
                             "slices" if "." in path else "test sets", half * 1.4,
                             "paired bootstrap", 2073)  # fmt: skip
    for i, path in enumerate(("accuracy", "macro_f1", "log_loss")):
        yield Metric(f"scores.minilm.reviews.{path}", 0.91 - i / 100, 0.91 - i / 100, 0.0,
                     better.get(path, "higher"), "same")  # fmt: skip
    yield Metric("corpus.tweets.documents", 11613, 12001, 388, None, "changed")
    yield Metric("student.small.parameters", 4_386_178, 6_102_914, 1_716_736, None, "changed")
    yield Metric("speed.release.of.peak_memory_bytes", 181_000_000, 190_000_000, 9_000_000,
                 "lower", "untested", reason="measured once")  # fmt: skip
