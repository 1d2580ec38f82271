"""serving checks: limits of a service that contradict each other."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement

Values = Mapping[str, Any]
AROUND_A_TEXT = 512  # bytes of a request beside its only text


def longest_text_fits_a_body(serving: Values) -> Iterator[Disagreement]:
    """Else no request can hold the longest text that is allowed."""
    least = serving["max_text_bytes"] + AROUND_A_TEXT
    if serving["max_body_bytes"] < least:
        others = ((("max_text_bytes",), "the longest text"),)
        found = "no request can hold the longest text"
        yield Disagreement(("max_body_bytes",), found, f"allow {least} or more", others)


def longest_list_fits_the_queue(serving: Values) -> Iterator[Disagreement]:
    """Else the longest list is refused even when nothing waits."""
    if serving["max_texts"] > serving["queue"]:
        others = ((("max_texts",), "the longest list"),)
        found = f"the queue never has room for a list of {serving['max_texts']}"
        remedy = f"make it {serving['max_texts']} or more"
        yield Disagreement(("queue",), found, remedy, others)


def draining_outlasts_requests(serving: Values) -> Iterator[Disagreement]:
    """Else a request that may still be answered is lost when the service stops."""
    if serving["drain_seconds"] * 1000 < serving["timeout_ms"]:
        others = ((("timeout_ms",), "how long a request may take"),)
        found = "requests that have arrived would be lost when the service stops"
        least = -(-serving["timeout_ms"] // 1000)
        yield Disagreement(("drain_seconds",), found, f"make it {least} or more", others)
