"""swept: a model's section with the values of a trial; what checks a sweep and what runs it agree.

Standard library only, since `lmspec validate` imports it.
"""

import copy
from collections.abc import Mapping
from typing import Any


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
