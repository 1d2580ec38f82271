"""bundle, what it runs on.   graphs, scores, sources -> targets.json, targets/, browser/

stages/bundle.py begins it.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import browser, documents, predict, targets
from lmspec.methods import agreement, halfprecision
from lmspec.serving.limits import Limits
from lmspec.specs.base import Ref
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.checks.targets import name_of
from lmspec.specs.names import ArtifactName
from lmspec.specs.targets import BrowserTarget, CpuTarget, Target

FOLDER, CALIBRATED = "targets", "calibrated"
MOST_CHANGED = 0.25  # of labels: more than rounding does, less than another model
Check = Callable[[predict.Classifier, Ref, Ref], None]  # graph, scores


def build(spec: BundleSpec, needs: stage.Needs, out: Path, check: Check) -> list[Mapping[str, Any]]:
    """Add graphs and targets.json. Returns what the card says of each target.

    check  raises LmspecError unless a classifier answers as the scores of a graph have it
    """
    found = []
    for target in spec.targets:
        require_same_reading(spec, target, needs)
        require_scores_of(target, needs)
        require_suited(target, needs[target.of])
        require_alike(spec, target, needs)
        found.append(written(spec, target, needs, out))
    values = {"targets": [asdict(target) for target in found]}
    text = json.dumps(values, ensure_ascii=False, indent=1) + "\n"
    (out / targets.NAME).write_text(text, encoding="utf-8", newline="\n")
    for target, made in zip(spec.targets, found, strict=True):
        if made.kind != targets.CPU or target.scores is None or target.of == spec.of:
            continue
        if reason := targets.why_not(made):
            stage.say(f"target {made.name} is not tried here: {reason}")
        else:
            classifier = predict.Classifier(out, check=False, target=made.name)
            check(classifier, target.of, target.scores)
    return [*facts(found, needs)]


def written(spec: BundleSpec, target: Target, needs: stage.Needs, out: Path) -> targets.Target:
    """Write the graph of a target, unless it is the bundle's own."""
    name = name_of(target.model_dump())
    scores = target.scores or (spec.scores if target.of == spec.of else None)
    if isinstance(target, BrowserTarget):
        graph = f"{browser.FOLDER}/model.js"
        limits = spec.serving or Limits()
        about = browser.Described(spec.title, str(target.of), limits.max_text_bytes)
        sources = {ref.name: needs[ref] for ref in (target.runtime, target.tokenizers)}
        browser.write(out / browser.FOLDER, needs[target.of], sources, about)
    elif target.of == spec.of:
        graph = predict.GRAPH
    else:
        graph = f"{FOLDER}/{name}/{predict.GRAPH}"
        (out / graph).parent.mkdir(parents=True)
        shutil.copyfile(needs[target.of] / predict.GRAPH, out / graph)
    instructions = getattr(target, "instructions", "any")
    return targets.Target(
        name, target.kind, instructions, str(target.of), scores and str(scores), graph
    )


def require_suited(target: Target, graph: Path) -> None:
    """Raise LmspecError if a target cannot compute with the numbers of its graph."""
    own = halfprecision.weights(onnx.load(graph / predict.GRAPH))
    found = remedy = ""
    if target.kind == targets.CUDA and own.in_int8:
        found, remedy = "it is in int8, which no card computes here", "name one in fp16 or fp32"
    elif target.kind != targets.CUDA and own.halves:
        found, remedy = "it is in fp16, which is for cards", "name one in int8 or fp32"
    elif isinstance(target, CpuTarget) and target.instructions != "vnni" and own.overflows:
        found = f"weights of up to {own.largest} overflow in x86 kernels without VNNI"
        remedy = "name one with `reduce_range: true`, or write `instructions: vnni`"
    if found:
        raise LmspecError(f"bundle.targets, of {target.of}", found, remedy)


def require_scores_of(target: Target, needs: stage.Needs) -> None:
    """Raise LmspecError if its scores are of another graph."""
    if target.scores is None:
        return
    scored = json.loads((needs[target.scores] / "metrics.json").read_text(encoding="utf-8"))["of"]
    if scored != target.of:
        found = f"{target.scores} scores {scored}, and the target runs {target.of}"
        raise LmspecError("bundle.targets", found, f"name scores of {target.of}")


def require_alike(spec: BundleSpec, target: Target, needs: stage.Needs) -> None:
    """Raise LmspecError if its graph is of another model: if it answers test texts otherwise."""
    if target.of == spec.of:
        return
    if (target.of.noun == CALIBRATED) != (spec.of.noun == CALIBRATED):
        found = f"one of it and {spec.of} is calibrated, so their probabilities mean two things"
        raise LmspecError(f"bundle.targets, of {target.of}", found, "name calibrated ones, or none")
    table = documents.read(needs[spec.scores] / "predictions.parquet")
    rows = agreement.sample(table.select("text", "predicted", "confidence").rows())
    answers = predict.Classifier(needs[target.of], check=False).predict_many(
        [text for text, *_ in rows]
    )
    changed = sum(
        next(iter(a), "") != label for (_, label, _), a in zip(rows, answers, strict=True)
    )
    if changed > MOST_CHANGED * len(rows):
        found = f"it answers {changed} of {len(rows)} test texts otherwise than {spec.of}"
        raise LmspecError(f"bundle.targets, of {target.of}", found, "name graphs of one model")


def require_same_reading(spec: BundleSpec, target: Target, needs: stage.Needs) -> None:
    """Raise LmspecError if a target's graph has other labels or reads texts in another way."""
    for name in (predict.TOKENIZER, predict.ABOUT):
        own, its = (needs[ref] / name for ref in (spec.of, target.of))
        if own.read_bytes() != its.read_bytes():
            raise LmspecError(
                f"bundle.targets, of {target.of}",
                f"its {name} is another than that of {spec.of}",
                "name graphs of one model",
            )


def facts(found: list[targets.Target], needs: stage.Needs) -> Iterator[Mapping[str, Any]]:
    """What the card says of each target: its fields, its contract's figures, its accuracies."""
    for target in found:
        metrics = json.loads(
            (needs.root / ArtifactName.parse(target.of).metrics).read_text("utf-8")
        )
        scored = {}
        if target.scores:
            path = needs.folders[target.scores] / "metrics.json"
            scored = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        yield asdict(target) | {"figures": metrics, "scored": scored}
