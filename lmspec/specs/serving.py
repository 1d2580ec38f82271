"""serving: what the service of a bundle takes, how long it waits, and when it refuses."""

from typing import Literal

from pydantic import Field

from lmspec.specs.base import Spec
from lmspec.specs.checks.serving import (
    draining_outlasts_requests,
    longest_list_fits_the_queue,
    longest_text_fits_a_body,
)


class Serving(Spec):
    """Limits of `lmspec serve`, kept in the bundle's manifest.

    Texts are counted, not requests, so that one text and a list are refused alike.
    """

    holds = (longest_text_fits_a_body, longest_list_fits_the_queue, draining_outlasts_requests)
    max_text_bytes: int = Field(
        ge=1, le=2**20, description="of one text in UTF-8; it bounds the time that a text takes"
    )
    max_texts: int = Field(ge=1, le=10_000, description="texts of one request, at most")
    max_body_bytes: int = Field(ge=1024, le=2**28, description="of a request's body, at most")
    queue: int = Field(
        ge=1,
        le=100_000,
        description="texts that wait for a processor; a request that finds no room for its own is"
        " refused at once, with status 503",
    )
    timeout_ms: int = Field(
        ge=1, le=600_000, description="from the arrival of a request to its answer; later: 504"
    )
    drain_seconds: int = Field(
        ge=1, le=3600, description="after SIGTERM, for the requests that have arrived"
    )
    empty_text: Literal["no_answer", "refused"] = Field(
        description="what a text of white space alone gets: an answer without a label, or an error"
    )
