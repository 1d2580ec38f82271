"""metric_names: the metrics that each artifact will write, known before it does. A test compares with what it wrote."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lmspec.language.resolved import Specs

TRAINED = ("dev.accuracy", "dev.macro_f1", "dev.log_loss", "best_step", "steps", "parameters")
SCORED = ("accuracy", "macro_f1", "log_loss", "expected_calibration_error", "examples")
# metrics that lie between 0 and 1; f1 holds one for each label
SHARES = {
    "accuracy",
    "macro_f1",
    "f1",
    "expected_calibration_error",
    "disagreement_rate",
    "mean_probability_difference",
}
TIMED = (
    "latency_ms.p50",
    "latency_ms.p95",
    "texts_per_second",
    "weights_bytes",
    "peak_memory_bytes",
)
RATIOS = ("latency_p50", "latency_p95", "throughput")
FIXED = {
    "model": TRAINED,
    "student": TRAINED,
    "updated": (*TRAINED, "rows.new", "rows.replayed"),
    "exported": ("largest_logit_difference", "nodes", "bytes"),
    "quantized": (
        "disagreement_rate",
        "mean_probability_difference",
        "bytes",
        "bytes_before",
        "quantized_operations",
    ),
    "speed": (
        *(f"{split}.{name}" for split in ("of", "against") for name in TIMED),
        *(f"ratio.{name}.{part}" for name in RATIOS for part in ("median", "p5", "p95")),
        "ratio.weights",
        "ratio.peak_memory",
    ),
}
REJECTED = "rejected"  # what follows are reasons, of which a corpus may have any
PREDICTIONS = {
    "accuracy",
    "macro_f1",
    "log_loss",
    "expected_calibration_error",
    "f1",
}  # what follows from predictions, of scores
LABELLED = {"f1", "label"}  # what follows is a label
EXACT = {"bytes", "weights_bytes"}  # of a file: no second measurement gives another number
# noun -> what is better one way, or holds what is, as the stages declare it; a test compares
DIRECTED = {
    **dict.fromkeys(("model", "student", "updated", "scores"), PREDICTIONS),
    "exported": {"largest_logit_difference", "bytes"},
    "quantized": {"disagreement_rate", "mean_probability_difference", "bytes"},
    "speed": {"of", "ratio"},
}
Path = tuple[str, ...]


def split(metric: str) -> tuple[str, str]:
    """`scores.release.test.accuracy` -> (`scores.release`, `test.accuracy`)."""
    noun, key, path = metric.split(".", 2)
    return f"{noun}.{key}", path


def computes(specs: Specs, name: str, path: str) -> bool:
    """Will the artifact write that metric?"""
    return path in set(names(specs, name)) or (
        name.startswith("corpus.") and path.startswith(f"{REJECTED}.")
    )


def matching(specs: Specs, name: str, pattern: str) -> list[Path]:
    """Paths of its metrics that a pattern names. Reasons of a corpus to reject a row are known when there are some."""
    steps = tuple(pattern.split("."))
    if name.startswith("corpus.") and steps[0] == REJECTED:
        return [steps]
    return [path for path in paths(specs, name) if matches(steps, path)]


def matches(pattern: Path, path: Path) -> bool:
    """Does the path have these names? `*` stands for one. A name may hold dots, as labels do."""
    if not path or not pattern:
        return not path and not pattern
    if pattern[0] == "*":
        return matches(pattern[1:], path[1:])
    dots = path[0].count(".") + 1
    return ".".join(pattern[:dots]) == path[0] and matches(pattern[dots:], path[1:])


def named(pattern: Path, metric: str) -> bool:
    """The same of a metric as it is written: a label, which may hold dots, is the last of its names."""
    names = tuple(metric.split("."))
    last = next((i + 1 for i, name in enumerate(names) if i > 2 and name in LABELLED), len(names))
    label = ".".join(names[last:])
    return matches(pattern, (*names[:last], label) if label else names)


def without_label(path: Path) -> Path:
    """A label stands behind what it is a label of, and may have the name of a metric."""
    return path[:-1] if path[-2:-1] and path[-2] in LABELLED else path


def directed(name: str, path: Path) -> bool:
    """Is a metric of the artifact better one way?"""
    return bool(DIRECTED.get(name.partition(".")[0], set()) & set(without_label(path)))


def has_predictions(name: str, path: Path) -> bool:
    """Does git keep what an interval of the metric follows from?"""
    return name.startswith("scores.") and (path[-1] in PREDICTIONS or path[-2:-1] == ("f1",))


def is_exact(path: Path) -> bool:
    """Is it the size of a file, and no label that is called so?"""
    return path[-1] in EXACT and path == without_label(path)


def is_measured_once(path: Path) -> bool:
    """Is it a peak of memory?"""
    return path[-1].endswith("_bytes") and not is_exact(path) and path == without_label(path)


def has_ratio(name: str, path: Path) -> bool:
    """Is it a latency, throughput, size or memory that two commits can be compared by?"""
    in_rounds = (
        name.startswith("speed.")
        and path[0] == "of"
        and path[1] in ("latency_ms", "texts_per_second")
    )
    return is_exact(path) or is_measured_once(path) or in_rounds


def sides(specs: Specs, name: str) -> list[Path]:
    """What flips are counted in: the test splits of a scores artifact, their classes and their tables."""
    found: list[Path] = []
    for splits in specs[name]["on"] if name.startswith("scores.") else ():
        corpus, dataset = specs[specs[splits]["of"]], splits.partition(".")[2]
        found.append((dataset,))
        found += [(dataset, "class", label) for label in corpus["labels"]]
        found += [(dataset, "table", table["name"]) for table in corpus["tables"]]
    return found


def names(specs: Specs, name: str) -> list[str]:
    """Names of the metrics of a sound artifact; empty for one that has none."""
    return [".".join(path) for path in paths(specs, name)]


def paths(specs: Specs, name: str) -> list[Path]:
    """The same, name by name: one can hold dots, as labels do."""
    noun = name.partition(".")[0]
    if noun == "corpus":
        return list(_corpus(specs, name))
    if noun == "splits":
        return list(_splits(specs, name))
    if noun == "scores":
        return list(_scores(specs, name))
    return [tuple(metric.split(".")) for metric in (*FIXED.get(noun, ()), *_seeds(specs[name]))]


def few(names: Iterable[str]) -> str:
    """Some of the names."""
    first = list(names)
    return ", ".join(first[:5]) + (", ..." if len(first) > 5 else "") if first else "none"


def _corpus(specs: Specs, name: str) -> Iterator[Path]:
    yield ("documents",)
    for table in specs[name]["tables"]:
        yield from (
            ("table", table["name"], *part)
            for part in (("documents",), *_labels(specs, name, "label"))
        )


def _splits(specs: Specs, name: str) -> Iterator[Path]:
    for split in ("train", "dev", "test"):
        yield (split, "documents")
        if specs[name][split]:
            yield from ((split, *part) for part in _labels(specs, specs[name]["of"], "label"))


def _scores(specs: Specs, name: str) -> Iterator[Path]:
    for splits in specs[name]["on"]:
        corpus, dataset = specs[splits]["of"], splits.partition(".")[2]
        parts = (*((metric,) for metric in SCORED), *_labels(specs, corpus, "f1"))
        tables = [table["name"] for table in specs[corpus]["tables"]]
        yield from ((dataset, *part) for part in parts)
        if len(tables) > 1:
            yield from ((dataset, "table", table, *part) for table in tables for part in parts)


def _seeds(spec: Mapping[str, Any]) -> Iterator[str]:
    """What each of several trainings came to."""
    count = spec.get("training", {}).get("seeds", 1)
    if count > 1:
        for number in range(1, count + 1):
            yield from (
                metric.replace("dev", f"seeds.{number}")
                for metric in TRAINED
                if metric.startswith("dev.")
            )


def _labels(specs: Specs, corpus: str, under: str) -> tuple[Path, ...]:
    return tuple((under, label) for label in specs[corpus]["labels"])
