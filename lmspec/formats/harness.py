r"""harness: a model or a graph that writes, as lm-evaluation-harness asks it.

    python -m lmspec.formats.harness run --tasks arc_easy \
        --model lmspec --model_args folder=data/quantized/release

or `lm_eval.simple_evaluate(Harness("data/quantized/release"), tasks=["arc_easy"])`. It needs the
extra `lm-eval`. Nothing of lmspec imports this module, so it is in no cache key, and no gate sees
what it measures: scores with `choices` are for that.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm

from lmspec.errors import LmspecError
from lmspec.formats import decoder, kinds
from lmspec.writing import generating
from lmspec.writing.generating import Ids
from lmspec.writing.likelihood import nats
from lmspec.writing.prompting import ASSISTANT, PromptError, Turn
from lmspec.writing.sampling import Sampling

CAUSAL = "causal"
PENALTY = "repetition_penalty"
KNOWN = {"until", "do_sample", "temperature", "top_p", "top_k", "min_p", "seed", PENALTY}
KNOWN |= {"max_gen_toks"}
Tokens = tuple[Any, list[int], list[int]]  # the texts of a request, their ids


@register_model("lmspec")
class Harness(TemplateLM):
    """A folder of a built model (`kind: causal`) or graph (`format: cache`).

    threads     of a graph
    batch_size  texts that are generated side by side; neither they nor likelihoods depend on it
    Raises LmspecError if the folder holds neither.
    """

    backend = "causal"

    def __init__(
        self,
        folder: str,
        threads: int = 1,
        batch_size: int | str = 8,
        max_batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__()
        self.folder = Path(folder)
        if not (self.folder / "lmspec.json").is_file():
            found, remedy = "it holds no model of lmspec", "name a folder such as data/model/NAME"
            raise LmspecError(folder, found, remedy)
        kind = kinds.kind_of(self.folder)
        self.decoder: generating.Decoder
        if kind == decoder.KIND:
            graph = decoder.read(self.folder, int(threads))
            self.writer, self.decoder = graph.writer, graph.decoder
        elif kind == CAUSAL:
            from lmspec.formats import writer  # here: graphs need no torch
            from lmspec.writing.torchdecoder import TorchDecoder

            model = writer.read(self.folder)
            if device:
                model.model.to(device)
            self.writer, self.decoder = model.writer, TorchDecoder(model.model)
        else:
            raise LmspecError(folder, f"a {kind} writes nothing", "name a model that writes")
        self.batch_size = int(batch_size) if str(batch_size).isdecimal() else 8

    @property
    def eot_token_id(self) -> int:
        """The end of an answer."""
        return self.writer.end_id

    @property
    def prefix_token_id(self) -> int:
        """What a text without a context begins after."""
        bos = self.writer.bos_id
        return self.eot_token_id if bos is None else bos

    @property
    def max_length(self) -> int:
        """Tokens that it reads at once."""
        return self.decoder.positions

    @property
    def tokenizer_name(self) -> str:
        """Under which requests are cached."""
        return str(self.folder.resolve())

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: Any
    ) -> list[int]:
        """Ids of a text, in which special tokens are read; the tokenizer's own first one is before
        it, once, unless `add_special_tokens` is false."""
        ids = list(self.writer.tokenizer.encode(string, add_special_tokens=False).ids)
        bos = self.writer.bos_id
        if bos is not None and add_special_tokens is not False and ids[:1] != [bos]:
            ids.insert(0, bos)
        return ids

    def apply_chat_template(
        self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A conversation in the model's own template; an answer that goes on has no end."""
        turns: list[Turn] = [(turn["role"], turn["content"]) for turn in chat_history]
        try:
            shown = "".join(text for text, _ in self.writer.shown(turns))
        except PromptError as error:
            raise LmspecError(str(self.folder), error.found, error.remedy) from error
        goes_on = bool(turns) and turns[-1][0] == ASSISTANT and not add_generation_prompt
        return shown.removesuffix(self.writer.end) if goes_on else shown

    def chat_template(self, chat_template: bool | str = False) -> str:
        """What the results name as the template."""
        return json.dumps(dict(self.writer.prompt))

    def _loglikelihood_tokens(
        self, requests: Sequence[Tokens], disable_tqdm: bool = False, **_: Any
    ) -> list[tuple[float, bool]]:
        """(log probability, is it what greedy decoding writes?) of each continuation.

        Of a longer text than the model reads the beginning is left out, as of other models there.
        """
        read = [
            np.array([*before, *after][-(self.max_length + 1) :]) for _, before, after in requests
        ]
        logits = self.decoder.logits([ids[:-1] for ids in read])
        found = []
        each = zip(requests, read, tqdm(logits, total=len(read), disable=disable_tqdm), strict=True)
        for (texts, _before, after), ids, values in each:
            if len(after) > len(values):
                where = f"{len(after):,} tokens of a continuation"
                remedy = f"it reads {self.max_length:,}: leave the task out"
                raise LmspecError(str(self.folder), f"{where} are more than it reads", remedy)
            last = values[len(values) - len(after) :]
            own = ids[len(ids) - len(after) :]
            answer = -nats(last, own), bool((last.argmax(-1) == own).all())
            found.append(answer)
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return found

    def loglikelihood_rolling(
        self, requests: Sequence[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Log probability of each text, each token given as many before it as the model reads."""
        found = []
        for request in tqdm(requests, disable=disable_tqdm):
            ids = self.tok_encode(request.args[0], add_special_tokens=False)
            windows = get_rolling_token_windows(ids, self.prefix_token_id, self.max_length, 1)
            parts: list[Tokens] = [(None, *make_disjoint_window(window)) for window in windows]
            found.append(sum(value for value, _ in self._loglikelihood_tokens(parts, True)))
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, found[-1])
        return found

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """A text after each context, up to one of its stop strings, by lmspec's own engine.

        A sampled text depends on its context and `seed`, not on the others.
        """
        asked = tqdm(map(self._request, requests), total=len(requests), disable=disable_tqdm)
        written = generating.texts(
            self.decoder, asked, self.writer.tokenizer, [self.eot_token_id], self.batch_size
        )
        found = [each.text for each in written]
        for request, text in zip(requests, found, strict=True):
            self.cache_hook.add_partial("generate_until", request.args, text)
        return found

    def _request(self, request: Instance) -> generating.Request:
        context, given = request.args
        rule = dict(normalize_gen_kwargs(given))
        if unknown := sorted(rule.keys() - KNOWN):
            found = f"it cannot generate with {', '.join(unknown)}"
            raise LmspecError(str(self.folder), found, "leave that out of `gen_kwargs`")
        most = int(rule["max_gen_toks"])
        if (room := self.max_length - most) < 1:
            found = f"{most:,} new tokens are more than it reads at once, {self.max_length:,}"
            raise LmspecError(str(self.folder), found, "lower `max_gen_toks`")
        ids: Ids = np.array(self.tok_encode(context)[-room:] or [self.prefix_token_id])
        stop = tuple(text for text in rule["until"] if text and text != self.writer.end)
        penalty = rule.get(PENALTY)
        key = generating.key_of(ids)
        return generating.Request(ids, most, _sampling(rule), stop, key, penalty)


def _sampling(rule: Mapping[str, Any]) -> Sampling | None:
    """None for greedy decoding."""
    if not rule.get("do_sample") or not rule.get("temperature"):
        return None
    top_p, top_k, min_p = (rule.get(name) for name in ("top_p", "top_k", "min_p"))
    return Sampling(float(rule["temperature"]), top_p, top_k, min_p, int(rule.get("seed", 0)))


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
