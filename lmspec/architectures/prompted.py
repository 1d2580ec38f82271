"""prompted: a model that writes, asked for a label: the likelihood of words that stand for it.

Source: Brown et al. 2020, arXiv:2005.14165; the calibrations: specs/prompted.py.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, normalizers, processors
from torch import Tensor, nn
from transformers import PreTrainedModel

from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.methods.network import Output
from lmspec.specs.architecture import Causal, Prompted
from lmspec.specs.checks.prompted import SLOT

FILE = "words.json"
BEFORE, AFTER = "[before]", "[after]"  # names of the prompt's parts in tokenizer.json
LEAST_ROOM = 4  # tokens of a text that the prompt must leave
Words = tuple[tuple[tuple[int, ...], ...], ...]
REMEDY = "write another word"


class PromptedClassifier(nn.Module):
    """The log likelihood of each label's words after a prompt, less an offset.

    lm      gives the logits of the next token
    words   per label the token ids of its words, whose likelihoods are added
    offset  (k,) natural logs, taken away from those of the labels
    """

    def __init__(self, lm: PreTrainedModel, words: Words, offset: Sequence[float]) -> None:
        super().__init__()
        self.lm, self.words = lm, words
        self.offset = tuple(offset)
        self.config = lm.config

    @property
    def device(self) -> torch.device:
        """Of its weights."""
        device: torch.device = self.lm.device
        return device

    def get_input_embeddings(self) -> nn.Module:
        """Those of the model that writes."""
        embeddings: nn.Module = self.lm.get_input_embeddings()
        return embeddings

    def save_pretrained(self, folder: Path) -> None:
        """Write the files of transformers, and words.json."""
        self.lm.save_pretrained(folder)
        about = {"words": self.words, "offset": self.offset}
        (folder / FILE).write_text(json.dumps(about) + "\n", encoding="utf-8")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Output:
        """input_ids, attention_mask (b, t), padded on the right -> (b, labels) logits."""
        lengths = attention_mask.sum(1)  # (b,)
        ids, mask = _padded_left(input_ids, lengths)
        goes_on = any(len(word) > 1 for words in self.words for word in words)
        out = self.lm(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            use_cache=goes_on,
            logits_to_keep=1,
        )
        first = out.logits[:, -1].float().log_softmax(-1)  # (b, vocabulary)
        labels = [
            torch.stack([self._likelihood(word, first, mask, lengths, out) for word in words])
            for words in self.words
        ]
        logits = torch.stack([each.logsumexp(0) for each in labels], dim=1)  # (b, k)
        return Output(logits - logits.new_tensor(self.offset))

    def _likelihood(
        self, word: tuple[int, ...], first: Tensor, mask: Tensor, lengths: Tensor, out: object
    ) -> Tensor:
        """(b,) natural log of the probability of a word's tokens, one after the other."""
        found = first[:, word[0]]
        if len(word) == 1:
            return found
        before = torch.tensor(word[:-1], device=mask.device).expand(len(mask), -1)  # (b, m - 1)
        following = self.lm(
            input_ids=before,
            attention_mask=torch.cat([mask, torch.ones_like(before)], 1),
            position_ids=lengths[:, None] + torch.arange(before.shape[1], device=mask.device),
            past_key_values=copy.deepcopy(out.past_key_values),  # type: ignore[attr-defined]
        )
        after = torch.tensor(word[1:], device=mask.device).expand(len(mask), -1)
        each = following.logits.float().log_softmax(-1).gather(2, after[:, :, None])
        whole: Tensor = found + each[:, :, 0].sum(1)
        return whole


def _padded_left(input_ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The same rows with what pads them before them, and their mask: all end at one place."""
    places = torch.arange(input_ids.shape[1], device=input_ids.device)
    shift = (input_ids.shape[1] - lengths)[:, None]  # (b, 1)
    ids = input_ids.gather(1, (places - shift).clamp(min=0))
    return ids, (places >= shift).to(torch.int64)


def create(
    spec: Prompted, weights: Path, labels: Sequence[str]
) -> tuple[PromptedClassifier, Tokenizer, int]:
    """The model of a source, a tokenizer that puts the prompt around a text, and the padding's id.

    Raises LmspecError if a label has no word, or a word begins as all of another label's.
    """
    like = Causal.model_construct(  # as it is; a field of type Causal names sources alone
        weights=spec.weights,
        max_length=spec.max_length,
        prompt=None,
        dropout=0.0,
        frozen_embeddings=False,
        frozen_layers=0,
        added_tokens=None,
    )
    lm, tokenizer, pad_id, _ = causal.create(like, weights)
    words = _words(spec.words, labels, tokenizer)
    ask(tokenizer, spec.template, spec.max_length)
    return PromptedClassifier(lm, words, (0.0,) * len(labels)), tokenizer, pad_id


def ask(tokenizer: Tokenizer, template: str, max_length: int) -> None:
    """Have the tokenizer put the prompt around each text, which alone is cut.

    Prompt and text are read apart; a space before the slot is read with the text.
    """
    before, after = template.split(SLOT)
    plain = Tokenizer.from_str(tokenizer.to_str())
    if before.endswith(" "):
        before = before[:-1]
        own = [plain.normalizer] if plain.normalizer else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(" "), *own])
    parts = {
        BEFORE: _beginning(plain) + plain.encode(before, add_special_tokens=False).ids,
        AFTER: plain.encode(after, add_special_tokens=False).ids,
    }
    used = sum(map(len, parts.values()))
    if used + LEAST_ROOM > max_length:
        found = f"the prompt has {used} tokens, of the {max_length} that are read with the text"
        raise LmspecError("architecture.max_length", found, "raise it, or shorten the template")
    given = {name: ids for name, ids in parts.items() if ids}
    single = " ".join(name for name in (BEFORE, "$A", AFTER) if name == "$A" or name in given)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single,
        pair=f"{single} $B:1",
        special_tokens=[
            {"id": name, "ids": ids, "tokens": [tokenizer.id_to_token(i) for i in ids]}
            for name, ids in given.items()
        ],
    )
    tokenizer.enable_truncation(max_length)


def _beginning(tokenizer: Tokenizer) -> list[int]:
    """Ids of what it puts before every text, such as a token that begins one."""
    encoding = tokenizer.encode("a")
    mask = encoding.special_tokens_mask
    return encoding.ids[: next((i for i, is_special in enumerate(mask) if not is_special), 0)]


def _words(
    given: Mapping[str, Sequence[str]], labels: Sequence[str], tokenizer: Tokenizer
) -> Words:
    """Token ids of the words of each label, in the order of the labels."""
    if lacking := [label for label in labels if not given.get(label)]:
        found = f"the label {lacking[0]!r} has no word"
        raise LmspecError("architecture.words", found, "give each label words")
    encoded = [
        [
            (word, tuple(tokenizer.encode(word, add_special_tokens=False).ids))
            for word in given[label]
        ]
        for label in labels
    ]
    every = [(label, *each) for label, words in zip(labels, encoded, strict=True) for each in words]
    for label, word, ids in every:
        if not ids:
            found = f"{word!r} has no token"
            raise LmspecError(f"architecture.words.{label}", found, REMEDY)
        for other, longer, others in every:
            if other != label and others[: len(ids)] == ids:
                found = f"{longer!r} of {other!r} begins with all tokens of {word!r}"
                found += ", which is therefore never less likely"
                raise LmspecError(f"architecture.words.{label}", found, REMEDY)
    return tuple(tuple(ids for _, ids in words) for words in encoded)


def load(folder: Path) -> PromptedClassifier:
    """The model that `save_pretrained` wrote."""
    about = json.loads((folder / FILE).read_text(encoding="utf-8"))
    words = tuple(tuple(tuple(word) for word in words) for words in about["words"])
    return PromptedClassifier(causal.load(folder), words, about["offset"])


def offset(probabilities: NDArray[np.float64]) -> tuple[float, ...]:
    """(labels,) logs of the mean probabilities, to be taken away. probabilities: (n, labels)."""
    mean = np.maximum(probabilities.mean(0), np.finfo(np.float64).tiny)
    return tuple(float(value) for value in np.log(mean))


def exportable(model: nn.Module) -> nn.Module:
    """No graph is made of it. Raises LmspecError."""
    found = "a prompted model is scored as it is: no graph is made of it"
    raise LmspecError("exported", found, "export a model that is trained, such as a student")
