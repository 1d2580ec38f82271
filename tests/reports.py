"""reports: a report with everything in it, hostile texts among it, and one that is far too long."""

from dataclasses import replace
from typing import get_args

from lmspec.compare.report import (
    Calibration,
    Change,
    Changes,
    Code,
    Confusion,
    Curve,
    Example,
    Flips,
    Gate,
    GateVerdict,
    Metric,
    Point,
    Ratio,
    Report,
    Rows,
    Seeds,
    Side,
    Slice,
    Verdict,
)

HOSTILE = (
    "| a | b |",
    "</details></td></tr></table><h1>owned</h1>",
    "@everyone, see #1 and https://evil.example/x",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "`code` ``more`` \\` [link](javascript:alert(1)) ![image](https://evil.example/x.png) **bold** $x^2$",
    "two\nlines\r\n::error::planted\n##[error]planted",
    "bell \x07 escape \x1b[31mred\x1b[0m null \x00 half \ud83d turned \u202eright",
    "emoji 👩‍👩‍👧 漢字 naïve",
    "100% of 5%0A",
    "<!-- lmspec diff --> ]]> &amp; '\"",
)
EVERYTHING = " ".join(HOSTILE)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
GATE_VERDICTS: tuple[GateVerdict, ...] = get_args(GateVerdict)
OLD = Side("main", "1a2b3c4d5e6f" + "0" * 28)
NEW = Side("worktree", None)


def metric(verdict: Verdict, name: str = "scores.release.tweets.accuracy") -> Metric:
    """One with that verdict, and what such a one has."""
    if verdict in ("missing", "removed"):
        return Metric(name, 0.84, None, None, "higher", verdict, reason="the stage wrote none")
    if verdict == "new":
        return Metric(name, None, 0.84, None, "higher", verdict)
    if verdict == "changed":
        return Metric("corpus.tweets.documents", 11613, 11620, 7, None, verdict)
    if verdict in ("untested", "not comparable"):
        return Metric(name, 0.84, 0.85, 0.01, "higher", verdict, reason="other test sets")
    difference = {"better": 0.02, "worse": -0.02, "same": 0.0, "~": -0.00001}[verdict]
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
        smallest=0.0213,
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
    """Every verdict of metrics and gates, every kind of change and figure, and every hostile text wherever a text may stand."""
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
    )


def changes() -> Changes:
    return Changes(
        (
            Change("student.small.peak_learning_rate", 2e-05, 3e-05),
            *(Change(f"p.{i}", t, None) for i, t in enumerate(HOSTILE)),
        ),
        tuple(Rows("corpus.tweets", text, text, 12, 3, 1) for text in HOSTILE),
        (
            Code("lmspec/methods/training.py", ("fit", "Run.step"), ("model.minilm",)),
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
        replace(point, side="candidate", bytes=point.bytes // 2, accuracy=point.accuracy - 0.01)
        for point in front[:5]
    ]
    return (confusion, fresh), (calibration,), (curve,), tuple(front)


def huge(metrics: int = 5000, flips: int = 200) -> Report:
    """So many metrics, all verdicts in turn, and so many test splits with examples."""
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
    """Two sides that are the same."""
    return Report(OLD, NEW, Changes())
