"""predict: labels and probabilities of texts, from a bundle, with onnxruntime, tokenizers and numpy alone.

python predict.py "A text." "Another one."        or one text a line on standard input
"""

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
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def predict(self, text: str) -> dict[str, float]:
        """The probability of each label. One text at a time: with int8, batch-mates would change the answer a little."""
        ids = np.asarray([self.tokenizer.encode(text).ids], np.int64)
        (logits,) = self.session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        powers = np.exp(logits[0].astype(np.float64) - logits[0].max())
        return dict(zip(self.labels, (powers / powers.sum()).tolist(), strict=True))


if __name__ == "__main__":
    classifier = Classifier(Path(__file__).parent)
    for line in sys.argv[1:] or (line.rstrip("\n") for line in sys.stdin):
        probability = classifier.predict(line)
        best = max(probability, key=lambda label: probability[label])
        print(f"{best}\t{probability[best]:.4f}\t{line}")
