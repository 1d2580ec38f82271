"""swept: a model's section with the values of a trial; what checks a sweep and what runs it agree.

Standard library only, since `lmspec validate` imports it.
"""

import copy
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

MOST_COMBINATIONS = 100  # that are checked: each takes about a millisecond
UNUSED = {"training.seeds": "a trial is trained with the first seed alone"}


def combinations(over: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Path -> value, for all combinations of a sweep's values and bounds.

    Beyond 100 combinations each value is tried with the first ones of the other fields.

    over  path of a field -> its values, or the mapping of a range
    """
    options = {
        path: [values["low"], values["high"]] if isinstance(values, Mapping) else values
        for path, values in over.items()
    }
    first = {path: values[0] for path, values in options.items()}
    if math.prod(map(len, options.values())) > MOST_COMBINATIONS:
        for path, values in options.items():
            yield from (first | {path: value} for value in values[:MOST_COMBINATIONS])
    else:
        for chosen in itertools.product(*options.values()):
            yield dict(zip(options, chosen, strict=True))


def varied(section: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with other values. values: path of a field, such as `training.epochs` -> its value.

    Raises KeyError if a field's parent is not there.
    """
    changed = copy.deepcopy(dict(section))
    for path, value in values.items():
        *parents, last = path.split(".")
        owner = changed
        for parent in parents:
            owner = owner[parent]
        owner[last] = value
    return changed
