"""parity: a model and what is made of it answer alike, or the first other token is explained."""

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from lmspec.errors import LmspecError
from lmspec.writing import fidelity
from lmspec.writing.generating import Decoder, Ids

NEW_TOKENS = 24  # of an answer


def answered_alike(
    place: str,
    model: Decoder,
    made: Decoder,
    prompts: Sequence[Ids],
    tokenizer: Tokenizer,
    end_id: int,
    max_logit_difference: float,
) -> tuple[float, list[str]]:
    """(share of the prompts that both answer with the same tokens, lines for people).

    Raises LmspecError if an answer differs though the model was more sure of its token than two
    logits may be off.
    """
    room = min(NEW_TOKENS, *(made.positions - len(ids) for ids in prompts))
    both = [fidelity.greedy(each, prompts, end_id, room) for each in (model, made)]
    same, lines = 0, []
    for ids, one, other in zip(prompts, *both, strict=True):
        if one == other:
            same += 1
            continue
        line, margin = explained(model, made, tokenizer, ids, one, other)
        if margin > 2 * max_logit_difference:
            raise LmspecError(place, line, "do not ship it: report the model")
        lines.append(line)
    lines.append(f"{same} of {len(prompts)} dev prompts are answered as by the model")
    return same / len(prompts), lines


def explained(
    model: Decoder,
    made: Decoder,
    tokenizer: Tokenizer,
    ids: Ids,
    one: Sequence[int],
    other: Sequence[int],
) -> tuple[str, float]:
    """(where two answers part, and the logits there; how sure the model was of its token)."""
    place = fidelity.common(one, other)
    before = np.concatenate([ids, np.array(one[:place], np.int64)])
    own, others = (next(iter(each.logits([before])))[-1] for each in (model, made))
    first, second = one[place], other[place]
    margin = float(own[first] - own[second])
    names = [repr(tokenizer.id_to_token(token)) for token in (first, second)]
    line = (
        f"token {place + 1} of an answer is {names[1]} in place of {names[0]}: their logits are"
        f" {others[second]:.6g} and {others[first]:.6g}, those of the model {own[second]:.6g} and"
        f" {own[first]:.6g}, a margin of {margin:.3g}"
    )
    return line, margin
