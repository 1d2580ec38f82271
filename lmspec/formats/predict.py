"""predict: labels and probabilities from a bundle; needs onnxruntime, tokenizers and numpy.

python predict.py "A text." "Another one."        or one text a line on standard input
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer


class Classifier:
    """A bundle, loaded once."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
        self.labels: list[str] = about["labels"]
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def predict(self, text: str) -> dict[str, float]:
        """The probability of each label.

        One text at a time: with int8, batch-mates would change the answer a little.
        """
        ids = np.asarray([self.tokenizer.encode(text).ids], np.int64)
        (logits,) = self.session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        powers = np.exp(logits[0].astype(np.float64) - logits[0].max())
        return dict(zip(self.labels, (powers / powers.sum()).tolist(), strict=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="The most probable label of each text, its probability, and the text."
    )
    parser.add_argument("text", nargs="*", help="texts; without any, one a line on standard input")
    given = parser.parse_args().text
    if not given and sys.stdin.isatty():
        parser.error("give texts, or lines on standard input")
    classifier = Classifier(Path(__file__).parent)
    for line in given or (line.rstrip("\n") for line in sys.stdin):
        if not line.strip():
            continue
        probability = classifier.predict(line)
        best = max(probability, key=lambda label: probability[label])
        print(f"{best}\t{probability[best]:.4f}\t{line}")
