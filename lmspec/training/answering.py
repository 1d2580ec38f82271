"""answering: a teacher's own answers in place of those of some examples.

Source: Kim & Rush 2016, arXiv:1606.07947 (sequence-level knowledge distillation).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from lmspec.methods import packing
from lmspec.methods.reading import Ids
from lmspec.training.progress import say
from lmspec.writing.generating import Request, texts
from lmspec.writing.torchdecoder import ROWS, TorchDecoder

ANSWERED = 8  # number of its stream of draws
AT_ONCE = 16 * ROWS  # prompts from one line of progress to the next


@dataclass(frozen=True)
class Teacher:
    """What answers.

    end_id      token with which an answer ends
    max_length  tokens of an example, at most
    """

    model: PreTrainedModel
    tokenizer: Tokenizer
    end_id: int
    max_length: int

    def answers(self, prompts: Sequence[Ids]) -> list[Ids | None]:
        """The greedy answer to each, with its end; None if it does not end in time."""
        requests = [Request(ids, self.max_length - len(ids)) for ids in prompts]
        decoder = TorchDecoder(self.model)
        found: list[Ids | None] = []
        for i in range(0, len(requests), AT_ONCE):
            some = requests[i : i + AT_ONCE]
            written = texts(decoder, some, self.tokenizer, [self.end_id], ROWS)
            found += [text.ids if text.stopped == "end" else None for text in written]
            say(f"the teacher has answered {len(found):,} of {len(requests):,} prompts")
        return found


def drawn(count: int, share: float, seed: int) -> Ids:
    """Positions of a share of so many examples, ascending."""
    random = np.random.default_rng([seed, ANSWERED])
    return np.sort(random.permutation(count)[: round(share * count)])


def last_answer(learned: Ids) -> int:
    """Where it begins in an example."""
    places = np.flatnonzero(learned)
    (gaps,) = np.nonzero(np.diff(places) > 1)
    return int(places[gaps[-1] + 1] if len(gaps) else places[0])


def with_answers(
    ids: Sequence[Ids], learned: Sequence[Ids], answers: Mapping[int, Ids]
) -> tuple[packing.Packed, packing.Packed]:
    """(ids, learned) of all examples, some with another last answer."""
    begins = {row: last_answer(learned[row]) for row in answers}

    def changed(row: int, own: Ids, tail: Ids) -> Ids:
        return np.concatenate([own[: begins[row]], tail])

    one = (changed(i, own, answers[i]) if i in answers else own for i, own in enumerate(ids))
    two = (
        changed(i, own, np.ones_like(answers[i])) if i in answers else own
        for i, own in enumerate(learned)
    )
    return packing.packed(one), packing.packed(two, np.int8)
