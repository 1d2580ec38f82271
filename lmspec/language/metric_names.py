"""metric_names: the metrics that an artifact will write, known before it is built.

A test compares them with those that were written.
"""

from collections.abc import Iterator, Sequence

from lmspec.errors import LmspecError
from lmspec.language import nouns, on_disk, resolved
from lmspec.language.resolved import Specs, Values
from lmspec.specs.checks.exported import is_gguf
from lmspec.specs.contrasts import POSITIONS
from lmspec.specs.names import LABELLED, ArtifactName, MetricName, MetricPath
from lmspec.specs.results import ESTIMATES, Metric
from lmspec.specs.suites import Suite

OPEN = "{reason}"  # reasons to reject a row are known only when there are some
SPLITS = ("train", "dev", "test")
UNKNOWN = "unknown_tokens"
ADAPTER = "adapter"  # field of an architecture, and where its metrics are
PRIVATE = "private"  # field of a training, and where its metrics are
PROMPT, PROMPTED = "prompt", "prompted"
ATTACKS = "reference", "canaries", "extraction"  # fields of `attacked`, and where their metrics are
CORRECTIONS = "corrections"  # field of a corpus, and where its metrics are
CORRECTED = "corrected"  # rows of splits that those changed
CALIBRATED, TEMPERATURE = "calibrated", "temperature"
# Metrics of a calibrated graph and of its scores -> what they take.
FITTED = {
    "abstention": "abstain",
    "threshold": "abstain",
    "unsure": "abstain",
    TEMPERATURE: TEMPERATURE,
    "uncalibrated": "method",
}
WAY, GROUP = "{way}", "{group}"  # of scores: a way to group texts, and one of its groups
CONTRASTIVE, SELF_TRAINING = "contrastive", "self_training"
BY_LABEL = ("ratings", "votes")  # metrics of tables with labels of those kinds
OF_RATERS = ("raters", "suspected", "signal")
CHANGED = ("weights", "changed")  # beside those of another network
SUITE, TERMS = "{suite}", "{terms}"  # a suite of cases: of shares that pass, or of groups


def computes(specs: Specs, metric: MetricName) -> bool:
    """Whether the artifact will write that metric."""
    declared = nouns.metric(metric.artifact.noun, metric.path)
    open_ended = declared is not None and _is_open(specs, metric.artifact, declared)
    return open_ended or metric.path in paths(specs, metric.artifact)


def matching(specs: Specs, pattern: MetricName) -> list[MetricPath]:
    """Paths of the metrics that a pattern names; of open-ended ones the pattern itself."""
    declared = nouns.metric(pattern.artifact.noun, pattern.path)
    if declared and _is_open(specs, pattern.artifact, declared):
        return [pattern.path]
    return [path for path in paths(specs, pattern.artifact) if matches(pattern.path, path)]


def _is_open(specs: Specs, name: ArtifactName, declared: Metric) -> bool:
    """Is it not known which there are? So of a file of cases that has a mistake, too."""
    if declared.steps[0] in (SUITE, TERMS):
        return isinstance(_suites(specs, name), LmspecError)
    return OPEN in declared.steps


def _suites(specs: Specs, name: ArtifactName) -> tuple[Suite, ...] | LmspecError:
    return on_disk.suites(specs.root, specs[name]["cases"])


def matches(pattern: MetricPath, path: MetricPath) -> bool:
    """Whether a path has these steps; `*` stands for any. A step may hold dots, as labels do."""
    if not path or not pattern:
        return not path and not pattern
    if pattern[0] == "*":
        return matches(pattern[1:], path[1:])
    dots = path[0].count(".") + 1
    return ".".join(pattern[:dots]) == path[0] and matches(pattern[dots:], path[1:])


def named(pattern: str, metric: str) -> bool:
    """Whether a pattern such as `scores.release.*.accuracy` names a metric."""
    artifact, path = MetricName.parse(metric)
    return matches(tuple(pattern.split(".")), (*artifact, *path))


def without_label(path: MetricPath) -> MetricPath:
    """A path up to its label, which could be called like a metric."""
    return path[:-1] if path[-2:-1] and path[-2] in LABELLED else path


def flip_slices(specs: Specs, name: ArtifactName) -> list[MetricPath]:
    """Where flips are counted: test splits of scores, their classes and tables; suites of cases."""
    slices: list[MetricPath] = []
    for splits in specs[name]["on"] if name.noun == "scores" else ():
        corpus, dataset = specs[specs[splits]["of"]], ArtifactName.parse(splits).name
        slices.append((dataset,))
        slices += [(dataset, "class", label) for label in corpus["labels"]]
        slices += [(dataset, "table", table["name"]) for table in corpus["tables"]]
    if name.noun == "examined":
        slices += [(suite,) for suite in _values(specs, name, SUITE, ())]
    return slices


def names(specs: Specs, name: ArtifactName) -> list[str]:
    """Paths of the metrics of a sound artifact, as they are written; empty if it has none."""
    return [".".join(path) for path in paths(specs, name)]


def paths(specs: Specs, name: ArtifactName) -> list[MetricPath]:
    """The same, step by step, those of one dataset or split together."""
    of = _of(specs, name)
    every = [
        path
        for metric in nouns.of(name.noun).metrics
        if OPEN not in metric.steps
        if not metric.of or of & {*metric.of}
        if metric.steps[-1] != UNKNOWN or _has_tokens(specs, name)
        if metric.steps[0] != ADAPTER or specs[name]["architecture"].get(ADAPTER)
        if metric.steps[0] != PRIVATE or specs[name]["training"].get(PRIVATE)
        if metric.steps[0] != PROMPT or _is_asked(specs, name, metric)
        if metric.steps[0] not in ATTACKS or specs[name].get(metric.steps[0])
        if metric.steps[0] != CORRECTIONS or specs[name].get(CORRECTIONS)
        if metric.steps[-1] != CORRECTED or specs[specs[name]["of"]].get(CORRECTIONS)
        if _is_fitted(specs, name, metric)
        if WAY not in metric.steps or specs[name].get("groups")
        if metric.steps != CHANGED or specs[name].get("against")
        if metric.steps[0] != CONTRASTIVE or specs[name]["training"]["kind"] == CONTRASTIVE
        if metric.steps[0] != SELF_TRAINING or specs[name].get(SELF_TRAINING)
        for path in _expanded(specs, name, metric.steps)
        if path[0] not in BY_LABEL or _is_counted(specs, name, path)
    ]
    first: dict[str, int] = {}
    return sorted(every, key=lambda path: first.setdefault(path[0], len(first)))


def _is_counted(specs: Specs, name: ArtifactName, path: MetricPath) -> bool:
    """Has a table of a corpus ratings, or votes, in place of labels; and who gave the ratings?"""
    kind, table, what = path
    (label,) = (each["label"] for each in specs[name]["tables"] if each["name"] == table)
    if not label or label["kind"] != kind:
        return False
    return what not in OF_RATERS or label["rater"] is not None


def _is_asked(specs: Specs, name: ArtifactName, metric: Metric) -> bool:
    """Has the model a prompt for labels; of what it prefers, is it calibrated?"""
    architecture = specs[name]["architecture"]
    is_of_all = metric.steps[1] == "tokens"
    return architecture["kind"] == PROMPTED and (
        is_of_all or architecture["calibration"]["kind"] != "none"
    )


def _is_fitted(specs: Specs, name: ArtifactName, metric: Metric) -> bool:
    """Of metrics that a calibrated graph, or its scores, have by some of its fields: has it?"""
    field = next((FITTED[step] for step in metric.steps if step in FITTED), None)
    if name.noun not in ("scores", CALIBRATED) or field is None:
        return True
    of = ArtifactName.parse(specs[name]["of"]) if name.noun == "scores" else name
    if of.noun != CALIBRATED:
        return False
    kind = specs[of]["method"]["kind"]
    is_fitted = {"abstain": specs[of]["abstain"], TEMPERATURE: kind == TEMPERATURE}
    return bool(is_fitted.get(field, kind != "none"))


def _of(specs: Specs, name: ArtifactName) -> set[str]:
    """What an artifact's metrics are of: see `Metric.of`."""
    if name.noun == "splits":
        return {"answers"} if resolved.has_turns(specs[specs[name]["of"]]) else set()
    if name.noun == "scores" and specs[name].get("choices"):
        return {"choices"}
    kind = specs.first(name)[1]["architecture"]["kind"] if specs.has_model(name) else ""
    if kind == PROMPTED and name.noun == "model":
        return set()  # it answers no dev split
    of = {"causal": {"tokens", "likelihoods"}, "nearest": {"pairs"}}.get(str(kind), {"labels"})
    if name.noun == "exported" and specs[name].get("format"):
        of |= {"files" if is_gguf(specs[name]) else "caches"}
    return of | {"answers"} if specs[name].get("generation") else of


def _has_tokens(specs: Specs, name: ArtifactName) -> bool:
    """Whether the model that it is, or was made from, reads tokens: one of n-grams does not."""
    if "architecture" in specs[name]:
        return specs[name]["architecture"]["kind"] not in ("linear", "nearest")
    origin = nouns.of(name.noun).origin
    return origin is None or _has_tokens(specs, ArtifactName.parse(specs[name][origin]))


def _expanded(
    specs: Specs, name: ArtifactName, steps: MetricPath, before: MetricPath = ()
) -> Iterator[MetricPath]:
    """A path for each value of each `{...}`."""
    if not steps:
        yield before
        return
    for value in _values(specs, name, steps[0], before):
        yield from _expanded(specs, name, steps[1:], (*before, value))


def _values(specs: Specs, name: ArtifactName, step: str, before: MetricPath) -> Sequence[str]:
    """What a `{...}` stands for after those steps; any other step stands for itself."""
    spec = specs[name]
    match step:
        case "{seed}":
            count = spec["training"].get("seeds", 1)
            return [str(number) for number in range(1, count + 1)] if count > 1 else ()
        case "{estimate}":
            return ESTIMATES if spec["training"].get("seeds", 1) > 1 else ()
        case "{split}":
            return SPLITS
        case "{dataset}":
            return [ArtifactName.parse(splits).name for splits in spec["on"]]
        case "{table}":
            tables = [table["name"] for table in _corpus(specs, name, before)["tables"]]
            # a single table would repeat the metrics of its dataset
            return tables if name.noun == "corpus" or len(tables) > 1 else ()
        case "{other}":
            return [ArtifactName.parse(other).name for other in spec.get("beside", ())]
        case "{suite}" | "{terms}":
            suites = _suites(specs, name)
            known = () if isinstance(suites, LmspecError) else suites
            return [suite.name for suite in known if suite.is_gap == (step == TERMS)]
        case "{way}":
            return [way["name"] for way in spec["groups"]["by"]]
        case "{group}":
            corpus = _corpus(specs, name, before)
            (way,) = (each for each in spec["groups"]["by"] if each["name"] == before[-2])
            if way["kind"] == "terms":
                return [terms["name"] for terms in way["terms"]]
            if way.get("values"):
                values: Sequence[str] = way["values"]
                return values
            tables = [table["name"] for table in corpus["tables"]]
            return corpus["labels"] if way["column"] == "label" else tables
        case "{layer}" | "{depth}":
            layers = [f"layer_{layer}" for layer in spec["layers"]]
            return layers if step == "{layer}" else ["embeddings", *layers]
        case "{position}":
            return POSITIONS
        case "{concept}":
            return [concept["name"] for concept in spec["concepts"]]
        case "{own}":
            return [metric["name"] for metric in (spec.get("generation") or {}).get("own") or ()]
        case "{label}":
            empty = before[0] in SPLITS and spec.get(before[0]) == 0
            labels: Sequence[str] = _corpus(specs, name, before)["labels"]
            return () if empty else labels
    return (step,)


def _corpus(specs: Specs, name: ArtifactName, before: MetricPath) -> Values:
    """The corpus of an artifact; of one with several datasets, that of the first step."""
    spec = specs[name]
    if name.noun == "corpus":
        return spec
    if name.noun == CALIBRATED:
        return specs[specs[spec["on"][0]]["of"]]
    named = (ArtifactName.parse(splits) for splits in spec.get("on", ()))
    origin = next((splits for splits in named if splits.name == before[0]), None)
    return _corpus(specs, origin or ArtifactName.parse(spec["of"]), before)
