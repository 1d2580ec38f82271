"""erasing: a concept taken out of vectors, so that no linear reader finds it, and little else.

Source: Belrose et al. 2023, arXiv:2306.03819 (LEACE, closed form).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmspec.methods.reading import Floats, Ids

SMALLEST = 1e-9  # share of the largest variance; a direction with less does not vary
UNRELATED = 1e-6  # correlation with the concept that is rounding


@dataclass(frozen=True)
class Eraser:
    """x -> x - (x - mean) @ right.T @ left.T.

    mean   (d,)
    left   (d, r) what is taken away; r is below the number of classes
    right  (r, d) by how much
    """

    mean: Floats
    left: Floats
    right: Floats

    def __call__(self, vectors: Floats) -> Floats:
        """(n, d) without the concept."""
        found: Floats = vectors - (vectors - self.mean) @ self.right.T @ self.left.T
        return found


def fitted(vectors: NDArray[np.floating], classes: Ids) -> Eraser:
    """The least change, in the vectors' own covariance, after which no class has another mean.

    A linear reader of the vectors does then no better than a constant answer: on these vectors
    exactly, on others as far as these tell. The covariance is shrunk, as its authors do: of fewer
    vectors than dimensions, it would say what is small by chance.

    vectors  (n, d)
    classes  (n,) numbers from 0
    """
    centre = vectors.mean(0, dtype=np.float64)
    centred = vectors - centre
    indicators = np.eye(int(classes.max()) + 1)[classes]  # (n, k)
    values, directions = np.linalg.eigh(centred.T @ centred / len(vectors))
    values = shrunk(values, len(vectors))
    varied = values > max(float(values[-1]), 0.0) * SMALLEST
    scale, directions = np.sqrt(values[varied]), directions[:, varied]
    whiten = directions / scale @ directions.T
    colour = directions * scale @ directions.T
    deviations = indicators.std(0)
    deviations[deviations == 0] = 1.0
    related = whiten @ centred.T @ (indicators - indicators.mean(0)) / len(vectors) / deviations
    basis, strengths, _ = np.linalg.svd(related, full_matrices=False)
    basis = basis[:, strengths > UNRELATED]  # (d, r)
    return Eraser(centre, colour @ basis, basis.T @ whiten)


def shrunk(values: Floats, count: int) -> Floats:
    """Eigenvalues of the covariance of so many vectors, drawn to their mean as far as is best.

    Source: Bodnar, Gupta & Parolya 2014, arXiv:1308.2608 (optimal linear shrinkage).
    """
    total, mean = float(values.sum()), float(values.mean())
    spread = float((values**2).sum()) - total * mean
    if spread <= 0:
        return values
    own = min(1.0, max(0.0, 1 - total**2 / count / spread))
    found: Floats = own * values + (1 - own) * mean
    return found
