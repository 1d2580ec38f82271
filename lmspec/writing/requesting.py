"""requesting: `generation` of a spec -> requests to a model that writes."""

from lmspec.specs.generation import Decoding, Greedy, Sample
from lmspec.writing.generating import Constraint, Ids, Request, key_of
from lmspec.writing.sampling import Sampling


def requested(
    ids: Ids, rule: Decoding, constraint: Constraint | None = None, key: int | None = None
) -> Request:
    """The answer to a prompt (t,).

    constraint  of the answer: that of `rule`, ready for the tokenizer
    key         of the draws, beside their seed; None: that of the prompt
    Raises ValueError if the prompt is empty.
    """
    return Request(
        ids,
        rule.new_tokens,
        _sampling(rule.decode),
        rule.stop,
        key_of(ids) if key is None else key,
        rule.repetition_penalty,
        constraint,
        rule.end_penalty or 0.0,
    )


def _sampling(decode: Greedy | Sample) -> Sampling | None:
    if isinstance(decode, Greedy):
        return None
    return Sampling(decode.temperature, decode.top_p, decode.top_k, decode.min_p, decode.seed)
