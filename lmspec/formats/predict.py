"""predict: labels and probabilities from a bundle. Its packages: `pip install -r requirements.txt`.

python predict.py "A text." "Another one."
python predict.py < texts.txt                            one text a line
python predict.py --csv reviews.csv --text review        the table, with two columns more
python predict.py --jsonl reviews.jsonl --text review    the objects, with two fields more

Each text has one answer, in order; a text of white space alone has an empty one. The answer of a
bundle that abstains may be `unsure`, in place of the most probable label. Exit status: 0;
1 if the input cannot be read on, or a file of the bundle is not the one that was built (standard
error says where); 2 for wrong arguments; 3 if every text has its answer, and some had bytes that
are not UTF-8, read as U+FFFD (standard error: the lines).
"""

import argparse
import io
import itertools
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else its import begins to report
import onnxruntime

from lmspec.formats.manifest import Damaged, checked
from lmspec.formats.predict_forms import (
    CONTROLS,
    STOPPED,
    SURROGATES,
    Notes,
    add_arguments,
    answer_each,
    check_arguments,
    positive,
    tell,
)
from lmspec.formats.targets import NAME, Unsuited, session
from lmspec.methods.abstaining import UNSURE, is_unsure
from lmspec.methods.ngrams import tokenizer
from lmspec.methods.reading import Ids, Reader, Windows, predicted, probabilities
from lmspec.methods.repairing import repair

Answer = dict[str, float]  # label -> probability, the most probable first
PREDICTED, CONFIDENCE, PROBABILITY = "predicted", "confidence", "probability"
GRAPH, TOKENIZER, ABOUT = DATA = ("model.onnx", "tokenizer.json", "lmspec.json")
OPTIONAL = (NAME,)


class Classifier:
    """A bundle, loaded once. Threads may share it.

    folder   holds model.onnx, tokenizer.json and lmspec.json
    threads  that a prediction uses
    check    hash the files, and raise Damaged unless they are those of manifest.json
    target   which of targets.json, by its name, computes; without it, the first that this machine
             runs. The attribute is its Target; None if there is one graph alone. Raises Unsuited
    labels   in the order of the model's outputs
    abstains may its answer be `unsure`?
    reader   what it reads of a text
    """

    labels: list[str]
    max_length: int | None  # tokens that are read at once; None if it reads n-grams alone

    def __init__(
        self,
        folder: Path | str,
        threads: int = 1,
        check: bool = True,
        target: str | None = None,
    ) -> None:
        folder = Path(folder)
        if check:
            checked(folder, DATA, OPTIONAL)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        self.labels = about["labels"]
        self._pad_id: int = about["pad_id"]
        self._clean: Mapping[str, bool] = about["clean"]
        self._thresholds: Mapping[str, float] | None = about.get("thresholds")
        self.abstains = self._thresholds is not None
        self.target, self._session = session(folder, GRAPH, options, target)
        self.reader = Reader(tokenizer(folder / TOKENIZER), about["long_texts"])
        self.max_length = self.reader.max_length
        self._outputs = [self._session.get_outputs()[0].name]
        self._encode, self._special = _of_tokens(self.reader)
        self._mask = np.ones((1, self.max_length or 1), np.int64)

    def predict(self, text: str) -> Answer:
        """The probability of each label, the most probable first.

        Empty for a text of white space alone: there is nothing to read.
        """
        return self.answer(text)[0]

    def answer(self, text: str) -> tuple[Answer, int]:
        """The same, and how many tokens the text has.

        A text that is read at once, as most are, takes a shorter way to the same bits: after a
        graph has filled the caches of a processor, its Python takes three times as long.
        """
        cleaned = self.clean(text)
        if not cleaned:
            return {}, 0
        ids = self._encode(cleaned).ids if self._encode else ()
        if not 0 < len(ids) <= self._mask.shape[1]:
            windows = self.reader.read([cleaned])
            return self.answers(windows)[0], int(windows.tokens.sum())
        logits = self._logits(np.array([ids], np.int64), self._mask[:, : len(ids)])
        return self._sorted(probabilities(logits)[0].tolist()), len(ids) - self._special

    def label(self, answer: Answer) -> str | None:
        """What is answered: the most probable label, or `unsure`; None if nothing was read."""
        if not answer:
            return None
        if self._thresholds is not None and is_unsure(answer, self._thresholds):
            return UNSURE
        return next(iter(answer))

    def predict_many(self, texts: Iterable[str], batch_size: int = 1) -> list[Answer]:
        """The answer to each text, in order.

        batch_size  texts, or windows of long ones, at a time. With more than one, an int8 model's
                    probabilities change a little with the company that a text is in.
        """
        cleaned = [self.clean(text) for text in texts]
        answers: list[Answer] = [{} for _ in cleaned]
        readable = [i for i, text in enumerate(cleaned) if text]
        if not readable:
            return answers
        windows = self.reader.read([cleaned[i] for i in readable])
        for i, answer in zip(readable, self.answers(windows, batch_size), strict=True):
            answers[i] = answer
        return answers

    def answers(self, windows: Windows, batch_size: int = 1) -> list[Answer]:
        """The answer to each text, of which the reader gave these windows."""
        rows = predicted(self._logits, windows, self._pad_id, batch_size)  # (n, k)
        return [self._sorted(row) for row in rows.tolist()]

    def clean(self, text: str) -> str:
        """The text as the corpus repaired those that the model was trained on."""
        if SURROGATES.search(text):  # no UTF-8: halves of pairs, as JSON can escape them
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return repair(text, **self._clean)

    def _logits(self, input_ids: Ids, attention_mask: Ids) -> Any:
        """input_ids, attention_mask (b, t) -> logits (b, k)."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        return np.asarray(self._session.run(self._outputs, inputs)[0], np.float32)

    def _sorted(self, row: Sequence[float]) -> Answer:
        return dict(sorted(zip(self.labels, row, strict=True), key=lambda one: -one[1]))


def _of_tokens(reader: Reader) -> tuple[Any, int]:
    """What encodes texts of which tokens alone are read, and how many of these are special; None
    if other things are read, or tokens without an end."""
    if reader.max_length is None or reader.beside_ngrams or not reader.is_of_tokens:
        return None, 0
    # public names would put that module's change in the key of every training
    return reader._tokenizer.encode, reader._before + reader._after


class Labels:
    """How labels are written: a `Layout` of predict_forms.

    top  how many; all of them as lines, and as further columns or fields, with `probabilities`

    Where the answer is `unsure`, that is in place of the first, beside its probability.
    """

    def __init__(self, classifier: Classifier, top: int, probabilities: bool) -> None:
        labels = classifier.labels
        self._label = classifier.label
        self.labels = labels if probabilities else ()
        self.top = min(top, len(labels))
        self.of_line = len(labels) if probabilities else self.top
        self.columns = [
            f"{name}{'' if n == 1 else f'_{n}'}"
            for n in range(1, self.top + 1)
            for name in (PREDICTED, CONFIDENCE)
        ]
        self.columns += [f"{PROBABILITY}_{label}" for label in self.labels]
        self.fields = (PREDICTED, CONFIDENCE, "probabilities")

    def text(self, value: Any) -> str:
        """Numbers are texts."""
        if isinstance(value, (dict, list, bool)):
            raise ValueError("is not a text")
        return str(value)

    def cells(self, answer: Answer) -> list[str]:
        """One for each column; empty without an answer."""
        best = self._best(answer, self.top)
        cells = [part for label, p in best for part in (label, f"{p:.6f}")]
        cells += [""] * (2 * self.top - len(cells))
        return cells + [f"{answer[label]:.6f}" if answer else "" for label in self.labels]

    def values(self, answer: Answer) -> dict[str, Any]:
        """By field; null without an answer."""
        confidence = next(iter(answer.values()), None)
        values = {PREDICTED: self._label(answer), CONFIDENCE: confidence and round(confidence, 6)}
        if self.top != 1 or self.labels:
            best = itertools.islice(answer.items(), None if self.labels else self.top)
            return values | {"probabilities": {label: round(p, 6) for label, p in best}}
        return values

    def line(self, text: str, answer: Answer) -> str:
        """Labels and probabilities, then the text."""
        best = self._best(answer, self.of_line)
        shown = [part for label, p in best for part in (label, f"{p:.4f}")]
        shown = shown or [""] * 2 * self.of_line
        return "\t".join(CONTROLS.sub(" ", part) for part in (*shown, text))

    def _best(self, answer: Answer, most: int) -> list[tuple[str, float]]:
        """The answer, then the labels that come after the first."""
        best = list(itertools.islice(answer.items(), most))
        return [(self._label(answer) or "", p) for _, p in best[:1]] + best[1:]


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser, "text")
    parser.add_argument("--top", metavar="K", type=positive, default=1, help="the K best labels")
    parser.add_argument("--probabilities", action="store_true", help="of every label")
    parser.add_argument(
        "--batch-size",
        metavar="N",
        type=positive,
        default=1,
        help="texts at a time: faster, but in int8 those of a batch change each other a little",
    )
    parser.add_argument(
        "--target", metavar="NAME", help="of targets.json, in place of the first that runs here"
    )
    options = parser.parse_args(given)
    check_arguments(parser, options)
    return options


def main(given: Sequence[str] | None = None) -> int:
    """Answer each text. Returns the exit status."""
    options = arguments(given)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    try:
        classifier = Classifier(Path(__file__).parent, options.threads, target=options.target)
    except (Damaged, Unsuited) as error:
        tell(str(error))
        return STOPPED
    if classifier.target:
        tell(f"target {classifier.target.name}, graph {classifier.target.graph}")
    layout = Labels(classifier, options.top, options.probabilities)
    size = options.batch_size

    def answer(texts: Sequence[str]) -> list[Answer]:
        return classifier.predict_many(texts, size)

    chunk = 1 if size == 1 else 32 * size  # of them sorted by length
    return answer_each(options, layout, answer, chunk, Notes())


if __name__ == "__main__":
    sys.exit(main())
