"""gradients: what each word adds to the probability of its label, by gradients of a network.

Attributions of tokens are summed over the word that they belong to.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lmspec.methods import wayintegral
from lmspec.methods.attributing import Attribution
from lmspec.methods.coalitions import Coalitions
from lmspec.methods.network import Classifier
from lmspec.methods.reading import Floats, Ids
from lmspec.specs.explained import GradientTimesInput, IntegratedGradients

AT_ONCE = 32  # points of the way whose gradients are computed together


class Embedded:
    """A network as a function of the embeddings of its tokens.

    instead  the token whose embedding stands for a word that is taken away
    """

    def __init__(self, network: Classifier, instead: int) -> None:
        self.network, self.instead = network.requires_grad_(False), instead

    def embeddings(self, ids: Ids) -> Tensor:
        """(t, d) of tokens (t,)."""
        with torch.no_grad():
            given = torch.from_numpy(ids).to(self.network.device)
            found: Tensor = self.network.get_input_embeddings()(given)
        return found

    def probability(self, ids: Ids, embeddings: Tensor, label: int) -> Tensor:
        """(m,) of a label, for embeddings (m, t, d) in the places of tokens (t,)."""
        count = len(embeddings)
        given = torch.from_numpy(ids).to(self.network.device).expand(count, -1)
        with _embedded(self.network, embeddings), torch.backends.cudnn.flags(enabled=False):
            logits = self.network(input_ids=given, attention_mask=torch.ones_like(given)).logits
        return torch.softmax(logits.double(), -1)[:, label]

    def gradients(self, ids: Ids, embeddings: Tensor, label: int) -> tuple[Tensor, Floats]:
        """(m, t, d) of the probability of a label, and (m,) that probability."""
        parts, probabilities = [], []
        for part in torch.split(embeddings, AT_ONCE):
            point = part.detach().requires_grad_()
            probability = self.probability(ids, point, label)
            parts.append(torch.autograd.grad(probability.sum(), point)[0])
            probabilities.append(probability.detach().cpu().numpy())
        return torch.cat(parts), np.concatenate(probabilities)


@contextlib.contextmanager
def _embedded(network: Classifier, embeddings: Tensor) -> Iterator[None]:
    """These in place of what the network looks up."""
    hook = network.get_input_embeddings().register_forward_hook(lambda *_: embeddings)
    try:
        yield
    finally:
        hook.remove()


def made(
    method: IntegratedGradients | GradientTimesInput, network: Classifier, instead: int
) -> Attribution:
    """The method as a function of a text. instead: token of a word that is taken away."""
    embedded = Embedded(network, instead)

    def attribution(text: Coalitions, label: int, name: str) -> Floats:
        if isinstance(method, GradientTimesInput):
            return _over_windows(text, lambda ids, place: _times_input(embedded, ids, label))
        return _over_windows(text, lambda ids, place: Way(embedded, ids, place, label).sums(method))

    return attribution


def _times_input(embedded: Embedded, ids: Ids, label: int) -> Floats:
    """(t,)"""
    inputs = embedded.embeddings(ids)
    gradients, _ = embedded.gradients(ids, inputs[None], label)
    return _numbers((gradients[0] * inputs).sum(-1))


class Way:
    """From a window with all words taken away to the window, on a straight line.

    Source: Sundararajan et al. 2017, arXiv:1703.01365.
    """

    def __init__(self, embedded: Embedded, ids: Ids, place: Ids, label: int) -> None:
        masked = np.where(place >= 0, embedded.instead, ids)
        self.start = embedded.embeddings(masked)
        self.step = embedded.embeddings(ids) - self.start
        self.embedded, self.ids, self.label = embedded, ids, label

    def sums(self, method: IntegratedGradients) -> Floats:
        """(t,) what each token adds on the whole way."""
        return wayintegral.integrated(self._slopes, method.steps, method.max_completeness_delta)

    def _slopes(self, places: Sequence[float]) -> tuple[Floats, Floats]:
        """(m, t) of the tokens at some places of the way, and (m,) the probability there."""
        at = torch.tensor(places, dtype=self.step.dtype, device=self.step.device)
        points = self.start + at[:, None, None] * self.step
        gradients, probabilities = self.embedded.gradients(self.ids, points, self.label)
        return _numbers((gradients * self.step).sum(-1)), probabilities


def _numbers(tensor: Tensor) -> Floats:
    numbers: Floats = tensor.double().cpu().numpy()
    return numbers


def _over_windows(text: Coalitions, of_window: Callable[[Ids, Ids], Floats]) -> Floats:
    """(n,) sums over the tokens of each word, of the mean over the windows that the model reads."""
    words = text.words
    found = np.zeros(len(words))
    for ids, place in zip(words.ids, words.places, strict=True):
        tokens = of_window(ids, place)  # (t,)
        np.add.at(found, place[place >= 0], tokens[place >= 0])
    return found / len(words.ids)
