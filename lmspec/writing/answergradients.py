"""answergradients: what each word of a prompt adds to the log probability of an answer, by
gradients of a network.

Weights of tokens are summed over the word that they belong to. The way begins where each token of a
word is the filler; template, earlier turns and answer stay as they are. Source: Sundararajan et al.
2017, arXiv:1703.01365; by the rule of methods/wayintegral.py.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmspec.methods import wayintegral
from lmspec.methods.attributing import Attribution
from lmspec.methods.coalitions import Coalitions
from lmspec.methods.reading import Floats, Ids
from lmspec.specs.explained import GradientTimesInput, IntegratedGradients
from lmspec.writing.prompted import Prompted

AT_ONCE = 8  # points of the way whose gradients are computed together


def made(
    method: IntegratedGradients | GradientTimesInput, network: PreTrainedModel, filler_id: int
) -> Attribution:
    """The method as a function of a prompt with its answer."""
    network.requires_grad_(False)

    def attribution(text: Coalitions, label: int, name: str) -> Floats:
        assert isinstance(text, Prompted)
        way = Way(network, text, filler_id)
        if isinstance(method, GradientTimesInput):
            return way.times_input()
        return wayintegral.integrated(way.slopes, method.steps, method.max_completeness_delta)

    return attribution


class Way:
    """From a prompt whose words are all fillers to the prompt, as embeddings (t, d)."""

    def __init__(self, network: PreTrainedModel, text: Prompted, filler_id: int) -> None:
        (prompt,), (place,), answer = text.words.ids, text.words.places, text.words.answer
        self.network, self.place, self.count = network, place, len(text.words)
        ids = np.concatenate([prompt, answer[:-1]])
        filled = np.concatenate([np.where(place >= 0, filler_id, prompt), answer[:-1]])
        with torch.no_grad():
            self.start, self.end = (self._embedded(tokens) for tokens in (filled, ids))
        self.answer = torch.from_numpy(answer).to(self.end.device)

    def likelihood(self, embeddings: Tensor) -> Tensor:
        """(m,) nats per token of the answer, for embeddings (m, t, d)."""
        logits = self.network(
            inputs_embeds=embeddings, use_cache=False, logits_to_keep=len(self.answer)
        ).logits
        each = torch.log_softmax(logits.double(), -1)
        wanted = self.answer.expand(len(each), -1)[..., None]
        return each.gather(-1, wanted)[..., 0].mean(-1)

    def slopes(self, places: Sequence[float]) -> tuple[Floats, Floats]:
        """(m, n) of the words at some places of the way, and (m,) the log probability there."""
        step, slopes, values = self.end - self.start, [], []
        for at in torch.split(torch.tensor(places).to(step), AT_ONCE):
            gradients, value = self._gradients(self.start + at[:, None, None] * step)
            slopes += [self._by_word(each * step) for each in gradients]
            values.append(value)
        return np.stack(slopes), np.concatenate(values)

    def times_input(self) -> Floats:
        """(n,) weights of words, by one gradient."""
        return self._by_word(self._gradients(self.end[None])[0][0] * self.end)

    def _gradients(self, embeddings: Tensor) -> tuple[Tensor, Floats]:
        """(m, t, d) of the log probability per token, and (m,) that."""
        point = embeddings.detach().requires_grad_()
        value = self.likelihood(point)
        (found,) = torch.autograd.grad(value.sum(), point)
        return found, value.detach().cpu().numpy()

    def _embedded(self, ids: Ids) -> Tensor:
        found: Tensor = self.network.get_input_embeddings()(
            torch.from_numpy(ids).to(self.network.device)
        )
        return found

    def _by_word(self, tokens: Tensor) -> Floats:
        """(n,) of the tokens (t, d) of a prompt with its answer."""
        each = tokens.double().sum(-1).cpu().numpy()[: len(self.place)]
        found = np.zeros(self.count)
        np.add.at(found, self.place[self.place >= 0], each[self.place >= 0])
        return found
