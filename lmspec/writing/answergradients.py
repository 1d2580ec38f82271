"""answergradients: what each word of a prompt adds to the log probability of an answer, by
gradients of a network.

Weights of tokens are summed over the word that they belong to. The way begins where each token of a
word is the filler; template, earlier turns and answer stay as they are. Source: Sundararajan et al.
2017, arXiv:1703.01365; Gauss and Legendre's rule, exact for polynomials of degree below twice the
steps.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmspec.methods.attributing import Attribution
from lmspec.methods.coalitions import Coalitions
from lmspec.methods.reading import Floats, Ids
from lmspec.specs.explained import GradientTimesInput, IntegratedGradients
from lmspec.writing.prompted import Prompted

AT_ONCE = 8  # points of the way whose gradients are computed together
DOUBLINGS = 5


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
        change, steps = way.change, method.steps
        for _ in range(DOUBLINGS + 1):
            found = way.integrated(steps)
            if abs(float(found.sum()) - change) <= method.max_completeness_delta:
                break
            steps *= 2
        return found

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

    @property
    def change(self) -> float:
        """Nats per token that the words of the prompt add to the answer."""
        with torch.no_grad():
            low, high = self.likelihood(torch.stack([self.start, self.end]))
        return float(high - low)

    def likelihood(self, embeddings: Tensor) -> Tensor:
        """(m,) nats per token of the answer, for embeddings (m, t, d)."""
        logits = self.network(
            inputs_embeds=embeddings, use_cache=False, logits_to_keep=len(self.answer)
        ).logits
        each = torch.log_softmax(logits.double(), -1)
        wanted = self.answer.expand(len(each), -1)[..., None]
        return each.gather(-1, wanted)[..., 0].mean(-1)

    def integrated(self, steps: int) -> Floats:
        """(n,) weights of words, whose sum is near the change."""
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        total = torch.zeros_like(self.end)
        for points, shares in self._parts(nodes, weights):
            point = self.start + points[:, None, None] * (self.end - self.start)
            total += (shares[:, None, None] * self._gradients(point)).sum(0)
        return self._by_word(total * (self.end - self.start))

    def times_input(self) -> Floats:
        """(n,) weights of words, by one gradient."""
        return self._by_word(self._gradients(self.end[None])[0] * self.end)

    def _parts(self, nodes: Floats, weights: Floats) -> Iterator[tuple[Tensor, Tensor]]:
        """Places on the way in 0..1, and their shares, some at a time."""
        both = (torch.from_numpy(values).to(self.end) for values in ((nodes + 1) / 2, weights / 2))
        yield from zip(*(torch.split(values, AT_ONCE) for values in both), strict=True)

    def _gradients(self, embeddings: Tensor) -> Tensor:
        """(m, t, d) of the log probability per token."""
        point = embeddings.detach().requires_grad_()
        (found,) = torch.autograd.grad(self.likelihood(point).sum(), point)
        return found

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
