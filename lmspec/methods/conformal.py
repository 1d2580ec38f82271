"""conformal: the thresholds from which labels are kept, for a coverage that holds of new texts.

Split conformal prediction with one minus the probability of the true label as its score. Source:
Vovk et al. 2005; Sadinle et al. 2019, doi:10.1080/01621459.2017.1395341.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lmspec.methods.metrics import Floats
from lmspec.methods.reading import Ids


def threshold(own: Floats, coverage: float) -> float | None:
    """The largest one that the next text's true label reaches with that probability, at least.

    own  (n,) probability of the true label of each text
    If the next text is like these, its label is kept with a probability from `coverage` to
    coverage + 1 / (n + 1), over draws of these texts and of it. None if n is too small to say.
    """
    # 0.07 * 100 is above 7 in binary
    number = math.ceil(Fraction(str(coverage)) * (len(own) + 1))
    return None if number > len(own) else float(np.sort(own)[len(own) - number])


def least(coverage: float) -> int:
    """Texts that it takes."""
    exact = Fraction(str(coverage))
    return math.ceil(exact / (1 - exact))


def thresholds(
    probability: Floats,
    truth: Ids,
    labels: Sequence[str],
    tables: Sequence[str],
    coverage: float,
    by: str,
) -> list[float]:
    """One for each label. Raises ValueError if there are too few texts, of some kind, for any.

    probability  (n, k)
    truth        (n,) positions of the labels
    tables       (n,) name of each text's table
    by           all, table or label
    """
    own = probability[np.arange(len(truth)), truth]
    parts = {"all": own}
    if by == "label":
        parts = {label: own[truth == k] for k, label in enumerate(labels)}
    elif by == "table":
        of = np.array(tables)
        parts = {table: own[of == table] for table in sorted(set(tables))}
    values = []
    for name, part in parts.items():
        value = threshold(part, coverage)
        if value is None:
            which = "there are" if name == "all" else f"{by} {name!r} has"
            raise ValueError(f"{which} {len(part)} texts, and {coverage:g} takes {least(coverage)}")
        values.append(value)
    return values if by == "label" else [min(values)] * len(labels)
