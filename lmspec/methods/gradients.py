"""gradients: what each word adds to the probability of its label, by gradients of a network.

Attributions of tokens are summed over the word that they belong to.
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from lmspec.methods.attributing import Attribution
from lmspec.methods.coalitions import Coalitions
from lmspec.methods.network import Classifier
from lmspec.methods.reading import Floats, Ids
from lmspec.specs.explained import GradientTimesInput, IntegratedGradients

AT_ONCE = 32  # points of the way whose gradients are computed together
DOUBLINGS = 5


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

    def gradients(self, ids: Ids, embeddings: Tensor, label: int) -> Tensor:
        """(m, t, d) of the probability of a label."""
        parts = []
        for part in torch.split(embeddings, AT_ONCE):
            point = part.detach().requires_grad_()
            (found,) = torch.autograd.grad(self.probability(ids, point, label).sum(), point)
            parts.append(found)
        return torch.cat(parts)


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
        change = change_of(embedded, text, label)
        steps = method.steps
        for _ in range(DOUBLINGS + 1):
            attributions = integrated(embedded, text, label, steps)
            if abs(float(attributions.sum()) - change) <= method.max_completeness_delta:
                break
            steps *= 2
        return attributions

    return attribution


def _times_input(embedded: Embedded, ids: Ids, label: int) -> Tensor:
    """(t,)"""
    inputs = embedded.embeddings(ids)
    return (embedded.gradients(ids, inputs[None], label)[0] * inputs).sum(-1)


def integrated(embedded: Embedded, text: Coalitions, label: int, steps: int) -> Floats:
    """(n,) attributions, whose sum is near the change of the probability.

    By Gauss and Legendre's rule, exact for polynomials of degree below twice the steps.
    Source: Sundararajan et al. 2017, arXiv:1703.01365.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)

    def of_window(ids: Ids, place: Ids) -> Tensor:
        start, end = _ends(embedded, ids, place)
        way = torch.from_numpy((nodes + 1) / 2).to(end)[:, None, None]
        gradients = embedded.gradients(ids, start + way * (end - start), label)
        share = torch.from_numpy(weights / 2).to(end)[:, None, None]
        return ((end - start) * (share * gradients).sum(0)).sum(-1)

    return _over_windows(text, of_window)


def change_of(embedded: Embedded, text: Coalitions, label: int) -> float:
    """By how much the text is more probable than with all its words taken away: of its windows,
    on average."""
    changes = []
    for ids, place in zip(text.words.ids, text.words.places, strict=True):
        with torch.no_grad():
            low, high = embedded.probability(ids, torch.stack(_ends(embedded, ids, place)), label)
        changes.append(float(high - low))
    return float(np.mean(changes))


def _ends(embedded: Embedded, ids: Ids, place: Ids) -> tuple[Tensor, Tensor]:
    """Embeddings (t, d) with all words of a window taken away, and as it is."""
    start = np.where(place >= 0, embedded.instead, ids)
    return embedded.embeddings(start), embedded.embeddings(ids)


def _over_windows(text: Coalitions, of_window: Callable[[Ids, Ids], Tensor]) -> Floats:
    """(n,) sums over the tokens of each word, of the mean over the windows that the model reads."""
    words = text.words
    found = np.zeros(len(words))
    for ids, place in zip(words.ids, words.places, strict=True):
        tokens = of_window(ids, place).double().cpu().numpy()  # (t,)
        np.add.at(found, place[place >= 0], tokens[place >= 0])
    return found / len(words.ids)
