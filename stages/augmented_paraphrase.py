"""augmented, paraphrase: texts in other words, by a model that writes.   model -> made texts"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lmspec import stage
from lmspec.errors import LmspecError, some
from lmspec.formats import kinds, writer
from lmspec.methods import augmenting, paraphrasing, reading, repairing
from lmspec.methods.augmenting import Made, Text
from lmspec.methods.predicting import Predictor
from lmspec.specs.augmented import Paraphrase
from lmspec.specs.base import Ref
from lmspec.specs.generation import Decoding
from lmspec.specs.scores import GRAPHS, format_of
from lmspec.writing import generating
from lmspec.writing.prompting import ASSISTANT, USER, PromptError, Writer
from lmspec.writing.requesting import requested
from lmspec.writing.torchdecoder import TorchDecoder

EVERY = 50  # texts from one line of progress to the next
BATCH = 64
DISAGREED = "disagreed"
KEYS = 2**63
ENDED = ("end", "stop")


class Asked(NamedTuple):
    """One paraphrase to be written. place: of its row; key: of its draws."""

    place: int
    copy: int
    key: int


def of_rows(
    kind: Paraphrase,
    key: Sequence[int],
    rows: Sequence[Text],
    needs: stage.Needs,
    clean: Mapping[str, bool],
) -> Iterator[tuple[int, Made | str]]:
    """(place of a row, what is made of it, or why nothing is).

    clean  how the corpus repaired its texts: what is judged is what a model will read
    Raises LmspecError if the model writes nothing, or the classifier has other labels.
    """
    if (found := kinds.kind_of(needs[kind.of])) != "causal":
        remedy = "name a model of kind causal"
        raise LmspecError("augmented.add", f"{kind.of} is of kind {found} and writes none", remedy)
    wanted = [
        Asked(place, copy, int(draw.integers(KEYS)))
        for place, row in enumerate(rows)
        for copy, draw in augmenting.drawn(kind, key, row.id)
    ]
    bounds = kind.min_length, kind.max_length
    judge = judge_of(kind, {row.label for row in rows}, needs) if kind.agrees else None
    stage.say(f"{kind.of} writes {len(wanted):,} paraphrases")
    texts = [
        repairing.repair(paraphrasing.unquoted(text), **clean)
        for text in written(kind, rows, wanted, needs)
    ]
    faults = {
        i: fault
        for i, (one, text) in enumerate(zip(wanted, texts, strict=True))
        if (fault := paraphrasing.fault(rows[one.place].text, text, *bounds))
    }
    if judge:
        left = {i: text for i, text in enumerate(texts) if i not in faults}
        for i, label in answered(judge, left, kind.agrees):
            if label != rows[wanted[i].place].label:
                faults[i] = DISAGREED
    for i, (one, text) in enumerate(zip(wanted, texts, strict=True)):
        yield one.place, faults.get(i) or Made(text, rows[one.place].label, one.copy)


def written(
    kind: Paraphrase, rows: Sequence[Text], wanted: Sequence[Asked], needs: stage.Needs
) -> list[str]:
    """The text of each; "" of one that does not end in time, or whose text would be cut."""
    model = writer.read(needs[kind.of])
    model.model.to(needs.machine.device)
    rule = Decoding(
        decode=kind.decode,
        new_tokens=kind.new_tokens,
        stop=kind.stop,
        repetition_penalty=None,
        constraint=None,
    )
    prompts = [
        paraphrasing.asked(kind.prompt, rows[one.place].text, rows[one.place].label)
        for one in wanted
    ]
    whole = [i for i, prompt in enumerate(prompts) if not is_cut(model.writer, prompt)]
    requests = (
        requested(model.writer.prompt_ids([(USER, prompts[i])]), rule, key=wanted[i].key)
        for i in counted(whole)
    )
    ends = [model.writer.end_id]
    found_of = generating.texts(
        TorchDecoder(model.model), requests, model.tokenizer, ends, kind.batch_size
    )
    texts = [""] * len(wanted)
    for i, one in zip(whole, found_of, strict=True):
        texts[i] = one.text if one.stopped in ENDED else ""
    return texts


def is_cut(model: Writer, prompt: str) -> bool:
    """Is it longer than what the model reads of it? Raises LmspecError."""
    try:
        return model.is_cut([(USER, prompt), (ASSISTANT, "")])
    except PromptError as error:
        raise LmspecError("architecture.prompt", error.found, error.remedy) from error


def counted(numbers: Sequence[int]) -> Iterator[int]:
    """The same, in order; says now and then how many were begun."""
    for done, number in enumerate(numbers):
        if done and done % EVERY == 0:
            stage.say(f"{done:,} of {len(numbers):,} paraphrases")
        yield number


def judge_of(kind: Paraphrase, labels: set[str], needs: stage.Needs) -> Predictor:
    """The classifier that must agree. Raises LmspecError if it does not know the labels."""
    assert kind.agrees is not None
    read = importlib.import_module(format_of(kind.agrees)).predictor
    judge: Predictor = read(needs[kind.agrees], needs.bits, needs.machine)
    if unknown := sorted(labels - {*judge.labels}):
        found = f"{kind.agrees} knows no label {some(unknown)}"
        raise LmspecError("augmented.add", found, "name a classifier of the same labels")
    return judge


def answered(
    judge: Predictor, texts: Mapping[int, str], name: Ref | None
) -> Iterator[tuple[int, str]]:
    """(number, label) of each text."""
    if not texts:
        return
    batch = 1 if name and name.noun in GRAPHS else BATCH  # texts in int8 affect each other
    windows = judge.reader.read(list(texts.values()))
    answers = reading.predicted(judge.forward, windows, judge.pad_id, batch)
    yield from zip(texts, (judge.labels[i] for i in answers.argmax(1)), strict=True)
