"""bundle: what is deployed.   graph, scores -> model.onnx, predict.py, README.md, manifest.json"""

import hashlib
import importlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import deployed, documents, manifest, predict
from lmspec.methods import agreement, card, evidence, folders, shares
from lmspec.methods.abstaining import UNSURE
from lmspec.specs.base import Ref, references
from lmspec.specs.bundle import BundleSpec

# by their names: each is in the key of such bundles alone
WRITING, TARGETS = "stages.writing_bundle", "stages.targets_bundle"
CARD = "stages.card_bundle"
SIXTH_DIGIT = 1e-6


def build(spec: BundleSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Copy the graph's files, add code and card, and check that it answers as it was scored."""
    scores = json.loads((needs[spec.scores] / "metrics.json").read_text(encoding="utf-8"))
    require_complete(spec, scores)
    require_suited(spec, needs[spec.of])
    if spec.generation is not None:
        writing = importlib.import_module(WRITING)
        report: stage.Report = writing.build(spec, spec.generation, scores, needs, out)
        write_manifest(spec, needs, out)
        return report
    for name in predict.DATA:
        shutil.copyfile(needs[spec.of] / name, out / name)
    if not deployed.write(out):
        stage.say("requirements.txt has no hashes: lmspec does not know those of these versions")
    classifier = predict.Classifier(out, check=False)  # the manifest comes last
    require_scored_answers(classifier, spec.of, spec.scores, needs)
    targets = write_targets(spec, needs, out)
    about = json.loads((out / "lmspec.json").read_text(encoding="utf-8"))
    write_evidence(spec, needs, out)
    reader = classifier.reader
    reads = card.Reads(about["clean"], reader.max_length, reader.long_texts, reader.beside_ngrams)
    longer = importlib.import_module(CARD) if spec.card else None
    further = [*card.privacy(about.get("private"))]
    if longer:
        further += longer.sections(spec, needs, classifier.labels, scores["metrics"])
    text = card.model_card(spec, classifier.labels, scores, hashes(out), reads, targets, further)
    (out / "README.md").write_text(text, encoding="utf-8")
    if longer:
        (out / longer.PAGE).write_text(longer.page(text), encoding="utf-8", newline="\n")
    write_manifest(spec, needs, out)
    return stage.Report()


def hashes(out: Path) -> dict[str, str]:
    """Path in the bundle -> SHA-256."""
    paths = [path for path in out.rglob("*") if path.is_file()]
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def write_targets(spec: BundleSpec, needs: stage.Needs, out: Path) -> list[Mapping[str, Any]]:
    """The graphs of what it runs on; what the card says of each."""
    if not spec.targets:
        return []
    found: list[Mapping[str, Any]] = importlib.import_module(TARGETS).build(
        spec,
        needs,
        out,
        lambda classifier, of, scores: require_scored_answers(classifier, of, scores, needs),
    )
    return found


def write_evidence(spec: BundleSpec, needs: stage.Needs, out: Path) -> None:
    """What people who are asked to trust the answers want to see, for the page of `lmspec serve`.

    Texts only as many as the spec has: a bundle travels further than its test texts may.
    """
    table = documents.read(needs[spec.scores] / "predictions.parquet", evidence.Row._fields)
    rows = [evidence.Row(*row) for row in table.select(evidence.Row._fields).iter_rows()]
    values = {
        "of": spec.of,
        "scores": spec.scores,
        "confidence": shares.CONFIDENCE,
        "accuracies": evidence.accuracies(rows),
        "mistakes": evidence.mistakes(rows, spec.mistakes or 0),
    }
    text = json.dumps(values, ensure_ascii=False, indent=1) + "\n"
    (out / "scores.json").write_text(text, encoding="utf-8", newline="\n")


def write_manifest(spec: BundleSpec, needs: stage.Needs, out: Path) -> None:
    """Beside all other files of a bundle, so last."""
    further = [ref for part in (*spec.targets, spec.card) for _, ref in references(part)]
    made_from = {
        str(ref): folders.sha256(needs[ref])
        for ref in dict.fromkeys((spec.of, spec.scores, *further))
    }
    serving = spec.serving.model_dump() if spec.serving else None
    manifest.write(out, spec.title, made_from, serving)


def require_complete(spec: BundleSpec, scores: dict[str, Any]) -> None:
    """Raise LmspecError if the scores are of another graph, or of an older stage script."""
    if scores["of"] != spec.of:
        raise LmspecError(
            "bundle.scores",
            f"{spec.scores} scores {scores['of']}, and the bundle holds {spec.of}",
            f"name scores of {spec.of}",
        )
    if "accepted_overlap" not in scores:
        raise LmspecError(
            "bundle.scores",
            f"{spec.scores} does not say how many test texts {spec.of} has seen",
            "have stages/scores.py write `accepted_overlap` and `overlap`, as that of lmspec does",
        )


def require_suited(spec: BundleSpec, graph: Path) -> None:
    """Raise LmspecError if labels or answers are declared, and the graph has the other."""
    about = json.loads((graph / "lmspec.json").read_text(encoding="utf-8"))
    writes = "prompt" in about
    if writes and spec.generation is None:
        found = "the graph writes, and nothing says how"
        raise LmspecError(f"bundle, of {spec.of}", found, "say so: `generation`")
    if not writes and spec.generation is not None:
        found = "the graph tells labels apart, and generates nothing"
        raise LmspecError(f"bundle, of {spec.of}", found, "remove `generation`")


def require_scored_answers(
    classifier: predict.Classifier, of: Ref, scored: Ref, needs: stage.Needs
) -> None:
    """Raise LmspecError if predict.py answers test texts otherwise than the scores have it.

    of, scored  artifacts of the graph, and of its scores
    """
    scores = json.loads((needs[scored] / "metrics.json").read_text(encoding="utf-8"))
    table = documents.read(needs[scored] / "predictions.parquet")
    rows = agreement.sample(table.select("text", "predicted", "confidence").rows())
    same = [row for row in rows if classifier.clean(row[0]) == row[0]]
    if len(same) < len(rows):
        stage.say(
            f"warning: predict.py repairs {len(rows) - len(same)} of {len(rows)} scored texts, as "
            f"the training texts of {of} were: a scored dataset has another `clean`"
        )
    answers = classifier.predict_many([text for text, *_ in same])
    together = of.noun in ("quantized", "calibrated") and scores.get("batch_size", 1) > 1
    found = agreement.difference(same, answers, together)
    if found:
        raise LmspecError(
            f"bundle, of {of}",
            f"predict.py does not answer as {scored} has it: {found}",
            "build both again with `dvc repro -f`; if it is the same again, report it",
        )
    require_scored_doubts(classifier, of, scored, table)


def require_scored_doubts(
    classifier: predict.Classifier, of: Ref, scored: Ref, table: pl.DataFrame
) -> None:
    """Raise LmspecError if predict.py is unsure of other texts than the scores have it.

    Where a probability is another in its sixth digit, the answer may be another, too.
    """
    if "unsure" not in table.columns:
        return
    rows = table.select("text", "confidence", "unsure").rows()
    for text, confidence, unsure in rows[:: max(1, -(-len(rows) // agreement.CHECKED))]:
        answer = classifier.predict(text)
        same = answer and abs(next(iter(answer.values())) - confidence) < SIXTH_DIGIT
        if same and (classifier.label(answer) == UNSURE) != unsure:
            found = f"predict.py answers {classifier.label(answer)!r} to {text[:60]!r}"
            remedy = "build both again with `dvc repro -f`; if it is the same again, report it"
            raise LmspecError(f"bundle, of {of}", f"{found}, and {scored} does not", remedy)


STAGE = stage.Stage(BundleSpec, build)
