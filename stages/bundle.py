"""bundle: what is deployed.   graph, scores -> model.onnx, tokenizer.json, predict.py, README.md"""

import hashlib
import json
import shutil
from pathlib import Path

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import predict
from lmspec.methods import card
from lmspec.specs.bundle import BundleSpec


def build(spec: BundleSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Copy the graph's files, add the example and the card, and show that the example predicts."""
    scores = json.loads((needs[spec.scores] / "metrics.json").read_text(encoding="utf-8"))
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
    for name in ("model.onnx", "tokenizer.json", "lmspec.json"):
        shutil.copyfile(needs[spec.of] / name, out / name)
    shutil.copyfile(predict.__file__, out / "predict.py")
    classifier = predict.Classifier(out)
    if set(classifier.predict("A text.")) != set(classifier.labels):
        raise LmspecError("bundle", "the bundle does not predict its labels", "report this")
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}
    text = card.model_card(spec, classifier.labels, scores, files)
    (out / "README.md").write_text(text, encoding="utf-8")
    return stage.Report()


STAGE = stage.Stage(BundleSpec, build)
