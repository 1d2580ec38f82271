"""probing: what a linear reader finds in vectors."""

import warnings

import numpy as np

from lmspec.methods.reading import Floats, Ids

INVERSE_REGULARIZATION, ITERATIONS = 0.1, 300  # of vectors scaled to unit variance


def predicted(train: Floats, classes: Ids, test: Floats) -> Ids:
    """(m,) classes of test vectors (m, d) by a logistic regression on train vectors (n, d).

    classes  (n,); at least two
    """
    # here: an import takes half a second, and specs without concepts need none
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    centre, scale = train.mean(0), train.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    probe = LogisticRegression(C=INVERSE_REGULARIZATION, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit((train - centre) / scale, classes)
    found: Ids = probe.predict((test - centre) / scale)
    return found
