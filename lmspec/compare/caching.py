"""caching: results of a method kept on its instance."""

import functools
from collections.abc import Callable
from typing import TypeVar

Instance = TypeVar("Instance")
Result = TypeVar("Result")


def cached(function: Callable[[Instance, str], Result]) -> Callable[[Instance, str], Result]:
    """Call a method once for each argument; functools.cache would keep its instances alive."""

    @functools.wraps(function)
    def method(instance: Instance, key: str) -> Result:
        results = vars(instance).setdefault(f"{function.__name__} by argument", {})
        if key not in results:
            results[key] = function(instance, key)
        result: Result = results[key]
        return result

    return method
