"""measured: the names of the metrics that each artifact will write, known before it does. A test compares with what it wrote."""

from collections.abc import Iterable, Iterator

from lmspec.graph.artifacts import Specs

TRAINED = ("dev.accuracy", "dev.macro_f1", "dev.log_loss", "best_step", "steps", "parameters")
SCORED = ("accuracy", "macro_f1", "log_loss", "expected_calibration_error", "examples")
# metrics that lie between 0 and 1; f1 holds one for each label
SHARES = {"accuracy", "macro_f1", "f1", "expected_calibration_error", "flip_rate", "mean_probability_difference"}
TIMED = ("latency_ms.p50", "latency_ms.p95", "texts_per_second", "weights_bytes", "peak_memory_bytes")
RATIOS = ("latency_p50", "latency_p95", "throughput")
FIXED = {
    "model": TRAINED,
    "student": TRAINED,
    "updated": (*TRAINED, "rows.new", "rows.replayed"),
    "exported": ("largest_logit_difference", "nodes", "bytes"),
    "quantized": ("flip_rate", "mean_probability_difference", "bytes", "bytes_before", "quantized_operations"),
    "speed": (
        *(f"{side}.{name}" for side in ("of", "against") for name in TIMED),
        *(f"ratio.{name}.{part}" for name in RATIOS for part in ("median", "p5", "p95")),
        "ratio.weights",
        "ratio.peak_memory",
    ),
}
REJECTED = "rejected."  # what follows are reasons, of which a corpus may have any


def split(metric: str) -> tuple[str, str]:
    """`scores.release.test.accuracy` -> (`scores.release`, `test.accuracy`)."""
    noun, key, path = metric.split(".", 2)
    return f"{noun}.{key}", path


def computes(specs: Specs, name: str, path: str) -> bool:
    """Will the artifact write that metric?"""
    return path in set(names(specs, name)) or (name.startswith("corpus.") and path.startswith(REJECTED))


def names(specs: Specs, name: str) -> list[str]:
    """Paths of the metrics of a sound artifact; empty for one that has none."""
    noun = name.partition(".")[0]
    if noun == "corpus":
        return list(_corpus(specs, name))
    if noun == "splits":
        return list(_splits(specs, name))
    if noun == "scores":
        return list(_scores(specs, name))
    return list(FIXED.get(noun, ()))


def few(names: Iterable[str]) -> str:
    """Some of the names."""
    first = list(names)
    return ", ".join(first[:5]) + (", ..." if len(first) > 5 else "") if first else "none"


def _corpus(specs: Specs, name: str) -> Iterator[str]:
    yield "documents"
    for table in specs[name]["tables"]:
        yield from (f"source.{table['name']}.{part}" for part in ("documents", *_labels(specs, name, "label")))


def _splits(specs: Specs, name: str) -> Iterator[str]:
    for side in ("train", "dev", "test"):
        yield f"{side}.documents"
        if specs[name][side]:
            yield from (f"{side}.{part}" for part in _labels(specs, specs[name]["of"], "label"))


def _scores(specs: Specs, name: str) -> Iterator[str]:
    for splits in specs[name]["on"]:
        corpus = specs[splits]["of"]
        parts = (*SCORED, *_labels(specs, corpus, "f1"))
        tables = [table["name"] for table in specs[corpus]["tables"]]
        yield from (f"{splits.partition('.')[2]}.{part}" for part in parts)
        if len(tables) > 1:
            yield from (f"{splits.partition('.')[2]}.source.{table}.{part}" for table in tables for part in parts)


def _labels(specs: Specs, corpus: str, under: str) -> tuple[str, ...]:
    return tuple(f"{under}.{label}" for label in specs[corpus]["labels"])
